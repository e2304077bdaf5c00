//! Walking a folder in the order of a snapshot's tree, at any depth, with few open descriptors.
use super::safe_path::{kind_of, open_child_folder, open_folder, sorted_names, stat_of};
use crate::path::{BadPath, TreePath};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Folders kept open at a time; of those further up only the names still to come are kept.
const OPEN_MAX: usize = 64;

/// One folder on the way down.
struct Level {
    /// `None` while far above; opened again on the way back.
    fd: Option<OwnedFd>,
    names: std::vec::IntoIter<Box<[u8]>>,
    inode: (u64, u64),
}

/// What the walk met.
pub(super) struct Met {
    /// Its path below the folder that is walked.
    pub(super) path: TreePath,
    /// Its name in [`Walk::folder`].
    pub(super) name: Box<[u8]>,
    /// What stands there.
    pub(super) found: Found,
}

/// What stands at a path.
pub(super) enum Found {
    /// Something that can be looked at.
    Node(Box<Stat>),
    /// It was listed and cannot be looked at.
    Lost(Errno),
    /// It cannot have a path in a snapshot; `path` is then its folder's.
    Unnameable(BadPath),
}

/// A walk in progress.
pub(super) struct Walk {
    root: OwnedFd,
    levels: Vec<Level>,
    here: TreePath,
}

impl Walk {
    /// A walk of what lies below `root`.
    pub(super) fn new(root: OwnedFd) -> Result<Walk, Errno> {
        let first = open_folder(root.as_fd(), &TreePath::root())?;
        let mut walk = Walk { root, levels: Vec::new(), here: TreePath::root() };
        walk.push(first)?;
        Ok(walk)
    }

    /// The next path, in the tree's order; a folder's children follow only after
    /// [`enter`](Self::enter).
    ///
    /// # Errors
    ///
    /// A folder further up was moved away and cannot be found again: the rest of it is lost. The
    /// path is that folder's, and the walk can go on.
    pub(super) fn next(&mut self) -> Option<Result<Met, (TreePath, Errno)>> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(name) = level.names.next() else {
                if let Err(lost) = self.leave() {
                    return Some(Err(lost));
                }
                continue;
            };
            let path = match self.here.join(&name) {
                Ok(path) => path,
                Err(bad) => {
                    let path = self.here.clone();
                    return Some(Ok(Met { path, name, found: Found::Unnameable(bad) }));
                }
            };
            let found = match stat_of(self.folder(), &name) {
                Ok(stat) => Found::Node(Box::new(stat)),
                Err(errno) => Found::Lost(errno),
            };
            return Some(Ok(Met { path, name, found }));
        }
    }

    /// The open folder that what was met last lies in.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.levels.last().and_then(|level| level.fd.as_ref()).unwrap_or(&self.root).as_fd()
    }

    /// Goes down into the folder `fd` that was met last.
    pub(super) fn enter(&mut self, met: &Met, fd: OwnedFd) -> Result<(), Errno> {
        self.push(fd)?;
        self.here = met.path.clone();
        Ok(())
    }

    /// Opens the folder that was met last, for [`enter`](Self::enter).
    pub(super) fn open(&self, met: &Met) -> Result<OwnedFd, Errno> {
        open_child_folder(self.folder(), &met.name)
    }

    fn push(&mut self, fd: OwnedFd) -> Result<(), Errno> {
        let stat = rustix::fs::fstat(&fd)?;
        let names = sorted_names(&fd)?.into_iter();
        self.levels.push(Level { fd: Some(fd), names, inode: (stat.st_dev, stat.st_ino) });
        if let Some(far) = self.levels.len().checked_sub(OPEN_MAX + 1) {
            self.levels[far].fd = None;
        }
        Ok(())
    }

    /// Goes back up, opening the folder above again if it was closed meanwhile.
    fn leave(&mut self) -> Result<(), (TreePath, Errno)> {
        let left = self.levels.pop();
        self.here = self.here.parent().unwrap_or_default();
        let Some(above) = self.levels.last_mut() else { return Ok(()) };
        if above.fd.is_some() {
            return Ok(());
        }
        let again = left.and_then(|left| left.fd).and_then(|fd| reopen_above(&fd, above.inode));
        match again.map_or_else(|| open_folder(self.root.as_fd(), &self.here), Ok) {
            Ok(fd) => above.fd = Some(fd),
            Err(errno) => {
                // Nothing more of it can be reached; it is left on the next turn.
                above.names = Vec::new().into_iter();
                return Err((self.here.clone(), errno));
            }
        }
        Ok(())
    }
}

/// The folder above `below`, if it is still the one that was walked through.
fn reopen_above(below: &OwnedFd, inode: (u64, u64)) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(below, c"..", flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&fd).ok()?;
    ((stat.st_dev, stat.st_ino) == inode && kind_of(&stat) == FileType::Directory).then_some(fd)
}
