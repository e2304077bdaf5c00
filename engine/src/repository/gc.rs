//! Marks of sweepers: which packs nobody may rely on any more.
//!
//! `<sweep>.mark` names packs; while `<sweep>.done` is not there, they are condemned, and that is final.
//! A `done` is a mark of no packs. Both are signed (purpose `sweep mark`) and sealed.
//!
//! The name of a sweep is 16 random bytes, who sweeps, and a signature over the former: so a name alone
//! tells a full writer's mark from what anybody may put there. Under a true name what cannot be read is
//! damage, since it may condemn anything; under another one nothing is obeyed, whatever it holds.
use super::Repository;
use crate::backend::{BackendErrorKind, Body, ObjectKey, ObjectKind};
use crate::codec::{Decoder, Malformed, put_bytes, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackId, hex, unhex};
use crate::seal::{
    WriterRole, open_object, open_record, random_array, seal_object, sign_record, verify_signature,
};
use std::collections::{BTreeMap, HashSet};

const PURPOSE: &str = "sweep mark";

/// What the name of a sweep is signed for.
const NAME_PURPOSE: &str = "sweep name";

/// Names that are no sweep's and are told of.
const STRAYS_MAX: usize = 100;

const MARK_LEN_MAX: usize = 64 << 20;

/// A mark that stands: its packs are condemned, and whoever sweeps next finishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepMark {
    /// The sweep's name.
    pub sweep: String,
    /// The packs it condemns.
    pub packs: Vec<PackId>,
    /// When it was put, as its sweeper signed it: seconds since 1970 by that one's clock.
    pub marked_at_secs: i64,
    /// When the storage says it was put: seconds since 1970.
    pub put_at_secs: Option<i64>,
}

/// What a listing shows of one sweep.
#[derive(Default)]
struct Listed {
    mark: Option<Option<i64>>,
    done: bool,
}

/// One listing of `gc/`.
#[derive(Default)]
struct Sweeps {
    by_name: BTreeMap<String, Listed>,
    /// Marks under names that no full writer signed, the first of them.
    strays: Vec<String>,
}

/// What is signed of a mark behind its name.
struct MarkBody {
    at_secs: i64,
    packs: Vec<PackId>,
}

impl Repository {
    /// The marks that stand now.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) for a full writer's mark that cannot be read: relying on what it
    /// may condemn would lose data. A listing that broke off.
    pub fn standing_marks(&self) -> Result<Vec<SweepMark>> {
        Ok(self.look_for_marks()?.0)
    }

