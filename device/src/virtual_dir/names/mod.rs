//! Which names the folder has that the phone thinks it writes to.
//!
//! An overlay over the parent snapshot: a tree that holds only what this session changed, and
//! where a folder that was not touched is looked up in the parent. Moving a folder is moving one
//! entry, whatever lies below it; a session that moves half a million files holds half a million
//! small entries and never a list of the whole phone.
//!
//! At the end the overlay is told as changes against the parent ([`Names::changes`]).
mod changes;
mod entry;

use std::collections::BTreeMap;

use devsnap_engine::error::Error;
use devsnap_engine::node::Time;
use devsnap_engine::path::TreePath;

use super::path::{Name, below};
pub use changes::Change;
use entry::{Entry, Folder, Found};

/// Entries one session may make: a phone with a million files makes little more than a million.
/// Each takes about 100 bytes, so this bounds what a hostile one can use up.
const ENTRIES_MAX: usize = 4 << 20;

/// What lies at a path of the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lain {
    /// A folder.
    Folder {
        /// Its time.
        mtime: Time,
    },
    /// A regular file.
    File {
        /// Its length in bytes.
        size_bytes: u64,
        /// Its time.
        mtime: Time,
    },
    /// Something no device makes: a link, a pipe.
    Other,
}

/// The parent, as far as names go.
pub trait Below {
    /// What lies at `path`, if anything.
    ///
    /// # Errors
    ///
    /// The parent cannot be read.
    fn at(&self, path: &TreePath) -> Result<Option<Lain>, Error>;

    /// Everything directly in `folder`, complete.
    ///
    /// # Errors
    ///
    /// The parent cannot be read; then nothing of it is returned.
    fn list(&self, folder: &TreePath) -> Result<Vec<(Vec<u8>, Lain)>, Error>;
}

/// Why a name cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// Nothing is there.
    #[error("there is nothing at the path")]
    NotFound,
    /// Something is there already.
    #[error("there is something at the path already")]
    Exists,
    /// What should be a folder is none.
    #[error("a part of the path is no folder")]
    NotADirectory,
    /// What should be a file is a folder.
    #[error("a folder is in the way of a file")]
    IsADirectory,
    /// A thing into itself, or onto what it lies in.
    #[error("a thing cannot be moved into itself")]
    IntoItself,
    /// More entries than any device makes.
    #[error("the session makes more than {ENTRIES_MAX} entries")]
    TooMany,
    /// The parent cannot be read.
    #[error("the last snapshot cannot be read")]
    Parent(#[from] Error),
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<T> {
    /// A folder.
    Folder,
    /// A file that came in this session: what stands for it.
    Fresh(T),
    /// What lies at this path of the parent.
    Kept(TreePath),
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it is.
    pub is: Lain,
}

/// The names, as this session sees them. `T` stands for contents that came in it.
pub struct Names<'p, T> {
    parent: Option<&'p dyn Below>,
    world: Folder<T>,
    now: Time,
    entries: usize,
}

impl<'p, T: Copy> Names<'p, T> {
    /// The names of `parent`, to be changed; what comes is dated `now`.
    pub fn over(parent: &'p dyn Below, now: Time) -> Self {
        let world = Folder { base: Some(TreePath::root()), changed: BTreeMap::new() };
        Names { parent: Some(parent), world, now, entries: 0 }
    }

    /// No names at all. Changes are still told against `parent`, when there is one.
    pub fn empty(parent: Option<&'p dyn Below>, now: Time) -> Self {
        let world = Folder { base: None, changed: BTreeMap::new() };
        Names { parent, world, now, entries: 0 }
    }

    /// What stands at `path`.
    ///
    /// # Errors
    ///
    /// [`NameError::Parent`].
    pub fn look(&self, path: &[Name]) -> Result<Option<Seen<T>>, NameError> {
        Ok(self.find(path)?.map(|entry| match entry {
            Found::Own(Entry::Folder(_)) | Found::World => Seen::Folder,
            Found::Own(Entry::Fresh { content, .. }) => Seen::Fresh(*content),
            Found::Own(Entry::Kept(at)) => Seen::Kept((**at).clone()),
            Found::Parents(_, Lain::Folder { .. }) => Seen::Folder,
            Found::Parents(at, _) => Seen::Kept(at),
        }))
    }

