//! Metadata between this computer's files and nodes: times, owner, mode, xattrs, holes.
use super::owners::Owners;
use super::safe_path::{kind_of, proc_path, stat_of};
use crate::node::{Hole, Node, NodeKind, Time, Xattr};
use crate::target::Restored;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, XattrFlags,
};
use rustix::io::{Errno, Result};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

/// `XATTR_SIZE_MAX` and `XATTR_LIST_MAX` of Linux: the longest value and list of names, in bytes.
const XATTR_MAX: usize = 64 * 1024;

/// Holes recorded of one file; past that the rest counts as data.
const HOLES_MAX: usize = 1 << 20;

/// The node of what `stat` says, without content, links and extended attributes.
///
/// The time of birth is left out: no call of Linux could bring it back, and it would make equal
/// trees on different computers differ.
pub(super) fn node_of(stat: &Stat) -> Option<Node> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => NodeKind::File,
        FileType::Directory => NodeKind::Folder,
        FileType::Symlink => NodeKind::Symlink,
        FileType::Fifo => NodeKind::Fifo,
        FileType::Socket => NodeKind::Socket,
        FileType::CharacterDevice => NodeKind::CharDevice,
        FileType::BlockDevice => NodeKind::BlockDevice,
        FileType::Unknown => return None,
    };
    let mut node = Node::new(kind, stat.st_mode & 0o7777);
    node.uid = stat.st_uid;
    node.gid = stat.st_gid;
    node.mtime = mtime_of(stat);
    if matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice) {
        node.device = Some((rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)));
    }
    Some(node)
}

/// When the content changed last.
pub(super) fn mtime_of(stat: &Stat) -> Time {
    Time { secs: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) }
}

/// What has extended attributes: an open file, or a name that cannot be opened (a link, a pipe).
pub(super) enum Bearer<'a> {
    /// An open file or folder.
    Open(BorrowedFd<'a>),
    /// A path through `/proc/self/fd`, whose last component is not followed.
    Named(Vec<u8>),
}