    /// The marks that stand, and names of what lies among them and is none.
    fn look_for_marks(&self) -> Result<(Vec<SweepMark>, Vec<String>)> {
        let mut marks = Vec::new();
        let Sweeps { by_name, strays } = self.list_sweeps()?;
        for (sweep, listed) in by_name {
            let Some(put_at_secs) = listed.mark else { continue };
            if listed.done && self.is_done(&sweep)? {
                continue;
            }
            match self.backend().get_whole(&mark_key(&sweep, "mark"), MARK_LEN_MAX as u64) {
                Ok(object) => {
                    let body = self.open_mark(&sweep, "mark", &object);
                    let MarkBody { at_secs, packs } = body.map_err(|e| unreadable(&sweep, e))?;
                    marks.push(SweepMark { sweep, packs, marked_at_secs: at_secs, put_at_secs });
                }
                // Finished and cleaned up since it was listed.
                Err(e) if e.kind == BackendErrorKind::NotFound => {}
                Err(e) if e.kind == BackendErrorKind::TooLarge => {
                    return Err(unreadable(&sweep, e.into()));
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok((marks, strays))
    }

    /// Lists what sweepers have marked: nothing that is written from now on relies on it. Answers with
    /// names of what lies among marks and is none: nobody obeys it.
    ///
    /// # Errors
    ///
    /// As [`standing_marks`](Self::standing_marks).
    pub(crate) fn note_condemned(&self) -> Result<Vec<String>> {
        let (marks, strays) = self.look_for_marks()?;
        let condemned: HashSet<PackId> = marks.into_iter().flat_map(|mark| mark.packs).collect();
        self.index().set_condemned(condemned);
        Ok(strays)
    }

    /// Condemns packs: nothing that is written from now on relies on them. `at_secs` is now, by this
    /// computer's clock.
    ///
    /// # Errors
    ///
    /// What storing meets. The mark may be there in spite of an error; the next sweep finishes it.
    pub(crate) fn put_mark(&self, packs: &[PackId], at_secs: i64) -> Result<()> {
        let keys = self.keys();
        let id = random_array::<16>()?;
        let signature = keys.signer.sign(keys.repository(), NAME_PURPOSE, &id);
        let sweep = format!("{}-{}-{}", hex(&id), keys.signer.writer().short(), hex(&signature));
        self.put_sweep_object(&sweep, "mark", at_secs, packs)
    }

    /// Notes that the packs of a sweep are gone, and removes its mark (rule 19 of
    /// `docs/crash-safety.md`).
    ///
    /// # Errors
    ///
    /// As for [`Backend::put`](crate::backend::Backend::put) and removing.
    pub(crate) fn finish_mark(&self, sweep: &str) -> Result<()> {
        self.put_sweep_object(sweep, "done", 0, &[])?;
        self.remove_finished(sweep)
    }

    /// Removes what finished sweeps have left; how many sweeps.
    ///
    /// # Errors
    ///
    /// A listing that broke off; what removing meets.
    pub(crate) fn tidy_marks(&self) -> Result<u64> {
        let mut tidied = 0;
        for (sweep, listed) in self.list_sweeps()?.by_name {
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

    fn list_sweeps(&self) -> Result<Sweeps> {
        let mut sweeps = Sweeps::default();
        for listed in self.backend().list(ObjectKind::Gc, "") {
            let listed = listed?;
            let name = listed.key.name();
            let Some((sweep, what)) = name.split_once('.') else { continue };
            if !sweeps.by_name.contains_key(sweep) && !self.is_sweep(sweep) {
                if what == "mark" && sweeps.strays.len() < STRAYS_MAX {
                    sweeps.strays.push(name.to_owned());
                }
                continue;
            }
            let found = sweeps.by_name.entry(sweep.to_owned()).or_default();
            match what {
                "mark" => found.mark = Some(listed.stored_at_secs),
                "done" => found.done = true,
                _ => {}
            }
        }
        Ok(sweeps)
    }

    /// Whether a full writer made this name.
    fn is_sweep(&self, name: &str) -> bool {
        let mut parts = name.splitn(3, '-');
        let parts = (parts.next().and_then(unhex::<16>), parts.next(), parts.next());
        let (Some(id), Some(by), Some(signature)) = parts else { return false };
        let Some(signature) = unhex::<64>(signature) else { return false };
        let named = |writer: &&super::Writer| {
            writer.certificate.role == WriterRole::Full && writer.certificate.writer().short() == by
        };
        self.config().writers.iter().filter(named).any(|writer| {
            let public = &writer.certificate.public;
            verify_signature(public, self.id(), NAME_PURPOSE, &id, &signature).is_ok()
        })
    }

    fn put_sweep_object(
        &self,
        sweep: &str,
        what: &str,
        at_secs: i64,
        packs: &[PackId],
    ) -> Result<()> {
        // Its name is part of what is signed: a mark is none of another sweep.
        let name = format!("{sweep}.{what}");
        let mut body = Vec::with_capacity(30 + name.len() + packs.len() * 32);
        put_bytes(&mut body, name.as_bytes());
        body.extend_from_slice(&at_secs.to_le_bytes());
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

    fn open_mark(&self, sweep: &str, what: &str, object: &[u8]) -> Result<MarkBody> {
        let keys = self.keys();
        let record = open_object(keys, ObjectKind::Gc, object, MARK_LEN_MAX)?;
        // Stations take nothing away.
        let certified = |public: &[u8; 32]| self.config().full_writer(public);
        let (_, body) = open_record(&record, keys.repository(), PURPOSE, certified)?;
        decode(&format!("{sweep}.{what}"), body)
            .map_err(|e| Error::new(ErrorKind::Damaged, "reading a sweep mark").because(e))
    }
}

/// A full writer's mark that is not to be read. Nobody finishes it, so while nobody sweeps it may go.
fn unreadable(sweep: &str, why: Error) -> Error {
    let key = mark_key(sweep, "mark");
    let kind = match why.kind() {
        ErrorKind::TooNew => ErrorKind::TooNew,
        _ => ErrorKind::Damaged,
    };
    Error::new(kind, format!("reading the sweep mark {key}")).because(format!(
        "nobody can tell which packs it condemns, so nothing is written ({why:?}). See that no \
         `devsnap prune` runs on any computer, remove this object from the storage, then prune again"
    ))
}

fn mark_key(sweep: &str, what: &str) -> ObjectKey {
    ObjectKey::new(ObjectKind::Gc, format!("{sweep}.{what}"))
}

fn decode(name: &str, body: &[u8]) -> Result<MarkBody, Malformed> {
    let mut from = Decoder::new(body);
    if from.bytes(name.len(), "name")? != name.as_bytes() {
        return Err(Malformed("name"));
    }
    let at_secs = i64::from_le_bytes(from.array("time")?);
    let count = from.count(from.remaining() / 32, "number of packs")?;
    let mut packs = Vec::with_capacity(count);
    for _ in 0..count {
        packs.push(PackId::from_bytes(from.array("pack id")?));
    }
    from.finish("end of mark")?;
    Ok(MarkBody { at_secs, packs })
}
