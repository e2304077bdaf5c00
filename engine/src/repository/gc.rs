//! Marks of sweepers: which packs nobody may rely on any more.
//!
//! `<gid>.mark` names packs; while `<gid>.done` is not there, they are condemned, and that is final.
//! A mark is the number of packs (varint) and their ids, signed (purpose `sweep mark`) and sealed;
//! a `done` is a mark of no packs. A sweep id is 16 random bytes, and never used twice.
use super::Repository;
use crate::backend::{BackendErrorKind, Body, ObjectKey, ObjectKind};
use crate::codec::{Decoder, Malformed, put_bytes, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::id::PackId;
use crate::seal::{open_object, open_record, random_array, seal_object, sign_record};
use std::collections::{BTreeMap, HashSet};

const PURPOSE: &str = "sweep mark";
const MARK_LEN_MAX: usize = 64 << 20;

/// A mark that stands: its packs are condemned, and whoever sweeps next finishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepMark {
    /// The sweep's id, in hex.
    pub sweep: String,
    /// The packs it condemns.
    pub packs: Vec<PackId>,
    /// When the storage says it was put: seconds since 1970.
    pub put_at_secs: Option<i64>,
}

/// What a listing shows of one sweep.
#[derive(Default)]
struct Listed {
    mark: Option<Option<i64>>,
    done: bool,
}

impl Repository {
    /// The marks that stand now.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) for a mark that cannot be read: relying on what it may
    /// condemn would lose data. A listing that broke off.
    pub fn standing_marks(&self) -> Result<Vec<SweepMark>> {
        let mut marks = Vec::new();
        for (sweep, listed) in self.list_sweeps()? {
            let Some(put_at_secs) = listed.mark else { continue };
            if listed.done && self.is_done(&sweep)? {
                continue;
            }
            match self.backend().get_whole(&mark_key(&sweep, "mark"), MARK_LEN_MAX as u64) {
                Ok(object) => {
                    let packs = self.open_mark(&sweep, "mark", &object)?;
                    marks.push(SweepMark { sweep, packs, put_at_secs });
                }
                // Finished and cleaned up since it was listed.
                Err(e) if e.kind == BackendErrorKind::NotFound => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(marks)
    }

    /// Condemns packs: nothing that is written from now on relies on them.
    ///
    /// # Errors
    ///
    /// What storing meets. The mark may be there in spite of an error; the next sweep finishes it.
    pub(crate) fn put_mark(&self, packs: &[PackId]) -> Result<()> {
        let sweep = crate::id::hex(&random_array::<16>()?);
        self.put_sweep_object(&sweep, "mark", packs)
    }

    /// Notes that the packs of a sweep are gone, and removes its mark (rule 19 of
    /// `docs/crash-safety.md`).
    ///
    /// # Errors
    ///
    /// As for [`Backend::put`](crate::backend::Backend::put) and removing.
    pub(crate) fn finish_mark(&self, sweep: &str) -> Result<()> {
        self.put_sweep_object(sweep, "done", &[])?;
        self.remove_finished(sweep)
    }

    /// Removes what finished sweeps have left; how many sweeps.
    ///
    /// # Errors
    ///
    /// A listing that broke off; what removing meets.
    pub(crate) fn tidy_marks(&self) -> Result<u64> {
        let mut tidied = 0;
        for (sweep, listed) in self.list_sweeps()? {
            if listed.done && (listed.mark.is_none() || self.is_done(&sweep)?) {
                self.remove_finished(&sweep)?;
                tidied += 1;
            }
        }
        Ok(tidied)
    }

    fn remove_finished(&self, sweep: &str) -> Result<()> {
        self.backend().remove(&mark_key(sweep, "mark"))?;
        self.backend().remove(&mark_key(sweep, "done"))?;
        Ok(())
    }

    fn list_sweeps(&self) -> Result<BTreeMap<String, Listed>> {
        let mut sweeps: BTreeMap<String, Listed> = BTreeMap::new();
        for listed in self.backend().list(ObjectKind::Gc, "") {
            let listed = listed?;
            let Some((sweep, what)) = listed.key.name().split_once('.') else { continue };
            let found = sweeps.entry(sweep.to_owned()).or_default();
            match what {
                "mark" => found.mark = Some(listed.stored_at_secs),
                "done" => found.done = true,
                _ => {}
            }
        }
        Ok(sweeps)
    }

    fn put_sweep_object(&self, sweep: &str, what: &str, packs: &[PackId]) -> Result<()> {
        // Its name is part of what is signed: a mark is none of another sweep.
        let name = format!("{sweep}.{what}");
        let mut body = Vec::with_capacity(20 + name.len() + packs.len() * 32);
        put_bytes(&mut body, name.as_bytes());
        put_varint(&mut body, packs.len() as u64);
        packs.iter().for_each(|pack| body.extend_from_slice(pack.as_bytes()));
        let keys = self.keys();
        let record = sign_record(&keys.signer, keys.repository(), PURPOSE, &body);
        let object = seal_object(keys, ObjectKind::Gc, &record)?;
        self.backend().put(&mark_key(sweep, what), Body::Bytes(object.into()))?;
        Ok(())
    }

    /// Whether a full key says that the packs of a sweep are gone. Anybody who may write to the
    /// storage could put the name there.
    fn is_done(&self, sweep: &str) -> Result<bool> {
        match self.backend().get_whole(&mark_key(sweep, "done"), MARK_LEN_MAX as u64) {
            Ok(object) => Ok(self.open_mark(sweep, "done", &object).is_ok()),
            // Cleaned up since it was listed; its mark went before it.
            Err(e) if e.kind == BackendErrorKind::NotFound => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    fn open_mark(&self, sweep: &str, what: &str, object: &[u8]) -> Result<Vec<PackId>> {
        let keys = self.keys();
        let record = open_object(keys, ObjectKind::Gc, object, MARK_LEN_MAX)?;
        // Stations take nothing away.
        let certified = |public: &[u8; 32]| self.config().full_writer(public);
        let (_, body) = open_record(&record, keys.repository(), PURPOSE, certified)?;
        decode(&format!("{sweep}.{what}"), body)
            .map_err(|e| Error::new(ErrorKind::Damaged, "reading a sweep mark").because(e))
    }
}

/// The packs that standing marks name.
pub(super) fn condemned(repository: &Repository) -> Result<HashSet<PackId>> {
    let marks = repository.standing_marks()?;
    Ok(marks.into_iter().flat_map(|mark| mark.packs).collect())
}

fn mark_key(sweep: &str, what: &str) -> ObjectKey {
    ObjectKey::new(ObjectKind::Gc, format!("{sweep}.{what}"))
}

fn decode(name: &str, body: &[u8]) -> Result<Vec<PackId>, Malformed> {
    let mut from = Decoder::new(body);
    if from.bytes(name.len(), "name")? != name.as_bytes() {
        return Err(Malformed("name"));
    }
    let count = from.count(from.remaining() / 32, "number of packs")?;
    let mut packs = Vec::with_capacity(count);
    for _ in 0..count {
        packs.push(PackId::from_bytes(from.array("pack id")?));
    }
    from.finish("end of mark")?;
    Ok(packs)
}
