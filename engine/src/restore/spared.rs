//! What removing must leave alone: paths of which the snapshot does not know what was there.
use crate::error::{Error, ErrorKind, Result};
use crate::path::TreePath;
use crate::snapshot::Completeness;
use std::collections::BTreeSet;

/// The paths that a snapshot names as not being as they should be, seen from its root.
///
/// That it has nothing at or below one of them says nothing about what was there.
#[derive(Debug, Default)]
pub(super) struct Unread(BTreeSet<TreePath>);

impl Unread {
    /// What `completeness` names.
    ///
    /// # Errors
    ///
    /// `Invalid` when it does not name all of them.
    pub(super) fn of(completeness: &Completeness) -> Result<Self> {
        let Completeness::Incomplete { total, first } = completeness else {
            return Ok(Unread::default());
        };
        if (first.len() as u64) < *total {
            let why = format!(
                "the snapshot could not read {total} paths and names only {} of them, so it is \
                 not known what may be removed; restore without --delete",
                first.len()
            );
            return Err(Error::new(ErrorKind::Invalid, "restoring with --delete").because(why));
        }
        Ok(Unread(first.iter().map(|(path, _)| path.clone()).collect()))
    }

    /// Whether `path` is one of them or lies below one.
    pub(super) fn covers(&self, path: &TreePath) -> bool {
        !self.0.is_empty() && path.and_above().any(|at| self.0.contains(&at))
    }

    /// Whether one of them is `path` or lies below it.
    pub(super) fn has_within(&self, path: &TreePath) -> bool {
        self.0.range(path.clone()..).next().is_some_and(|first| first.is_within(path))
    }
}