    /// Everything directly in the folder at `path`, complete and sorted; `None` when there is no
    /// folder.
    ///
    /// # Errors
    ///
    /// [`NameError::Parent`]; then nothing is listed, rather than less than there is.
    pub fn list(&self, path: &[Name]) -> Result<Option<Vec<Listed>>, NameError> {
        let (base, changed) = match self.find(path)? {
            Some(Found::World) => (self.world.base.as_ref(), Some(&self.world.changed)),
            Some(Found::Own(Entry::Folder(folder))) => {
                (folder.base.as_ref(), Some(&folder.changed))
            }
            Some(Found::Parents(ref at, Lain::Folder { .. })) => {
                return Ok(Some(self.listed(Some(at), None)?));
            }
            _ => return Ok(None),
        };
        Ok(Some(self.listed(base, changed)?))
    }

    fn listed(
        &self,
        base: Option<&TreePath>,
        changed: Option<&BTreeMap<Name, Option<Entry<T>>>>,
    ) -> Result<Vec<Listed>, NameError> {
        let mut lines = Vec::new();
        if let (Some(base), Some(parent)) = (base, self.parent) {
            for (name, is) in parent.list(base)? {
                let name = String::from_utf8_lossy(&name).into_owned();
                let is_changed = changed.is_some_and(|c| c.contains_key(&Name::of(&name)));
                if !is_changed {
                    lines.push(Listed { name, is });
                }
            }
        }
        for (name, entry) in changed.into_iter().flatten() {
            let Some(entry) = entry else { continue };
            lines.push(Listed { name: name.to_string(), is: self.is(entry)? });
        }
        lines.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(lines)
    }

    fn is(&self, entry: &Entry<T>) -> Result<Lain, NameError> {
        Ok(match entry {
            Entry::Folder(_) => Lain::Folder { mtime: self.now },
            Entry::Fresh { size_bytes, .. } => {
                Lain::File { size_bytes: *size_bytes, mtime: self.now }
            }
            Entry::Kept(at) => self.lain(at)?.unwrap_or(Lain::Other),
        })
    }

    fn lain(&self, at: &TreePath) -> Result<Option<Lain>, NameError> {
        Ok(match self.parent {
            Some(parent) => parent.at(at)?,
            None => None,
        })
    }

    /// Puts a file that came in this session, in place of a file that is there. Folders above it
    /// are made.
    ///
    /// # Errors
    ///
    /// A folder is there, or something that is none is above; [`NameError::TooMany`];
    /// [`NameError::Parent`].
    pub fn put(&mut self, path: &[Name], content: T, size_bytes: u64) -> Result<(), NameError> {
        if matches!(self.look(path)?, Some(Seen::Folder)) {
            return Err(NameError::IsADirectory);
        }
        self.place(path, Entry::Fresh { content, size_bytes })
    }

