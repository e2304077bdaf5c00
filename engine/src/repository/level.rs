//! Bringing this computer's copy level with the store: what is new is fetched, what is gone is
//! dropped, what is damaged is told and read from pack footers instead.
use super::Repository;
use crate::backend::{Body, ObjectInfo, ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackId, SegmentId};
use crate::index::{IndexSegment, IndexedPack, LIST_LEN_MAX, SEGMENT_LEN_MAX};
use crate::pack::{
    HEADER_LEN, PACK_LEN_MAX, PackFooter, PackHeader, PackKind, TRAILER_LEN, read_trailer,
};
use crate::seal::{WriterId, WriterRole};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::PoisonError;

/// Segments are recorded together until they hold this many blobs: rows go in sorted.
const ROWS_AT_ONCE: usize = 300_000;

/// A segment is closed when it lists this many blobs: about 10 MiB.
pub(crate) const SEGMENT_BLOBS: usize = 200_000;

/// A sealed segment is hardly longer than its plaintext.
const SEALED_SEGMENT_MAX: u64 = SEGMENT_LEN_MAX as u64 + 1024;

/// What bringing the index level found.
#[derive(Debug, Default)]
pub struct Level {
    /// Segments that could not be read, and why. What they listed is unknown until
    /// [`adopt_unlisted_packs`](Repository::adopt_unlisted_packs) finds it.
    pub unreadable_segments: Vec<(String, Error)>,
    /// Names of what lies among the marks of sweepers and is none: nobody obeys it. Not all, where there
    /// are very many; none unless marks were looked for.
    pub stray_marks: Vec<String>,
}

/// Packs that no segment lists, as read from their own footers.
#[derive(Default)]
pub(super) struct Adopted {
    looked: bool,
    packs: Vec<IndexedPack>,
    /// Packs, and the length they were said to have, that were asked what they hold.
    pub(super) asked: HashSet<(PackId, u64)>,
}

impl Repository {
    /// Brings the local index level: marks of sweepers first, then segments. This order is part of
    /// the deletion protocol (`docs/crash-safety.md`).
    ///
    /// # Errors
    ///
    /// A listing or a mark could not be read; the local index could not be written.
    pub fn bring_level(&self) -> Result<Level> {
        let stray_marks = self.note_condemned()?;
        Ok(Level { stray_marks, ..self.level_index()? })
    }

    /// Fetches segments that are new and drops those that are gone.
    pub(crate) fn level_index(&self) -> Result<Level> {
        let listed = self.list_ids(ObjectKind::IndexSegment)?;
        let listed: BTreeSet<SegmentId> = listed.into_iter().map(SegmentId::from_bytes).collect();
        let recorded: BTreeSet<SegmentId> = self.index().segments().into_iter().collect();
        let mut level = Level::default();
        let (mut waiting, mut rows) = (Vec::new(), 0);
        for id in listed.difference(&recorded) {
            match self.read_segment(id) {
                Ok(segment) => {
                    rows += segment.packs.iter().map(|p| p.footer.blobs.len()).sum::<usize>();
                    waiting.push((*id, segment));
                }
                Err(e) if is_unreadable(&e) => {
                    level.unreadable_segments.push((id.to_hex(), e));
                }
                Err(e) => return Err(e),
            }
            if rows >= ROWS_AT_ONCE {
                self.index().add_segments(&std::mem::take(&mut waiting))?;
                rows = 0;
            }
        }
        if !waiting.is_empty() {
            self.index().add_segments(&waiting)?;
        }
        let gone: Vec<SegmentId> = recorded.difference(&listed).copied().collect();
        if gone.is_empty() {
            return Ok(level);
        }
        // Remembered until a segment lists them again: what nobody lists a sweep may take. Noted
        // before anything is dropped, so that whatever cuts this off forgets no loss.
        let was_noted = self.index().has_lost_listings();
        self.index().note_lost_listings(true)?;
        if self.index().drop_segments(&gone)? > 0 {
            self.0.adopted.lock().unwrap_or_else(PoisonError::into_inner).looked = false;
        } else {
            self.index().note_lost_listings(was_noted)?;
        }
        Ok(level)
    }

