//! The overlay, told as changes against the parent.
//!
//! The engine applies removes and moves to the parent first, and puts last (`TreeEdits`). So a
//! folder that is not the parent's own any more is covered by one remove, and from there on all
//! that is in it is told, even what lies where it lay.
use devsnap_engine::path::TreePath;

use super::{Entry, Folder, Lain, NameError, Names};
use crate::virtual_dir::path::{Name, below};

/// One change against the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// The path names a folder.
    Folder,
    /// The path names a file that came in this session, of so many bytes.
    File(T, u64),
    /// The path names what this path named in the parent, and all below it.
    MoveFrom(TreePath),
    /// The path names nothing, nor does anything below it.
    Remove,
}

/// Takes changes.
type Tell<'t, T, E> = &'t mut dyn FnMut(&TreePath, Change<T>) -> Result<(), E>;

impl<T: Copy> Names<'_, T> {
    /// Tells what is other than in the parent within the set named `set`; what lies beside it (an
    /// old set that was put aside) is forgotten.
    ///
    /// # Errors
    ///
    /// [`NameError::Parent`], and what `tell` says.
    pub fn changes<E: From<NameError>>(&self, set: &Name, tell: Tell<'_, T, E>) -> Result<(), E> {
        let path = below(&TreePath::root(), set);
        match self.world.changed.get(set) {
            Some(entry) => self.tell_entry(&path, entry.as_ref(), false, tell),
            None if self.world.base.is_none() && self.parent.is_some() => {
                tell(&path, Change::Remove)
            }
            None => Ok(()),
        }
    }

    /// Tells what is at `path`. `covered` when the parent's entries there are removed already.
    fn tell_entry<E: From<NameError>>(
        &self,
        path: &TreePath,
        entry: Option<&Entry<T>>,
        covered: bool,
        tell: Tell<'_, T, E>,
    ) -> Result<(), E> {
        match entry {
            None if covered => Ok(()),
            None => tell(path, Change::Remove),
            Some(Entry::Fresh { content, size_bytes }) => {
                if !covered && matches!(self.lain(path)?, Some(Lain::Folder { .. })) {
                    tell(path, Change::Remove)?;
                }
                tell(path, Change::File(*content, *size_bytes))
            }
            Some(Entry::Kept(from)) if **from == *path && !covered => Ok(()),
            Some(Entry::Kept(from)) => tell(path, Change::MoveFrom((**from).clone())),
            Some(Entry::Folder(folder)) => self.tell_folder(path, folder, covered, tell),
        }
    }

    fn tell_folder<E: From<NameError>>(
        &self,
        path: &TreePath,
        folder: &Folder<T>,
        covered: bool,
        tell: Tell<'_, T, E>,
    ) -> Result<(), E> {
        let stays = !covered && folder.base.as_ref() == Some(path);
        if stays {
            return self.tell_changed(path, folder, false, tell);
        }
        match (&folder.base, self.parent) {
            (Some(base), _) if folder.changed.is_empty() => {
                return tell(path, Change::MoveFrom(base.clone()));
            }
            (Some(base), Some(parent)) => {
                self.tell_cover(path, covered, tell)?;
                for (name, _) in parent.list(base).map_err(NameError::from)? {
                    let is_changed = std::str::from_utf8(&name)
                        .is_ok_and(|text| folder.changed.contains_key(&Name::of(text)));
                    let (Ok(from), Ok(to)) = (base.join(&name), path.join(&name)) else { continue };
                    if !is_changed {
                        tell(&to, Change::MoveFrom(from))?;
                    }
                }
            }
            _ => self.tell_cover(path, covered, tell)?,
        }
        self.tell_changed(path, folder, true, tell)
    }

    /// A folder of ours in place of whatever the parent has there.
    fn tell_cover<E: From<NameError>>(
        &self,
        path: &TreePath,
        covered: bool,
        tell: Tell<'_, T, E>,
    ) -> Result<(), E> {
        if !covered && self.parent.is_some() {
            tell(path, Change::Remove)?;
        }
        tell(path, Change::Folder)
    }

    fn tell_changed<E: From<NameError>>(
        &self,
        path: &TreePath,
        folder: &Folder<T>,
        covered: bool,
        tell: Tell<'_, T, E>,
    ) -> Result<(), E> {
        folder.changed.iter().try_for_each(|(name, entry)| {
            self.tell_entry(&below(path, name), entry.as_ref(), covered, tell)
        })
    }
}
