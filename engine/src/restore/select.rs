//! Which nodes of a snapshot are brought back, and where each of them goes.
use crate::error::Result;
use crate::node::{Node, NodeKind};
use crate::path::TreePath;
use crate::reader::{Entries, SnapshotReader};
use globset::GlobSet;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A node that is brought back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Where it goes in the target.
    pub(super) place: TreePath,
    /// What it is.
    pub(super) node: Node,
    /// Whether all below it is brought back too; otherwise it is a folder above something chosen.
    pub(super) is_whole: bool,
}

/// The chosen nodes in the order of their paths, folders before what is in them.
///
/// A folder above a chosen path is held back until the path comes, so at most as many nodes are
/// kept as paths are deep.
pub(super) struct Selection<'a> {
    entries: Entries<'a>,
    subtree: &'a TreePath,
    include: Option<&'a GlobSet>,
    /// Folders that nothing has asked for yet, outermost first.
    above: Vec<(TreePath, Node)>,
    /// The last path that was included; all within it is too.
    whole: Option<TreePath>,
    ready: VecDeque<Chosen>,
    /// Where the last node that was read goes, chosen or not.
    last: TreePath,
}

impl<'a> Selection<'a> {
    pub(super) fn new(
        view: &'a dyn SnapshotReader,
        subtree: &'a TreePath,
        include: Option<&'a GlobSet>,
    ) -> Self {
        Selection {
            entries: view.walk(subtree),
            subtree,
            include,
            above: Vec::new(),
            whole: None,
            ready: VecDeque::new(),
            last: TreePath::root(),
        }
    }

    /// Where the last node that was read goes, chosen or not; the root before the first.
    pub(super) fn last_place(&self) -> &TreePath {
        &self.last
    }

    fn includes(&mut self, place: &TreePath) -> bool {
        let Some(globs) = self.include else {
            return true;
        };
        if self.whole.as_ref().is_some_and(|whole| place.is_within(whole)) {
            return true;
        }
        let chosen = globs.is_match(Path::new(OsStr::from_bytes(&place.to_slashed())));
        if chosen {
            self.whole = Some(place.clone());
        }
        chosen
    }

    fn take(&mut self, path: &TreePath, node: Node) {
        let Some(place) = place_of(path, self.subtree, &node) else {
            return;
        };
        self.last.clone_from(&place);
        while self.above.last().is_some_and(|(folder, _)| !place.is_within(folder)) {
            self.above.pop();
        }
        if self.includes(&place) {
            let above = self.above.drain(..);
            let above = above.map(|(place, node)| Chosen { place, node, is_whole: false });
            self.ready.extend(above);
            self.ready.push_back(Chosen { place, node, is_whole: true });
        } else if node.kind == NodeKind::Folder {
            self.above.push((place, node));
        }
    }
}

/// Where the node at `path` goes; a subtree that is no folder goes under its own name.
fn place_of(path: &TreePath, subtree: &TreePath, node: &Node) -> Option<TreePath> {
    let place = path.relative_to(subtree)?;
    if !place.is_root() || node.kind == NodeKind::Folder {
        return Some(place);
    }
    TreePath::root().join(path.name()?).ok()
}

impl Iterator for Selection<'_> {
    type Item = Result<Chosen>;
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chosen) = self.ready.pop_front() {
                return Some(Ok(chosen));
            }
            match self.entries.next()? {
                Ok((path, node)) => self.take(&path, node),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
