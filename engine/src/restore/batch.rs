//! Pieces of files, put into the order of the packs they are read from.
//!
//! A snapshot of any size is brought back in bounded memory: the walk fills a batch, the batch is
//! executed in pack order, the walk goes on. A bundle that files of several batches need is read
//! once a batch; the limits are chosen so that most restores are one.
use super::file::OpenFile;
use crate::id::BlobId;
use crate::pack::BlobLocation;
use std::sync::Arc;

/// Pieces of one batch: about 28 MiB of them.
const PIECES_MAX: usize = 256 * 1024;

/// What the files of one batch may weigh in memory, in bytes.
const WEIGHT_MAX: usize = 32 << 20;

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
        self.pieces
            .sort_unstable_by_key(|piece| (piece.location.reading_order(), piece.file, piece.at));
    }
}
