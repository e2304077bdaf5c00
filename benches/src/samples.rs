//! Bytes as a phone has them, one kind at a time, taken from a phone-like set.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use devsnap_testkit::phone_like::PhoneLike;

/// What every SQLite database begins with.
pub const DATABASE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Shorter pictures are thumbnails.
const PHOTO_LEN_MIN: usize = 256 << 10;

/// Contents of one kind, one behind another.
pub struct Samples {
    /// Photos and films: nothing compresses them.
    pub photos: Vec<u8>,
    /// SQLite databases: text, ids and times in pages of 4096 bytes.
    pub databases: Vec<u8>,
    /// Property lists of a few hundred bytes each, a third of them XML.
    pub plists: Vec<u8>,
}

impl Samples {
    /// Photos and databases of `len` bytes each, and as many plists as the set has, at most `len`.
    ///
    /// # Errors
    ///
    /// The set could not be written to the folder for temporary files.
    pub fn make(len: usize) -> io::Result<Samples> {
        // Databases are 38 % of a set, photos about 58 %: there is enough of both.
        let set = PhoneLike { seed: 1, files: 1000, total_bytes: 4 * len as u64 };
        let folder = tempfile::tempdir()?;
        set.write(folder.path())?;
        let mut samples = Samples { photos: Vec::new(), databases: Vec::new(), plists: Vec::new() };
        for file in files_below(folder.path())? {
            let bytes = fs::read(file)?;
            let Some(kind) = samples.of_kind(&bytes) else { continue };
            let room = len - kind.len();
            kind.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Ok(samples)
    }

    /// Where bytes of this kind are collected.
    fn of_kind(&mut self, bytes: &[u8]) -> Option<&mut Vec<u8>> {
        let is_picture = bytes.starts_with(b"\xff\xd8") || bytes.get(4..8) == Some(b"ftyp");
        if bytes.starts_with(DATABASE_MAGIC) {
            Some(&mut self.databases)
        } else if bytes.starts_with(b"bplist00") || bytes.starts_with(b"<?xml") {
            Some(&mut self.plists)
        } else if is_picture && bytes.len() >= PHOTO_LEN_MIN {
            Some(&mut self.photos)
        } else {
            None
        }
    }
}

/// All files below `folder`, sorted by path.
///
/// # Errors
///
/// A folder could not be listed.
pub fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}
