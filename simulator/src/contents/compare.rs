//! A backup set on disk, held against the truth: every row, every blob, every byte.
//!
//! It reads the set with nothing but its own bytes and the password, by the phone's own decoders.
//! Whoever restored the set has no part in it.
use super::item::{Item, Kind};
use super::truth::Truth;
use crate::backup_files::cipher::Decryptor;
use crate::backup_files::keybag::{ClassKeys, Keybag};
use crate::backup_files::manifest_db::{FILE, FOLDER, LINK, ManifestDb, Row};
use crate::backup_files::manifest_plist::ManifestPlist;
use crate::backup_files::mbfile::MbFile;
use crate::backup_files::status::{SnapshotState, Status};
use crate::backup_files::{Unreadable, hex, shard_path};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Blobs are read in pieces of this size.
const PIECE: usize = 64 * 1024;

/// What was found equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Equal {
    /// Files: row, record and every byte.
    pub files: u64,
    /// Their bytes, without encryption.
    pub bytes: u64,
    /// Folders and links: row and record.
    pub others: u64,
}

/// Why a set is not what the truth says, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference(pub String);

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Difference {}
impl From<Unreadable> for Difference {
    fn from(unreadable: Unreadable) -> Difference {
        Difference(unreadable.0)
    }
}

/// Compares the set in `folder` with the `truth` about its backup. `password` is the backup
/// password of an encrypted one. `may_go_on` is asked after each file.
///
/// # Errors
///
/// The first thing that differs, is missing, is too much, or cannot be read; or it may not go on.
pub fn compare(
    folder: &Path,
    password: Option<&str>,
    truth: &Truth,
    may_go_on: &mut dyn FnMut() -> bool,
) -> Result<Equal, Difference> {
    let manifest = compare_frame(folder, password.is_some(), truth)?;
    let keys = match password {
        Some(word) => Some(Keybag::parse(&manifest.keybag)?.unlock(word)?),
        None => None,
    };
    // The decoder owns and may change the file it opens: it gets one of its own.
    let work = tempfile::tempdir().map_err(|e| unreadable("a folder for Manifest.db", &e))?;
    let path = work.path().join("Manifest.db");
    let mut plain = Vec::new();
    let wrapped = manifest.manifest_key.as_deref();
    let pieces = Pieces::open(&folder.join("Manifest.db"), keys.as_ref(), wrapped)?;
    pieces.each(|_| {}, |piece| plain.extend_from_slice(piece))?;
    fs::write(&path, plain).map_err(|e| unreadable("Manifest.db", &e))?;

    let mut rest: BTreeMap<String, &Item> =
        truth.items.iter().map(|item| (item.file_id(), item)).collect();
    let mut blobs = BTreeSet::new();
    let mut equal = Equal::default();
    ManifestDb::open(&path)?.each::<Difference>(|row| {
        let item = rest
            .remove(&row.file_id)
            .ok_or_else(|| Difference(format!("{}: {:?} is too much", row.file_id, row.domain)))?;
        let record = compare_row(&row, item)?;
        let Some(record) = record.filter(|_| item.kind == Kind::File) else {
            equal.others += 1;
            return Ok(());
        };
        let blob = folder.join(shard_path(&row.file_id));
        compare_blob(&blob, &record, keys.as_ref(), item)?;
        blobs.insert(row.file_id);
        equal.files += 1;
        equal.bytes += item.size;
        if may_go_on() { Ok(()) } else { Err(Difference("it was stopped".to_owned())) }
    })?;
    if let Some(item) = rest.values().next() {
        return Err(differs(item, "is not in Manifest.db"));
    }
    let found = blobs_of(folder).map_err(|e| unreadable("the set", &e))?;
    match found.symmetric_difference(&blobs).next() {
        Some(blob) => Err(Difference(format!("the blob {blob} has no row"))),
        None => Ok(equal),
    }
}

/// The names of all blobs in a set.
///
/// # Errors
///
/// A folder cannot be read.
pub fn blobs_of(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut blobs = BTreeSet::new();
    for shard in fs::read_dir(folder)? {
        let shard = shard?;
        if shard.file_type()?.is_dir() {
            for blob in fs::read_dir(shard.path())? {
                blobs.insert(blob?.file_name().to_string_lossy().into_owned());
            }
        }
    }
    Ok(blobs)
}

