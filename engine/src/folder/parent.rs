//! The parent snapshot, streamed next to the walk.
use super::source::failed;
use crate::node::Node;
use crate::path::TreePath;
use crate::reader::{Entries, SnapshotReader};
use crate::source::{Edit, SourceError, TreeEdits};
use std::cmp::Ordering;

/// What the parent has under the prefix, read in step with the walk: each of its paths is either
/// met by the walk or removed.
pub(super) struct ParentCursor<'a> {
    entries: Entries<'a>,
    next: Option<(TreePath, Node)>,
    /// The last path removed; what lies below it went with it.
    removed: Option<TreePath>,
}

impl<'a> ParentCursor<'a> {
    /// The parent from `prefix` on; whatever it has elsewhere is removed, so that the new
    /// snapshot holds this folder alone.
    pub(super) fn open(
        parent: Option<&'a dyn SnapshotReader>,
        prefix: &TreePath,
        edits: &mut TreeEdits,
    ) -> Result<Option<Self>, SourceError> {
        let Some(parent) = parent else { return Ok(None) };
        let mut above = TreePath::root();
        for name in prefix.components() {
            let next = above.join(name).map_err(failed)?;
            if parent.entry(&above).map_err(failed)?.is_some() {
                // The parent was of a folder further up: nothing in it is this folder's.
                edits.push(&above, &Edit::Remove).map_err(failed)?;
                return Ok(None);
            }
            for child in parent.list(&above) {
                let (path, _) = child.map_err(failed)?;
                if path != next {
                    edits.push(&path, &Edit::Remove).map_err(failed)?;
                }
            }
            above = next;
        }
        let mut cursor = ParentCursor { entries: parent.walk(prefix), next: None, removed: None };
        cursor.step()?;
        Ok(Some(cursor))
    }

    /// The node the parent has at `path`; all it has before it and the walk did not meet is
    /// removed.
    pub(super) fn advance_to(
        &mut self,
        path: &TreePath,
        edits: &mut TreeEdits,
    ) -> Result<Option<&Node>, SourceError> {
        while let Some((next, _)) = &self.next {
            match next.cmp(path) {
                Ordering::Less => self.remove(edits)?,
                Ordering::Equal => break,
                Ordering::Greater => return Ok(None),
            }
        }
        Ok(self.next.as_ref().map(|(_, node)| node))
    }

    /// As [`advance_to`](Self::advance_to), and the path is dealt with.
    pub(super) fn take(
        &mut self,
        path: &TreePath,
        edits: &mut TreeEdits,
    ) -> Result<Option<Node>, SourceError> {
        if self.advance_to(path, edits)?.is_none() {
            return Ok(None);
        }
        let taken = self.next.take();
        self.step()?;
        Ok(taken.map(|(_, node)| node))
    }

    /// Removes all that the walk did not meet.
    pub(super) fn finish(mut self, edits: &mut TreeEdits) -> Result<(), SourceError> {
        while self.next.is_some() {
            self.remove(edits)?;
        }
        Ok(())
    }

    fn remove(&mut self, edits: &mut TreeEdits) -> Result<(), SourceError> {
        if let Some((path, _)) = self.next.take()
            && !self.removed.as_ref().is_some_and(|removed| path.is_within(removed))
        {
            edits.push(&path, &Edit::Remove).map_err(failed)?;
            self.removed = Some(path);
        }
        self.step()
    }

    fn step(&mut self) -> Result<(), SourceError> {
        self.next = self.entries.next().transpose().map_err(failed)?;
        Ok(())
    }
}
