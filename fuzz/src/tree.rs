//! Tree pages, through the ways that read them: scan, look-up, difference, edit.
use bytes::Bytes;
use devsnap_engine::error::{Error, ErrorKind, Result};
use devsnap_engine::id::BlobId;
use devsnap_engine::tree::{
    Diff, Edit, Entry, PageCutter, PageRef, PageSource, PageStore, Scan, TreeParams, apply, get,
};
use std::cell::{Cell, RefCell};

/// A store of pages named by their number, that gives out at most so many: a page may name one
/// child a thousand times, and a tree of such pages has more entries than a fuzzer has time.
pub(crate) struct Pages {
    pages: RefCell<Vec<Bytes>>,
    reads_left: Cell<u32>,
}

pub(crate) const READS_MAX: u32 = 2000;

pub(crate) fn name(number: usize) -> BlobId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&(number as u16).to_le_bytes());
    BlobId::from_bytes(bytes)
}

impl Pages {
    pub(crate) fn new(pages: Vec<Bytes>) -> Self {
        Pages { pages: RefCell::new(pages), reads_left: Cell::new(READS_MAX) }
    }

    /// Appends every page behind its length, as [`take_pages`] takes them.
    pub(crate) fn put_all(&self, out: &mut Vec<u8>) {
        for page in self.pages.borrow().iter() {
            out.extend_from_slice(&(page.len() as u16).to_le_bytes());
            out.extend_from_slice(page);
        }
    }
}

impl PageSource for Pages {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        let left = self.reads_left.get().checked_sub(1);
        let left = left.ok_or_else(|| Error::new(ErrorKind::Interrupted, "reading pages"))?;
        self.reads_left.set(left);
        let [low, high, ..] = *id.as_bytes();
        let page = self.pages.borrow().get(usize::from(u16::from_le_bytes([low, high]))).cloned();
        page.ok_or_else(|| Error::new(ErrorKind::NotFound, "reading a page"))
    }
}

impl PageStore for Pages {
    fn write_page(&self, page: Vec<u8>) -> Result<BlobId> {
        let mut pages = self.pages.borrow_mut();
        pages.push(page.into());
        Ok(name(pages.len() - 1))
    }
}

fn cutter() -> PageCutter {
    PageCutter::new(TreeParams::around(256), [8; 32]).expect("because the sizes are allowed")
}

/// A tree read to its end has what its root says, in order. Input: number of the root page
/// (2 bytes), its level (1), entries (8), size (8), then each page behind its length (2).
pub fn page(data: &[u8]) {
    let Some((root, pages)) = take_tree(data) else {
        return;
    };
    let store = Pages::new(pages);
    let read: Result<Vec<Entry>> = Scan::new(&store, Some(&root)).collect();
    if let Ok(entries) = &read {
        assert!(entries.is_sorted_by(|a, b| a.key < b.key));
        assert_eq!(entries.len() as u64, root.entries);
        let size = entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.size_bytes));
        assert_eq!(size, root.size_bytes);
        for entry in entries {
            assert_eq!(entry.path().key(), entry.key);
        }
        store.reads_left.set(READS_MAX);
        for entry in entries.iter().take(20) {
            assert_eq!(get(&store, Some(&root), &entry.key).ok().flatten().as_ref(), Some(entry));
        }
        assert_eq!(Diff::new(&store, Some(&root), Some(&root)).count(), 0);
        store.reads_left.set(READS_MAX);
        assert_eq!(Diff::new(&store, None, Some(&root)).count(), entries.len());
    }
    store.reads_left.set(READS_MAX);
    let _ = get(&store, Some(&root), b"Library");
    // What an edit makes of pages that lie need not be a tree, but it must come to an end.
    let edits = [Edit::put(*b"Library\0new", vec![1; 9], 9), Edit::remove(*b"media")];
    let edited = apply(&store, &cutter(), Some(&root), edits.map(Ok));
    if let (Ok(_), Ok(Some(edited))) = (read, edited) {
        store.reads_left.set(READS_MAX);
        let found = get(&store, Some(&edited), b"Library\0new").expect("because it was written");
        assert_eq!(found.map(|entry| entry.size_bytes), Some(9));
    }
}

fn take_tree(data: &[u8]) -> Option<(PageRef, Vec<Bytes>)> {
    let (number, rest) = data.split_first_chunk::<2>()?;
    let (&level, rest) = rest.split_first()?;
    let (entries, rest) = rest.split_first_chunk::<8>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let root = PageRef {
        id: name(usize::from(u16::from_le_bytes(*number))),
        level,
        entries: u64::from_le_bytes(*entries),
        size_bytes: u64::from_le_bytes(*size),
    };
    Some((root, take_pages(rest)))
}

/// The pages that stand behind each other, each behind its length (2 bytes).
pub(crate) fn take_pages(mut rest: &[u8]) -> Vec<Bytes> {
    let mut pages = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_le_bytes(*len)).min(after.len());
        let (page, after) = after.split_at(len);
        pages.push(Bytes::copy_from_slice(page));
        rest = after;
    }
    pages
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [1, 12, 200].iter().filter_map(|&count| seed(count)).collect()
}

fn seed(count: u64) -> Option<Vec<u8>> {
    let store = Pages::new(Vec::new());
    let edit = |n: u64| Ok(Edit::put(format!("folder\0f{n:04}"), vec![n as u8; 20], n * 100));
    let root = apply(&store, &cutter(), None, (0..count).map(edit)).ok()??;
    let mut seed = root.id.as_bytes()[..2].to_vec();
    seed.push(root.level);
    seed.extend_from_slice(&root.entries.to_le_bytes());
    seed.extend_from_slice(&root.size_bytes.to_le_bytes());
    store.put_all(&mut seed);
    Some(seed)
}
