//! `Manifest.db`: which stored file is which of the device's, with what its owner calls it.
//!
//! The one door to any such database, and a hostile one until it has been measured: it comes from a
//! device, or out of a folder that anybody may have written. [`ManifestDb`] opens a file that is a
//! plain SQLite database (who has an encrypted one decrypts it first), [`Rows`] reads it row by row in
//! a memory that does not grow with it, and [`MbFile`] is what a row says of its file.
//!
//! This room knows nothing of snapshots, and nothing of what may be done with a name: a domain or a
//! path of a row is text that somebody wrote.
//!
//! # Source
//!
//! Columns, flags and the keys of an MBFile are those of a database from an iPhone with iOS 14.3 and
//! of what other programs read; see `docs/device-protocol.md`.
use std::fmt;

use sha1::{Digest, Sha1};

mod database;
mod listing;
mod record;
mod schema;

pub use database::{BadManifest, ManifestDb};
pub use listing::{Listing, Order, Rows, Tally, Within};
pub use record::{BadRecord, MbFile};

/// The name of a stored file: the SHA-1 of its domain and path.
///
/// There is no other way to one than 40 lower-case hexadecimal digits, so it is safe as a path
/// component. Its order is that of its digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId([u8; 20]);

impl FileId {
    /// The name that a device gives the file at `relative_path` in `domain`.
    ///
    /// # Source
    ///
    /// SHA-1 over `domain-relativePath`; found so in all 3721 rows of a real manifest.
    pub fn of(domain: &str, relative_path: &str) -> FileId {
        let mut hash = Sha1::new();
        hash.update(domain.as_bytes());
        hash.update(b"-");
        hash.update(relative_path.as_bytes());
        FileId(hash.finalize().into())
    }

    /// Reads exactly 40 lower-case hexadecimal digits; anything else is none.
    pub fn parse(text: &[u8]) -> Option<FileId> {
        let text: &[u8; 40] = text.try_into().ok()?;
        let mut id = [0; 20];
        for (byte, digits) in id.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Some(FileId(id))
    }

    /// The 20 bytes that the digits stand for.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Where the file lies in its backup set: `ab/ab…`, the first two digits a folder.
    pub fn stored_path(&self) -> String {
        let digits = self.to_string();
        format!("{}/{digits}", &digits[..2])
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A regular file; the only kind that has a stored file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// Flags that finished manifests do not have.
    Other(i64),
}

impl RowKind {
    /// # Source
    ///
    /// 1, 2 and 4 are all that finished manifests have; other bits are a running session's.
    fn of(flags: i64) -> RowKind {
        match flags & 7 {
            1 => RowKind::File,
            2 => RowKind::Folder,
            4 => RowKind::Symlink,
            _ => RowKind::Other(flags),
        }
    }
}

/// One row of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name of its stored file.
    pub file_id: FileId,
    /// E.g. `HomeDomain`; hostile text of at most [`NAME_LEN_MAX`] bytes.
    pub domain: String,
    /// The path in the domain, empty for its root; hostile text of at most [`NAME_LEN_MAX`] bytes.
    pub relative_path: String,
    /// What it is.
    pub kind: RowKind,
    /// What else is said of it, not yet decoded; `None` where the manifest has nothing, or where it was
    /// not asked for.
    pub record: Option<Vec<u8>>,
}

/// The longest domain and the longest path that a row may have, in bytes.
///
/// # Source
///
/// A path on an Apple device has at most 1024 bytes (`PATH_MAX`).
pub const NAME_LEN_MAX: usize = 4096;

impl Row {
    /// What the row says of its file.
    ///
    /// # Errors
    ///
    /// Nothing that can be read: real manifests have such rows too, so this is no reason to give up the
    /// others.
    pub fn file(&self) -> Result<MbFile, BadRecord> {
        MbFile::decode(self.record.as_deref().ok_or(BadRecord::Absent)?)
    }

    /// Whether the file's name is the one that a device gives the file at this path.
    pub fn is_named_rightly(&self) -> bool {
        self.file_id == FileId::of(&self.domain, &self.relative_path)
    }
}

#[cfg(test)]
mod tests;
