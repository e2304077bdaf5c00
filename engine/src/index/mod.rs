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
mod doubt;
mod files;
mod packs;
mod pages;
mod segment;
mod tables;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, PackId, RepositoryId, SegmentId, SnapshotId};
use crate::pack::BlobLocation;
use claims::Claims;
use packs::PackList;
use redb::{Database, DatabaseError, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use tables::{BLOBS, BlobRow, META, PACKS, Refers, SCHEMA, SEGMENTS, SNAPSHOTS, Spot};

pub use claims::Claim;
pub use files::{FileMemory, KnownFile};
pub use segment::{IndexSegment, IndexedPack, SEGMENT_LEN_MAX};
pub use tables::KnownPack;

/// What redb may keep of the file in memory, in bytes.
const CACHE_BYTES: usize = 24 << 20;

/// The word in `meta` under which lost listings are noted.
const LOST_LISTINGS: &[u8] = b"lost listings";

/// How many files of one repository are tried before giving up.
const FILES_MAX: u32 = 16;

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
    /// Opens the index of `repository` in `folder`, which is made when it is missing.
    ///
    /// A file of another repository, of another version, or that redb cannot read is replaced by
    /// an empty one: it is only a copy.
    ///
    /// # Errors
    ///
    /// [`CacheFolder`](ErrorKind::CacheFolder), [`LocalDisk`](ErrorKind::LocalDisk) or
    /// [`NoSpace`](ErrorKind::NoSpace).
    pub fn open(folder: &Path, repository: RepositoryId) -> Result<Index> {
        make_private_folder(folder)?;
        for number in 1..=FILES_MAX {
            let name =
                if number == 1 { "index.redb".into() } else { format!("index-{number}.redb") };
            if let Some(index) = Index::open_file(&folder.join(name), repository)? {
                return Ok(index);
            }
        }
        Err(Error::new(ErrorKind::CacheFolder, format!("opening {}", folder.display()))
            .because("too many devsnap processes use this cache"))
    }

    /// The index in `file`; `None` when another process has it.
    fn open_file(file: &Path, repository: RepositoryId) -> Result<Option<Index>> {
        let make = || redb::Builder::new().set_cache_size(CACHE_BYTES).create(file);
        let database = match make() {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(None),
            Err(DatabaseError::Storage(redb::StorageError::Io(e)))
                if e.kind() != std::io::ErrorKind::InvalidData =>
            {
                return Err(Error::cache(file, e));
            }
            // Not a database any more: it is a copy, so make it again.
            Err(_) => {
                remove(file)?;
                local!("making the local index", make())?
            }
        };
        if fits(&database, repository) {
            // Rows that cannot be read are no better than a file that cannot.
            if let Ok(index) = Index::load(database, file) {
                return Ok(Some(index));
            }
        } else {
            drop(database);
        }
        remove(file)?;
        let database = local!("making the local index", make())?;
        set_up(&database, repository)?;
        Index::load(database, file).map(Some)
    }

    fn load(database: Database, file: &Path) -> Result<Index> {
        const DOING: &str = "reading the local index";
        let bad = |e| Error::new(ErrorKind::LocalDisk, DOING).because(e);
        let read = local!(DOING, database.begin_read())?;
        let mut known = Vec::new();
        for row in local!(DOING, local!(DOING, read.open_table(PACKS))?.iter())? {
            let (_, value) = local!(DOING, row)?;
            known.push(KnownPack::decode(value.value()).map_err(bad)?);
        }
        let mut segments = BTreeMap::new();
        for row in local!(DOING, local!(DOING, read.open_table(SEGMENTS))?.iter())? {
            let (key, value) = local!(DOING, row)?;
            let refers = Refers::decode(value.value()).map_err(bad)?;
            segments.insert(SegmentId::from_bytes(*key.value()), refers);
        }
        let rows = RwLock::new(local!(DOING, read.open_table(BLOBS))?);
        let doubts = doubt::Doubts::load(&local!(DOING, read.open_table(META))?)?;
        let mut packs = PackList::load(known, segments);
        packs.set_unsound(doubts.all());
        let (packs, claims) = (RwLock::new(packs), Mutex::new(Claims::default()));
        let doubts = Mutex::new(doubts);
        Ok(Index { database, file: file.to_owned(), rows, packs, claims, doubts })
    }

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
            let mut refers = Refers {
                packs: Vec::new(),
                tombstones: segment.tombstones.clone(),
                is_hearsay: segment.is_hearsay,
            };
            for pack in &segment.packs {
                let (number, new) = packs.number_of(known(pack));
                if new {
                    new_packs.push((number, known(pack)));
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

    /// Whether what is written must not rely on some pack that is listed.
    pub fn has_unreliable(&self) -> bool {
        self.packs().has_unreliable()
    }

    /// Whether a tombstone says that the pack is gone.
    pub fn is_buried(&self, pack: &PackId) -> bool {
        self.packs().is_buried(pack)
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
        if let Some(spot) = self.claims().stored(id) {
            let packs = self.packs();
            if packs.is_reliable(spot.pack) || !reliable_only {
                return Ok(packs.live(spot.pack).map(|pack| spot.located_in(pack.id)));
            }
        }
        let spots = self.spots_in_file(id)?;
        let packs = self.packs();
        if let Some(spot) = spots.iter().find(|spot| packs.is_reliable(spot.pack)) {
            return Ok(packs.live(spot.pack).map(|pack| spot.located_in(pack.id)));
        }
        if reliable_only {
            return Ok(None);
        }
        let readable = spots.iter().find_map(|spot| Some((spot, packs.live(spot.pack)?)));
        Ok(readable.map(|(spot, pack)| spot.located_in(pack.id)))
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

    /// The snapshots whose objects are kept here, as stored.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn snapshots(&self) -> Result<BTreeMap<SnapshotId, Vec<u8>>> {
        const DOING: &str = "reading snapshots from the local index";
        let read = local!(DOING, self.database.begin_read())?;
        let table = local!(DOING, read.open_table(SNAPSHOTS))?;
        let mut found = BTreeMap::new();
        for row in local!(DOING, table.iter())? {
            let (key, value) = local!(DOING, row)?;
            found.insert(SnapshotId::from_bytes(*key.value()), value.value().to_vec());
        }
        Ok(found)
    }

    /// Keeps objects of snapshots, and drops those of `gone`.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn keep_snapshots(&self, new: &[(SnapshotId, Vec<u8>)], gone: &[SnapshotId]) -> Result<()> {
        const DOING: &str = "writing snapshots to the local index";
        let write = local!(DOING, self.database.begin_write())?;
        {
            let mut table = local!(DOING, write.open_table(SNAPSHOTS))?;
            for (id, object) in new {
                local!(DOING, table.insert(id.as_bytes(), object.as_slice()))?;
            }
            for id in gone {
                local!(DOING, table.remove(id.as_bytes()))?;
            }
        }
        local!(DOING, write.commit())
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

fn known(pack: &IndexedPack) -> KnownPack {
    let IndexedPack { id, header, pack_len, .. } = *pack;
    KnownPack { id, header, pack_len }
}

fn spots(pack: &IndexedPack, number: u32) -> impl Iterator<Item = (BlobId, Spot)> + '_ {
    pack.footer.blobs.iter().map(move |blob| {
        let block = pack.footer.blocks[blob.block as usize];
        let spot =
            Spot { pack: number, block, ordinal: blob.block, offset: blob.offset, len: blob.len };
        (blob.id, spot)
    })
}

/// Whether the file is of this repository and in this version's tables.
fn fits(database: &Database, repository: RepositoryId) -> bool {
    let held = || -> Result<bool, redb::Error> {
        let read = database.begin_read()?;
        let meta = read.open_table(META)?;
        let is = |word: &[u8], value: &[u8]| -> Result<bool, redb::Error> {
            Ok(meta.get(word)?.is_some_and(|found| found.value() == value))
        };
        Ok(is(b"schema", SCHEMA)? && is(b"repository", repository.as_bytes())?)
    };
    held().unwrap_or(false)
}

fn set_up(database: &Database, repository: RepositoryId) -> Result<()> {
    const DOING: &str = "making the local index";
    let write = local!(DOING, database.begin_write())?;
    {
        local!(DOING, write.open_table(BLOBS))?;
        local!(DOING, write.open_table(PACKS))?;
        local!(DOING, write.open_table(SEGMENTS))?;
        local!(DOING, write.open_table(SNAPSHOTS))?;
        local!(DOING, write.open_table(tables::FILES))?;
        local!(DOING, write.open_table(tables::PAGES))?;
        let mut meta = local!(DOING, write.open_table(META))?;
        local!(DOING, meta.insert(b"schema".as_slice(), SCHEMA))?;
        let id = repository.as_bytes().as_slice();
        local!(DOING, meta.insert(b"repository".as_slice(), id))?;
    }
    local!(DOING, write.commit())
}

fn remove(file: &Path) -> Result<()> {
    std::fs::remove_file(file).map_err(|e| Error::local("replacing the local index", e))
}

/// Makes a folder that only its owner can look into.
pub(crate) fn make_private_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|e| Error::cache(folder, e))
}

#[cfg(test)]
mod tests;
