//! The rules of a restore over a small store in memory.
mod encoded;
mod standing;

use super::store::BlobStore;
use super::{Overwrite, RestoreOptions, RestoreReport, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{FolderTarget, TargetOptions};
use crate::id::{BlobId, PackId};
use crate::interrupt::Interrupt;
use crate::node::{ChunkRef, Content, FileContent, Node, NodeKind, Time};
use crate::pack::{BlobLocation, BlockEntry};
use crate::path::TreePath;
use crate::progress::{FaultKind, Silent};
use crate::reader::{Entries, SnapshotReader};
use crate::snapshot::Completeness;
use globset::{Glob, GlobSet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Mutex;
use tempfile::TempDir;

const MTIME: Time = Time { secs: 1_700_000_000, nanos: 5 };

/// One pack; each blob is a block of its own, named by the hash of its bytes.
#[derive(Default)]
struct Shelf {
    blobs: Vec<Vec<u8>>,
    by_id: HashMap<BlobId, u32>,
    damaged: HashSet<u32>,
    read: Mutex<Vec<Vec<u32>>>,
    nodes: BTreeMap<TreePath, Node>,
    /// Paths that could not be read, and how many more there are.
    unread: (Vec<TreePath>, u64),
    /// The node that cannot be read, and whether the tree ends there.
    torn: Option<(TreePath, bool)>,
}

fn id_of(bytes: &[u8]) -> BlobId {
    BlobId::from_bytes(*blake3::hash(bytes).as_bytes())
}

fn path(text: &str) -> TreePath {
    TreePath::from_slashed(text.as_bytes()).unwrap()
}

fn location(pack: u8, ordinal: u32, offset: u32, len: u32) -> BlobLocation {
    let block = BlockEntry { offset, stored_len: len, raw_len: len };
    BlobLocation { pack: PackId::from_bytes([pack; 32]), block, ordinal, offset: 0, len }
}

impl Shelf {
    fn store(&mut self, bytes: &[u8]) -> ChunkRef {
        let next = u32::try_from(self.blobs.len()).unwrap();
        let id = id_of(bytes);
        if let std::collections::hash_map::Entry::Vacant(new) = self.by_id.entry(id) {
            new.insert(next);
            self.blobs.push(bytes.to_vec());
        }
        ChunkRef { id, len: bytes.len() as u32 }
    }

    fn folder(&mut self, at: &str) {
        let mut node = Node::new(NodeKind::Folder, 0o755);
        node.mtime = MTIME;
        self.nodes.insert(path(at), own(node));
    }

    fn file(&mut self, at: &str, chunks: &[&[u8]]) -> &mut Node {
        let mut node = Node::new(NodeKind::File, 0o640);
        node.mtime = MTIME;
        let refs = chunks.iter().map(|chunk| self.store(chunk)).collect();
        let len = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        node.content = FileContent { content: Content::Chunks(refs), len };
        self.nodes.entry(path(at)).insert_entry(own(node)).into_mut()
    }

    fn entries<'a>(&'a self, is_asked: impl Fn(&TreePath) -> bool + Send + 'a) -> Entries<'a> {
        let mut is_over = false;
        let asked = self.nodes.iter().filter(move |(path, _)| is_asked(path));
        let read = asked.map_while(move |(path, node)| match &self.torn {
            _ if is_over => None,
            Some((torn, ends)) if torn == path => {
                is_over = *ends;
                Some(Err(Error::new(ErrorKind::Damaged, "reading a page")))
            }
            _ => Some(Ok((path.clone(), node.clone()))),
        });
        Box::new(read)
    }

    fn restore(&self, into: &TempDir, options: &RestoreOptions) -> Result<RestoreReport> {
        let target = FolderTarget::open(into.path(), &TargetOptions::default())?;
        let interrupt = Interrupt::new();
        let first: Vec<_> =
            self.unread.0.iter().map(|path| (path.clone(), FaultKind::Unreadable)).collect();
        let total = first.len() as u64 + self.unread.1;
        Run::new(self, self, &target, options, &Silent, &interrupt)?
            .sparing(&Completeness::Incomplete { total, first })?
            .restore()
    }
}

/// Owned by whoever runs the test, so that no owner has to be given away.
fn own(mut node: Node) -> Node {
    node.uid = rustix::process::getuid().as_raw();
    node.gid = rustix::process::getgid().as_raw();
    node
}

impl BlobStore for Shelf {
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        Ok(self.by_id.get(id).map(|&n| {
            let before: usize = self.blobs[..n as usize].iter().map(Vec::len).sum();
            location(1, n, before as u32, self.blobs[n as usize].len() as u32)
        }))
    }
    fn read_blocks(&self, _: &PackId, blocks: &[(u32, BlockEntry)]) -> Result<Vec<Vec<u8>>> {
        let ordinals: Vec<u32> = blocks.iter().map(|(ordinal, _)| *ordinal).collect();
        self.read.lock().unwrap().push(ordinals.clone());
        if ordinals.iter().any(|n| self.damaged.contains(n)) {
            return Err(Error::new(ErrorKind::Damaged, "opening"));
        }
        Ok(ordinals.iter().map(|n| self.blobs[*n as usize].clone()).collect())
    }
    fn verify_blob(&self, id: &BlobId, plain: &[u8]) -> Result<()> {
        if id_of(plain) == *id {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Damaged, "verifying"))
    }
    fn chunks<'a>(
        &'a self,
        content: &FileContent,
    ) -> Box<dyn Iterator<Item = Result<ChunkRef>> + Send + 'a> {
        match content.content.clone() {
            Content::Chunks(chunks) => Box::new(chunks.into_iter().map(Ok)),
            _ => Box::new(std::iter::empty()),
        }
    }
    fn open_content(&self, _: &FileContent) -> Result<Box<dyn Read + Send>> {
        Err(Error::new(ErrorKind::NotFound, "opening"))
    }
}