/// The plists around the files: finished, of this backup, encrypted or not.
fn compare_frame(
    folder: &Path,
    encrypted: bool,
    truth: &Truth,
) -> Result<ManifestPlist, Difference> {
    let read = |name: &str| fs::read(folder.join(name)).map_err(|e| unreadable(name, &e));
    let status = Status::parse(&read("Status.plist")?)?;
    if status.snapshot_state != SnapshotState::Finished || folder.join("Snapshot").exists() {
        return Err(Difference("the set is not finished".to_owned()));
    }
    let manifest = ManifestPlist::parse(&read("Manifest.plist")?)?;
    let is_of = |backup: &super::truth::BackupOf| {
        backup.date == manifest.date && backup.uuid == status.uuid && backup.encrypted == encrypted
    };
    if !truth.backup.as_ref().is_some_and(is_of) || manifest.is_encrypted != encrypted {
        return Err(Difference("the set is of another backup".to_owned()));
    }
    Ok(manifest)
}

/// Compares a row and its record. Only of folders may there be none.
fn compare_row(row: &Row, item: &Item) -> Result<Option<MbFile>, Difference> {
    let flags = match item.kind {
        Kind::File => FILE,
        Kind::Folder => FOLDER,
        Kind::Link => LINK,
    };
    if (&row.domain, &row.relative_path, row.flags) != (&item.domain, &item.relative_path, flags) {
        return Err(differs(item, "has another row"));
    }
    let record = match row.file.as_deref().map(MbFile::parse) {
        Some(Ok(record)) => record,
        _ if item.kind == Kind::Folder => return Ok(None),
        _ => return Err(differs(item, "has no record")),
    };
    let same = record.relative_path == item.relative_path
        && (record.mode, record.times[0]) == (item.mode, item.mtime)
        && record.target == item.target
        && record.attributes == item.xattrs
        && (record.inode, record.protection_class) == (item.inode, item.protection_class)
        // Some records have no size.
        && (record.size == item.stat_size || record.size == 0);
    if same { Ok(Some(record)) } else { Err(differs(item, "has another record")) }
}

fn compare_blob(
    blob: &Path,
    record: &MbFile,
    keys: Option<&ClassKeys>,
    item: &Item,
) -> Result<(), Difference> {
    let (mut stored, mut plain, mut size) = (Sha1::new(), Sha256::new(), 0u64);
    let pieces = Pieces::open(blob, keys, record.encryption_key.as_deref())
        .map_err(|why| differs(item, &why.0))?;
    pieces
        .each(
            |piece| stored.update(piece),
            |piece| {
                plain.update(piece);
                size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            },
        )
        .map_err(|why| differs(item, &why.0))?;
    if record.digest.as_ref().is_some_and(|digest| stored.finalize()[..] != digest[..]) {
        return Err(differs(item, "is not what its record's digest says"));
    }
    if size != item.size || Some(hex(&plain.finalize())) != item.sha256 {
        return Err(differs(item, "has other bytes"));
    }
    Ok(())
}

/// A stored file, piece by piece.
struct Pieces {
    file: File,
    decryptor: Option<Decryptor>,
}

impl Pieces {
    fn open(
        path: &Path,
        keys: Option<&ClassKeys>,
        wrapped: Option<&[u8]>,
    ) -> Result<Pieces, Difference> {
        let file = File::open(path).map_err(|e| unreadable("a stored file", &e))?;
        let decryptor = match (keys, wrapped) {
            (None, None) => None,
            (Some(keys), Some(wrapped)) => Some(Decryptor::new(&keys.unwrap(wrapped)?)),
            (None, Some(_)) => {
                return Err(Difference("a key in a backup that is not encrypted".to_owned()));
            }
            (Some(_), None) => {
                return Err(Difference("no key in a backup that is encrypted".to_owned()));
            }
        };
        Ok(Pieces { file, decryptor })
    }

    /// Shows the bytes as they are stored, and without encryption.
    fn each(
        mut self,
        mut as_stored: impl FnMut(&[u8]),
        mut as_plain: impl FnMut(&[u8]),
    ) -> Result<(), Difference> {
        let mut buffer = vec![0; PIECE];
        let mut plain = Vec::new();
        loop {
            let len = self.file.read(&mut buffer).map_err(|e| unreadable("a stored file", &e))?;
            if len == 0 {
                break;
            }
            as_stored(&buffer[..len]);
            let Some(decryptor) = &mut self.decryptor else {
                as_plain(&buffer[..len]);
                continue;
            };
            decryptor.push(&buffer[..len], &mut plain);
            as_plain(&plain);
            plain.clear();
        }
        if let Some(decryptor) = self.decryptor {
            decryptor.finish(&mut plain)?;
            as_plain(&plain);
        }
        Ok(())
    }
}

fn differs(item: &Item, how: &str) -> Difference {
    Difference(format!("{:?} of {} {how}", item.relative_path, item.domain))
}

fn unreadable(what: &str, error: &io::Error) -> Difference {
    Difference(format!("{what} cannot be read: {error}"))
}
