//! Lists of chunks.
use crate::tree::{Pages, READS_MAX, name, take_pages};
use bytes::Bytes;
use devsnap_engine::error::Result;
use devsnap_engine::id::BlobId;
use devsnap_engine::node::{ChunkRef, Content};
use devsnap_engine::tree::{LIST_DEPTH_MAX, ListPart, ListReader, PageSource, write_list};

/// Longer lists are not written again: in the shortest pages they would take more reads than are
/// allowed.
const WRITTEN_MAX: usize = 32 * READS_MAX as usize / 2;

/// Pages that several readers and a writer share.
impl PageSource for &Pages {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        (**self).read_page(id)
    }
}

/// A list read to its end has as many bytes as was said, in chunks that have some, and can be
/// written again. Input: number of the root page (2 bytes), depth (1), bytes in all (8), then each
/// page behind its length (2).
pub fn list(data: &[u8]) {
    let Some((root, rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let Some((&depth, rest)) = rest.split_first() else {
        return;
    };
    let Some((len, rest)) = rest.split_first_chunk::<8>() else {
        return;
    };
    let (root, len) = (name(u16::from_le_bytes(*root).into()), u64::from_le_bytes(*len));
    let store = Pages::new(take_pages(rest));
    let mut reader = ListReader::new(&store, root, depth, len);
    let read: Result<Vec<ListPart>> = reader.by_ref().collect();
    assert!(reader.next().is_none(), "nothing follows an end or an error");
    let Ok(parts) = read else {
        return;
    };
    if depth == 0 || len == 0 {
        return; // No content says so.
    }
    let chunks = chunks_of(&parts);
    assert_eq!(chunks.iter().map(|chunk| u64::from(chunk.len)).sum::<u64>(), len);
    assert!(chunks.iter().all(|chunk| chunk.len > 0));
    assert!(depth <= LIST_DEPTH_MAX && parts.len() > chunks.len());
    if chunks.len() > WRITTEN_MAX {
        return;
    }
    let store = Pages::new(Vec::new());
    let (root, depth) = write(&store, &chunks);
    let again: Result<Vec<ListPart>> = ListReader::new(&store, root, depth, len).collect();
    assert_eq!(chunks_of(&again.expect("because it was just written")), chunks);
}

fn chunks_of(parts: &[ListPart]) -> Vec<ChunkRef> {
    let chunk = |part: &ListPart| match part {
        ListPart::Chunk(chunk) => Some(*chunk),
        ListPart::Page(_) => None,
    };
    parts.iter().filter_map(chunk).collect()
}

fn write(store: &Pages, chunks: &[ChunkRef]) -> (BlobId, u8) {
    match write_list(store, chunks.iter().copied()).expect("because memory takes every page") {
        Content::List { root, depth } => (root, depth),
        other => panic!("{other:?} is no list"),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [1, 40, 1500].into_iter().map(seed).collect()
}

fn seed(count: u32) -> Vec<u8> {
    let store = Pages::new(Vec::new());
    let id = |n: u32| BlobId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
    let chunks: Vec<ChunkRef> =
        (0..count).map(|n| ChunkRef { id: id(n), len: n * 700 + 1 }).collect();
    let (root, depth) = write(&store, &chunks);
    let len: u64 = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
    let mut seed = root.as_bytes()[..2].to_vec();
    seed.push(depth);
    seed.extend_from_slice(&len.to_le_bytes());
    store.put_all(&mut seed);
    seed
}
