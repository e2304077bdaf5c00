//! What a run changed ▸ edits of the parent's tree, in the order of keys.
//!
//! Removes and moves refer to the parent: first everything that is removed or moved onto goes,
//! then what is moved arrives, then puts replace what they name. All three lists are in the order
//! of paths and so is the parent, so one pass over both is enough, and what is in memory is one
//! page per level of the tree.
use crate::error::{Error, ErrorKind, Result};
use crate::node::{self, Attached, FileContent, Node};
use crate::path::TreePath;
use crate::pipeline::{Resolved, TicketTable};
use crate::snapshot::Totals;
use crate::source::{Awaiting, ContentTicket, Edit as SourceEdit, EditRecord};
use crate::tree::{Edit, Entry, PageRef, PageSource, PageStore, Scan, write_list};
use std::collections::HashMap;
use std::iter::Peekable;

/// Contents of many chunks, by ticket: their lists are written once, when first met.
pub(super) type Lists = HashMap<ContentTicket, FileContent>;

/// Turns the records of a run into edits of the parent's tree.
pub(super) struct Changes<'a, S, R: Iterator> {
    store: &'a S,
    tickets: &'a TicketTable,
    root: Option<&'a PageRef>,
    parent: Ahead<'a, S>,
    records: Peekable<R>,
    /// Paths below which the parent's entries go, outermost first.
    covers: Vec<TreePath>,
    moves: Vec<Move<'a, S>>,
    /// What changed so far: only the counts are set.
    pub(super) totals: Totals,
    pub(super) lists: Lists,
}

/// A scan with a look at its next entry.
struct Ahead<'a, S> {
    scan: Scan<'a, S>,
    next: Option<Entry>,
}

impl<'a, S: PageSource> Ahead<'a, S> {
    fn new(store: &'a S, root: Option<&PageRef>) -> Self {
        Ahead { scan: Scan::new(store, root), next: None }
    }

    /// Goes forward to the first entry not below `key`.
    fn seek(&mut self, key: &[u8]) -> Result<()> {
        if self.next.as_ref().is_none_or(|entry| entry.key.as_slice() < key) {
            self.scan.seek(key);
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.next = self.scan.next().transpose()?;
        Ok(())
    }
}

/// What `from` named in the parent, on its way to `to`.
struct Move<'a, S> {
    entries: Ahead<'a, S>,
    from: TreePath,
    to: TreePath,
}

impl<S: PageSource> Move<'_, S> {
    /// The path that the next entry gets, if it still lies in `from`.
    fn next_path(&self) -> Result<Option<TreePath>> {
        let Some(entry) = &self.entries.next else { return Ok(None) };
        let Some(below) = entry.path().relative_to(&self.from) else { return Ok(None) };
        let path = self.to.concat(&below).map_err(|e| {
            Error::new(ErrorKind::Invalid, format!("moving {} to {}", self.from, self.to))
                .because(e)
        })?;
        Ok(Some(path))
    }

    /// The next entry's node as it is at its new place: a hard link's group moves along.
    fn take(&mut self) -> Result<Option<Node>> {
        let Some(entry) = &self.entries.next else { return Ok(None) };
        let mut node = decode(&entry.value)?;
        if let Some(below) = node.hard_link.as_ref().and_then(|l| l.relative_to(&self.from)) {
            let moved = self.to.concat(&below);
            node.hard_link = Some(moved.map_err(|e| {
                Error::new(ErrorKind::Invalid, format!("moving {}", self.from)).because(e)
            })?);
        }
        self.entries.step()?;
        Ok(Some(node))
    }
}

fn decode(value: &[u8]) -> Result<Node> {
    node::decode(value)
        .map_err(|e| Error::new(ErrorKind::Damaged, "reading a node of the parent").because(e))
}

impl<'a, S: PageStore, R: Iterator<Item = Result<EditRecord>>> Changes<'a, S, R> {
    pub(super) fn new(
        store: &'a S,
        root: Option<&'a PageRef>,
        records: R,
        tickets: &'a TicketTable,
    ) -> Self {
        Changes {
            store,
            tickets,
            root,
            parent: Ahead::new(store, root),
            records: records.peekable(),
            covers: Vec::new(),
            moves: Vec::new(),
            totals: Totals::default(),
            lists: Lists::new(),
        }
    }

    /// The next edit, or `None` when all records and all they cover are done.
    fn step(&mut self) -> Result<Option<Edit>> {
        while let Some(path) = self.next_path()? {
            self.covers.retain(|cover| path.is_within(cover));
            let put = self.absorb(&path)?;
            self.parent.seek(path.key())?;
            let old = self.parent.next.as_ref().filter(|entry| entry.key == path.key());
            let old = old.map(|entry| entry.value.clone());
            if old.is_some() {
                self.parent.step()?;
            }
            let moved = self.take_moved(&path)?;
            let new = match put {
                Some((node, awaiting)) => Some(self.resolve(node, awaiting)?),
                None => moved,
            };
            if let Some(edit) = self.compare(&path, old.as_deref(), new) {
                return Ok(Some(edit));
            }
        }
        Ok(None)
    }

