//! A snapshot's tree: one ordered map from path to node, stored in pages cut by content.
//!
//! Keys are [`TreePath::key`](crate::path::TreePath::key) bytes, so the map's order is the order
//! of paths: a folder, all below it, the next name. Values are encoded nodes; the tree does not
//! look into them. Where one page ends and the next begins is decided by the keys themselves (see
//! [`PageCutter`]), so **equal content has equal pages and one root, whatever the order and grouping
//! of the edits that led there**. That is why an unchanged folder costs nothing, why two
//! snapshots are compared by reading only what differs, and why a page is stored once.
//!
//! [`apply`] makes the next tree from the last one, [`get`], [`Scan`] and [`walk`] read one, and
//! [`Diff`] compares two. Nothing here does I/O: pages come and go through [`PageSource`] and
//! [`PageStore`].
//!
//! A page comes from a hostile store. Whatever reads one checks it against what its parent says
//! of it: level, first key, last key, number of entries, total size. Levels fall by one on the
//! way down and are bounded by [`LEVEL_MAX`], so cycles and bottomless trees are refused.
mod cursor;
mod diff;
mod edit;
mod links;
mod list;
mod page;
mod params;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::error::Result;
use crate::id::BlobId;
use crate::node::NODE_LEN_MAX;
use crate::path::{PATH_LEN_MAX, TreePath};

pub use cursor::{Scan, get, walk};
pub use diff::{Diff, Difference};
pub use edit::{Edit, apply};
pub use links::{PageLinks, list_links, list_page, page_links};
pub use list::{LIST_DEPTH_MAX, ListPart, ListReader, write_list};
pub use params::{PageCutter, TreeParams};

/// The highest level a page may have; leaves have level 0.
///
/// An inner page has at least [`FANOUT_MIN`] children (the last of its level excepted), so even
/// the worst tree of this height has 4¹⁵ ≈ 10⁹ leaves.
pub const LEVEL_MAX: u8 = 15;

/// An inner page is not cut before it has this many children, however long their keys are: each
/// level must be much smaller than the one below, or a tree of long paths would never end in a
/// root.
pub const FANOUT_MIN: usize = 4;

/// The longest page, in bytes: a page one byte short of the largest `max_bytes`, and then the
/// longest entry.
pub const PAGE_LEN_MAX: usize = 128 * 1024;

/// The keys of one page, without prefix compression, end a page when they pass this many bytes.
///
/// A page of long paths with long common prefixes is small and becomes large when it is decoded.
pub const KEYS_LEN_MAX: usize = 256 * 1024;

const _: () = assert!(
    params::MAX_BYTES_MAX as usize + PATH_LEN_MAX + NODE_LEN_MAX + 64 <= PAGE_LEN_MAX,
    "the longest entry fits behind an almost full page"
);
const _: () = assert!(
    (FANOUT_MIN + 1) * (PATH_LEN_MAX + 96) <= PAGE_LEN_MAX,
    "the longest keys fit an inner page"
);

/// Where pages are read from.
pub trait PageSource {
    /// The page that `id` names.
    ///
    /// # Errors
    ///
    /// `NotFound` or `Damaged` when the store has no such page or not its bytes; whatever else
    /// reading meets.
    fn read_page(&self, id: BlobId) -> Result<Bytes>;
}

/// Where pages are kept.
pub trait PageStore: PageSource {
    /// Keeps `page` and names it by its content. It need not be readable until the tree is whole:
    /// an edit never reads what it wrote.
    ///
    /// # Errors
    ///
    /// Whatever storing meets.
    fn write_page(&self, page: Vec<u8>) -> Result<BlobId>;
}

/// The root page of a tree and what the tree holds. An empty tree has no pages and no root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageRef {
    /// The page.
    pub id: BlobId,
    /// Its distance from the leaves.
    pub level: u8,
    /// How many entries the tree has.
    pub entries: u64,
    /// The sizes of all entries added up, in bytes; stays at `u64::MAX` once there.
    pub size_bytes: u64,
}

/// One path and its encoded node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path's key.
    pub key: Vec<u8>,
    /// The encoded node.
    pub value: Bytes,
    /// What the entry adds to the tree's size: the length of a file's content, in bytes.
    pub size_bytes: u64,
}

impl Entry {
    /// The path that the key spells.
    pub fn path(&self) -> TreePath {
        TreePath::from_key(self.key.clone())
            .expect("because keys are checked when a page is decoded and when an edit is applied")
    }
}
