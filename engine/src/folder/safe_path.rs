//! Opening what lies below a folder without ever following a symbolic link.
use crate::path::TreePath;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Longest path the kernel takes in one call, with its final NUL.
const PATH_MAX: usize = 4096;

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the folder `name` that lies directly in `folder`; a symbolic link is `ENOTDIR` or `ELOOP`.
pub(super) fn open_child_folder(folder: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    rustix::fs::openat(folder, name, FOLDER, Mode::empty())
}

/// Opens the folder at `path` below `root`.
///
/// One `openat2` where the kernel has it and the path is short enough, else one `openat` for each
/// component: both refuse a symbolic link anywhere.
pub(super) fn open_folder(root: BorrowedFd<'_>, path: &TreePath) -> Result<OwnedFd> {
    if path.is_root() {
        return rustix::fs::openat(root, c".", FOLDER, Mode::empty());
    }
    if path.key().len() < PATH_MAX {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(root, path.to_slashed(), FOLDER, Mode::empty(), resolve) {
            // Missing in old kernels, forbidden in some sandboxes, or racing with a rename.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            answer => return answer,
        }
    }
    open_folder_by_components(root, path)
}

/// As [`open_folder`], one component at a time.
pub(super) fn open_folder_by_components(root: BorrowedFd<'_>, path: &TreePath) -> Result<OwnedFd> {
    let mut folder = rustix::fs::openat(root, c".", FOLDER, Mode::empty())?;
    for name in path.components() {
        folder = open_child_folder(&folder, name)?;
    }
    Ok(folder)
}

/// Opens the regular file `name` in `folder` for reading.
///
/// `O_NONBLOCK` keeps a named pipe that was put there since from blocking; it is then refused by
/// its kind. The access time is left alone where the kernel allows it.
pub(super) fn open_file(folder: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let folder = folder.as_fd();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(folder, name, flags, Mode::empty()),
        answer => answer,
    }?;
    if kind_of(&rustix::fs::fstat(&file)?) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    Ok(file)
}

/// What the inode is.
pub(super) fn kind_of(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// What stands at `name` itself, be it a link.
pub(super) fn stat_of(folder: impl AsFd, name: &[u8]) -> Result<Stat> {
    rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
}

/// Names directly in `folder`, in byte order.
pub(super) fn sorted_names(folder: impl AsFd) -> Result<Vec<Box<[u8]>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.into());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A path the kernel resolves to `name` in the open `folder`, for calls that take no descriptor.
pub(super) fn proc_path(folder: impl AsFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd()).into_bytes();
    if !name.is_empty() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}
