//! Asks for the files, in an order of chance, and compares every byte.
use super::super::host::Fetched;
use super::super::session::Session;
use super::super::stop::{MbError, Step, Stop};
use super::options::Options;
use super::report::RestoreReport;
use super::source::Source;
use crate::backup_files::cipher::Decryptor;
use crate::backup_files::hex;
use crate::backup_files::manifest_db::FILE;
use crate::backup_files::mbfile::MbFile;
use crate::contents::Truth;
use crate::random::Random;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};

/// Files in one message at most.
const BATCH: usize = 128;

/// A file to be restored.
#[derive(Clone)]
struct Wanted {
    file_id: String,
    place: String,
    record: MbFile,
}

/// A file on its way: what its bytes come to.
struct Incoming {
    blob: Sha1,
    plain: Sha256,
    decryptor: Option<Decryptor>,
    buffer: Vec<u8>,
}

/// Fetches all files of the backup that are wanted.
///
/// # Errors
///
/// A file is missing or damaged; the connection is gone.
pub(super) fn fetch_all(
    session: &mut Session<'_, '_>,
    source: &Source,
    options: &Options,
    truth: Option<&Truth>,
    random: &mut Random,
    report: &mut RestoreReport,
) -> Step<()> {
    let mut wanted = wanted(source, options)?;
    random.shuffle(&mut wanted);
    report.asked = wanted.len();
    // A few are asked for once more, later: a host must not think it is done with a file.
    let again: Vec<Wanted> = wanted.iter().step_by(50).take(BATCH).cloned().collect();
    report.asked_again = again.len();
    let items = truth.iter().flat_map(|truth| &truth.items);
    let known: BTreeMap<String, Option<&String>> =
        items.map(|item| (item.file_id(), item.sha256.as_ref())).collect();
    let batches = wanted.chunks(BATCH).count().max(1);
    for (number, batch) in wanted.chunks(BATCH).enumerate() {
        let done = u32::try_from(100 * number / batches).unwrap_or(100);
        session.host.progress = f64::from(done);
        for (file, sha256) in fetch_batch(session, source, batch)? {
            match known.get(&file.file_id).copied().flatten() {
                None => report.unknown.push(file.place.clone()),
                Some(expected) if *expected == sha256 => report.same += 1,
                Some(_) => report.different.push(file.place.clone()),
            }
        }
        session.cancellation()?;
    }
    if !again.is_empty() {
        for (file, sha256) in fetch_batch(session, source, &again)? {
            let expected = known.get(&file.file_id).copied().flatten();
            if expected.is_some_and(|expected| *expected != sha256) {
                report.different.push(format!("{} (the second time)", file.place));
            }
        }
    }
    session.host.progress = 100.0;
    Ok(())
}

/// The files that are wanted; of hard links only the first.
fn wanted(source: &Source, options: &Options) -> Step<Vec<Wanted>> {
    let mut wanted = Vec::new();
    let mut inodes = BTreeSet::new();
    source.db.each::<Stop>(|row| {
        if row.flags != FILE || !options.want(&row.domain, &row.relative_path) {
            return Ok(());
        }
        let Some(Ok(record)) = row.file.as_deref().map(MbFile::parse) else { return Ok(()) };
        if inodes.insert(record.inode) {
            let place = format!("{} {}", row.domain, row.relative_path);
            wanted.push(Wanted { file_id: row.file_id, place, record });
        }
        Ok(())
    })?;
    Ok(wanted)
}

/// One message: each file with the SHA-256 of its plain bytes.
fn fetch_batch<'w>(
    session: &mut Session<'_, '_>,
    source: &Source,
    batch: &'w [Wanted],
) -> Step<Vec<(&'w Wanted, String)>> {
    let paths: Vec<String> = batch.iter().map(|file| source.path(&file.file_id)).collect();
    let mut incoming = Vec::with_capacity(batch.len());
    for file in batch {
        incoming.push(Incoming::begin(source, file)?);
    }
    let fetched = session.host.download(&paths, |number, bytes| {
        incoming[number].push(bytes);
        Ok(())
    })?;
    if fetched.iter().any(|one| *one != Fetched::Whole) {
        let failed = batch.iter().zip(&fetched).find(|(_, one)| **one != Fetched::Whole);
        let which = failed.map(|(file, why)| format!("{} {}: {why:?}", file.file_id, file.place));
        let text = format!("Multiple errors downloading files: {}", which.unwrap_or_default());
        return Err(Stop::refused(MbError::CORRUPT, text));
    }
    batch.iter().zip(incoming).map(|(file, one)| Ok((file, one.finish(file)?))).collect()
}

impl Incoming {
    fn begin(source: &Source, file: &Wanted) -> Step<Incoming> {
        let decryptor = match (&source.keys, &file.record.encryption_key) {
            (None, _) => None,
            (Some(keys), Some(wrapped)) => Some(Decryptor::new(&keys.unwrap(wrapped)?)),
            (Some(_), None) => {
                let text = format!("There is no key for {}", file.place);
                return Err(Stop::refused(MbError::CORRUPT, text));
            }
        };
        Ok(Incoming { blob: Sha1::new(), plain: Sha256::new(), decryptor, buffer: Vec::new() })
    }

    fn push(&mut self, bytes: &[u8]) {
        self.blob.update(bytes);
        match &mut self.decryptor {
            None => self.plain.update(bytes),
            Some(decryptor) => {
                self.buffer.clear();
                decryptor.push(bytes, &mut self.buffer);
                self.plain.update(&self.buffer);
            }
        }
    }

    fn finish(mut self, file: &Wanted) -> Step<String> {
        let digest: [u8; 20] = self.blob.finalize().into();
        if file.record.digest.as_ref().is_some_and(|expected| expected[..] != digest) {
            let text = format!("Digest didn't match for some files: {}", file.place);
            return Err(Stop::refused(MbError::CORRUPT, text));
        }
        if let Some(decryptor) = self.decryptor {
            self.buffer.clear();
            let finished = decryptor.finish(&mut self.buffer);
            finished
                .map_err(|e| Stop::refused(MbError::CORRUPT, format!("{}: {e}", file.place)))?;
            self.plain.update(&self.buffer);
        }
        Ok(hex(&self.plain.finalize()))
    }
}
