//! Trees and lists that stand for more than anybody can count.
use super::structure::{self, Blobs};
use super::{CheckReport, Severity};
use crate::codec::put_varint;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, SnapshotId};
use crate::interrupt::Interrupt;
use crate::node::{self, ChunkRef, Content, FileContent, Node, NodeKind};
use crate::pack::{BlobLocation, BlockEntry};
use crate::tree::{Edit, PageCutter, PageRef, PageSource, PageStore, TreeParams, apply};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Pages in memory, and one chunk of one byte.
#[derive(Default)]
struct Store {
    pages: RefCell<HashMap<BlobId, Bytes>>,
    reads: Cell<usize>,
    has_chunk: bool,
}

const CHUNK: BlobId = BlobId::from_bytes([0xcc; 32]);

impl PageSource for Store {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        self.reads.set(self.reads.get() + 1);
        let missing = || Error::new(ErrorKind::NotFound, "reading a page");
        self.pages.borrow().get(&id).cloned().ok_or_else(missing)
    }
}

impl PageStore for Store {
    fn write_page(&self, page: Vec<u8>) -> Result<BlobId> {
        let id = BlobId::from_bytes(*blake3::hash(&page).as_bytes());
        self.pages.borrow_mut().insert(id, page.into());
        Ok(id)
    }
}

impl Blobs for Store {
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        let block = BlockEntry { offset: 124, stored_len: 40, raw_len: 1 };
        let pack = crate::id::PackId::from_bytes([1; 32]);
        let found = BlobLocation { pack, block, ordinal: 0, offset: 0, len: 1 };
        Ok((*id == CHUNK && self.has_chunk).then_some(found))
    }

    fn has_snapshot(&self, _: &SnapshotId) -> Result<bool> {
        Ok(true)
    }
}

impl Store {
    /// A list page of `level` that names one thing 1024 times.
    fn list_page(&self, level: u8, id: BlobId, len: u64) -> BlobId {
        let mut page = vec![0x4c, level];
        put_varint(&mut page, 1024);
        for _ in 0..1024 {
            page.extend_from_slice(id.as_bytes());
            put_varint(&mut page, len);
        }
        self.write_page(page).unwrap()
    }

    /// A list of 2⁶⁰ chunks in six pages.
    fn bomb(&self) -> (Content, u64) {
        let (mut id, mut len) = (CHUNK, 1u64);
        for level in 0..6 {
            id = self.list_page(level, id, len);
            len *= 1024;
        }
        (Content::List { root: id, depth: 6 }, len)
    }

    /// A tree of `files` files, each with this content.
    fn tree(&self, files: u32, content: &Content, len: u64) -> Option<PageRef> {
        let edit = |n: u32| {
            let mut node = Node::new(NodeKind::File, 0o600);
            node.content = FileContent { len, content: content.clone() };
            let value = node::encode(&node);
            Ok(Edit::put(format!("file {n:06}").into_bytes(), value, node.size_bytes()))
        };
        let cutter = PageCutter::new(TreeParams::around(512), [3; 32]).unwrap();
        apply(self, &cutter, None, (0..files).map(edit)).unwrap()
    }

    fn check(&self, root: Option<PageRef>) -> CheckReport {
        let scratch = tempfile::tempdir().unwrap();
        let mut report = CheckReport::default();
        let roots = [1, 2].map(|n| (SnapshotId::from_bytes([n; 32]), root));
        let interrupt = Interrupt::new();
        structure::check(self, roots.into_iter(), scratch.path(), &mut report, &interrupt).unwrap();
        report
    }
}

#[test]
fn a_list_of_more_chunks_than_anybody_can_count_is_looked_through_page_by_page() {
    for has_chunk in [true, false] {
        let store = Store { has_chunk, ..Store::default() };
        let (content, len) = store.bomb();
        let root = store.tree(100, &content, len);
        let report = store.check(root);
        let pages = store.pages.borrow().len();
        // A tree that lacks something is walked for each snapshot, so that each is told of.
        assert!(store.reads.get() <= 2 * pages, "{} reads, {pages} pages", store.reads.get());
        assert_eq!(report.snapshots, 2);
        let sentences: Vec<_> = report.findings.iter().map(|f| (f.severity, &f.sentence)).collect();
        match has_chunk {
            true => assert!(sentences.is_empty(), "{sentences:?}"),
            false => {
                assert_eq!(sentences.len(), 2);
                assert!(sentences.iter().all(|(severity, _)| *severity == Severity::Damage));
                assert!(sentences[0].1.contains("100 paths lack"), "{sentences:?}");
            }
        }
    }
}

#[test]
fn a_page_of_a_list_that_is_named_with_another_length_lacks_something() {
    let store = Store { has_chunk: true, ..Store::default() };
    let (content, len) = store.bomb();
    assert!(store.check(store.tree(3, &content, len)).findings.is_empty());
    let report = store.check(store.tree(3, &content, len - 1));
    assert!(report.findings[0].sentence.contains("3 paths lack"), "{:?}", report.findings);
}

#[test]
fn a_page_of_a_tree_that_is_named_twice_is_damage_where_it_is_named_again() {
    let store = Store { has_chunk: true, ..Store::default() };
    let chunk = vec![ChunkRef { id: CHUNK, len: 1 }];
    let leaf = store.tree(1, &Content::Chunks(chunk), 1).unwrap();
    // Inner pages that name the leaf, and then what is above it, many times.
    let (mut id, mut entries) = (leaf.id, 1u64);
    for level in 1..=8 {
        let mut page = vec![1, level];
        put_varint(&mut page, 64);
        let mut before: Vec<u8> = Vec::new();
        for n in 0..64u32 {
            let key =
                if n == 0 { b"file 000000".to_vec() } else { format!("g{n:03}").into_bytes() };
            let shared = before.iter().zip(&key).take_while(|(a, b)| a == b).count();
            put_varint(&mut page, shared as u64);
            put_varint(&mut page, (key.len() - shared) as u64);
            page.extend_from_slice(&key[shared..]);
            page.extend_from_slice(id.as_bytes());
            put_varint(&mut page, entries);
            put_varint(&mut page, entries);
            before = key;
        }
        id = store.write_page(page).unwrap();
        entries *= 64;
    }
    let root = PageRef { id, level: 8, entries, size_bytes: entries };
    let report = store.check(Some(root));
    assert_eq!(report.findings.len(), 2, "{:?}", report.findings);
    assert!(report.findings[0].sentence.contains("cannot be read"), "{:?}", report.findings);
    assert!(store.reads.get() < 20_000, "{}", store.reads.get());
}