    /// Compares the packs that the index lists with those that the store has; how many of them are
    /// missing or of another length. Nothing that is written from now on relies on those. Packs that
    /// no segment lists are adopted: this computer may never have seen the segment that was lost.
    ///
    /// The index must be level: a pack is stored before anything lists it, so one that is listed
    /// and not there is lost (or just swept, and then its tombstone says so soon).
    ///
    /// # Errors
    ///
    /// A listing broke off; what adopting meets.
    pub(crate) fn note_missing_packs(&self) -> Result<usize> {
        let mut expected: HashMap<PackId, u64> =
            self.index().live_packs().into_iter().map(|pack| (pack.id, pack.pack_len)).collect();
        let (mut has_unlisted, mut of_other_lengths) = (false, Vec::new());
        for kind in [ObjectKind::MetaPack, ObjectKind::DataPack] {
            for listed in self.backend().list(kind, "") {
                let ObjectInfo { key, size_bytes, .. } = listed?;
                let Ok(id) = key.name().parse::<PackId>() else { continue };
                match expected.get(&id) {
                    Some(expected_bytes) if *expected_bytes == size_bytes => {
                        expected.remove(&id);
                    }
                    // Cut short, or somebody says of it what is not so.
                    Some(_) => of_other_lengths.push((key, id, size_bytes)),
                    None => has_unlisted |= !self.index().is_buried(&id),
                }
            }
        }
        for (key, id, size_bytes) in of_other_lengths {
            let kind =
                if key.kind() == ObjectKind::MetaPack { PackKind::Meta } else { PackKind::Data };
            if self.ask(kind, &id, size_bytes)? {
                expected.remove(&id);
            }
        }
        let missing = expected.len();
        self.index().set_missing(expected.into_keys().collect());
        if has_unlisted {
            self.adopt_unlisted_packs()?;
        }
        Ok(missing)
    }

    /// Stores a segment that lists packs already recorded here, and records it.
    ///
    /// # Errors
    ///
    /// What storing meets; the local index could not be written.
    pub(crate) fn put_segment(&self, segment: &IndexSegment) -> Result<()> {
        let id = self.put_sealed(segment)?;
        self.index().record_own_segment(id, segment)
    }

    fn put_sealed(&self, segment: &IndexSegment) -> Result<SegmentId> {
        let object = segment.seal(self.keys())?;
        let id = SegmentId::from_bytes(*blake3::hash(&object).as_bytes());
        let key = ObjectKey::new(ObjectKind::IndexSegment, id.to_hex());
        self.backend().put(&key, Body::Bytes(object.into()))?;
        Ok(id)
    }

    /// Lists packs that were read in full, whoever stored them.
    ///
    /// # Errors
    ///
    /// What storing meets; the local index could not be written.
    pub(crate) fn vouch_for(&self, mut packs: Vec<IndexedPack>) -> Result<()> {
        while !packs.is_empty() {
            let packs = fill_segment(&mut packs);
            self.put_new_segment(IndexSegment { packs, ..IndexSegment::default() })?;
        }
        Ok(())
    }

    /// Stores a segment that lists packs this computer may not have recorded, and records them.
    ///
    /// # Errors
    ///
    /// What storing meets; the local index could not be written.
    pub(crate) fn put_new_segment(&self, segment: IndexSegment) -> Result<()> {
        let id = self.put_sealed(&segment)?;
        self.index().add_segments(&[(id, segment)])
    }

    /// A segment as stored, verified.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`Damaged`](ErrorKind::Damaged),
    /// [`TooNew`](ErrorKind::TooNew); what reading meets.
    pub(crate) fn read_segment(&self, id: &SegmentId) -> Result<IndexSegment> {
        Ok(self.read_signed_segment(id)?.1)
    }

