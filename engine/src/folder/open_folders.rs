//! Folders below the target's root that were opened lately.
//!
//! Files come in an order that stays in a folder for a while, and each needs its folder three times:
//! to be looked for, begun and finished. Opening is most of what the system does for a small file.
use super::safe_path::open_folder;
use crate::path::TreePath;
use rustix::io::Result;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Folders kept open at a time.
const OPEN_MAX: usize = 32;

/// The folders used last. One that somebody moves meanwhile is written to where it went, as between
/// any opening and use; what this program itself removes or replaces, it must [`forget`](Self::forget).
#[derive(Debug)]
pub(super) struct OpenFolders {
    root: OwnedFd,
    /// The most recently used is last.
    open: Mutex<VecDeque<(TreePath, Arc<OwnedFd>)>>,
}

impl OpenFolders {
    pub(super) fn below(root: OwnedFd) -> OpenFolders {
        OpenFolders { root, open: Mutex::default() }
    }

    /// The folder all paths start from.
    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The folder at `path`, opened without following any link.
    ///
    /// # Errors
    ///
    /// As [`open_folder`].
    pub(super) fn get(&self, path: &TreePath) -> Result<Arc<OwnedFd>> {
        if let Some(found) = self.take_up(path) {
            return Ok(found);
        }
        let fd = Arc::new(open_folder(self.root.as_fd(), path)?);
        let mut open = self.open();
        open.push_back((path.clone(), Arc::clone(&fd)));
        if open.len() > OPEN_MAX {
            open.pop_front();
        }
        Ok(fd)
    }

    fn take_up(&self, path: &TreePath) -> Option<Arc<OwnedFd>> {
        let mut open = self.open();
        // From the end: the last one is the likeliest.
        let at = open.iter().rposition(|(known, _)| known == path)?;
        let (path, fd) = open.remove(at)?;
        open.push_back((path, Arc::clone(&fd)));
        Some(fd)
    }

    /// Closes all of them: something was removed, and a name may stand for another folder now.
    pub(super) fn forget(&self) {
        self.open().clear();
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<(TreePath, Arc<OwnedFd>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::fs::{self, File};

    fn path(slashed: &str) -> TreePath {
        TreePath::from_slashed(slashed.as_bytes()).unwrap()
    }

    #[test]
    fn a_folder_is_opened_once_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        let folders = OpenFolders::below(OwnedFd::from(File::open(dir.path()).unwrap()));

        let first = folders.get(&path("a/b")).unwrap();
        assert!(Arc::ptr_eq(&first, &folders.get(&path("a/b")).unwrap()));
        fs::remove_dir(dir.path().join("a/b")).unwrap();
        folders.forget();

        assert_eq!(folders.get(&path("a/b")).unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn no_more_than_a_bounded_number_stay_open() {
        let dir = tempfile::tempdir().unwrap();
        let folders = OpenFolders::below(OwnedFd::from(File::open(dir.path()).unwrap()));
        for n in 0..OPEN_MAX + 5 {
            fs::create_dir(dir.path().join(n.to_string())).unwrap();
            folders.get(&path(&n.to_string())).unwrap();
        }

        let open = folders.open();

        assert_eq!(open.len(), OPEN_MAX);
        assert_eq!(open.front().unwrap().0, path("5"), "the one unused for longest went first");
    }
}
