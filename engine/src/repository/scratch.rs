//! Folders for temporary files, which do not outlive their process for long.
//!
//! A run removes its folder itself. One that was killed cannot, and its files may be a phone's
//! manifests: so each folder has a [`Locked`] file beside it, and who opens the repository next removes
//! the folders whose process is gone. Where files cannot be locked a folder that was left behind
//! stays.
use super::Repository;
use super::locked::Locked;
use crate::error::{Error, Result};
use crate::id::hex;
use crate::seal::random_array;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How the name of a folder's file ends.
const LOCK: &str = "lock";

/// A private folder on this computer's disk; gone when this is dropped.
pub struct Scratch {
    folder: PathBuf,
    lock: Option<Locked>,
}

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by whoever opens the repository next.
        if fs::remove_dir_all(&self.folder).is_ok()
            && let Some(lock) = &self.lock
        {
            let _ = lock.remove();
        }
    }
}

impl Repository {
    /// Makes a folder for the temporary files of one run.
    ///
    /// # Errors
    ///
    /// This computer's disk.
    pub fn scratch(&self) -> Result<Scratch> {
        let under = folder_of(self.cache_folder());
        let name = hex(&random_array::<16>()?);
        make(&under, &name).map_err(|e| Error::local("making a folder for temporary files", e))
    }
}

fn folder_of(cache_folder: &Path) -> PathBuf {
    cache_folder.join("scratch")
}

pub(super) fn make(under: &Path, name: &str) -> io::Result<Scratch> {
    fs::create_dir_all(under)?;
    let folder = under.join(name);
    // First the lock: a folder without one is never swept.
    let lock = Locked::make(under, &format!("{name}.{LOCK}"));
    fs::create_dir(&folder)?;
    Ok(Scratch { folder, lock })
}

/// Removes the folders of processes that are gone.
pub(super) fn sweep(cache_folder: &Path) {
    let Ok(found) = fs::read_dir(folder_of(cache_folder)) else { return };
    for entry in found.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|is| is == LOCK)
            && let Some(dead) = Locked::of_the_dead(&path)
        {
            // What cannot be removed now is in the way of nobody.
            let _ = remove(&dead);
        }
    }
}

fn remove(dead: &Locked) -> io::Result<()> {
    match fs::remove_dir_all(dead.path().with_extension("")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => dead.remove(),
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
        let over = make(&folder_of(cache.path()), "a").unwrap();
        fs::write(over.path().join("file"), "x").unwrap();
        drop(over);
        assert_eq!(names(cache.path()), Vec::<String>::new());

        let alive = make(&folder_of(cache.path()), "b").unwrap();
        let file = alive.path().join("Manifest.db");
        fs::write(&file, "of a phone").unwrap();
        sweep(cache.path());
        assert!(file.exists() && names(cache.path()).len() == 2);

        // A process that is killed lets go of its locks, and removes nothing.
        let mut killed = alive;
        drop(killed.lock.take());
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
