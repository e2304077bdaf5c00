//! Reading one snapshot path by path: the port through which a source sees what it sent last time,
//! and through which a phone pulls a restore.
use crate::error::Result;
use crate::node::Node;
use crate::path::TreePath;
use std::io::Read;

/// Nodes of a snapshot in the order of their paths.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<(TreePath, Node)>> + Send + 'a>;

/// One snapshot, read path by path.
pub trait SnapshotReader: Send + Sync {
    /// The node at `path`.
    ///
    /// # Errors
    ///
    /// A page could not be read; never for a path that is merely absent.
    fn entry(&self, path: &TreePath) -> Result<Option<Node>>;

    /// Everything within `folder` (itself included, when it has a node), in the order of paths.
    ///
    /// The walk is lazy: pages are read as it goes on, and only those it touches.
    fn walk<'a>(&'a self, folder: &TreePath) -> Entries<'a>;

    /// What lies directly in `folder`, in the order of names.
    ///
    /// A folder with a million entries below its children costs one seek a child.
    fn list<'a>(&'a self, folder: &TreePath) -> Entries<'a>;

    /// The file's bytes, verified piece by piece as they are read.
    ///
    /// A read that fails changes nothing: when the cause may pass
    /// ([`Unreachable`](crate::error::ErrorKind::Unreachable)), reading on gives the bytes that follow
    /// those before it. What lies ahead is fetched meanwhile, in bounded memory.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) when there is no file at `path` or its
    /// content is missing; reading yields [`Damaged`](crate::error::ErrorKind::Damaged) inside an
    /// `io::Error` instead of any wrong byte.
    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>>;

    /// Says which files will be opened soon, in what order and how often, so that what they need is
    /// fetched meanwhile: neighbours with one request, in bounded memory. It returns when the paths are
    /// looked up. A batch replaces the one before: what was not opened of that may be dropped. What
    /// cannot be fetched is told when it is opened.
    fn prefetch(&self, paths: &[TreePath]);
}

const _: fn(&dyn SnapshotReader) = |_| {};
