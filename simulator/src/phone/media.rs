//! `/var/mobile/Media`: the folder that AFC shows, kept in memory.
//!
//! Everything a host puts here is bounded, so that no host can fill the memory of the machine.
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes in all files together, and number of files and folders.
const BYTES_MAX: usize = 64 << 20;
const ENTRIES_MAX: usize = 10_000;
/// Longest path, in bytes.
const PATH_BYTES_MAX: usize = 1024;

/// A file, a folder or a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A folder; what is in it is known by its paths.
    Folder,
    /// A file's bytes.
    File(Vec<u8>),
    /// A symbolic link to a path, relative to its own folder.
    Link(String),
}

/// An item and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub item: Item,
    /// Since 1970.
    pub modified: Duration,
    /// Since 1970.
    pub born: Duration,
}

/// Why the folder would not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is nothing of that name.
    NotFound,
    /// It is a folder, and a file was meant.
    IsFolder,
    /// It is a file, and a folder was meant; or the path says nothing.
    Invalid,
    /// There is something of that name.
    Exists,
    /// The folder is not empty.
    NotEmpty,
    /// Too much.
    NoSpace,
}

/// The folder. Paths are absolute and normal: see [`normal_path`].
#[derive(Debug)]
pub struct Media {
    entries: BTreeMap<String, Entry>,
    bytes: usize,
}

