//! Files that say that their process lives: each is locked for as long as it does.
//!
//! A lock goes with its process, whatever that dies of. So who finds such a file unlocked knows, by
//! no clock, that nobody works with what it stands for any more.
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A file that this process has locked.
pub(super) struct Locked {
    path: PathBuf,
    _lock: File,
}

impl Locked {
    /// Makes the file `name` in `folder`; `None` where there is one already or no lock can be had.
    pub(super) fn make(folder: &Path, name: &str) -> Option<Locked> {
        fs::create_dir_all(folder).ok()?;
        // Locked before it has its name: under that nobody finds it unlocked while we live.
        let file = tempfile::Builder::new().prefix("new-").tempfile_in(folder).ok()?;
        file.as_file().try_lock().ok()?;
        let path = folder.join(name);
        let _lock = file.persist_noclobber(&path).ok()?;
        Some(Locked { path, _lock })
    }

    /// Takes over the file at `path`; `None` while its process lives.
    pub(super) fn of_the_dead(path: &Path) -> Option<Locked> {
        let _lock = File::open(path).ok()?;
        _lock.try_lock().ok()?;
        Some(Locked { path: path.to_owned(), _lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it stands for is over.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}
