//! What a path names: one file, folder or link with everything needed to bring it back.
//!
//! A node holds what *is* (kind, permissions, times, content) and nothing about where or when it
//! was read: inode numbers and ctimes differ on every computer, so they live in the local cache.
//! Equal trees on different computers therefore have equal nodes, equal pages and one root.
mod codec;

use crate::encoding::encoded_len;
use crate::id::{BlobId, ID_LEN};
use crate::path::TreePath;

pub use codec::{NODE_LEN_MAX, decode, decode_content, encode, encode_content};

/// Contents up to this many bytes stand in the node itself.
///
/// A blob costs 32 bytes in the node and about 60 in the index; below this, storing is cheaper.
pub const INLINE_LEN_MAX: usize = 64;

/// Attributes (xattrs, holes) up to this many bytes stand in the node itself.
pub const ATTACHED_LEN_MAX: usize = 1024;

/// Contents of more chunks than this refer to a stored list of ids.
pub const CHUNKS_IN_NODE_MAX: usize = 64;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket; recorded, never brought back.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// A moment: seconds since 1970 (UTC, without leap seconds) and nanoseconds below one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Whole seconds, negative before 1970.
    pub secs: i64,
    /// 0 to 999 999 999.
    pub nanos: u32,
}

/// One stored piece of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkRef {
    /// The blob that holds it.
    pub id: BlobId,
    /// Its length in bytes; at least 1.
    pub len: u32,
}

/// Where the bytes of a content are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Content {
    /// No bytes: an empty file, or a node that has none.
    #[default]
    Empty,
    /// At most [`INLINE_LEN_MAX`] bytes, here.
    Inline(Vec<u8>),
    /// At most [`CHUNKS_IN_NODE_MAX`] chunks, in order.
    Chunks(Vec<ChunkRef>),
    /// The root page of a stored list of chunks.
    List {
        /// The root page's blob.
        root: BlobId,
        /// Pages from the root to the leaves, at least 1.
        depth: u8,
    },
    /// The bytes could not be read when the snapshot was made; the snapshot says so.
    Missing,
}

/// A content with its length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileContent {
    /// Where the bytes are.
    pub content: Content,
    /// How many there are.
    pub len: u64,
}

impl FileContent {
    /// The content that stands in the node: at most [`INLINE_LEN_MAX`] bytes.
    pub fn inline(bytes: &[u8]) -> Self {
        debug_assert!(bytes.len() <= INLINE_LEN_MAX, "longer contents are stored as blobs");
        let content =
            if bytes.is_empty() { Content::Empty } else { Content::Inline(bytes.to_vec()) };
        FileContent { content, len: bytes.len() as u64 }
    }
}

/// An encoded attribute set: in the node when small, a content of its own when large.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Attached {
    /// There is none.
    #[default]
    None,
    /// At most [`ATTACHED_LEN_MAX`] encoded bytes, here.
    Here(Vec<u8>),
    /// Encoded bytes stored as a content.
    Stored(FileContent),
}

/// How the stored bytes become the file's bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Encoding {
    /// They are the file's bytes.
    #[default]
    AsStored,
    /// The file was encrypted by an Apple device under this file key; the stored bytes are its
    /// plaintext, and reading the node encrypts them again (`docs/format.md`, "Encoding").
    AppleEncrypted {
        /// The file's AES-256 key.
        file_key: [u8; 32],
    },
}

/// Without the key: what is printed for people must not open their files.
impl std::fmt::Debug for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Encoding::AsStored => "AsStored",
            Encoding::AppleEncrypted { .. } => "AppleEncrypted",
        })
    }
}

/// Everything a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits with set-uid, set-gid and sticky: `0o7777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification of the content.
    pub mtime: Time,
    /// Creation, where the source knows it.
    pub birth: Option<Time>,
    /// A file's content; [`Content::Empty`] for everything else.
    pub content: FileContent,
    /// Holes of a sparse file: see [`encode_holes`].
    pub holes: Attached,
    /// Extended attributes: see [`encode_xattrs`].
    pub xattrs: Attached,
    /// Where a symbolic link points; empty for everything else.
    pub link_target: Vec<u8>,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// The lowest path of the group of hard links this file belongs to.
    pub hard_link: Option<TreePath>,
    /// How stored bytes become the file's.
    pub encoding: Encoding,
    /// The file changed while it was read: its content may be of no single moment.
    pub changed_while_read: bool,
}

impl Node {
    /// A node of `kind` with no owner, no time and no content.
    pub fn new(kind: NodeKind, mode: u32) -> Self {
        Node {
            kind,
            mode: mode & 0o7777,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            birth: None,
            content: FileContent::default(),
            holes: Attached::None,
            xattrs: Attached::None,
            link_target: Vec::new(),
            device: None,
            hard_link: None,
            encoding: Encoding::AsStored,
            changed_while_read: false,
        }
    }

    /// How many bytes reading the file gives; 0 for everything that is no file. What is stored of it
    /// has `content.len` bytes.
    pub fn size_bytes(&self) -> u64 {
        match self.encoding {
            Encoding::AsStored => self.content.len,
            Encoding::AppleEncrypted { .. } => encoded_len(self.content.len),
        }
    }
}

/// One extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Its name with its namespace, e.g. `user.comment`.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// A stretch of a sparse file that occupies no storage and reads as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hole {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; at least 1.
    pub len: u64,
}

pub use codec::{decode_holes, decode_xattrs, encode_holes, encode_xattrs};

const _: () = assert!(ID_LEN == 32, "ChunkRef is written as 32 bytes of id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_a_node_shows_no_key() {
        let mut node = Node::new(NodeKind::File, 0o600);
        node.encoding = Encoding::AppleEncrypted { file_key: [0x5a; 32] };
        let shown = format!("{node:?}");
        assert!(shown.contains("AppleEncrypted") && !shown.contains("90"), "{shown}");
    }
}
