//! Whether one snapshot can be brought back, asked before it is begun: a device that lacks a file in the
//! middle of its restore is left half restored.
use super::census::Census;
use super::stations::StoredPacks;
use super::structure::{Blobs, Paths, Trees, is_loss};
use crate::error::Result;
use crate::id::{BlobId, PackId, SnapshotId};
use crate::index::Doubt;
use crate::interrupt::Interrupt;
use crate::pack::{BlobLocation, PackKind};
use crate::progress::{Phase, Progress};
use crate::repository::{NeededPack, Repository};
use crate::snapshot::Snapshot;
use crate::tree::PageSource;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Paths of one kind that are named.
const PATHS_MAX: usize = 1000;

/// Of this many needed packs one is asked for a byte, and of all at most [`SAMPLE_MAX`]: a rule that
/// moves packs to cold storage moves many.
const SAMPLE_OF: usize = 16;
const SAMPLE_MAX: usize = 16;

/// What it takes to bring a snapshot back, and what of that is lost.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Files in it.
    pub files: u64,
    /// Bytes that reading them gives: those of an encrypted file as the device will get it.
    pub bytes: u64,
    /// The packs of content that have to be read, by their names.
    pub packs: Vec<NeededPack>,
    /// Paths of which something is not stored, or lies only in packs that the store does not have as
    /// the index says.
    pub missing: Paths,
    /// Files whose contents the snapshot never had: it says so itself.
    pub never_stored: Paths,
    /// Pages of its tree that cannot be read; how many paths are below them, nobody knows.
    pub unreadable_pages: u64,
    /// What is wrong with the first of them.
    pub first_unreadable: Option<String>,
    /// Packs among [`packs`](Self::packs) of which bytes did not open when they were read before. All that
    /// the snapshot needs of them was read once more: what does not open is [`missing`](Self::missing).
    pub damaged_packs: Vec<PackId>,
}

impl Needs {
    /// Whether nothing is known to be lost.
    pub fn is_whole(&self) -> bool {
        self.missing.count == 0 && self.never_stored.count == 0 && self.unreadable_pages == 0
    }

    /// Bytes of all needed packs as stored.
    pub fn stored_bytes(&self) -> u64 {
        self.packs.iter().map(|pack| pack.pack_len).sum()
    }
}

/// Walks a snapshot's tree and looks for all that it names: every blob in the index, every pack of those in
/// the store, as long as it should be. The store is listed once. Contents are not read, but from packs in which
/// damage was met before; damage that nobody has met yet is met when they are. Of some needed packs of a distant store one byte is, to see
/// that they do not lie in cold storage ([`Repository::stage`] asks all others).
///
/// Memory grows with packs, not with files or blobs.
///
/// # Errors
///
/// The store cannot be read just now; [`Archived`](crate::error::ErrorKind::Archived) when it does not give a
/// pack out; `Interrupted`. What is lost is in the answer.
pub fn preflight(
    repository: &Repository,
    snapshot: &Snapshot,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Needs> {
    repository.require_full("reading contents")?;
    progress.phase(Phase::CheckingStructure);
    repository.settle_all()?;
    note_missing_packs(repository)?;
    let folder = repository.scratch()?;
    let noting = Noting { repository, packs: Mutex::default() };
    let found =
        Trees::new(&noting, folder.path(), PATHS_MAX, interrupt).walk(snapshot.root.as_ref())?;
    let packs = noting.packs.into_inner().unwrap_or_else(PoisonError::into_inner);
    let needed = |(id, wanted_bytes)| {
        let pack_len = repository.index().live_pack(&id).map_or(0, |known| known.pack_len);
        NeededPack { id, pack_len, wanted_bytes }
    };
    let mut packs: Vec<NeededPack> = packs.into_iter().map(needed).collect();
    packs.sort_unstable_by_key(|pack| pack.id);
    let is_damaged = |id: &PackId| repository.index().doubt(id) == Some(Doubt::Damaged);
    let damaged_packs = packs.iter().map(|pack| pack.id).filter(is_damaged).collect();
    if repository.is_distant() && !packs.is_empty() {
        let count = (packs.len() / SAMPLE_OF + 1).min(SAMPLE_MAX);
        // Names are hashes, so any choose evenly.
        let sample: Vec<_> = packs.iter().step_by(packs.len().div_ceil(count)).copied().collect();
        repository.look_at(&sample, interrupt)?;
    }
    Ok(Needs {
        files: found.files,
        bytes: found.bytes,
        packs,
        missing: found.lacking,
        never_stored: found.never_stored,
        unreadable_pages: found.bad_pages,
        first_unreadable: found.first_bad,
        damaged_packs,
    })
}

/// Looks which packs the index lists and the store does not have as they should be. From now on other
/// copies of what they hold are preferred.
fn note_missing_packs(repository: &Repository) -> Result<()> {
    let census = Census::of(&StoredPacks::of(repository))?;
    repository.index().set_missing(census.bad.iter().map(|(pack, _)| pack.id).collect());
    Ok(())
}

/// A repository, and how much is wanted of which of its packs.
struct Noting<'a> {
    repository: &'a Repository,
    packs: Mutex<HashMap<PackId, u64>>,
}

impl Blobs for Noting<'_> {
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        let Some(mut at) = self.repository.locate(id)? else { return Ok(None) };
        match self.repository.index().doubt(&at.pack) {
            None => {}
            Some(Doubt::Missing) => return Ok(None),
            // The other parts of it may be sound, and another pack may have this one.
            Some(Doubt::Damaged) => match self.repository.read_blob(PackKind::Data, id) {
                Ok(_) => at = self.repository.index().locate(id)?.unwrap_or(at),
                Err(error) if is_loss(&error) => return Ok(None),
                Err(error) => return Err(error),
            },
        }
        // A pack of pages gives out no content, whatever an index says.
        let known = self.repository.index().live_pack(&at.pack);
        if !known.is_some_and(|known| known.header.kind == PackKind::Data) {
            return Ok(None);
        }
        let mut packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = packs.entry(at.pack).or_default();
        *wanted = wanted.saturating_add(u64::from(at.len));
        Ok(Some(at))
    }

    fn has_snapshot(&self, id: &SnapshotId) -> Result<bool> {
        self.repository.has_snapshot(id)
    }
}

impl PageSource for Noting<'_> {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        self.repository.read_page(id)
    }
}
