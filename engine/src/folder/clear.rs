//! Removing what stands in the way.
use super::safe_path::{kind_of, proc_path, sorted_names, stat_of};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Removes `name` in `folder` with all below it; nothing there is no error.
///
/// A tree of any depth goes with two open folders and no recursion: folders found two levels down
/// are first moved up one level.
pub(super) fn remove_all(folder: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match remove_leaf(folder, name) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        answer => return answer,
    }
    let top = open_loosened(folder, name)?;
    let mut moved = 0u64;
    loop {
        let names = sorted_names(&top)?;
        if names.is_empty() {
            break;
        }
        for child in names {
            if !is_folder(top.as_fd(), &child)? {
                remove_leaf(top.as_fd(), &child)?;
                continue;
            }
            let middle = open_loosened(top.as_fd(), &child)?;
            for grandchild in sorted_names(&middle)? {
                if is_folder(middle.as_fd(), &grandchild)? {
                    lift(middle.as_fd(), &grandchild, top.as_fd(), &mut moved)?;
                } else {
                    remove_leaf(middle.as_fd(), &grandchild)?;
                }
            }
            rustix::fs::unlinkat(&top, &*child, AtFlags::REMOVEDIR)?;
        }
    }
    match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        answer => answer,
    }
}

/// Moves a folder up into `top`, under a name that nothing there has.
fn lift(from: BorrowedFd<'_>, name: &[u8], top: BorrowedFd<'_>, moved: &mut u64) -> Result<()> {
    // A folder without write permission cannot be moved by its owner: its `..` changes.
    drop(open_loosened(from, name)?);
    loop {
        *moved += 1;
        let free = format!(".devsnap-going-{moved}");
        match rustix::fs::renameat_with(
            from,
            name,
            top,
            free.as_bytes(),
            rustix::fs::RenameFlags::NOREPLACE,
        ) {
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            answer => return answer,
        }
    }
}

fn remove_leaf(folder: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        answer => answer,
    }
}

fn is_folder(folder: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
    match stat_of(folder, name) {
        Ok(stat) => Ok(kind_of(&stat) == FileType::Directory),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Opens the folder `name` so that its entries can be changed, giving its owner the right first.
pub(super) fn open_loosened(folder: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    open_with_rights(folder, name, OFlags::RDONLY | OFlags::DIRECTORY, 0o700)
}

/// Opens `name` without following a link, giving its owner the `rights` first if they are missing.
pub(super) fn open_with_rights(
    folder: BorrowedFd<'_>,
    name: &[u8],
    flags: OFlags,
    rights: u32,
) -> Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let stat = stat_of(folder, name)?;
    let missing = stat.st_mode & rights != rights;
    if missing && matches!(kind_of(&stat), FileType::Directory | FileType::RegularFile) {
        let handle = rustix::fs::openat(
            folder,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let stat = rustix::fs::fstat(&handle)?;
        // A link put there since must not be given a mode: that would follow it.
        if kind_of(&stat) != FileType::Symlink {
            let mode = Mode::from_raw_mode((stat.st_mode & 0o7777) | rights);
            // Not ours to change: whether it can be opened all the same is told below.
            let _ = rustix::fs::chmod(proc_path(&handle, b""), mode);
        }
    }
    rustix::fs::openat(folder, name, flags, Mode::empty())
}