    /// As [`read_segment`](Self::read_segment), with its writer.
    pub(super) fn read_signed_segment(&self, id: &SegmentId) -> Result<(WriterId, IndexSegment)> {
        let key = ObjectKey::new(ObjectKind::IndexSegment, id.to_hex());
        let object = self.backend().get_whole(&key, SEALED_SEGMENT_MAX)?;
        if blake3::hash(&object) != *id.as_bytes() {
            return Err(Error::new(ErrorKind::Damaged, format!("reading {key}"))
                .because("its bytes do not match its name"));
        }
        let certified = |public: &[u8; 32]| self.config().writer(public);
        let (writer, mut segment) = IndexSegment::open(self.keys(), &object, certified)?;
        let role = self.config().writer_by_id(writer).map(|w| w.certificate.role);
        if role != Some(WriterRole::Full) {
            // A station may not take packs away, and vouches for what it stored to itself alone.
            segment.tombstones.clear();
            segment.is_hearsay |= writer != self.keys().signer.writer();
        }
        Ok((writer, segment))
    }

    /// Packs on the backend that no segment lists: what a lost segment listed, and what runs that
    /// were cut off stored last. With the size the backend says.
    ///
    /// # Errors
    ///
    /// A listing broke off.
    pub fn find_unlisted_packs(&self) -> Result<Vec<(ObjectKey, u64)>> {
        let mut unlisted = Vec::new();
        for kind in [ObjectKind::MetaPack, ObjectKind::DataPack] {
            for listed in self.backend().list(kind, "") {
                let ObjectInfo { key, size_bytes, .. } = listed?;
                let Ok(id) = key.name().parse::<PackId>() else { continue };
                if self.index().live_pack(&id).is_none() {
                    unlisted.push((key, size_bytes));
                }
            }
        }
        Ok(unlisted)
    }

