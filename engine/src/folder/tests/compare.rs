//! What a folder looks like through `std` alone.
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// What one path shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    bytes: Vec<u8>,
    nlink: u64,
    device: u64,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it takes less room than its length.
    sparse: bool,
}

/// Everything below `root` and `root` itself, by path.
pub(super) fn look_at(root: &Path) -> BTreeMap<OsString, Look> {
    let mut looks = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let (kind, bytes) = if kind.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            ("folder", Vec::new())
        } else if kind.is_symlink() {
            ("link", std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())
        } else if kind.is_file() {
            ("file", std::fs::read(&path).unwrap())
        } else if kind.is_fifo() {
            ("pipe", Vec::new())
        } else {
            ("other", Vec::new())
        };
        let look = Look {
            kind,
            mode: if kind == "link" { 0 } else { meta.mode() & 0o7777 },
            owner: (meta.uid(), meta.gid()),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            bytes,
            nlink: if kind == "folder" { 0 } else { meta.nlink() },
            device: meta.rdev(),
            xattrs: xattrs(&path),
            sparse: kind == "file" && meta.blocks() * 512 < meta.len(),
        };
        let below = path.strip_prefix(root).unwrap_or(OsStr::new("").as_ref());
        looks.insert(below.as_os_str().to_owned(), look);
    }
    looks
}

fn xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut list = vec![0; 65536];
    let Ok(len) = rustix::fs::llistxattr(path, &mut list[..]) else { return Vec::new() };
    let mut found = Vec::new();
    for name in list[..len].split(|&b| b == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 65536];
        let len = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        found.push((name.to_vec(), value[..len].to_vec()));
    }
    found.sort();
    found
}
