//! Locks on files of the media folder, as `flock` has them: above all the one that keeps two
//! programs from syncing at once.
use super::SyncLock;
use std::collections::BTreeMap;

/// The file whose lock means "I am syncing" (protocol.md 5.1).
pub const SYNC_LOCK_FILE: &str = "/com.apple.itunes.lock_sync";

/// Who holds which lock.
#[derive(Debug, Default)]
pub struct Locks {
    held: BTreeMap<String, Vec<Holder>>,
    /// How many more attempts at the sync lock are told that it would block.
    blocks_left: u32,
    /// Another program syncs, and goes on.
    taken: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Holder {
    owner: u64,
    exclusive: bool,
}

impl Locks {
    pub(super) fn set_fault(&mut self, fault: SyncLock) {
        self.taken = fault == SyncLock::Held;
        self.blocks_left = match fault {
            SyncLock::Blocks(times) => times,
            SyncLock::Free | SyncLock::Held => 0,
        };
    }

    /// Whether `owner` now holds a lock on `path`; false means that it would block.
    pub fn lock(&mut self, path: &str, owner: u64, exclusive: bool) -> bool {
        if path == SYNC_LOCK_FILE {
            if self.taken {
                return false;
            }
            if let Some(left) = self.blocks_left.checked_sub(1) {
                self.blocks_left = left;
                return false;
            }
        }
        let holders = self.held.entry(path.to_owned()).or_default();
        if holders.iter().any(|other| other.owner != owner && (exclusive || other.exclusive)) {
            return false;
        }
        holders.retain(|holder| holder.owner != owner);
        holders.push(Holder { owner, exclusive });
        true
    }

    /// Gives up what `owner` holds on `path`, if anything.
    pub fn unlock(&mut self, path: &str, owner: u64) {
        if let Some(holders) = self.held.get_mut(path) {
            holders.retain(|holder| holder.owner != owner);
            if holders.is_empty() {
                self.held.remove(path);
            }
        }
    }

    /// Whether anybody syncs.
    pub fn is_syncing(&self) -> bool {
        self.taken || self.held.contains_key(SYNC_LOCK_FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_an_exclusive_lock_and_several_a_shared_one() {
        let mut locks = Locks::default();

        assert!(locks.lock("/a", 1, false) && locks.lock("/a", 2, false));
        assert!(!locks.lock("/a", 1, true));
        locks.unlock("/a", 2);
        assert!(locks.lock("/a", 1, true) && !locks.lock("/a", 2, false));
    }

    #[test]
    fn the_sync_lock_would_block_as_often_as_was_asked_for() {
        let mut locks = Locks::default();
        locks.set_fault(SyncLock::Blocks(2));

        let answers: Vec<bool> = (0..3).map(|_| locks.lock(SYNC_LOCK_FILE, 1, true)).collect();

        assert_eq!(answers, [false, false, true]);
    }
}
