//! What the overlay is made of.
use std::collections::BTreeMap;

use devsnap_engine::path::TreePath;

use super::Lain;
use crate::virtual_dir::path::Name;

/// A folder in the overlay.
#[derive(Clone)]
pub(super) struct Folder<T> {
    /// The parent's folder that shows through; `None` when nothing does.
    pub(super) base: Option<TreePath>,
    /// What is other than there; `None` for a name that is gone.
    pub(super) changed: BTreeMap<Name, Option<Entry<T>>>,
}

#[derive(Clone)]
pub(super) enum Entry<T> {
    Folder(Box<Folder<T>>),
    Fresh {
        content: T,
        size_bytes: u64,
    },
    /// A file, or anything that is no folder, of the parent.
    Kept(Box<TreePath>),
}

/// Where something was found.
pub(super) enum Found<'n, T> {
    /// The folder that holds the sets.
    World,
    /// In the overlay.
    Own(&'n Entry<T>),
    /// In the parent, at this path.
    Parents(TreePath, Lain),
}

impl<T> Folder<T> {
    pub(super) fn empty() -> Self {
        Folder { base: None, changed: BTreeMap::new() }
    }
}

impl<T> Entry<T> {
    pub(super) fn of_parent(at: TreePath, is: Lain) -> Self {
        match is {
            Lain::Folder { .. } => {
                Entry::Folder(Box::new(Folder { base: Some(at), changed: BTreeMap::new() }))
            }
            _ => Entry::Kept(Box::new(at)),
        }
    }

    /// How many entries it is, with all below it.
    pub(super) fn count(&self) -> usize {
        match self {
            Entry::Folder(folder) => {
                1 + folder.changed.values().flatten().map(Entry::count).sum::<usize>()
            }
            _ => 1,
        }
    }
}
