//! Folders as a whole: their size, reading them warm, and whether two are equal.
use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Everything below `dir`, by path relative to it. Symbolic links are not followed.
fn walk(dir: &Path) -> Result<BTreeMap<PathBuf, Metadata>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = dir.join(&folder);
        for entry in fs::read_dir(&path).with_context(|| format!("listing {}", path.display()))? {
            let entry = entry?;
            let (name, metadata) = (folder.join(entry.file_name()), entry.metadata()?);
            if metadata.is_dir() {
                folders.push(name.clone());
            }
            found.insert(name, metadata);
        }
    }
    Ok(found)
}

/// Bytes of all files below `dir`.
///
/// # Errors
///
/// Something below could not be listed.
pub(crate) fn size(dir: &Path) -> Result<u64> {
    Ok(walk(dir)?.values().filter(|m| m.is_file()).map(Metadata::len).sum())
}

/// Reads every file below `dir` once, so that it comes from memory next time, where memory allows.
///
/// # Errors
///
/// Something below could not be read.
pub(crate) fn warm(dir: &Path) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    for (name, _) in walk(dir)?.iter().filter(|(_, metadata)| metadata.is_file()) {
        let mut file = File::open(dir.join(name))?;
        while file.read(&mut buffer)? > 0 {}
    }
    Ok(())
}

/// The first difference between `original` and `copy`, or nothing if they are equal: in names,
/// kinds, contents, and for files in mode and modification time.
///
/// # Errors
///
/// Something in either could not be read.
pub(crate) fn difference(original: &Path, copy: &Path) -> Result<Option<String>> {
    let (wanted, found) = (walk(original)?, walk(copy)?);
    if let Some(name) = wanted.keys().find(|name| !found.contains_key(*name)) {
        return Ok(Some(format!("{} is missing", name.display())));
    }
    if let Some(name) = found.keys().find(|name| !wanted.contains_key(*name)) {
        return Ok(Some(format!("{} should not be there", name.display())));
    }
    for ((name, a), b) in wanted.iter().zip(found.values()) {
        let differs = if a.file_type() != b.file_type() {
            "is of another kind"
        } else if !a.is_file() {
            continue;
        } else if a.mode() != b.mode() {
            "has another mode"
        } else if (a.mtime(), a.mtime_nsec()) != (b.mtime(), b.mtime_nsec()) {
            "has another time"
        } else if a.len() != b.len() || !equal_contents(&original.join(name), &copy.join(name))? {
            "has another content"
        } else {
            continue;
        };
        return Ok(Some(format!("{} {differs}", name.display())));
    }
    Ok(None)
}

fn equal_contents(a: &Path, b: &Path) -> Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    loop {
        let read = a.read(&mut left)?;
        if read == 0 {
            return Ok(b.read(&mut right[..1])? == 0);
        }
        if b.read_exact(&mut right[..read]).is_err() || left[..read] != right[..read] {
            return Ok(false);
        }
    }
}

/// Where below `target` a program has put the contents of `data`: there, under its last name, or
/// under its whole path.
pub(crate) fn restored_root(target: &Path, data: &Path) -> PathBuf {
    let whole = target.join(data.strip_prefix("/").unwrap_or(data));
    let last = data.file_name().map(|name| target.join(name));
    [Some(whole), last].into_iter().flatten().find(|root| root.is_dir()).unwrap_or(target.into())
}

/// Removes `dir` with all below it; that there is none is fine.
///
/// # Errors
///
/// Something could not be removed.
pub(crate) fn clear(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two folders with one equal file, which `change` may make differ.
    fn difference_after(change: impl FnOnce(&Path)) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for side in [&a, &b] {
            fs::create_dir_all(side.join("x")).unwrap();
            fs::write(side.join("x/file"), "content").unwrap();
        }
        same_time(&a, &b);
        change(&b);
        difference(&a, &b).unwrap()
    }

    fn same_time(from: &Path, to: &Path) {
        let time = fs::metadata(from.join("x/file")).unwrap().modified().unwrap();
        let file = File::options().write(true).open(to.join("x/file")).unwrap();
        file.set_modified(time).unwrap();
    }

    #[test]
    fn equal_folders_have_no_difference() {
        assert_eq!(difference_after(|_| {}), None);
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let found = |change: fn(&Path)| difference_after(change).unwrap_or_default();

        assert_eq!(found(|b| fs::remove_file(b.join("x/file")).unwrap()), "x/file is missing");
        assert_eq!(found(|b| fs::write(b.join("y"), "").unwrap()), "y should not be there");
        assert_eq!(
            found(|b| {
                let time = fs::metadata(b.join("x/file")).unwrap().modified().unwrap();
                fs::write(b.join("x/file"), "CONTENT").unwrap();
                let file = File::options().write(true).open(b.join("x/file")).unwrap();
                file.set_modified(time).unwrap();
            }),
            "x/file has another content"
        );
        assert_eq!(
            found(|b| {
                let file = File::options().write(true).open(b.join("x/file")).unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            }),
            "x/file has another time"
        );
    }
}