    /// Reads the lists of packs that no segment lists and records them, so that what they hold can
    /// be read and reused. Looks once while a repository is open; how many were found.
    ///
    /// A pack that cannot be read is passed over: it holds nothing that could be used.
    ///
    /// # Errors
    ///
    /// A listing broke off; the storage does not answer; the local index could not be written.
    pub fn adopt_unlisted_packs(&self) -> Result<usize> {
        let mut adopted = self.0.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut adopted.looked, true) {
            return Ok(0);
        }
        let mut found = 0;
        for (key, pack_len) in self.find_unlisted_packs()? {
            match self.read_pack_list(&key, pack_len) {
                // A sweep deletes it just now, or was cut off doing so.
                Ok(pack) if self.index().is_buried(&pack.id) => {}
                Ok(pack) => {
                    self.adopt(&mut adopted, pack)?;
                    found += 1;
                }
                Err(e) if is_unreadable(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    /// Records a pack as it lists itself; the next segment that is written lists it so.
    pub(super) fn adopt(&self, adopted: &mut Adopted, pack: IndexedPack) -> Result<()> {
        match self.config().has_stations() {
            true => self.index().record_found_pack(&pack)?,
            false => self.index().record_pack(&pack)?,
        }
        adopted.packs.push(pack);
        Ok(())
    }

    /// How many packs are adopted and still in no segment.
    pub fn adopted_packs(&self) -> usize {
        self.0.adopted.lock().unwrap_or_else(PoisonError::into_inner).packs.len()
    }

    /// Gives packs back that no segment lists yet: the next one does.
    pub(crate) fn give_back(&self, packs: Vec<IndexedPack>) {
        self.0.adopted.lock().unwrap_or_else(PoisonError::into_inner).packs.extend(packs);
    }

    /// Packs that are buried are never listed again.
    pub(crate) fn forget_adopted(&self, buried: &BTreeSet<PackId>) {
        let mut adopted = self.0.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        adopted.packs.retain(|pack| !buried.contains(&pack.id));
    }

    /// Lists the packs that were adopted in a segment of the index, for everybody to find.
    ///
    /// # Errors
    ///
    /// What storing meets; the packs go on waiting then.
    pub(crate) fn list_adopted(&self) -> Result<()> {
        let mut waiting = self.take_adopted();
        // A station may have stored them, and nobody has looked whether they hold what they say.
        let put = self.put_segments(&mut waiting, self.config().has_stations());
        self.give_back(waiting);
        put?;
        self.index().note_lost_listings(false)
    }

    /// Lists packs that are recorded here, in as many segments as it takes. What could not be
    /// listed stays in `waiting`.
    ///
    /// # Errors
    ///
    /// What storing meets; the local index could not be written.
    pub(crate) fn put_segments(
        &self,
        waiting: &mut Vec<IndexedPack>,
        is_hearsay: bool,
    ) -> Result<()> {
        while !waiting.is_empty() {
            let packs = fill_segment(waiting);
            let segment = IndexSegment { packs, tombstones: Vec::new(), is_hearsay };
            let put = self.put_segment(&segment);
            if put.is_err() {
                waiting.extend(segment.packs);
            }
            put?;
        }
        Ok(())
    }

    /// The packs that were adopted, for the caller to list in a segment.
    pub(crate) fn take_adopted(&self) -> Vec<IndexedPack> {
        let mut adopted = self.0.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut adopted.packs)
    }

    /// What a stored pack says of itself: its header, and the list at its end.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) when it is not a whole pack of this repository.
    pub fn read_pack_list(&self, key: &ObjectKey, pack_len: u64) -> Result<IndexedPack> {
        let damaged = |what: &'static str| {
            Error::new(ErrorKind::Damaged, format!("reading {key}")).because(what)
        };
        let id: PackId = key.name().parse().map_err(|_| damaged("its name is no id"))?;
        if pack_len > PACK_LEN_MAX || pack_len < (HEADER_LEN + TRAILER_LEN) as u64 {
            return Err(damaged("its length is no pack's"));
        }
        let header = self.backend().get(key, 0..HEADER_LEN as u64)?;
        let header = header.first_chunk().ok_or_else(|| damaged("its header is short"))?;
        let header = PackHeader::decode(header)?;
        if header.kind.object_kind() != key.kind() {
            return Err(damaged("it is a pack of another kind"));
        }
        let trailer = self.backend().get(key, pack_len - TRAILER_LEN as u64..pack_len)?;
        let trailer = trailer.first_chunk().ok_or_else(|| damaged("its trailer is short"))?;
        let place = read_trailer(trailer, pack_len)?;
        let sealed = self.backend().get(key, place.clone())?;
        let footer = PackFooter::open(self.keys(), &header, place.start, &sealed)?;
        if footer.encode_list().len() > LIST_LEN_MAX {
            return Err(damaged("its list is longer than a segment takes"));
        }
        Ok(IndexedPack { id, header, pack_len, footer })
    }

    pub(super) fn list_ids(&self, kind: ObjectKind) -> Result<Vec<[u8; 32]>> {
        let mut ids = Vec::new();
        for listed in self.backend().list(kind, "") {
            // A name that is no id is nobody's object.
            if let Some(id) = crate::id::unhex(listed?.key.name()) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

/// Takes as many packs out as one segment lists.
fn fill_segment(waiting: &mut Vec<IndexedPack>) -> Vec<IndexedPack> {
    let mut rows = 0;
    let full = waiting.iter().position(|pack| {
        // Empty blocks take room too.
        rows += pack.footer.blobs.len() + pack.footer.blocks.len();
        rows >= SEGMENT_BLOBS
    });
    let rest = waiting.split_off(full.map_or(waiting.len(), |last| last + 1));
    std::mem::replace(waiting, rest)
}

/// An object that tells nothing: it may be anybody's, and must not keep others from working.
pub(super) fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::TooNew)
}
