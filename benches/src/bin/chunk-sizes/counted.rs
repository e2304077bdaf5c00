//! Counting what a way of cutting would store, byte by byte of `docs/format.md`.
//!
//! | what | bytes |
//! |---|---|
//! | a block | codec 1, body, tag 16 |
//! | its row, in the footer and again in the index | gap 1, two lengths of 1 to 4 |
//! | a blob's row, in the footer and again in the index | id 32, ordinal about 2, offset and length of 1 to 4 |
//! | a chunk of a changed file of at most 64 chunks, in its node | id 32, length of 1 to 4 |
//! | of a larger one | the pages of its list that are new, as the engine cuts them |
//!
//! Left out is what does not depend on the cuts: paths, the rest of the nodes, packs' frames,
//! filler. Chunks do not compress as node and list entries, since ids are hashes.
use std::cell::RefCell;
use std::collections::HashSet;

use bytes::Bytes;
use devsnap_engine::error::{Error, ErrorKind, Result};
use devsnap_engine::id::BlobId;
use devsnap_engine::node::ChunkRef;
use devsnap_engine::pack::PackKey;
use devsnap_engine::seal::{Compressor, Keys};
use devsnap_engine::tree::{PageSource, PageStore, write_list};

use crate::cuts::Cuts;
use crate::mib;

/// Smaller chunks are sealed together up to this many bytes, if they are sealed together.
const BUNDLE_LEN: usize = 256 << 10;

/// A file of more chunks refers to a list.
const CHUNKS_IN_NODE_MAX: usize = 64;

/// One way of cutting, and what it has stored so far.
pub(crate) struct Counted<'k> {
    keys: &'k Keys,
    label: String,
    cuts: Cuts,
    compressor: Compressor,
    known: HashSet<BlobId>,
    lists: ListPages<'k>,
    bundle: Vec<u8>,
    stored: Stored,
}

/// Bytes and chunks stored.
#[derive(Clone, Copy, Default)]
struct Stored {
    chunks: u64,
    /// Blocks and rows if each chunk is a block of its own.
    alone: u64,
    /// Blocks and rows if chunks below 256 KiB share blocks.
    bundled: u64,
    /// What nodes and lists say of chunks.
    references: u64,
}

impl<'k> Counted<'k> {
    /// All ways of cutting, with nothing stored.
    pub(crate) fn all(keys: &'k Keys) -> Result<Vec<Counted<'k>>> {
        let begin = |(label, cuts)| {
            Ok(Counted {
                keys,
                label,
                cuts,
                compressor: Compressor::new()?,
                known: HashSet::new(),
                lists: ListPages { keys, known: RefCell::default(), bytes: RefCell::default() },
                bundle: Vec::new(),
                stored: Stored::default(),
            })
        };
        Cuts::all(keys)?.into_iter().map(begin).collect()
    }

    /// Stores a file that is new or has changed.
    pub(crate) fn store(&mut self, file: &[u8]) -> Result<()> {
        let mut chunks = Vec::new();
        for chunk in self.cuts.cut(file) {
            let (id, len) = (self.keys.content_id(&chunk), short(chunk.len()));
            chunks.push(ChunkRef { id, len });
            if self.known.insert(id) {
                self.store_chunk(chunk);
            }
        }
        if chunks.len() <= CHUNKS_IN_NODE_MAX {
            let len = |chunk: &ChunkRef| 32 + varint_len(chunk.len as usize);
            self.stored.references += chunks.iter().map(len).sum::<u64>();
        } else {
            write_list(&self.lists, chunks.into_iter())?;
            self.stored.references += self.lists.bytes.take();
        }
        Ok(())
    }

    fn store_chunk(&mut self, chunk: Vec<u8>) {
        self.stored.chunks += 1;
        let len = chunk.len();
        if len < BUNDLE_LEN {
            self.stored.bundled += 2 * blob_row_len(self.bundle.len(), len);
            self.bundle.extend_from_slice(&chunk);
        }
        let alone = 2 * blob_row_len(0, len) + self.block_len(chunk);
        self.stored.alone += alone;
        if len >= BUNDLE_LEN {
            self.stored.bundled += alone;
        }
        if self.bundle.len() >= BUNDLE_LEN {
            self.seal_bundle();
        }
    }

    /// Seals what waits in the bundle: a snapshot ends.
    pub(crate) fn seal_bundle(&mut self) {
        if !self.bundle.is_empty() {
            let bundle = std::mem::take(&mut self.bundle);
            self.stored.bundled += self.block_len(bundle);
        }
    }

    /// A sealed block and its two rows.
    fn block_len(&mut self, plain: Vec<u8>) -> u64 {
        let raw_len = plain.len();
        let (_, body) = self.compressor.compress(plain);
        let stored_len = PackKey::sealed_len(body.len());
        let row = 1 + varint_len(stored_len) + varint_len(raw_len);
        stored_len as u64 + 2 * row
    }
}

/// A blob's row: id, ordinal, offset and length.
fn blob_row_len(offset: usize, len: usize) -> u64 {
    32 + 2 + varint_len(offset) + varint_len(len)
}

fn varint_len(value: usize) -> u64 {
    u64::from((usize::BITS - value.leading_zeros()).div_ceil(7).max(1))
}

fn short(len: usize) -> u32 {
    u32::try_from(len).expect("because chunks are at most 16 MiB")
}

/// Counts pages of lists that are new.
struct ListPages<'k> {
    keys: &'k Keys,
    known: RefCell<HashSet<BlobId>>,
    bytes: RefCell<u64>,
}

/// A list is written and never read: pages are counted, not kept.
impl PageSource for ListPages<'_> {
    fn read_page(&self, _id: BlobId) -> Result<Bytes> {
        Err(Error::new(ErrorKind::NotFound, "reading a page that was only counted"))
    }
}

impl PageStore for ListPages<'_> {
    fn write_page(&self, page: Vec<u8>) -> Result<BlobId> {
        let id = self.keys.page_id(&page);
        if self.known.borrow_mut().insert(id) {
            *self.bytes.borrow_mut() += page.len() as u64;
        }
        Ok(id)
    }
}

/// Where all ways of cutting stood at some moment.
pub(crate) struct Mark(Vec<Stored>);

impl Mark {
    /// Where they stand now.
    pub(crate) fn of(counted: &[Counted<'_>]) -> Mark {
        Mark(counted.iter().map(|one| one.stored).collect())
    }
}

/// Prints what was stored up to `first`, and from there until now.
pub(crate) fn print(counted: &[Counted<'_>], first: &Mark, days: u32) {
    println!(
        "| cuts | first: chunks | MiB, alone | MiB, bundled | {days} days: chunks | MiB, alone | MiB, bundled |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (one, first) in counted.iter().zip(&first.0) {
        let now = one.stored;
        let all =
            |stored: Stored| (stored.alone + stored.references, stored.bundled + stored.references);
        let ((alone, bundled), (alone_now, bundled_now)) = (all(*first), all(now));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            one.label,
            first.chunks,
            mib(alone),
            mib(bundled),
            now.chunks - first.chunks,
            mib(alone_now - alone),
            mib(bundled_now - bundled),
        );
    }
}
