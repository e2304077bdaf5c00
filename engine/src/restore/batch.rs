//! Pieces of files, put into the order of the packs they are read from.
//!
//! A snapshot of any size is brought back in bounded memory: the walk fills a batch, the batch is
//! executed in pack order, the walk goes on. A bundle that files of several batches need is read
//! once a batch; the limits are chosen so that most restores are one.
use super::file::OpenFile;
use crate::id::{BlobId, PackId};
use crate::pack::{BlobLocation, BlockEntry};
use std::ops::Range;
use std::sync::Arc;

/// Pieces of one batch: about 28 MiB of them.
const PIECES_MAX: usize = 256 * 1024;

/// What the files of one batch may weigh in memory, in bytes.
const WEIGHT_MAX: usize = 32 << 20;

/// Bytes read for nothing between two wanted blocks rather than asking twice.
const GAP_MAX: u32 = 256 * 1024;

/// A stretch of one file, and the blob that it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) id: BlobId,
    pub(super) location: BlobLocation,
    /// The file, by its place in the batch.
    pub(super) file: u32,
    /// Where it goes in the file, in bytes.
    pub(super) at: u64,
}

/// Files with all or, for a very large one, some of their pieces.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) files: Vec<Arc<OpenFile>>,
    pub(super) pieces: Vec<Piece>,
    weight: usize,
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES_MAX || self.weight >= WEIGHT_MAX
    }

    /// Counts something else that is kept until the batch is executed.
    pub(super) fn add_weight(&mut self, bytes: usize) {
        self.weight += bytes;
    }

    /// Takes a file in and gives it its number.
    pub(super) fn add_file(&mut self, file: Arc<OpenFile>) -> u32 {
        self.weight += file.weight();
        self.files.push(file);
        u32::try_from(self.files.len() - 1).expect("because the weight of a batch is bounded")
    }

    /// Puts the pieces into the order in which they are read.
    pub(super) fn sort(&mut self) {
        self.pieces.sort_unstable_by_key(|piece| {
            let at = &piece.location;
            (at.pack, at.block.offset, at.ordinal, at.offset, piece.file, piece.at)
        });
    }
}

/// Blocks of one pack that are read with one request, and the pieces in them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) pack: PackId,
    /// Ordinal and entry, ascending by offset.
    pub(super) blocks: Vec<(u32, BlockEntry)>,
    /// The pieces of each block, as a range of the batch's.
    pub(super) pieces: Vec<Range<usize>>,
}

impl Request {
    /// Bytes from the start of the first block to the end of the last, were `block` the last.
    fn span_with(&self, block: &BlockEntry) -> u64 {
        let start = self.blocks.first().map_or(block.offset, |(_, first)| first.offset);
        (u64::from(block.offset) + u64::from(block.stored_len)).saturating_sub(u64::from(start))
    }

    fn raw_len(&self) -> u64 {
        self.blocks.iter().map(|(_, block)| u64::from(block.raw_len)).sum()
    }

    /// Whether `block` is near enough, and the whole small enough, for one request.
    fn may_take(&self, location: &BlobLocation, bytes_max: u64) -> bool {
        let Some((_, last)) = self.blocks.last() else {
            return false;
        };
        let block = &location.block;
        let end = last.offset.saturating_add(last.stored_len);
        location.pack == self.pack
            // A block that overlaps the last one is an index that lies: it gets its own request.
            && block.offset >= end
            && block.offset - end <= GAP_MAX
            && self.span_with(block) <= bytes_max
            && self.raw_len() + u64::from(block.raw_len) <= bytes_max
    }
}

/// Groups sorted pieces into requests of at most `bytes_max` bytes, stored and plain; a block
/// longer than that is a request of its own.
pub(super) fn requests(pieces: &[Piece], bytes_max: u64) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let location = &piece.location;
        let block = (location.ordinal, location.block);
        let one = index..index + 1;
        match requests.last_mut() {
            Some(last) if last.pack == location.pack && last.blocks.last() == Some(&block) => {
                let range = last.pieces.last_mut().expect("because each block has its pieces");
                range.end = index + 1;
            }
            Some(last) if last.may_take(location, bytes_max) => {
                last.blocks.push(block);
                last.pieces.push(one);
            }
            _ => requests.push(Request {
                pack: location.pack,
                blocks: vec![block],
                pieces: vec![one],
            }),
        }
    }
    requests
}
