//! Packs that lie on this computer's disk, and who reads them there.
use crate::id::PackId;
use crate::repository::scratch::Scratch;
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// The packs that one [`Staged`] keeps.
pub(in crate::repository) struct StagedPacks {
    folder: Scratch,
    /// What lies there whole, with its length in bytes.
    lens: RwLock<HashMap<PackId, u64>>,
}

impl StagedPacks {
    /// None yet.
    pub(super) fn in_folder(folder: Scratch) -> Self {
        StagedPacks { folder, lens: RwLock::default() }
    }

    /// Notes that a pack lies there whole.
    pub(super) fn add(&self, id: PackId, len: u64) {
        self.lens.write().unwrap_or_else(PoisonError::into_inner).insert(id, len);
    }

    pub(super) fn lens(&self) -> HashMap<PackId, u64> {
        self.lens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn path(&self, id: &PackId) -> PathBuf {
        self.folder.path().join(id.to_hex())
    }

    /// A stretch of a pack; `None` when it is not here.
    pub(super) fn read(&self, id: &PackId, range: &Range<u64>) -> Option<Bytes> {
        let len = *self.lens.read().unwrap_or_else(PoisonError::into_inner).get(id)?;
        if range.start > range.end || range.end > len {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(range.end - range.start).ok()?];
        let file = File::open(self.path(id));
        match file.and_then(|file| file.read_exact_at(&mut bytes, range.start)) {
            Ok(()) => Some(bytes.into()),
            Err(_) => {
                self.forget(id);
                None
            }
        }
    }

    fn forget(&self, id: &PackId) {
        let mut lens = self.lens.write().unwrap_or_else(PoisonError::into_inner);
        if lens.remove(id).is_some() {
            // What cannot be removed goes with the folder.
            let _ = fs::remove_file(self.path(id));
        }
    }
}

/// All that is staged just now.
#[derive(Default)]
pub(in crate::repository) struct StagedNow(RwLock<Vec<Weak<StagedPacks>>>);

impl StagedNow {
    pub(in crate::repository) fn add(&self, packs: &Arc<StagedPacks>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|packs| packs.strong_count() > 0);
        all.push(Arc::downgrade(packs));
    }

    /// A stretch of a pack; `None` when it is not on this computer's disk.
    pub(in crate::repository) fn read(&self, id: &PackId, range: &Range<u64>) -> Option<Bytes> {
        self.alive().iter().find_map(|packs| packs.read(id, range))
    }

    /// Drops all copies of a pack.
    pub(in crate::repository) fn forget(&self, id: &PackId) {
        self.alive().iter().for_each(|packs| packs.forget(id));
    }

    fn alive(&self) -> Vec<Arc<StagedPacks>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }
}