    /// Makes a folder, and those above it. One that is there is left as it is.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn create(&mut self, path: &[Name]) -> Result<(), NameError> {
        match self.look(path)? {
            Some(Seen::Folder) => return Ok(()),
            Some(_) => return Err(NameError::Exists),
            None => {}
        }
        self.place(path, Entry::Folder(Box::new(Folder::empty())))
    }

    /// Moves what is at `from`, and all below it, to `to`; what is there, and all below it, goes.
    ///
    /// # Errors
    ///
    /// Nothing is at `from`; one lies within the other; as [`put`](Self::put).
    pub fn rename(&mut self, from: &[Name], to: &[Name]) -> Result<(), NameError> {
        if from == to {
            return self.look(from)?.map(drop).ok_or(NameError::NotFound);
        }
        if from.starts_with(to) || to.starts_with(from) {
            return Err(NameError::IntoItself);
        }
        self.look(from)?.ok_or(NameError::NotFound)?;
        // The new place first: what cannot be put there stays where it is.
        if let Some((_, above)) = to.split_last() {
            self.folder(above, true)?;
        }
        let entry = self.take(from)?.ok_or(NameError::NotFound)?;
        // It may be a name more than there was, but one name less is there for it.
        self.entries = self.entries.saturating_sub(1);
        self.place(to, entry)
    }

    /// Copies what is at `from`, and all below it, to `to`; what is there, and all below it, goes.
    ///
    /// # Errors
    ///
    /// As [`rename`](Self::rename).
    pub fn copy(&mut self, from: &[Name], to: &[Name]) -> Result<(), NameError> {
        if from.starts_with(to) || to.starts_with(from) {
            return Err(NameError::IntoItself);
        }
        let entry = match self.find(from)? {
            Some(Found::Own(entry)) => {
                let more = entry.count();
                if self.entries + more > ENTRIES_MAX {
                    return Err(NameError::TooMany);
                }
                let entry = entry.clone();
                self.entries += more;
                entry
            }
            Some(Found::Parents(at, is)) => Entry::of_parent(at, is),
            Some(Found::World) | None => return Err(NameError::NotFound),
        };
        self.place(to, entry)
    }

    /// Removes what is at `path`, and all below it; whether anything was there.
    ///
    /// # Errors
    ///
    /// [`NameError::Parent`].
    pub fn remove(&mut self, path: &[Name]) -> Result<bool, NameError> {
        Ok(self.take(path)?.is_some())
    }

    /// Takes an entry out of its folder.
    fn take(&mut self, path: &[Name]) -> Result<Option<Entry<T>>, NameError> {
        let Some((name, above)) = path.split_last() else { return Ok(None) };
        let parent = self.parent;
        let Some(folder) = self.folder(above, false)? else { return Ok(None) };
        let Some(base) = &folder.base else { return Ok(folder.changed.remove(name).flatten()) };
        match folder.changed.get_mut(name) {
            Some(entry) => Ok(entry.take()),
            None => {
                let at = below(base, name);
                let Some(is) = parent.map(|p| p.at(&at)).transpose()?.flatten() else {
                    return Ok(None);
                };
                folder.changed.insert(name.clone(), None);
                Ok(Some(Entry::of_parent(at, is)))
            }
        }
    }

    /// Puts an entry in its folder, in place of whatever is there.
    fn place(&mut self, path: &[Name], entry: Entry<T>) -> Result<(), NameError> {
        let Some((name, above)) = path.split_last() else { return Err(NameError::Exists) };
        self.folder(above, true)?
            .ok_or(NameError::NotFound)?
            .changed
            .insert(name.clone(), Some(entry));
        self.entries += 1;
        if self.entries > ENTRIES_MAX {
            return Err(NameError::TooMany);
        }
        Ok(())
    }

    /// The folder at `path`, taken over into the overlay; made with those above it when `make`.
    fn folder(&mut self, path: &[Name], make: bool) -> Result<Option<&mut Folder<T>>, NameError> {
        let parent = self.parent;
        let mut folder = &mut self.world;
        for name in path {
            if !folder.changed.contains_key(name)
                && let Some(base) = &folder.base
            {
                let at = below(base, name);
                match parent.map(|p| p.at(&at)).transpose()?.flatten() {
                    Some(Lain::Folder { .. }) => {
                        let over = Folder { base: Some(at), changed: BTreeMap::new() };
                        let entry = Entry::Folder(Box::new(over));
                        folder.changed.insert(name.clone(), Some(entry));
                    }
                    Some(_) => return Err(NameError::NotADirectory),
                    None => {}
                }
            }
            if !make && !matches!(folder.changed.get(name), Some(Some(_))) {
                return Ok(None);
            }
            let slot = folder.changed.entry(name.clone()).or_default();
            let entry = slot.get_or_insert_with(|| Entry::Folder(Box::new(Folder::empty())));
            folder = match entry {
                Entry::Folder(inner) => inner,
                _ => return Err(NameError::NotADirectory),
            };
        }
        Ok(Some(folder))
    }

    /// What is at `path`, without taking anything over.
    fn find(&self, path: &[Name]) -> Result<Option<Found<'_, T>>, NameError> {
        let mut folder = &self.world;
        for (depth, name) in path.iter().enumerate() {
            let rest = &path[depth + 1..];
            match folder.changed.get(name) {
                Some(None) => return Ok(None),
                Some(Some(entry)) if rest.is_empty() => return Ok(Some(Found::Own(entry))),
                Some(Some(Entry::Folder(inner))) => folder = inner,
                Some(Some(_)) => return Ok(None),
                None => {
                    let Some(base) = &folder.base else { return Ok(None) };
                    let at = rest.iter().fold(below(base, name), |at, name| below(&at, name));
                    return Ok(self.lain(&at)?.map(|is| Found::Parents(at, is)));
                }
            }
        }
        Ok(Some(Found::World))
    }
}

#[cfg(test)]
mod tests;
