//! What sweepers have marked: packs that nobody may rely on any more.
//!
//! `<gid>.mark` names packs; while `<gid>.done` is not there, they are condemned. A mark is the
//! number of packs (varint) and their ids, signed (purpose `sweep mark`) and sealed.
use super::Repository;
use crate::backend::{BackendErrorKind, ObjectKind};
use crate::codec::{Decoder, Malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::id::PackId;
use crate::seal::{open_object, open_record};
use std::collections::HashSet;

const PURPOSE: &str = "sweep mark";
const MARK_LEN_MAX: usize = 64 << 20;

/// The packs that standing marks name.
///
/// # Errors
///
/// [`Damaged`](ErrorKind::Damaged) for a mark that cannot be read: relying on what it may condemn
/// would lose data.
pub(super) fn condemned(repository: &Repository) -> Result<HashSet<PackId>> {
    let mut names = HashSet::new();
    let mut marks = Vec::new();
    for listed in repository.backend().list(ObjectKind::Gc, "") {
        let listed = listed?;
        names.insert(listed.key.name().to_owned());
        marks.push(listed.key);
    }
    let mut condemned = HashSet::new();
    for key in marks {
        let Some(sweep) = key.name().strip_suffix(".mark") else { continue };
        if names.contains(&format!("{sweep}.done")) {
            continue;
        }
        match repository.backend().get_whole(&key, MARK_LEN_MAX as u64) {
            Ok(object) => condemned.extend(open_mark(repository, &object)?),
            // Finished and cleaned up since it was listed.
            Err(e) if e.kind == BackendErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(condemned)
}

fn open_mark(repository: &Repository, object: &[u8]) -> Result<Vec<PackId>> {
    let keys = repository.keys();
    let record = open_object(keys, ObjectKind::Gc, object, MARK_LEN_MAX)?;
    // Stations take nothing away.
    let certified = |public: &[u8; 32]| repository.config().full_writer(public);
    let (_, body) = open_record(&record, keys.repository(), PURPOSE, certified)?;
    decode(body).map_err(|e| Error::new(ErrorKind::Damaged, "reading a sweep mark").because(e))
}

fn decode(body: &[u8]) -> Result<Vec<PackId>, Malformed> {
    let mut from = Decoder::new(body);
    let count = from.count(from.remaining() / 32, "number of packs")?;
    let mut packs = Vec::with_capacity(count);
    for _ in 0..count {
        packs.push(PackId::from_bytes(from.array("pack id")?));
    }
    from.finish("end of mark")?;
    Ok(packs)
}