    /// The lowest path that any list has next.
    fn next_path(&mut self) -> Result<Option<TreePath>> {
        if let Some(Err(error)) = self.records.next_if(Result::is_err) {
            return Err(error);
        }
        let record = self.records.peek().and_then(|record| record.as_ref().ok());
        let mut lowest = record.map(|record| record.path.clone());
        let mut lower = |path: TreePath| {
            if lowest.as_ref().is_none_or(|lowest| path.key() < lowest.key()) {
                lowest = Some(path);
            }
        };
        for moving in &self.moves {
            moving.next_path()?.into_iter().for_each(&mut lower);
        }
        if let Some(entry) = &self.parent.next {
            let path = entry.path();
            if self.covers.iter().any(|cover| path.is_within(cover)) {
                lower(path);
            }
        }
        Ok(lowest)
    }

    /// Takes all records of `path`; what is put there, if anything is.
    fn absorb(&mut self, path: &TreePath) -> Result<Option<(Box<Node>, Awaiting)>> {
        let mut put = None;
        while let Some(record) =
            self.records.next_if(|record| record.as_ref().is_ok_and(|r| r.path == *path))
        {
            match record?.edit {
                SourceEdit::Put { node, awaiting } => put = Some((node, awaiting)),
                SourceEdit::Remove => self.cover(path)?,
                SourceEdit::MoveFrom(from) => {
                    self.cover(path)?;
                    let mut entries = Ahead::new(self.store, self.root);
                    entries.seek(from.key())?;
                    // Of two moves to one path the later counts.
                    self.moves.retain(|earlier| earlier.to != *path);
                    self.moves.push(Move { entries, from, to: path.clone() });
                }
            }
        }
        Ok(put)
    }

    fn cover(&mut self, path: &TreePath) -> Result<()> {
        self.parent.seek(path.key())?;
        self.covers.push(path.clone());
        Ok(())
    }

    /// What the innermost move onto `path` brings there; what outer ones would bring is passed.
    fn take_moved(&mut self, path: &TreePath) -> Result<Option<Node>> {
        let mut arrived = None;
        let innermost = self.moves.iter().rposition(|moving| path.is_within(&moving.to));
        for (position, moving) in self.moves.iter_mut().enumerate() {
            if moving.next_path()?.as_ref() == Some(path) {
                let node = moving.take()?;
                if Some(position) == innermost {
                    arrived = node;
                }
            }
        }
        // A move that has nothing more to bring still decides what is below its path.
        self.moves.retain(|moving| path.is_within(&moving.to));
        Ok(arrived)
    }

    fn compare(&mut self, path: &TreePath, old: Option<&[u8]>, new: Option<Node>) -> Option<Edit> {
        let Some(node) = new else {
            old?;
            self.totals.removed += 1;
            return Some(Edit::remove(path.key()));
        };
        let value = node::encode(&node);
        match old {
            Some(old) if old == value => return None,
            Some(_) => self.totals.changed += 1,
            None => self.totals.new += 1,
        }
        Some(Edit::put(path.key(), value, node.size_bytes()))
    }

    /// The node with what it waited for.
    fn resolve(&mut self, node: Box<Node>, awaiting: Awaiting) -> Result<Node> {
        let mut node = *node;
        if let Some(ticket) = awaiting.content {
            node.content = self.content(ticket)?;
        }
        if let Some(ticket) = awaiting.xattrs {
            node.xattrs = Attached::Stored(self.content(ticket)?);
        }
        if let Some(ticket) = awaiting.holes {
            node.holes = Attached::Stored(self.content(ticket)?);
        }
        Ok(node)
    }

    fn content(&mut self, ticket: ContentTicket) -> Result<FileContent> {
        match self.tickets.resolve(ticket)? {
            Resolved::Node(content) => Ok(content),
            Resolved::Long { chunks, len } => {
                if let Some(known) = self.lists.get(&ticket) {
                    return Ok(known.clone());
                }
                let content = write_list(self.store, chunks.into_iter())?;
                let content = FileContent { content, len };
                self.lists.insert(ticket, content.clone());
                Ok(content)
            }
        }
    }
}

impl<S: PageStore, R: Iterator<Item = Result<EditRecord>>> Iterator for Changes<'_, S, R> {
    type Item = Result<Edit>;

    fn next(&mut self) -> Option<Result<Edit>> {
        self.step().transpose()
    }
}

#[cfg(test)]
#[path = "edits_tests.rs"]
mod tests;