impl SnapshotReader for Shelf {
    fn entry(&self, path: &TreePath) -> Result<Option<Node>> {
        Ok(self.nodes.get(path).cloned())
    }
    fn walk<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        let folder = folder.clone();
        self.entries(move |path| path.is_within(&folder))
    }
    fn list<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        let folder = Some(folder.clone());
        self.entries(move |path| path.parent() == folder)
    }
    fn open(&self, _: &TreePath) -> Result<Box<dyn Read + Send>> {
        Err(Error::new(ErrorKind::NotFound, "opening"))
    }
    fn prefetch(&self, _: &[TreePath]) {}
}

fn include(globs: &[&str]) -> Option<GlobSet> {
    let mut set = GlobSet::builder();
    for glob in globs {
        set.add(Glob::new(glob).unwrap());
    }
    Some(set.build().unwrap())
}

fn read(dir: &TempDir, name: &str) -> Vec<u8> {
    fs::read(dir.path().join(name)).unwrap()
}

fn small_tree() -> Shelf {
    let mut shelf = Shelf::default();
    shelf.folder("a");
    shelf.file("a/one", &[b"shared", b"first"]);
    shelf.folder("a/deep");
    shelf.file("a/deep/two", &[b"second", b"shared"]);
    shelf.folder("b");
    shelf.file("b/three", &[b"third"]);
    shelf
}

#[test]
fn files_come_back_whole_and_folders_keep_their_times() {
    let (shelf, dir) = (small_tree(), TempDir::new().unwrap());
    let report = shelf.restore(&dir, &RestoreOptions::default()).unwrap();
    assert_eq!((report.written_files, report.others, report.faults_total), (3, 3, 0));
    assert_eq!(read(&dir, "a/one"), b"sharedfirst");
    assert_eq!(read(&dir, "a/deep/two"), b"secondshared");
    for name in ["a", "a/deep", "b", "a/one"] {
        let meta = fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (MTIME.secs, 5), "{name}");
    }
    // A blob that two files want, and its neighbours, take one request.
    assert_eq!(*shelf.read.lock().unwrap(), [[0, 1, 2, 3]]);
}

#[test]
fn a_second_restore_writes_nothing_and_a_touched_file_is_compared() {
    let (shelf, dir) = (small_tree(), TempDir::new().unwrap());
    let options = RestoreOptions::default();
    shelf.restore(&dir, &options).unwrap();
    // Same bytes, other time; then other bytes of the same length.
    fs::write(dir.path().join("a/one"), b"sharedfirst").unwrap();
    fs::write(dir.path().join("b/three"), b"THIRD").unwrap();
    let report = shelf.restore(&dir, &options).unwrap();
    assert_eq!((report.written_files, report.unchanged_files), (1, 2));
    assert_eq!(read(&dir, "b/three"), b"third");
    assert_eq!(fs::metadata(dir.path().join("a/one")).unwrap().mtime(), MTIME.secs);
    let always = RestoreOptions { overwrite: Overwrite::Always, ..RestoreOptions::default() };
    assert_eq!(shelf.restore(&dir, &always).unwrap().written_files, 3);
}

#[test]
fn never_leaves_what_is_there_even_where_a_folder_should_be() {
    let (shelf, dir) = (small_tree(), TempDir::new().unwrap());
    fs::write(dir.path().join("a"), b"mine").unwrap();
    let never = RestoreOptions { overwrite: Overwrite::Never, ..RestoreOptions::default() };
    let report = shelf.restore(&dir, &never).unwrap();
    assert_eq!(read(&dir, "a"), b"mine");
    assert_eq!((report.written_files, report.skipped, report.faults_total), (1, 4, 0));
}

