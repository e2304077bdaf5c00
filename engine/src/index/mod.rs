//! This computer's copy of the index: which blobs are stored and where, which packs and snapshots
//! exist, and what the files it read last time looked like.
//!
//! The truth is on the backend, in segments and pack footers. The redb file can be deleted at any
//! time and is filled again; the [repository](crate::repository) brings it level with the listing
//! whenever a store is opened. A blob counts as stored only while a segment lists its pack (or
//! this process has just stored it), so rows of a crashed run, or of a pack that another computer
//! swept, are inert: nothing is ever reused on the word of this file alone.
//!
//! One file belongs to one process. Whoever finds it taken works with a second one.
mod claims;
mod copies;
mod doubt;
mod file;
mod files;
mod packs;
mod pages;
mod sayings;
mod scan;
mod segment;
mod tables;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, PackId, SegmentId};
use crate::pack::BlobLocation;
use claims::Claims;
use packs::PackList;
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use tables::{BLOBS, BlobRow, META, PACKS, Refers, SEGMENTS};

pub use claims::Claim;
pub use doubt::Doubt;
pub(crate) use file::make_private_folder;
pub use files::{FileMemory, KnownFile};
pub use scan::{PackStanding, RowsByBlob};
pub(crate) use segment::LIST_LEN_MAX;
pub use segment::{IndexSegment, IndexedPack, SEGMENT_LEN_MAX};
pub use tables::{KnownPack, Said, Spot};

/// The word in `meta` under which lost listings are noted.
const LOST_LISTINGS: &[u8] = b"lost listings";

type BlobTable = ReadOnlyTable<&'static [u8; 36], &'static [u8; 24]>;

/// The local index of one repository.
pub struct Index {
    database: Database,
    file: PathBuf,
    /// The blob table as of the last write; looking up needs no transaction of its own.
    rows: RwLock<BlobTable>,
    packs: RwLock<PackList>,
    claims: Mutex<Claims>,
    doubts: Mutex<doubt::Doubts>,
}

/// What the index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexTotals {
    /// Packs of content.
    pub data_packs: u64,
    /// Packs of pages.
    pub meta_packs: u64,
    /// Bytes of all packs as stored.
    pub stored_bytes: u64,
    /// Rows, those of packs that are gone included.
    pub rows: u64,
    /// Segments.
    pub segments: u64,
}

fn redb_failed(doing: &'static str) -> impl Fn(redb::Error) -> Error {
    move |e| match e {
        redb::Error::Io(io) => Error::local(doing, io),
        other => Error::new(ErrorKind::LocalDisk, doing).because(other),
    }
}

/// Turns any of redb's errors into ours.
macro_rules! local {
    ($doing:expr, $call:expr) => {
        $call.map_err(|e| redb_failed($doing)(redb::Error::from(e)))
    };
}
use local;

impl Index {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The segments that are recorded.
    pub fn segments(&self) -> Vec<SegmentId> {
        self.packs().segments.keys().copied().collect()
    }

