//! The keys of the files of one set.
use crate::keybag::FileKey;

/// Keys by file, for those that are wanted: 20 bytes a file and 32 a key.
///
/// A first backup may want a million, so they lie side by side and are found by halving.
pub struct FileKeys {
    ids: Vec<[u8; 20]>,
    keys: Vec<Option<FileKey>>,
}

impl FileKeys {
    /// No keys yet, of files with these ids.
    pub fn wanted(mut ids: Vec<[u8; 20]>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        let keys = ids.iter().map(|_| None).collect();
        FileKeys { ids, keys }
    }

    /// Notes the key of a file, if it is wanted.
    pub fn note(&mut self, id: &[u8; 20], key: FileKey) {
        if let Ok(at) = self.ids.binary_search(id) {
            self.keys[at] = Some(key);
        }
    }

    /// The key of a file, if there is one.
    pub fn get(&self, id: &[u8; 20]) -> Option<&[u8; 32]> {
        let at = self.ids.binary_search(id).ok()?;
        self.keys[at].as_ref().map(FileKey::as_bytes)
    }
}