/// `path` as it stands in the folder: `/`, or `/` and names joined by `/`. `.` and empty names are
/// left out; `..` goes up, and at the top nowhere.
///
/// # Errors
///
/// [`Refused::Invalid`]: it is too long.
pub fn normal_path(path: &str) -> Result<String, Refused> {
    if path.len() > PATH_BYTES_MAX {
        return Err(Refused::Invalid);
    }
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    Ok(format!("/{}", names.join("/")))
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Media {
    /// What a phone in use has here.
    pub(super) fn of_a_phone_in_use() -> Media {
        let mut media = Media { entries: BTreeMap::new(), bytes: 0 };
        media.place("/", Item::Folder);
        for folder in ["Books", "DCIM", "DCIM/100APPLE", "Downloads", "PhotoData", "iTunes_Control"]
        {
            media.place(&format!("/{folder}"), Item::Folder);
        }
        media.place("/iTunes_Control/iTunes", Item::Folder);
        let prefs = b"frpd\x01\x00\x00\x00made by hand, read by nobody".to_vec();
        media.place("/iTunes_Control/iTunes/iTunesPrefs", Item::File(prefs));
        let xml = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>\
            <key>iPodPrefs</key><data></data></dict></plist>\n";
        media.place("/iTunes_Control/iTunes/iTunesPrefs.plist", Item::File(xml.to_vec()));
        media.place("/Books/iBooksData2.plist", Item::File(xml.to_vec()));
        let photo: Vec<u8> =
            (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes()[0]).collect();
        media.place("/DCIM/100APPLE/IMG_0001.JPG", Item::File(photo));
        media.place(
            "/DCIM/100APPLE/Zo\u{eb}\u{2019}s 🐕.JPG",
            Item::File(b"not quite a photo".to_vec()),
        );
        media.place("/DCIM/Latest", Item::Link("100APPLE/IMG_0001.JPG".into()));
        media
    }

    fn place(&mut self, path: &str, item: Item) {
        if let Item::File(bytes) = &item {
            self.bytes += bytes.len();
        }
        let entry = Entry { item, modified: now(), born: now() };
        self.entries.insert(path.to_owned(), entry);
    }

    /// What stands at `path`.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`].
    pub fn entry(&self, path: &str) -> Result<&Entry, Refused> {
        self.entries.get(path).ok_or(Refused::NotFound)
    }

    /// `path`, or where the links at it lead, eight at most.
    pub fn follow(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..8 {
            let Some(Entry { item: Item::Link(to), .. }) = self.entries.get(&path) else { break };
            match normal_path(&format!("{}/{to}", parent(&path))) {
                Ok(next) => path = next,
                Err(_) => break,
            }
        }
        path
    }

    /// The names in a folder.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`]; [`Refused::Invalid`]: it is no folder.
    pub fn names(&self, folder: &str) -> Result<Vec<&str>, Refused> {
        if self.entry(folder)?.item != Item::Folder {
            return Err(Refused::Invalid);
        }
        Ok(self
            .entries
            .keys()
            .filter(|path| *path != "/" && parent(path) == folder)
            .filter_map(|path| path.rsplit('/').next())
            .collect())
    }

    /// Makes a folder, and those above it; one that is there stays.
    ///
    /// # Errors
    ///
    /// [`Refused::Exists`]: a file is in the way; [`Refused::NoSpace`].
    pub fn make_folder(&mut self, path: &str) -> Result<(), Refused> {
        match self.entries.get(path) {
            Some(Entry { item: Item::Folder, .. }) => return Ok(()),
            Some(_) => return Err(Refused::Exists),
            None => {}
        }
        self.make_folder(parent(path))?;
        self.room_for_one()?;
        self.place(path, Item::Folder);
        Ok(())
    }

    /// Makes an empty file where there is none; `truncate` empties one that is there.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`]: there is no such folder; [`Refused::IsFolder`]; [`Refused::NoSpace`].
    pub fn make_file(&mut self, path: &str, truncate: bool) -> Result<(), Refused> {
        match self.entries.get(path).map(|entry| &entry.item) {
            Some(Item::Folder) => return Err(Refused::IsFolder),
            Some(_) if !truncate => return Ok(()),
            Some(_) => self.remove(path)?,
            None => {}
        }
        if self.entry(parent(path))?.item != Item::Folder {
            return Err(Refused::Invalid);
        }
        self.room_for_one()?;
        self.place(path, Item::File(Vec::new()));
        Ok(())
    }

    fn room_for_one(&self) -> Result<(), Refused> {
        if self.entries.len() < ENTRIES_MAX { Ok(()) } else { Err(Refused::NoSpace) }
    }

    /// A file's bytes.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`]; [`Refused::IsFolder`].
    pub fn file(&self, path: &str) -> Result<&[u8], Refused> {
        match &self.entry(path)?.item {
            Item::File(bytes) => Ok(bytes),
            Item::Folder => Err(Refused::IsFolder),
            Item::Link(_) => Err(Refused::NotFound),
        }
    }

    /// Writes `bytes` into a file at `offset`; what is between its end and there becomes zeros.
    ///
    /// # Errors
    ///
    /// As [`file`](Media::file); [`Refused::NoSpace`].
    pub fn write(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Result<(), Refused> {
        let before = self.file(path)?.len();
        let offset = usize::try_from(offset).map_err(|_| Refused::NoSpace)?;
        let end = offset.checked_add(bytes.len()).ok_or(Refused::NoSpace)?.max(before);
        if self.bytes + (end - before) > BYTES_MAX {
            return Err(Refused::NoSpace);
        }
        self.bytes += end - before;
        if let Some(Entry { item: Item::File(content), modified, .. }) = self.entries.get_mut(path)
        {
            content.resize(end, 0);
            content[offset..offset + bytes.len()].copy_from_slice(bytes);
            *modified = now();
        }
        Ok(())
    }

    /// Removes a file, a link or an empty folder.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`]; [`Refused::NotEmpty`]; [`Refused::Invalid`]: it is the top.
    pub fn remove(&mut self, path: &str) -> Result<(), Refused> {
        if path == "/" {
            return Err(Refused::Invalid);
        }
        if self.entry(path)?.item == Item::Folder && !self.names(path)?.is_empty() {
            return Err(Refused::NotEmpty);
        }
        if let Some(Entry { item: Item::File(bytes), .. }) = self.entries.remove(path) {
            self.bytes -= bytes.len();
        }
        Ok(())
    }

    /// Gives a file, or a folder with all that is in it, another name; a file that has it is gone.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`]; [`Refused::Exists`]: a folder has the name; [`Refused::Invalid`]: into
    /// itself.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Refused> {
        self.entry(from)?;
        if from == "/" || to.starts_with(&format!("{from}/")) {
            return Err(Refused::Invalid);
        }
        if from == to {
            return Ok(());
        }
        match self.entries.get(to).map(|entry| &entry.item) {
            Some(Item::Folder) => return Err(Refused::Exists),
            Some(_) => self.remove(to)?,
            None if self.entry(parent(to))?.item != Item::Folder => return Err(Refused::Invalid),
            None => {}
        }
        let inside = format!("{from}/");
        let moved: Vec<String> = self
            .entries
            .keys()
            .filter(|path| *path == from || path.starts_with(&inside))
            .cloned()
            .collect();
        for old in moved {
            if let Some(entry) = self.entries.remove(&old) {
                self.entries.insert(format!("{to}{}", &old[from.len()..]), entry);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_folder() {
        assert_eq!(normal_path("/../..//etc/./passwd").unwrap(), "/etc/passwd");
        assert_eq!(normal_path("DCIM/../..").unwrap(), "/");
        assert_eq!(normal_path(&"a/".repeat(600)), Err(Refused::Invalid));
    }

    #[test]
    fn a_folder_is_renamed_with_what_is_in_it_and_never_into_itself() {
        let mut media = Media::of_a_phone_in_use();

        assert_eq!(media.rename("/DCIM", "/DCIM/100APPLE/x"), Err(Refused::Invalid));
        media.rename("/DCIM", "/Moved").unwrap();

        assert_eq!(media.file("/Moved/100APPLE/IMG_0001.JPG").unwrap().len(), 200_000);
        assert_eq!(media.entry("/DCIM/100APPLE"), Err(Refused::NotFound));
    }

    #[test]
    fn a_host_cannot_fill_the_memory() {
        let mut media = Media::of_a_phone_in_use();
        media.make_file("/Downloads/x", false).unwrap();

        assert_eq!(media.write("/Downloads/x", u64::MAX, b"x"), Err(Refused::NoSpace));
        assert_eq!(media.write("/Downloads/x", 1 << 40, b"x"), Err(Refused::NoSpace));
        assert_eq!(media.remove("/Downloads"), Err(Refused::NotEmpty));
        media.remove("/Downloads/x").unwrap();
    }
}
