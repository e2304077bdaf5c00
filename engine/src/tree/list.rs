//! Lists of chunks: how a content of many chunks is kept, in pages cut by content.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | `0x4c`, so that no list is taken for a page of a tree |
//! | 1 | level: 0 for a page of chunks |
//! | varint | number of entries, at least 1 |
//! | per entry | blob id (32), length of the chunk, or of all chunks below, in bytes (varint) |
//!
//! A page ends behind an entry whose id begins with seven zero bits, not before 32 entries and
//! always at 1024. Ids are keyed hashes, so cuts depend on the content and cannot be chosen; a
//! file that grows at its end, or changes in the middle, shares all pages but a few.
use super::{PageSource, PageStore};
use crate::codec::{Decoder, Malformed, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;
use crate::node::{ChunkRef, Content};

const MAGIC: u8 = 0x4c;
const ENTRIES_MIN: usize = 32;
const ENTRIES_MAX: usize = 1024;

/// The deepest list: 32⁷ chunks are more than any file system holds.
pub const LIST_DEPTH_MAX: u8 = 8;

/// An entry of a page: a chunk, or a page and all that is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: BlobId,
    pub(super) len: u64,
}

/// Writes the list of `chunks` and says where it begins.
///
/// # Errors
///
/// Whatever storing meets.
pub fn write_list<S: PageStore + ?Sized>(
    store: &S,
    chunks: impl Iterator<Item = ChunkRef>,
) -> Result<Content> {
    let items = chunks.map(|chunk| Item { id: chunk.id, len: u64::from(chunk.len) });
    let mut above = write_level(store, 0, items)?;
    let mut depth = 1;
    while above.len() > 1 {
        above = write_level(store, depth, above.into_iter())?;
        depth += 1;
    }
    let root = above.first().expect("because a list has at least one chunk");
    Ok(Content::List { root: root.id, depth })
}

fn write_level<S: PageStore + ?Sized>(
    store: &S,
    level: u8,
    items: impl Iterator<Item = Item>,
) -> Result<Vec<Item>> {
    let mut pages = Vec::new();
    let mut waiting: Vec<Item> = Vec::new();
    for item in items {
        waiting.push(item);
        let drawn = item.id.as_bytes()[0] >> 1 == 0;
        if waiting.len() >= ENTRIES_MAX || (waiting.len() >= ENTRIES_MIN && drawn) {
            pages.push(write_page(store, level, &std::mem::take(&mut waiting))?);
        }
    }
    if !waiting.is_empty() {
        pages.push(write_page(store, level, &waiting)?);
    }
    Ok(pages)
}

fn write_page<S: PageStore + ?Sized>(store: &S, level: u8, items: &[Item]) -> Result<Item> {
    let mut page = vec![MAGIC, level];
    put_varint(&mut page, items.len() as u64);
    for item in items {
        page.extend_from_slice(item.id.as_bytes());
        put_varint(&mut page, item.len);
    }
    let len = items.iter().map(|item| item.len).sum();
    Ok(Item { id: store.write_page(page)?, len })
}

/// Reads a list from left to right, pages before what they hold; what is in memory is one page per level.
pub struct ListReader<S> {
    source: S,
    /// Pages that were entered, outermost first: entries still to come, last one first.
    entered: Vec<(u8, Vec<Item>)>,
    failed: bool,
}

/// What a list consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListPart {
    /// A page of the list itself.
    Page(BlobId),
    /// A chunk.
    Chunk(ChunkRef),
}

impl<S: PageSource> ListReader<S> {
    /// The list whose root page is `root`, of `depth` levels, with `len` bytes of chunks in all.
    pub fn new(source: S, root: BlobId, depth: u8, len: u64) -> Self {
        ListReader { source, entered: vec![(depth, vec![Item { id: root, len }])], failed: false }
    }

    /// Passes all that is below the page that was given last.
    pub fn pass(&mut self) {
        self.entered.pop();
    }

    fn step(&mut self) -> Result<Option<ListPart>> {
        let damaged = |what| {
            Error::new(ErrorKind::Damaged, "reading a list of chunks").because(Malformed(what))
        };
        while let Some((level, items)) = self.entered.last_mut() {
            let level = *level;
            let Some(item) = items.pop() else {
                self.entered.pop();
                continue;
            };
            if level == 0 {
                let len = u32::try_from(item.len).map_err(|_| damaged("chunk length"))?;
                return Ok(Some(ListPart::Chunk(ChunkRef { id: item.id, len })));
            }
            if level > LIST_DEPTH_MAX {
                return Err(damaged("depth"));
            }
            let page = self.source.read_page(item.id)?;
            let mut below = decode(&page, level - 1).map_err(|Malformed(what)| damaged(what))?;
            let sum = below.iter().try_fold(0u64, |sum, item| sum.checked_add(item.len));
            if sum != Some(item.len) {
                return Err(damaged("length of all chunks"));
            }
            below.reverse();
            let page = item.id;
            self.entered.push((level - 1, below));
            return Ok(Some(ListPart::Page(page)));
        }
        Ok(None)
    }
}

