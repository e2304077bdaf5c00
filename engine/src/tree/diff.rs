//! What differs between two trees, read from the pages that differ.
use bytes::Bytes;

use crate::error::Result;

use super::cursor::{Cursor, PageReader, Place, key_of};
use super::{Entry, PageRef, PageSource};

/// One key with different values in two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path's key.
    pub key: Vec<u8>,
    /// The encoded node in the old tree, if it is there.
    pub old: Option<Bytes>,
    /// The encoded node in the new tree, if it is there.
    pub new: Option<Bytes>,
}

/// The differences between two trees of one store, in order of key.
///
/// Both trees are passed side by side. Where both stand before the same page, it is skipped unread:
/// equal content has equal pages. Otherwise the one that is behind goes down. After an error it ends.
pub struct Diff<'s, S: ?Sized> {
    old: Side<'s, S>,
    new: Side<'s, S>,
}

struct Side<'s, S: ?Sized> {
    pages: PageReader<'s, S>,
    cursor: Cursor,
}

/// What to do where the two sides stand.
enum Step {
    /// Both are before the same.
    SkipBoth,
    EnterOld,
    EnterNew,
    EnterBoth,
    Removed(Entry),
    Added(Entry),
    Changed(Entry, Entry),
    End,
}

impl<'s, S: PageSource + ?Sized> Diff<'s, S> {
    /// Compares the tree under `old` with the one under `new`.
    pub fn new(source: &'s S, old: Option<&PageRef>, new: Option<&PageRef>) -> Self {
        let side = |root| Side { pages: PageReader::new(source), cursor: Cursor::new(root) };
        Diff { old: side(old), new: side(new) }
    }

    fn advance(&mut self) -> Result<Option<Difference>> {
        loop {
            let (old, new) = (&mut self.old, &mut self.new);
            match compare(old.cursor.place(), new.cursor.place()) {
                Step::End => return Ok(None),
                Step::SkipBoth => {
                    old.cursor.step();
                    new.cursor.step();
                }
                Step::EnterOld => old.cursor.enter(&mut old.pages)?,
                Step::EnterNew => new.cursor.enter(&mut new.pages)?,
                Step::EnterBoth => {
                    old.cursor.enter(&mut old.pages)?;
                    new.cursor.enter(&mut new.pages)?;
                }
                Step::Removed(Entry { key, value, .. }) => {
                    old.cursor.step();
                    return Ok(Some(Difference { key, old: Some(value), new: None }));
                }
                Step::Added(Entry { key, value, .. }) => {
                    new.cursor.step();
                    return Ok(Some(Difference { key, old: None, new: Some(value) }));
                }
                Step::Changed(was, is) => {
                    old.cursor.step();
                    new.cursor.step();
                    let (key, old, new) = (is.key, Some(was.value), Some(is.value));
                    return Ok(Some(Difference { key, old, new }));
                }
            }
        }
    }
}

fn compare(old: Option<Place<'_>>, new: Option<Place<'_>>) -> Step {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (old, new) = match (old, new) {
        (None, None) => return Step::End,
        (Some(old), None) => return only_old(&old),
        (None, Some(new)) => return only_new(&new),
        (Some(old), Some(new)) => (old, new),
    };
    if let (Place::Page(old, old_level), Place::Page(new, new_level)) = (&old, &new)
        && old.id == new.id
        && old_level == new_level
    {
        return Step::SkipBoth;
    }
    match key_of(&old).cmp(key_of(&new)) {
        Less => only_old(&old),
        Greater => only_new(&new),
        Equal => match (&old, &new) {
            (Place::Entry(old), Place::Entry(new)) if old == new => Step::SkipBoth,
            (Place::Entry(old), Place::Entry(new)) => Step::Changed((*old).clone(), (*new).clone()),
            (Place::Page(..), Place::Entry(_)) => Step::EnterOld,
            (Place::Entry(_), Place::Page(..)) => Step::EnterNew,
            (Place::Page(_, old), Place::Page(_, new)) => match old.cmp(new) {
                Greater => Step::EnterOld,
                Less => Step::EnterNew,
                Equal => Step::EnterBoth,
            },
        },
    }
}

/// The old side is behind: the new one has nothing at its key.
fn only_old(old: &Place<'_>) -> Step {
    match old {
        Place::Page(..) => Step::EnterOld,
        Place::Entry(entry) => Step::Removed((*entry).clone()),
    }
}

/// The new side is behind: the old one has nothing at its key.
fn only_new(new: &Place<'_>) -> Step {
    match new {
        Place::Page(..) => Step::EnterNew,
        Place::Entry(entry) => Step::Added((*entry).clone()),
    }
}

impl<S: PageSource + ?Sized> Iterator for Diff<'_, S> {
    type Item = Result<Difference>;
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            self.old.cursor = Cursor::new(None);
            self.new.cursor = Cursor::new(None);
        }
        next
    }
}
