//! What is on the phone: domains, folders, files, links, and the bytes of the files, all from a
//! seed; how a day changes it; and the truth about every point in time, for tests to compare with.
//!
//! ```text
//!   generate ──▶ phone-0000.json ──▶ (a day) ──▶ phone-0001.json ──▶ …        in `truth/`
//! ```
//!
//! Each point in time is one file of JSON, written whole before it has its name; the newest is the
//! phone's state. So the truth is no second record that could be wrong: it *is* what the phone has.
//! Bytes are nowhere: they follow from each item's `body`, and `sha256` says which they are.
pub mod body;
pub mod compare;
mod day;
mod generate;
pub mod item;
pub mod truth;
mod words;

pub use body::{Body, Shape};
pub use item::{Item, Kind};
pub use truth::Truth;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// When a generated phone was generated: seconds since 1970 (November 2023). Days count from here.
const BEGINNING: i64 = 1_700_000_000;

/// How large a phone is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proportions {
    /// Regular files; at least some 60, since every phone has those that people ask for and those
    /// that trip programs up. Two and a half times as many folders come with them.
    pub files: u64,
    /// Bytes in all files together, roughly.
    pub bytes: u64,
}

/// The database of messages: domain and path. It changes every day.
pub const MESSAGES: (&str, &str) = ("HomeDomain", "Library/SMS/sms.db");

/// What is on a phone at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    seed: u64,
    point: u32,
    clock: i64,
    last_inode: u64,
    items: BTreeMap<(String, String), Item>,
}

impl Contents {
    /// The contents that `seed` stands for. The same seed and proportions give the same phone.
    pub fn generate(seed: u64, proportions: &Proportions) -> Contents {
        generate::generate(seed, proportions)
    }

    /// Gives the messages of a generated phone about so many bytes, whatever its other files have.
    pub fn set_messages(&mut self, bytes: u64) {
        let seed = self.seed ^ 0x736D_732E_6462;
        if let Some(messages) = self.get_mut(MESSAGES.0, MESSAGES.1) {
            messages.set_body(Body::new(Shape::Database, seed, bytes));
        }
    }

    /// A phone with nothing on it.
    pub fn empty(seed: u64) -> Contents {
        // Inode numbers of phones do not fit into 32 bits.
        let last_inode = 4_294_967_300;
        Contents { seed, point: 0, clock: BEGINNING, last_inode, items: BTreeMap::new() }
    }

    /// The phone's newest state.
    ///
    /// # Errors
    ///
    /// `NotFound` when `folder` holds no phone; `InvalidData` when the file is not one of ours.
    pub fn open(folder: &Path) -> io::Result<Contents> {
        let point = truth::newest_point(folder)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no phone in this folder"))?;
        Ok(Contents::from_truth(Truth::read(&truth::point_path(folder, point))?))
    }

    /// Writes this state down as the next point in time; nothing that was written before changes.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn save(&mut self, folder: &Path) -> io::Result<()> {
        self.point = truth::newest_point(folder)?.map_or(0, |newest| newest + 1);
        self.truth().write(&truth::point_path(folder, self.point))
    }

    /// Lets a day pass. The same seed does the same to the same phone.
    pub fn mutate(&mut self, day_seed: u64) {
        day::pass(self, day_seed ^ self.seed, day::Traces::OneHidden);
    }

    /// As [`mutate`](Contents::mutate), but every change leaves its trace in a time: what the next
    /// incremental backup holds is then what is on the phone.
    pub fn mutate_openly(&mut self, day_seed: u64) {
        day::pass(self, day_seed ^ self.seed, day::Traces::All);
    }

    /// What the phone's chance is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of the point in time, once it is saved.
    pub fn point(&self) -> u32 {
        self.point
    }

    /// All items, by domain and path.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// One item.
    pub fn get(&self, domain: &str, relative_path: &str) -> Option<&Item> {
        self.items.get(&(domain.to_owned(), relative_path.to_owned()))
    }

    /// One item, to be changed.
    pub fn get_mut(&mut self, domain: &str, relative_path: &str) -> Option<&mut Item> {
        self.items.get_mut(&(domain.to_owned(), relative_path.to_owned()))
    }

    /// Puts an item in its place, over what was there.
    pub fn put(&mut self, item: Item) -> &mut Item {
        let key = (item.domain.clone(), item.relative_path.clone());
        self.items.entry(key).insert_entry(item).into_mut()
    }

    /// Takes an item out.
    pub fn remove(&mut self, domain: &str, relative_path: &str) -> Option<Item> {
        self.items.remove(&(domain.to_owned(), relative_path.to_owned()))
    }

    /// Takes out all that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&Item) -> bool) {
        self.items.retain(|_, item| keep(item));
    }

    /// This state as truth.
    pub fn truth(&self) -> Truth {
        Truth {
            seed: self.seed,
            point: self.point,
            clock: self.clock,
            last_inode: self.last_inode,
            backup: None,
            items: self.items.values().cloned().collect(),
        }
    }

    fn from_truth(truth: Truth) -> Contents {
        let items = truth.items.into_iter();
        Contents {
            seed: truth.seed,
            point: truth.point,
            clock: truth.clock,
            last_inode: truth.last_inode,
            items: items.map(|i| ((i.domain.clone(), i.relative_path.clone()), i)).collect(),
        }
    }

    /// A number that no file had before.
    fn next_inode(&mut self) -> u64 {
        self.last_inode += 1;
        self.last_inode
    }

    /// Makes the folder that new photos go to.
    fn folder_for_photos(&mut self, now: i64) {
        for path in ["Media", "Media/DCIM", "Media/DCIM/199APPLE"] {
            if self.get("CameraRollDomain", path).is_none() {
                let inode = self.next_inode();
                self.put(plain(("CameraRollDomain", path), Kind::Folder, 0o040_755, (inode, now)));
            }
        }
    }

    /// Makes a file in a folder that is there.
    fn new_file(&mut self, domain: &str, relative_path: &str, body: Body, now: i64) {
        let inode = self.next_inode();
        self.put(plain((domain, relative_path), Kind::File, 0o100_644, (inode, now)))
            .set_body(body);
    }
}

fn plain(place: (&str, &str), kind: Kind, mode: u32, (inode, now): (u64, i64)) -> Item {
    Item {
        domain: place.0.to_owned(),
        relative_path: place.1.to_owned(),
        kind,
        mode,
        user_id: 501,
        group_id: 501,
        inode,
        protection_class: 3,
        mtime: now,
        ctime: now,
        birth: now,
        size: 0,
        stat_size: 0,
        sha256: None,
        target: None,
        xattrs: BTreeMap::new(),
        only_encrypted: false,
        body: None,
    }
}

#[cfg(test)]
mod tests;