impl<S: PageSource> Iterator for ListReader<S> {
    type Item = Result<ListPart>;

    fn next(&mut self) -> Option<Result<ListPart>> {
        if self.failed {
            return None;
        }
        let next = self.step().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// The entries of the list page `page`, which must be of `level`.
pub(super) fn decode(page: &[u8], level: u8) -> Result<Vec<Item>, Malformed> {
    let mut from = Decoder::new(page);
    if from.u8("magic")? != MAGIC || from.u8("level")? != level {
        return Err(Malformed("page of a list"));
    }
    let count = from.count(ENTRIES_MAX, "number of entries")?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let id = BlobId::from_bytes(from.array("id")?);
        let len = from.varint("length")?;
        // An entry without bytes could repeat for ever at no cost.
        if len == 0 {
            return Err(Malformed("length"));
        }
        items.push(Item { id, len });
    }
    from.finish("end of page")?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::collections::HashMap;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Pages(Mutex<HashMap<BlobId, Bytes>>);

    impl PageSource for &Pages {
        fn read_page(&self, id: BlobId) -> Result<Bytes> {
            let missing = || Error::new(ErrorKind::NotFound, "reading a page");
            self.0.lock().unwrap().get(&id).cloned().ok_or_else(missing)
        }
    }

    impl PageStore for &Pages {
        fn write_page(&self, page: Vec<u8>) -> Result<BlobId> {
            let id = BlobId::from_bytes(*blake3::hash(&page).as_bytes());
            self.0.lock().unwrap().insert(id, page.into());
            Ok(id)
        }
    }

    fn chunks(range: std::ops::Range<u32>) -> Vec<ChunkRef> {
        let id = |n: u32| BlobId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
        range.map(|n| ChunkRef { id: id(n), len: n + 1 }).collect()
    }

    fn total(chunks: &[ChunkRef]) -> u64 {
        chunks.iter().map(|chunk| u64::from(chunk.len)).sum()
    }

    #[test]
    fn a_list_is_read_back_whatever_its_length() {
        let pages = Pages::default();
        for count in [1, 31, 32, 65, 1024, 1025, 50_000] {
            let chunks = chunks(0..count);
            let Content::List { root, depth } =
                write_list(&&pages, chunks.iter().copied()).unwrap()
            else {
                panic!("a list");
            };
            let parts: Result<Vec<_>> =
                ListReader::new(&pages, root, depth, total(&chunks)).collect();
            let chunk = |part| match part {
                ListPart::Chunk(chunk) => Some(chunk),
                ListPart::Page(_) => None,
            };
            let read: Vec<_> = parts.unwrap().into_iter().filter_map(chunk).collect();
            assert_eq!(read, chunks);
            let lied = ListReader::new(&pages, root, depth, total(&chunks) + 1).next().unwrap();
            assert_eq!(lied.unwrap_err().kind(), ErrorKind::Damaged);
        }
    }

    #[test]
    fn a_change_in_the_middle_makes_few_new_pages() {
        let pages = Pages::default();
        let mut changed = chunks(0..50_000);
        write_list(&&pages, changed.iter().copied()).unwrap();
        let before = pages.0.lock().unwrap().len();
        changed[25_000].id = BlobId::from_bytes([0xff; 32]);
        write_list(&&pages, changed.iter().copied()).unwrap();
        let after = pages.0.lock().unwrap().len();
        assert!(before > 100 && after - before <= 6, "{before} pages, then {after}");
    }

    #[test]
    fn a_page_that_leads_to_itself_ends_in_an_error() {
        struct Same(Bytes);
        impl PageSource for Same {
            fn read_page(&self, _: BlobId) -> Result<Bytes> {
                Ok(self.0.clone())
            }
        }
        let mut page = vec![MAGIC, 3, 1];
        page.extend_from_slice(&[7; 32]);
        page.push(9);
        let mut list = ListReader::new(Same(page.into()), BlobId::from_bytes([7; 32]), 4, 9);
        assert!(list.by_ref().take(10).any(|part| part.is_err()));
        assert!(list.next().is_none());
    }

    #[test]
    fn a_page_named_again_and_again_is_looked_into_once() {
        let pages = Pages::default();
        let mut below = Item { id: BlobId::from_bytes([1; 32]), len: 1 };
        for level in 0..6 {
            below = write_page(&&pages, level, &[below; 1024]).unwrap();
        }
        let mut list = ListReader::new(&pages, below.id, 6, below.len);
        let (mut seen, mut steps) = (std::collections::HashSet::new(), 0);
        while let Some(part) = list.next() {
            steps += 1;
            match part.unwrap() {
                ListPart::Page(id) if !seen.insert(id) => list.pass(),
                _ => {}
            }
        }
        assert_eq!((seen.len(), steps), (6, 1 + 6 * 1024));
    }
}
