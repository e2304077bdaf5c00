//! Packs that the store has lost: what they held is stored again where a source still has it.
//!
//! A pack that is missing, or of another length than the index says, is found by listing, anew in
//! each run. One whose bytes did not open is remembered in `meta` until a check reads all of it
//! without fault, since nobody reads every pack in every run.
use super::tables::META;
use super::{Index, local, redb_failed};
use crate::error::Result;
use crate::id::{BlobId, PackId};
use redb::ReadOnlyTable;
use std::collections::HashSet;
use std::sync::PoisonError;

/// The word in `meta` under which the ids of packs that did not open stand, one after the other.
const DAMAGED: &[u8] = b"damaged packs";

/// More are not remembered: a store that has lost as many is beyond mending by the next run.
const DAMAGED_MAX: usize = 100_000;

/// Why a pack that segments list may not give what it should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The store does not have it, or not as long as it should be.
    Missing,
    /// Some of its bytes did not open once.
    Damaged,
}

/// What is known of lost packs.
#[derive(Default)]
pub(super) struct Doubts {
    missing: HashSet<PackId>,
    damaged: HashSet<PackId>,
}

impl Doubts {
    pub(super) fn load(meta: &ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<Self> {
        let found = local!("reading the local index", meta.get(DAMAGED))?;
        let ids = found.map(|found| found.value().to_vec()).unwrap_or_default();
        let (ids, _) = ids.as_chunks::<32>();
        let damaged = ids.iter().copied().map(PackId::from_bytes).collect();
        Ok(Doubts { missing: HashSet::new(), damaged })
    }

    pub(super) fn is_missing(&self, pack: &PackId) -> bool {
        self.missing.contains(pack)
    }

    pub(super) fn is_damaged(&self, pack: &PackId) -> bool {
        self.damaged.contains(pack)
    }

    pub(super) fn all(&self) -> HashSet<PackId> {
        self.missing.union(&self.damaged).copied().collect()
    }
}

impl Index {
    /// Tells which listed packs the store does not have as they should be.
    pub fn set_missing(&self, packs: HashSet<PackId>) {
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        doubts.missing = packs;
        let all = doubts.all();
        self.packs.write().unwrap_or_else(PoisonError::into_inner).set_unsound(all);
    }

    /// Tells that a listed pack was not there when it was to be read: other copies of what it holds
    /// are preferred from now on.
    pub fn add_missing(&self, pack: &PackId) {
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        doubts.missing.insert(*pack);
        let all = doubts.all();
        self.packs.write().unwrap_or_else(PoisonError::into_inner).set_unsound(all);
    }

    /// What is doubtful about a pack.
    pub fn doubt(&self, pack: &PackId) -> Option<Doubt> {
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = doubts.is_missing(pack).then_some(Doubt::Missing);
        missing.or_else(|| doubts.is_damaged(pack).then_some(Doubt::Damaged))
    }

    /// Whether a pack that is not lost has a blob, sound or not.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn is_there(&self, id: &BlobId) -> Result<bool> {
        let mut spots = self.spots_in_file(id)?;
        spots.extend(self.claims().stored(id));
        // In the order in which the others take them.
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        let packs = self.packs();
        let mut holders = spots.iter().filter_map(|spot| packs.counted(spot.pack));
        Ok(holders.any(|pack| !doubts.is_missing(&pack.id)))
    }

    /// Remembers that bytes of `pack` did not open, or (`is_damaged` false) that all of them did.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn note_damaged(&self, pack: &PackId, is_damaged: bool) -> Result<()> {
        const DOING: &str = "writing the local index";
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = match is_damaged {
            true => doubts.damaged.len() < DAMAGED_MAX && doubts.damaged.insert(*pack),
            false => doubts.damaged.remove(pack),
        };
        if !changed {
            return Ok(());
        }
        let mut ids: Vec<[u8; 32]> = doubts.damaged.iter().map(|id| *id.as_bytes()).collect();
        ids.sort_unstable();
        let all = doubts.all();
        self.packs.write().unwrap_or_else(PoisonError::into_inner).set_unsound(all);
        let write = local!(DOING, self.database.begin_write())?;
        {
            let mut meta = local!(DOING, write.open_table(META))?;
            local!(DOING, meta.insert(DAMAGED, ids.concat().as_slice()))?;
        }
        local!(DOING, write.commit())
    }
}
