//! Where a restore goes: the port for places that can be written in pack order.
//!
//! A restore reads each pack once and hands out pieces as they come, so a file is written piece
//! by piece in no particular order, and many files are unfinished at a time. A phone cannot be
//! written like that: it pulls through [`SnapshotReader`](crate::reader::SnapshotReader) instead.
use crate::error::Result;
use crate::node::{Hole, Node, Xattr};
use crate::path::TreePath;
use std::io::Read;

/// A node with its attributes read back from wherever they were stored.
pub struct Restored<'a> {
    /// Where it goes.
    pub path: &'a TreePath,
    /// What it is.
    pub node: &'a Node,
    /// Its extended attributes.
    pub xattrs: &'a [Xattr],
    /// Its holes.
    pub holes: &'a [Hole],
}

/// What stands at a path before the restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// Nothing.
    Nothing,
    /// A file of this length, last modified at this time; may be read with
    /// [`Target::read_present`].
    File {
        /// Length in bytes.
        size_bytes: u64,
        /// Last modification.
        mtime: crate::node::Time,
        /// How many names it has. One with several is replaced, never changed: the others may lie
        /// outside the place.
        names: u64,
    },
    /// A folder.
    Folder,
    /// Anything else.
    Other,
}

/// A file that is being put together; cheap to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileTicket(pub u64);

/// A place that a snapshot can be brought back to.
///
/// No call ever follows a symbolic link or leaves the place, whatever the paths and whatever
/// somebody else does to the place meanwhile.
pub trait Target: Send + Sync {
    /// What stands at `path`.
    ///
    /// # Errors
    ///
    /// The place cannot be read.
    fn present(&self, path: &TreePath) -> Result<Present>;

    /// The bytes of the file that stands at `path`.
    ///
    /// # Errors
    ///
    /// There is no regular file, or it cannot be opened.
    fn read_present(&self, path: &TreePath) -> Result<Box<dyn Read + Send>>;

    /// Names directly in `folder`; none when there is no folder.
    ///
    /// # Errors
    ///
    /// The place cannot be read.
    fn names_in(&self, folder: &TreePath) -> Result<Vec<Vec<u8>>>;

    /// Makes sure a folder stands at `path`, writable for now; what is there and is no folder
    /// goes. Folders above that are there stay as they are. Attributes come last, with
    /// [`finish_folder`](Self::finish_folder).
    ///
    /// # Errors
    ///
    /// It cannot be made.
    fn make_folder(&self, path: &TreePath) -> Result<()>;

    /// Begins a file of `len` bytes that will replace whatever stands at `path`, be it a folder
    /// with all below it: whether it may is for the caller to find out.
    ///
    /// # Errors
    ///
    /// The temporary file cannot be made; no room.
    fn begin_file(&self, path: &TreePath, len: u64) -> Result<FileTicket>;

    /// Writes a piece of it.
    ///
    /// # Errors
    ///
    /// No room, or a failed write.
    fn write_piece(&self, file: FileTicket, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Reads back what was written of it; zeros where nothing was.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    fn read_piece(&self, file: FileTicket, offset: u64, into: &mut [u8]) -> Result<()>;

    /// Writes a piece over others that were written before.
    ///
    /// # Errors
    ///
    /// As [`write_piece`](Self::write_piece).
    fn replace_piece(&self, file: FileTicket, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Shortens a file that was begun to `len` bytes: of one that is decrypted on its way, only the last
    /// bytes tell how long it is.
    ///
    /// # Errors
    ///
    /// It was begun shorter than that; it cannot be cut.
    fn shorten_file(&self, file: FileTicket, len: u64) -> Result<()>;

    /// Gives the file its holes and attributes and moves it to its name in one step.
    ///
    /// # Errors
    ///
    /// The name cannot be taken. An attribute that this place cannot hold is returned in words,
    /// not an error.
    fn finish_file(&self, file: FileTicket, restored: &Restored<'_>) -> Result<Vec<String>>;

    /// Drops a file that was begun.
    fn abandon_file(&self, file: FileTicket);

    /// Gives the attributes of the node to the file that stands at its path, whose bytes are
    /// already right.
    ///
    /// # Errors
    ///
    /// As [`finish_file`](Self::finish_file); the file has several names.
    fn set_attributes(&self, restored: &Restored<'_>) -> Result<Vec<String>>;

    /// Makes `path` another name of the file at `first`.
    ///
    /// # Errors
    ///
    /// The link cannot be made.
    fn make_hard_link(&self, path: &TreePath, first: &TreePath) -> Result<()>;

    /// Makes a symbolic link, named pipe or device.
    ///
    /// # Errors
    ///
    /// It cannot be made (a device needs privileges).
    fn make_special(&self, restored: &Restored<'_>) -> Result<Vec<String>>;

    /// Gives a folder its attributes; nothing in it changes afterwards.
    ///
    /// # Errors
    ///
    /// As [`finish_file`](Self::finish_file).
    fn finish_folder(&self, restored: &Restored<'_>) -> Result<Vec<String>>;

    /// Removes what stands at `path` with all below it.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    fn remove(&self, path: &TreePath) -> Result<()>;

    /// Whether an earlier restore to this place did not end: after a power cut files may stand there
    /// whose length and time are right and whose bytes are not.
    fn is_doubtful(&self) -> bool {
        false
    }

    /// What many paths could not be given, in one sentence each: said once, at the end, where a
    /// note for each path would hide everything else.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Makes everything written durable. Unless `is_settled`, the place stays
    /// [doubtful](Self::is_doubtful) if it was: not all that stands there was looked at.
    ///
    /// # Errors
    ///
    /// A failed flush.
    fn sync(&self, is_settled: bool) -> Result<()>;
}

const _: fn(&dyn Target) = |_| {};
