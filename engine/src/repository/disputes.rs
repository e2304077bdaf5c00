//! Packs of which different things are said, and segments that say what is not so.
//!
//! A pack is named by its bytes, so what stands in the list at its end is its own word, once all of it
//! was read and has its name. Whoever says something else of it is wrong, whoever that is: a station
//! that lies, or a segment made in faulty memory. Reading so much is for when there is a doubt.
use super::Repository;
use super::level::is_unreadable;
use crate::backend::{ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackId, SegmentId};
use crate::index::IndexedPack;
use crate::pack::{PACK_LEN_MAX, PackKind};
use crate::seal::WriterRole;
use std::sync::PoisonError;

/// Bytes of one request while a pack is hashed.
const REQUEST_BYTES: u64 = 4 << 20;

/// What a segment says of a pack, and what is not so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSaying {
    /// The segment.
    pub segment: SegmentId,
    /// Who signed it, for people.
    pub by: String,
    /// The packs.
    pub packs: Vec<PackId>,
}

impl Repository {
    /// Asks each pack of which different things are said; they stay disputed when they cannot be
    /// read.
    ///
    /// # Errors
    ///
    /// What reading the store and writing the local index meet.
    pub(crate) fn settle_all(&self) -> Result<()> {
        for sayings in self.index().disputed() {
            if let Some(first) = sayings.first() {
                self.settle(&first.id)?;
            }
        }
        Ok(())
    }

    /// Asks the pack what it holds, if different things are said of it; whether it has answered, now or
    /// before, so that reading from it once more may help.
    ///
    /// # Errors
    ///
    /// As [`settle_all`](Self::settle_all).
    pub(crate) fn settle(&self, pack: &PackId) -> Result<bool> {
        if self.index().has_own_word(pack) {
            return Ok(true);
        }
        if !self.index().is_disputed(pack) {
            return Ok(false);
        }
        for said in self.index().sayings(pack) {
            if self.ask(said.header.kind, pack, said.pack_len)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks a pack of this kind and length what it holds, unless that is what is said of it. Whether it
    /// said something else than somebody; once for each pack and length while this is open.
    ///
    /// # Errors
    ///
    /// As [`settle_all`](Self::settle_all); that it is no whole pack is none.
    pub(crate) fn ask(&self, kind: PackKind, pack: &PackId, pack_len: u64) -> Result<bool> {
        let mut adopted = self.0.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        if pack_len > PACK_LEN_MAX || !adopted.asked.insert((*pack, pack_len)) {
            return Ok(false);
        }
        drop(adopted);
        let key = ObjectKey::new(kind.object_kind(), pack.to_hex());
        match self.own_word(&key, pack_len) {
            Ok(own) => self.take_own_word(own),
            Err(e) if is_unreadable(&e) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// As [`ask`](Self::ask), when the pack's list was read already.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) when its bytes do not have its name, so that its list is not its
    /// own; as [`settle_all`](Self::settle_all).
    pub(crate) fn compare_with_index(&self, own: &IndexedPack) -> Result<()> {
        let said = own.said();
        if self.index().sayings(&own.id).iter().all(|known| known.said == said) {
            return Ok(());
        }
        self.hash_pack(
            &ObjectKey::new(own.header.kind.object_kind(), own.id.to_hex()),
            own.pack_len,
        )?;
        self.take_own_word(own.clone()).map(drop)
    }

    /// What a pack says of itself, once all its bytes were read and have its name.
    fn own_word(&self, key: &ObjectKey, pack_len: u64) -> Result<IndexedPack> {
        let own = self.read_pack_list(key, pack_len)?;
        self.hash_pack(key, pack_len)?;
        Ok(own)
    }

    fn hash_pack(&self, key: &ObjectKey, pack_len: u64) -> Result<()> {
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < pack_len {
            let end = pack_len.min(at + REQUEST_BYTES);
            hasher.update(&self.backend().get(key, at..end)?);
            at = end;
        }
        if hasher.finalize().to_hex().as_str() == key.name() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Damaged, format!("reading {key}"))
            .because("its bytes do not match its name"))
    }

    fn take_own_word(&self, own: IndexedPack) -> Result<bool> {
        let (id, said) = (own.id, own.said());
        let differs = self.index().sayings(&id).iter().any(|known| known.said != said);
        self.index().set_own_word(id, said);
        self.forget_pack_key(&id);
        if self.index().sayings(&id).iter().all(|known| known.said != said) {
            let mut adopted = self.0.adopted.lock().unwrap_or_else(PoisonError::into_inner);
            self.adopt(&mut adopted, own)?;
        }
        Ok(differs)
    }

    /// The segments of which it is known that they say of packs what is not so.
    ///
    /// # Errors
    ///
    /// What reading the store meets.
    pub(crate) fn wrong_sayings(&self) -> Result<Vec<WrongSaying>> {
        let mut wrong = Vec::new();
        for (segment, packs) in self.index().contradicted() {
            let by = match self.read_signed_segment(&segment) {
                Ok((writer, _)) => {
                    let known = self.config().writer_by_id(writer);
                    let is_full = known.is_some_and(|w| w.certificate.role == WriterRole::Full);
                    let label = known.map_or("", |known| known.label.as_str());
                    let role = if is_full { "key" } else { "station" };
                    format!("{role} {} {label:?}", writer.short())
                }
                // Superseded meanwhile.
                Err(e) if is_unreadable(&e) => continue,
                Err(e) => return Err(e),
            };
            wrong.push(WrongSaying { segment, by, packs });
        }
        Ok(wrong)
    }

    /// Replaces segments that say of packs what is not so (rule 20 of `docs/crash-safety.md`): first
    /// what is so is listed, and all else that they say, then they go. What only a station said stays
    /// hearsay. How many.
    ///
    /// # Errors
    ///
    /// What reading and storing meets; the local index could not be written.
    pub(crate) fn replace_wrong_sayings(&self) -> Result<u64> {
        let wrong = self.index().contradicted();
        if wrong.is_empty() {
            return Ok(0);
        }
        self.list_adopted()?;
        let mut replaced = 0;
        for (id, packs) in wrong {
            let mut segment = match self.read_segment(&id) {
                Ok(segment) => segment,
                Err(e) if is_unreadable(&e) => continue,
                Err(e) => return Err(e),
            };
            segment.packs.retain(|pack| !packs.contains(&pack.id));
            if !(segment.packs.is_empty() && segment.tombstones.is_empty()) {
                self.put_new_segment(segment)?;
            }
            self.backend().remove(&ObjectKey::new(ObjectKind::IndexSegment, id.to_hex()))?;
            self.index().drop_segments(&[id])?;
            replaced += 1;
        }
        Ok(replaced)
    }
}