impl<'a> Bearer<'a> {
    /// The bearer `name` in `folder`.
    pub(super) fn named(folder: BorrowedFd<'_>, name: &[u8]) -> Bearer<'a> {
        Bearer::Named(proc_path(folder, name))
    }

    fn list_len(&self) -> Result<usize> {
        match self {
            Bearer::Open(fd) => rustix::fs::flistxattr_query(fd),
            Bearer::Named(path) => rustix::fs::llistxattr_query(path.as_slice()),
        }
    }

    fn list(&self, list: &mut [u8]) -> Result<usize> {
        match self {
            Bearer::Open(fd) => rustix::fs::flistxattr(fd, list),
            Bearer::Named(path) => rustix::fs::llistxattr(path.as_slice(), list),
        }
    }

    fn get(&self, name: &[u8], value: &mut [u8]) -> Result<usize> {
        match self {
            Bearer::Open(fd) => rustix::fs::fgetxattr(fd, name, value),
            Bearer::Named(path) => rustix::fs::lgetxattr(path.as_slice(), name, value),
        }
    }

    fn set(&self, name: &[u8], value: &[u8]) -> Result<()> {
        match self {
            Bearer::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Bearer::Named(path) => {
                rustix::fs::lsetxattr(path.as_slice(), name, value, XattrFlags::empty())
            }
        }
    }

    fn remove(&self, name: &[u8]) -> Result<()> {
        match self {
            Bearer::Open(fd) => rustix::fs::fremovexattr(fd, name),
            Bearer::Named(path) => rustix::fs::lremovexattr(path.as_slice(), name),
        }
    }
}

/// All extended attributes that may be read, access control lists included, sorted by name.
///
/// # Errors
///
/// The list cannot be read; a file system without extended attributes has none.
pub(super) fn read_xattrs(bearer: &Bearer<'_>) -> Result<Vec<Xattr>> {
    // Most files have none: ask for the length before making room.
    let mut list = match bearer.list_len() {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(_) => vec![0; XATTR_MAX],
        Err(errno) => return Err(errno),
    };
    let len = bearer.list(&mut list)?;
    let mut value = vec![0; XATTR_MAX];
    let mut xattrs = Vec::new();
    for name in list[..len].split(|&b| b == 0).filter(|name| !name.is_empty()) {
        match bearer.get(name, &mut value) {
            Ok(len) => xattrs.push(Xattr { name: name.to_vec(), value: value[..len].to_vec() }),
            // Gone since, or of a namespace that only others may read.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    xattrs.sort();
    Ok(xattrs)
}

/// The holes of an open file of `len` bytes, in order.
///
/// # Errors
///
/// The file cannot be asked; a file system that does not know holes has none.
pub(super) fn read_holes(file: BorrowedFd<'_>, len: u64) -> Result<Vec<Hole>> {
    let mut holes = Vec::new();
    let mut at = 0;
    while at < len && holes.len() < HOLES_MAX {
        let offset = match rustix::fs::seek(file, SeekFrom::Hole(at)) {
            Ok(offset) if offset < len => offset,
            Ok(_) | Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP) => break,
            Err(errno) => return Err(errno),
        };
        at = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
            Ok(data) => data.min(len),
            Err(Errno::NXIO) => len,
            Err(errno) => return Err(errno),
        };
        if at > offset {
            holes.push(Hole { offset, len: at - offset });
        }
    }
    Ok(holes)
}

/// Gives an open file or folder the owner, extended attributes, mode and time of `node`, in this
/// order: a change of owner clears set-uid bits, and a mode without write permission forbids the
/// rest. What cannot be had comes back in words.
pub(super) fn apply(
    file: impl AsFd,
    node: &Node,
    xattrs: &[Xattr],
    owners: &Owners,
) -> Vec<String> {
    let file = file.as_fd();
    let mut notes = Vec::new();
    let present = rustix::fs::fstat(file);
    let given =
        owners.give(present, node, |uid, gid| rustix::fs::fchown(file, uid, gid), &mut notes);
    apply_xattrs(&Bearer::Open(file), xattrs, &mut notes);
    let mode = mode_for(node, given);
    if let Err(errno) = rustix::fs::fchmod(file, Mode::from_raw_mode(mode)) {
        notes.push(note(&format!("permissions {mode:04o}"), errno));
    }
    if let Err(errno) = rustix::fs::futimens(file, &times_of(node)) {
        notes.push(note("time of last modification", errno));
    }
    notes
}

/// The same for something that is not opened: a link, a pipe, a device under its name in `folder`.
pub(super) fn apply_named(
    folder: BorrowedFd<'_>,
    name: &[u8],
    restored: &Restored<'_>,
    owners: &Owners,
) -> Vec<String> {
    let node = restored.node;
    let mut notes = Vec::new();
    let itself = AtFlags::SYMLINK_NOFOLLOW;
    let chown = |uid, gid| rustix::fs::chownat(folder, name, uid, gid, itself);
    let given = owners.give(stat_of(folder, name), node, chown, &mut notes);
    apply_xattrs(&Bearer::named(folder, name), restored.xattrs, &mut notes);
    if node.kind != NodeKind::Symlink {
        let mode = mode_for(node, given);
        if let Err(errno) = chmod_named(folder, name, mode) {
            notes.push(note(&format!("permissions {mode:04o}"), errno));
        }
    }
    if let Err(errno) = rustix::fs::utimensat(folder, name, &times_of(node), itself) {
        notes.push(note("time of last modification", errno));
    }
    notes
}

/// The node's permissions. Somebody else's set-uid program must not become ours.
fn mode_for(node: &Node, has_its_owner: bool) -> u32 {
    node.mode & if has_its_owner { 0o7777 } else { 0o1777 }
}

fn chmod_named(folder: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    // Never a link, should somebody have put one there.
    if kind_of(&rustix::fs::fstat(&handle)?) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    rustix::fs::chmod(proc_path(&handle, b""), Mode::from_raw_mode(mode))
}

/// Gives `bearer` these extended attributes and no others, but for those a security module owns.
pub(super) fn apply_xattrs(bearer: &Bearer<'_>, xattrs: &[Xattr], notes: &mut Vec<String>) {
    let wanted: BTreeSet<&[u8]> = xattrs.iter().map(|xattr| xattr.name.as_slice()).collect();
    let present = read_xattrs(bearer).unwrap_or_default();
    for xattr in &present {
        if !wanted.contains(xattr.name.as_slice()) && !xattr.name.starts_with(b"security.") {
            // What cannot go was put there by somebody with more rights, and stays.
            let _ = bearer.remove(&xattr.name);
        }
    }
    for xattr in xattrs {
        if present.contains(xattr) {
            continue;
        }
        if let Err(errno) = bearer.set(&xattr.name, &xattr.value) {
            let name = String::from_utf8_lossy(&xattr.name);
            notes.push(note(&format!("extended attribute {name:?}"), errno));
        }
    }
}

/// The node's time of modification; the access time is left alone.
pub(super) fn times_of(node: &Node) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: node.mtime.secs,
            tv_nsec: i64::from(node.mtime.nanos),
        },
    }
}

/// An attribute that could not be set, in words.
pub(super) fn note(what: &str, errno: Errno) -> String {
    format!("{what} could not be set: {errno}")
}
