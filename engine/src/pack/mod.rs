//! Packs: many sealed blocks in one object, their list at its end.
//!
//! | part | bytes | sealed under |
//! |---|---|---|
//! | header | 124: see [`PackHeader`] | – |
//! | blocks | each codec byte + body + tag | the pack's key, number = ordinal of the block |
//! | filler | 0 or more random bytes, so that the whole has a round size | – |
//! | footer | blocks and blobs: see [`PackFooter`] | the footer key (index key and salt), number 0 |
//! | trailer | 24: footer position (8), footer length (4), zero (4), magic `PACKEND1` | – |
//!
//! A pack is named by BLAKE3-256 of all its bytes. The list comes last so that a pack is written
//! in one pass; it is also kept in index segments, so it is read only when a segment is lost.
//! Blocks cannot be told apart from outside: neither their number nor their sizes show.
mod builder;
mod footer;
mod header;
mod request;

use crate::id::{BlobId, PackId};

pub use builder::{Ending, PackBuilder, Place, Rounding};
pub use footer::{PackFooter, TRAILER_LEN, read_trailer};
pub use header::{HEADER_LEN, PackHeader, PackKey, PackKind};
pub use request::{Request, requests};

/// The longest pack that is ever read, in bytes. Packs are closed at 32 MiB; one block more fits.
pub const PACK_LEN_MAX: u64 = 96 << 20;

/// The longest plaintext of one block, in bytes: the largest chunk a repository may cut.
pub const BLOCK_LEN_MAX: u32 = 16 << 20;

/// Where a block lies in its pack, and how long it is.
///
/// Its ordinal, which is its nonce, is its place in the list of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockEntry {
    /// Where it begins, in bytes from the start of the pack.
    pub offset: u32,
    /// Sealed length, in bytes. 0: the ordinal was spent on a block that was never written.
    pub stored_len: u32,
    /// Length of its plaintext, in bytes.
    pub raw_len: u32,
}

/// Which part of a block is a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobEntry {
    /// The blob.
    pub id: BlobId,
    /// Ordinal of its block.
    pub block: u32,
    /// Where it begins in the block's plaintext, in bytes.
    pub offset: u32,
    /// Its length, in bytes.
    pub len: u32,
}

/// Everything needed to read one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobLocation {
    /// The pack it is in.
    pub pack: PackId,
    /// Its block.
    pub block: BlockEntry,
    /// The block's ordinal.
    pub ordinal: u32,
    /// Where it begins in the block's plaintext, in bytes.
    pub offset: u32,
    /// Its length, in bytes.
    pub len: u32,
}