    /// Records segments, in one transaction and in the order of blob ids: single rows at random
    /// places were measured to write thirty times their size.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn add_segments(&self, added: &[(SegmentId, IndexSegment)]) -> Result<()> {
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        let mut new_packs = Vec::new();
        let mut rows: Vec<BlobRow> = Vec::new();
        let mut all_refers = Vec::new();
        for (id, segment) in added {
            let mut refers = Refers { packs: Vec::new(), tombstones: segment.tombstones.clone() };
            for pack in &segment.packs {
                let known = known(pack, segment.is_hearsay);
                let (number, new) = packs.number_of(known);
                if new {
                    new_packs.push((number, known));
                }
                rows.extend(spots(pack, number).map(|(id, spot)| spot.row(&id)));
                refers.packs.push(number);
            }
            all_refers.push((*id, refers));
        }
        self.write(&new_packs, &mut rows, &all_refers, &[])?;
        for (id, refers) in all_refers {
            packs.add_segment(id, refers);
        }
        Ok(())
    }

    /// Forgets segments that are no longer on the backend; how many packs are listed by no other
    /// one, though no tombstone buries them.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn drop_segments(&self, gone: &[SegmentId]) -> Result<usize> {
        if gone.is_empty() {
            return Ok(0);
        }
        self.write(&[], &mut Vec::new(), &[], gone)?;
        Ok(self.packs.write().unwrap_or_else(PoisonError::into_inner).drop_segments(gone))
    }

    /// Notes whether packs were listed once and are no longer.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn note_lost_listings(&self, lost: bool) -> Result<()> {
        const DOING: &str = "writing the local index";
        if lost == self.has_lost_listings() {
            return Ok(());
        }
        let write = local!(DOING, self.database.begin_write())?;
        {
            let mut meta = local!(DOING, write.open_table(META))?;
            local!(DOING, meta.insert(LOST_LISTINGS, [u8::from(lost)].as_slice()))?;
        }
        local!(DOING, write.commit())
    }

    /// Whether packs were listed once and are no longer, and no segment has listed them since.
    pub fn has_lost_listings(&self) -> bool {
        let noted = || -> Result<bool, redb::Error> {
            let meta = self.database.begin_read()?.open_table(META)?;
            Ok(meta.get(LOST_LISTINGS)?.is_some_and(|found| found.value() == [1]))
        };
        // A note that cannot be read costs two listings.
        noted().unwrap_or(true)
    }

    /// Tells which packs sweepers have marked; nothing written from now on relies on them.
    pub fn set_condemned(&self, packs: HashSet<PackId>) {
        self.packs.write().unwrap_or_else(PoisonError::into_inner).set_condemned(packs);
    }

    /// Tells of packs that a sweep of this process has decided to delete, beside those.
    pub fn add_condemned(&self, packs: impl IntoIterator<Item = PackId>) {
        self.packs.write().unwrap_or_else(PoisonError::into_inner).add_condemned(packs);
    }

    /// Whether what is written must not rely on some pack that is listed.
    pub fn has_unreliable(&self) -> bool {
        self.packs().has_unreliable()
    }

    /// Segments that say of packs only what others vouch for.
    pub fn superseded_hearsay(&self) -> Vec<SegmentId> {
        self.packs().superseded_hearsay()
    }

    /// Whether a tombstone says that the pack is gone.
    pub fn is_buried(&self, pack: &PackId) -> bool {
        self.packs().is_buried(pack)
    }

    /// How many packs tombstones bury; it only grows, while no tombstone is lost.
    pub fn buried_packs(&self) -> usize {
        self.packs().buried()
    }

    /// Where a blob can be read; one in a pack that is not condemned, if there is a choice.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        self.find(id, false)
    }

    /// Where a blob is that what is written now may rely on.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn locate_reliable(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        self.find(id, true)
    }

    fn find(&self, id: &BlobId, reliable_only: bool) -> Result<Option<BlobLocation>> {
        let held = self.claims().stored(id);
        let is_reliable = |spot: &Spot| self.packs().is_reliable(spot.pack);
        let mut spots = match held.filter(is_reliable) {
            Some(_) => Vec::new(),
            None => self.spots_in_file(id)?,
        };
        spots.extend(held);
        let packs = self.packs();
        // What is lost last, and before it a station's word: a pack that is on its way out at least
        // holds what it says.
        let rank = |spot: &Spot| {
            (
                packs.is_unsound(spot.pack),
                packs.is_hearsay(spot.pack),
                !packs.is_reliable(spot.pack),
            )
        };
        let readable = spots.iter().filter(|spot| !reliable_only || packs.is_reliable(spot.pack));
        let readable = readable.filter_map(|spot| Some((spot, packs.counted(spot.pack)?)));
        let best = readable.min_by_key(|(spot, _)| rank(spot));
        Ok(best.map(|(spot, pack)| spot.located_in(pack.id)))
    }

    fn spots_in_file(&self, id: &BlobId) -> Result<Vec<Spot>> {
        const DOING: &str = "looking up the local index";
        let (first, last) = (tables::blob_key(id, 0), tables::blob_key(id, u32::MAX));
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let mut spots = Vec::new();
        for row in local!(DOING, rows.range::<&[u8; 36]>(&first..=&last))? {
            let (key, value) = local!(DOING, row)?;
            spots.push(Spot::of_row(key.value(), value.value()));
        }
        Ok(spots)
    }

    /// The pack, if blobs may be read from it.
    pub fn live_pack(&self, id: &PackId) -> Option<KnownPack> {
        self.packs().live_by_id(id).copied()
    }

    /// Packs that exist.
    pub fn live_packs(&self) -> Vec<KnownPack> {
        self.packs().live_packs().copied().collect()
    }

    /// Counts.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn totals(&self) -> Result<IndexTotals> {
        use redb::ReadableTableMetadata;
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let packs = self.packs();
        let mut totals = IndexTotals {
            rows: local!("counting the local index", rows.len())?,
            segments: packs.segments.len() as u64,
            ..IndexTotals::default()
        };
        for pack in packs.live_packs() {
            totals.stored_bytes += pack.pack_len;
            match pack.header.kind {
                crate::pack::PackKind::Data => totals.data_packs += 1,
                crate::pack::PackKind::Meta => totals.meta_packs += 1,
            }
        }
        Ok(totals)
    }

    /// One transaction: sorted rows, packs and segments.
    fn write(
        &self,
        packs: &[(u32, KnownPack)],
        rows: &mut [BlobRow],
        added: &[(SegmentId, Refers)],
        gone: &[SegmentId],
    ) -> Result<()> {
        const DOING: &str = "writing the local index";
        rows.sort_unstable();
        let mut write = local!(DOING, self.database.begin_write())?;
        local!(DOING, write.set_durability(Durability::Immediate))?;
        {
            let mut table = local!(DOING, write.open_table(PACKS))?;
            for (number, pack) in packs {
                local!(DOING, table.insert(&number.to_be_bytes(), &pack.encode()))?;
            }
            let mut table = local!(DOING, write.open_table(BLOBS))?;
            for (key, value) in rows.iter() {
                local!(DOING, table.insert(key, value))?;
            }
            let mut table = local!(DOING, write.open_table(SEGMENTS))?;
            for (id, refers) in added {
                local!(DOING, table.insert(tables::segment_key(id), refers.encode().as_slice()))?;
            }
            for id in gone {
                local!(DOING, table.remove(tables::segment_key(id)))?;
            }
        }
        local!(DOING, write.commit())?;
        self.reopen_rows()
    }

    /// Looks at rows as they are now.
    fn reopen_rows(&self) -> Result<()> {
        const DOING: &str = "reading the local index";
        let read = local!(DOING, self.database.begin_read())?;
        let fresh = local!(DOING, read.open_table(BLOBS))?;
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn packs(&self) -> std::sync::RwLockReadGuard<'_, PackList> {
        self.packs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(pack: &IndexedPack, is_hearsay: bool) -> KnownPack {
    let IndexedPack { id, header, pack_len, .. } = *pack;
    KnownPack { id, header, pack_len, said: pack.said(), is_hearsay }
}

fn spots(pack: &IndexedPack, number: u32) -> impl Iterator<Item = (BlobId, Spot)> + '_ {
    pack.footer.blobs.iter().map(move |blob| {
        let block = pack.footer.blocks[blob.block as usize];
        let spot =
            Spot { pack: number, block, ordinal: blob.block, offset: blob.offset, len: blob.len };
        (blob.id, spot)
    })
}

#[cfg(test)]
mod tests;
