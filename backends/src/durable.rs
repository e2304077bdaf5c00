//! What makes files and folders survive a power cut, on Unix.
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Makes `folder` and its missing parents for their owner alone, each durable in its parent.
///
/// The parent is synced also when another process made the folder a moment ago: it may not have
/// come to its own sync yet. What was there before this call is left alone.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = parent_of(folder);
    make_folders(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    sync_folder(parent)
}

/// Makes what happened to the names in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    match rustix::fs::fsync(File::open(folder)?) {
        // Some network and FUSE file systems cannot sync a folder; they promise no more than
        // this, and refusing to work there would help nobody.
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Lets nobody but the owner read `file`.
pub(crate) fn owner_only(file: &File) -> io::Result<()> {
    match file.set_permissions(Permissions::from_mode(0o600)) {
        // FAT and some network file systems have no modes.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
        set => set,
    }
}

/// Moves the synced file `from` to `to`, durably and never replacing what is there.
///
/// When `to` exists already it holds the same bytes (write once), and `from` is removed; when it
/// is no file or has another length, it is damaged, and that is an error rather than a success.
pub(crate) fn place(from: &Path, to: &Path) -> io::Result<()> {
    match move_without_replacing(from, to) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let (mine, there) = (fs::metadata(from)?, fs::metadata(to)?);
            if !there.is_file() || there.len() != mine.len() {
                return Err(io::Error::other("something else lies under this name"));
            }
            fs::remove_file(from)?;
        }
        moved => moved?,
    }
    // Also when it existed: the writer that put it there may have died before its sync.
    sync_folder(parent_of(to))
}

fn move_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_then_unlink(from, to),
        moved => Ok(moved?),
    }
}

/// For file systems without a no-replace rename (NFS, older FUSE).
fn link_then_unlink(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::linkat(CWD, from, CWD, to, rustix::fs::AtFlags::empty()) {
        Ok(()) => fs::remove_file(from),
        // No hard links either (exFAT). A rename replaces, but only ever by the same bytes.
        Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP) if !to.exists() => fs::rename(from, to),
        Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(e) => Err(e.into()),
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placing_never_replaces_by_rename_or_by_link() {
        for place_one in [move_without_replacing, link_then_unlink] {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            fs::write(&from, b"first").unwrap();
            place_one(&from, &to).unwrap();
            assert!(!from.exists());
            fs::write(&from, b"second").unwrap();
            let refused = place_one(&from, &to).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&to).unwrap(), b"first");
        }
    }

    #[test]
    fn folders_are_made_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        make_folders(&deep).unwrap();
        make_folders(&deep).unwrap();
        for made in [deep.as_path(), deep.parent().unwrap()] {
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("a");
        fs::write(&in_the_way, b"").unwrap();
        make_folders(&in_the_way).unwrap_err();
        make_folders(&in_the_way.join("b")).unwrap_err();
    }
}
