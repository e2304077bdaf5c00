//! Folders for temporary files, which do not outlive their process for long.
//!
//! A run removes its folder itself. One that was killed cannot, and its files may be a phone's
//! manifests: so each folder has a locked file beside it, as a session has (`running`), and who
//! opens the repository next removes the folders whose lock nobody holds. Where files cannot be
//! locked a folder that was left behind stays.
use super::Repository;
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// A private folder on this computer's disk; gone when this is dropped.
pub(crate) struct Scratch {
    folder: PathBuf,
    // Behind the folder's name, so that it goes last.
    _lock: Option<(File, TempPath)>,
}

impl Scratch {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by whoever opens the repository next.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Repository {
    /// Makes a folder for the temporary files of one run.
    ///
    /// # Errors
    ///
    /// This computer's disk.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        let under = folder_of(self.cache_folder());
        make(&under).map_err(|e| Error::local("making a folder for temporary files", e))
    }
}

fn folder_of(cache_folder: &Path) -> PathBuf {
    cache_folder.join("scratch")
}

fn make(under: &Path) -> io::Result<Scratch> {
    fs::create_dir_all(under)?;
    match locked_name(under) {
        Some((name, lock)) => {
            let folder = under.join(name);
            fs::create_dir(&folder)?;
            Ok(Scratch { folder, _lock: Some(lock) })
        }
        None => {
            let folder = tempfile::Builder::new().prefix("unlocked-").tempdir_in(under)?.keep();
            Ok(Scratch { folder, _lock: None })
        }
    }
}

/// A name for a folder, and the locked file that says that whoever made it lives.
fn locked_name(under: &Path) -> Option<(OsString, (File, TempPath))> {
    // Locked before it has its name: under that nobody finds it unlocked while we live.
    let file = tempfile::Builder::new().prefix(UNNAMED).tempfile_in(under).ok()?;
    file.as_file().try_lock().ok()?;
    let name = file.path().file_name()?.to_str()?.strip_prefix(UNNAMED)?.into();
    let path = under.join(&name).with_extension(LOCK);
    let file = file.persist_noclobber(&path).ok()?;
    Some((name, (file, TempPath::try_from_path(path).ok()?)))
}

const UNNAMED: &str = "new-";
const LOCK: &str = "lock";

/// Removes the folders of processes that are gone.
pub(super) fn sweep(cache_folder: &Path) {
    let Ok(found) = fs::read_dir(folder_of(cache_folder)) else { return };
    for entry in found.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|is| is == LOCK) {
            // What cannot be removed now is in the way of nobody.
            let _ = remove_if_dead(&path);
        }
    }
}

fn remove_if_dead(lock: &Path) -> io::Result<()> {
    let held = File::open(lock)?;
    held.try_lock()?;
    match fs::remove_dir_all(lock.with_extension("")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => fs::remove_file(lock),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cache: &Path) -> Vec<String> {
        let found = fs::read_dir(folder_of(cache)).unwrap();
        let mut names: Vec<_> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_goes_with_its_run_and_is_swept_when_its_process_is_gone_but_not_before() {
        let cache = tempfile::tempdir().unwrap();
        let over = make(&folder_of(cache.path())).unwrap();
        fs::write(over.path().join("file"), "x").unwrap();
        drop(over);
        assert_eq!(names(cache.path()), Vec::<String>::new());

        let alive = make(&folder_of(cache.path())).unwrap();
        let file = alive.path().join("Manifest.db");
        fs::write(&file, "of a phone").unwrap();
        sweep(cache.path());
        assert!(file.exists() && names(cache.path()).len() == 2);

        // A process that is killed lets go of its locks, and removes nothing.
        let mut killed = alive;
        let (lock, path) = killed._lock.take().unwrap();
        path.keep().unwrap();
        drop(lock);
        std::mem::forget(killed);
        sweep(cache.path());
        assert_eq!(names(cache.path()), Vec::<String>::new());
    }

    #[test]
    fn a_sweep_leaves_what_is_not_its_own() {
        let cache = tempfile::tempdir().unwrap();
        sweep(cache.path());
        let under = folder_of(cache.path());
        fs::create_dir_all(under.join("elsewhere")).unwrap();
        fs::write(under.join("a.lock"), "").unwrap();
        std::os::unix::fs::symlink("elsewhere", under.join("a")).unwrap();
        fs::write(under.join("elsewhere/kept"), "").unwrap();
        sweep(cache.path());
        assert!(under.join("elsewhere/kept").exists(), "a link is never followed");
    }
}
