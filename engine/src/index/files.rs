//! What files of this computer looked like when they were last read.
use super::tables::FILES;
use super::{Index, local, redb_failed};
use crate::error::Result;
use crate::source::FileStat;
use redb::{ReadOnlyTable, ReadableDatabase};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A file as it was read, and which content that gave.
///
/// Stored as size (8 bytes), mtime (16), ctime (16), inode (8), device (8), then the first 16
/// bytes of BLAKE3 of the encoded content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFile([u8; 72]);

impl KnownFile {
    /// The file that looked like `stat` and had the content that encodes to `content`.
    pub fn new(stat: &FileStat, content: &[u8]) -> Self {
        let mut bytes = [0; 72];
        let hash = blake3::hash(content);
        let parts: [&[u8]; 6] = [
            &stat.size_bytes.to_le_bytes(),
            &stat.mtime_nanos.to_le_bytes(),
            &stat.ctime_nanos.to_le_bytes(),
            &stat.inode.to_le_bytes(),
            &stat.device.to_le_bytes(),
            &hash.as_bytes()[..16],
        ];
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        KnownFile(bytes)
    }
}

/// The memory as it was when it was opened.
pub struct FileMemory(ReadOnlyTable<&'static [u8], &'static [u8; 72]>);

impl FileMemory {
    /// Whether the file at this host path is remembered as exactly this. A memory that cannot be
    /// read remembers nothing.
    pub fn holds(&self, host_path: &Path, file: &KnownFile) -> bool {
        let found = self.0.get(host_path.as_os_str().as_bytes());
        matches!(found, Ok(Some(known)) if *known.value() == file.0)
    }
}

impl Index {
    /// The memory of files.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn file_memory(&self) -> Result<FileMemory> {
        const DOING: &str = "reading the memory of files";
        let read = local!(DOING, self.database.begin_read())?;
        Ok(FileMemory(local!(DOING, read.open_table(FILES))?))
    }

    /// Remembers files, in one transaction.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn remember_files(&self, mut files: Vec<(Vec<u8>, KnownFile)>) -> Result<()> {
        const DOING: &str = "writing the memory of files";
        files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let write = local!(DOING, self.database.begin_write())?;
        {
            let mut table = local!(DOING, write.open_table(FILES))?;
            for (path, file) in &files {
                local!(DOING, table.insert(path.as_slice(), &file.0))?;
            }
        }
        local!(DOING, write.commit())
    }
}