#[test]
fn a_damaged_blob_costs_only_the_files_that_need_it() {
    let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
    fs::create_dir(dir.path().join("b")).unwrap();
    fs::write(dir.path().join("b/three"), b"older").unwrap();
    let third = shelf.by_id[&id_of(b"third")];
    shelf.damaged.insert(third);
    let always = RestoreOptions { overwrite: Overwrite::Always, ..RestoreOptions::default() };
    let report = shelf.restore(&dir, &always).unwrap();
    assert_eq!((report.written_files, report.faults_total, report.damaged_files), (2, 1, 1));
    assert_eq!(report.faults[0].path, path("b/three"));
    assert_eq!(read(&dir, "b/three"), b"older", "what stood there stays");
    assert_eq!(fs::read_dir(dir.path().join("b")).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn a_missing_content_is_a_fault_and_not_an_empty_file() {
    let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
    shelf.file("b/three", &[]).content = FileContent { content: Content::Missing, len: 5 };
    let report = shelf.restore(&dir, &RestoreOptions::default()).unwrap();
    assert_eq!(report.faults[0].kind, FaultKind::Unreadable);
    assert!(!dir.path().join("b/three").exists());
}

#[test]
fn include_brings_back_matches_with_the_folders_above_and_all_below() {
    let (shelf, dir) = (small_tree(), TempDir::new().unwrap());
    let options = RestoreOptions { include: include(&["a/deep"]), ..RestoreOptions::default() };
    let report = shelf.restore(&dir, &options).unwrap();
    assert_eq!((report.written_files, report.others), (1, 2));
    assert!(dir.path().join("a/deep/two").exists());
    assert!(!dir.path().join("a/one").exists() && !dir.path().join("b").exists());
}

#[test]
fn delete_removes_only_inside_what_is_brought_back_whole() {
    for (include, removed) in [(None, 3), (include(&["a/deep"]), 1)] {
        let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
        shelf.folder("");
        fs::create_dir_all(dir.path().join("a/deep")).unwrap();
        for name in ["stray", "a/stray", "a/deep/stray"] {
            fs::write(dir.path().join(name), b"x").unwrap();
        }
        let options = RestoreOptions { include, delete: true, ..RestoreOptions::default() };
        assert_eq!(shelf.restore(&dir, &options).unwrap().removed, removed);
        assert!(!dir.path().join("a/deep/stray").exists());
        assert_eq!(dir.path().join("stray").exists(), removed == 1);
    }
}

#[test]
fn a_dry_run_counts_the_same_and_touches_nothing() {
    let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
    shelf.folder("");
    fs::write(dir.path().join("stray"), b"x").unwrap();
    let dry = RestoreOptions { dry_run: true, delete: true, ..RestoreOptions::default() };
    let would = shelf.restore(&dir, &dry).unwrap();
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["stray"]);
    let wet = RestoreOptions { delete: true, ..RestoreOptions::default() };
    assert_eq!(shelf.restore(&dir, &wet).unwrap(), would);
}

#[test]
fn a_subtree_becomes_the_root_and_one_that_is_not_there_is_an_error() {
    let (shelf, dir) = (small_tree(), TempDir::new().unwrap());
    let at = |text| RestoreOptions { subtree: path(text), ..RestoreOptions::default() };
    shelf.restore(&dir, &at("a/deep")).unwrap();
    shelf.restore(&dir, &at("b/three")).unwrap();
    assert!(dir.path().join("two").exists() && dir.path().join("three").exists());
    assert_eq!(shelf.restore(&dir, &at("c")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn further_names_are_links_to_the_first_that_came_back_and_never_to_an_older_file() {
    for is_damaged in [false, true] {
        let (mut shelf, dir) = (small_tree(), TempDir::new().unwrap());
        for name in ["b/three", "b/zweit"] {
            shelf.file(name, &[b"third"]).hard_link = Some(path("b/three"));
        }
        if is_damaged {
            let third = shelf.by_id[&id_of(b"third")];
            shelf.damaged.insert(third);
            fs::create_dir(dir.path().join("b")).unwrap();
            fs::write(dir.path().join("b/three"), b"an older file").unwrap();
        }
        let report = shelf.restore(&dir, &RestoreOptions::default()).unwrap();
        if is_damaged {
            assert_eq!(report.faults_total, 2);
            assert!(!dir.path().join("b/zweit").exists());
        } else {
            let inode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().ino();
            assert_eq!(inode("b/three"), inode("b/zweit"));
        }
    }
}

#[test]
fn a_raised_interrupt_stops_and_leaves_no_temporary_file() {
    let (shelf, dir) = (small_tree(), TempDir::new().unwrap());
    let target = FolderTarget::open(dir.path(), &TargetOptions::default()).unwrap();
    let (options, interrupt) = (RestoreOptions::default(), Interrupt::new());
    interrupt.raise();
    let run = Run::new(&shelf, &shelf, &target, &options, &Silent, &interrupt);
    assert_eq!(run.unwrap().restore().unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
