//! From one tree to the next: a sorted batch of puts and removes becomes new pages.
//!
//! One level at a time, leaves first. On a level, the page that an edit falls into is read and cut
//! again, with the edits, from its first entry on; when a cut falls on the end of an old page, all
//! that follows would be cut as it was, so the rest is left alone, unread, up to the next edit. What
//! changed on a level (old pages out, new pages in) is the sorted batch of edits of the level above.
//! The lowest level that is a single page is the root.
//!
//! A cut looks at nothing to its right (see [`PageCutter`]), which makes the start of *any* old page a
//! safe place to begin, as long as no edit lies further left.
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;
use crate::node::NODE_LEN_MAX;

use super::cursor::{Cursor, Expected, PageReader, Place};
use super::page::{Child, Item, Items, Page, PageWriter, Totals, check_key};
use super::{Entry, LEVEL_MAX, PageCutter, PageRef, PageStore};

/// A change to one key of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The key has this value from now on.
    Put(Entry),
    /// The key is gone, if it was there.
    Remove(Vec<u8>),
}

impl Edit {
    /// Gives `key` an encoded node whose content has `size_bytes` bytes.
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Bytes>, size_bytes: u64) -> Self {
        Edit::Put(Entry { key: key.into(), value: value.into(), size_bytes })
    }

    /// Removes `key`.
    pub fn remove(key: impl Into<Vec<u8>>) -> Self {
        Edit::Remove(key.into())
    }

    /// The key that changes.
    pub fn key(&self) -> &[u8] {
        match self {
            Edit::Put(entry) => &entry.key,
            Edit::Remove(key) => key,
        }
    }
}

/// The tree under `root` with `edits` applied: its root, or `None` if nothing is left.
///
/// `edits` come in strictly rising order of key. They are taken as they are needed; what is kept in
/// memory is one page per level and a list of the pages that change. Pages are written from the
/// leaves up, and a tree that loses levels may leave behind pages that it no longer refers to.
///
/// # Errors
///
/// `Invalid` for edits out of order, keys that are no paths, values longer than a node; `Damaged`
/// for a page that is not what it should be; whatever `edits`, reading and writing meet.
pub fn apply<S: PageStore + ?Sized>(
    store: &S,
    cutter: &PageCutter,
    root: Option<&PageRef>,
    edits: impl IntoIterator<Item = Result<Edit>>,
) -> Result<Option<PageRef>> {
    let mut run = Run { store, cutter, root, pages: PageReader::new(store), tails: Vec::new() };
    let mut changed = run.edit_level(0, checked(edits.into_iter()))?;
    for level in 0..=LEVEL_MAX {
        if changed.is_empty() {
            return Ok(root.copied());
        }
        // Above the old root there is nothing to change: what is new here is all there is.
        if root.is_none_or(|root| root.level <= level) {
            if changed.new.len() < 2 {
                return match changed.new.pop() {
                    None => Ok(None),
                    Some(only) => run.lowest_single(only, level).map(Some),
                };
            }
            // Not even the old root counts as there, should it be among the new pages.
            changed.old.clear();
        }
        if level < LEVEL_MAX {
            changed = run.edit_level(level + 1, changed.into_changes())?;
        }
    }
    Err(Error::new(ErrorKind::Invalid, format!("building a tree of over {LEVEL_MAX} levels")))
}

/// One change to one level: `Edit` for items of any level.
enum Change<T> {
    Put(T),
    Remove(Vec<u8>),
}

impl<T: Item> Change<T> {
    fn key(&self) -> &[u8] {
        match self {
            Change::Put(item) => item.key(),
            Change::Remove(key) => key,
        }
    }
}

/// The edits of the leaves, after looking at each.
fn checked(
    edits: impl Iterator<Item = Result<Edit>>,
) -> impl Iterator<Item = Result<Change<Entry>>> {
    let mut last: Option<Vec<u8>> = None;
    edits.map(move |edit| {
        let edit = edit?;
        let invalid = |what| Error::new(ErrorKind::Invalid, what);
        check_key(edit.key()).map_err(|bad| invalid("editing a tree").because(bad))?;
        if last.as_deref().is_some_and(|last| last >= edit.key()) {
            return Err(invalid("editing a tree out of order"));
        }
        last = Some(edit.key().to_vec());
        Ok(match edit {
            Edit::Put(entry) if entry.value.len() > NODE_LEN_MAX => {
                return Err(invalid("editing a tree with too long a node"));
            }
            Edit::Put(entry) => Change::Put(entry),
            Edit::Remove(key) => Change::Remove(key),
        })
    })
}

/// What a level's edits did to its pages, both lists in order.
struct Changed {
    old: Vec<Child>,
    new: Vec<Child>,
}

impl Changed {
    fn is_empty(&self) -> bool {
        self.old.is_empty() && self.new.is_empty()
    }

    /// The edits of the level above: one per first key, and none for pages that came out the same.
    fn into_changes(self) -> impl Iterator<Item = Result<Change<Child>>> {
        let mut old = self.old.into_iter().peekable();
        let mut new = self.new.into_iter().peekable();
        std::iter::from_fn(move || {
            loop {
                let gone = match (old.peek(), new.peek()) {
                    (None, None) => return None,
                    (Some(gone), Some(come)) => gone.first_key <= come.first_key,
                    (gone, _) => gone.is_some(),
                };
                let gone = if gone { old.next() } else { None };
                let same = |come: &Child| match &gone {
                    Some(gone) => gone.first_key == come.first_key,
                    None => true,
                };
                let change = match (gone.as_ref(), new.next_if(same)) {
                    (Some(gone), Some(come)) if *gone == come => continue,
                    (_, Some(come)) => Change::Put(come),
                    (gone, None) => Change::Remove(gone?.first_key.clone()),
                };
                return Some(Ok(change));
            }
        })
    }
}

/// The last page written on a level. Only that one can be the single page of its level.
struct Tail {
    id: BlobId,
    /// The page's child, if it has exactly one.
    lone_child: Option<Child>,
}

/// One call of [`apply`].
struct Run<'a, S: ?Sized> {
    store: &'a S,
    cutter: &'a PageCutter,
    root: Option<&'a PageRef>,
    pages: PageReader<'a, S>,
    /// By level.
    tails: Vec<Option<Tail>>,
}

impl<S: PageStore + ?Sized> Run<'_, S> {
    fn edit_level<T: Item>(
        &mut self,
        level: u8,
        edits: impl Iterator<Item = Result<Change<T>>>,
    ) -> Result<Changed> {
        let mut edits = Edits::new(edits)?;
        let mut writer = LevelWriter::new(self.store, self.cutter, level);
        let mut old = Vec::new();
        // A root of a lower level has no pages here.
        let mut cursor = Cursor::new(self.root.filter(|root| root.level >= level));
        while let Some(edit) = &edits.next {
            cursor.seek_page(&mut self.pages, level, edit.key())?;
            loop {
                let Some(taken) = self.take_page(&mut cursor, level)? else {
                    merge(&[], &mut edits, None, &mut writer)?;
                    writer.end_page()?;
                    break;
                };
                merge(T::of(&taken.page), &mut edits, taken.below.as_deref(), &mut writer)?;
                old.push(taken.child);
                if writer.is_at_cut() {
                    break;
                }
            }
        }
        self.tails.push(writer.tail);
        Ok(Changed { old, new: writer.written })
    }

    /// Reads the page of `level` at the cursor and passes it; `None` at the end.
    fn take_page(&mut self, cursor: &mut Cursor, level: u8) -> Result<Option<Taken>> {
        while cursor.level().is_some_and(|here| here > level) {
            cursor.enter(&mut self.pages)?;
        }
        let Some(page) = cursor.read(&mut self.pages)? else {
            return Ok(None);
        };
        let Some(Place::Page(child, _)) = cursor.place() else {
            return Ok(None);
        };
        // The cursor does not know the root's first key; the page does.
        let first_key = page.key(0).unwrap_or_default().to_vec();
        let child = Child { first_key, ..child.clone() };
        let below = cursor.bound().map(<[u8]>::to_vec);
        cursor.step();
        Ok(Some(Taken { child, page, below }))
    }

    /// Goes down from the single page of `level` to the lowest level that is a single page.
    fn lowest_single(&mut self, mut only: Child, mut level: u8) -> Result<PageRef> {
        while level > 0 {
            let tail = self.tails.get(usize::from(level)).and_then(Option::as_ref);
            let below = match tail.filter(|tail| tail.id == only.id) {
                Some(tail) => tail.lone_child.clone(),
                None => self.lone_child_of(&only, level)?,
            };
            let Some(below) = below else { break };
            only = below;
            level -= 1;
        }
        let Totals { entries, size_bytes } = only.totals;
        Ok(PageRef { id: only.id, level, entries, size_bytes })
    }

    /// The only child of an old page, if it has exactly one.
    fn lone_child_of(&mut self, page: &Child, level: u8) -> Result<Option<Child>> {
        let first_key = Some(page.first_key.as_slice());
        let expected = Expected { level, totals: page.totals, first_key, below: None };
        Ok(match &self.pages.read(page.id, &expected)?.items {
            Items::Inner(children) if children.len() == 1 => children.first().cloned(),
            _ => None,
        })
    }
}

/// An old page that is about to be cut again.
struct Taken {
    child: Child,
    page: Arc<Page>,
    /// The first key of the page after it.
    below: Option<Vec<u8>>,
}

/// Writes the `old` entries of a page with the edits that fall into it, those before `below`.
fn merge<T: Item, S: PageStore + ?Sized>(
    old: &[T],
    edits: &mut Edits<impl Iterator<Item = Result<Change<T>>>, T>,
    below: Option<&[u8]>,
    writer: &mut LevelWriter<'_, S>,
) -> Result<()> {
    for item in old {
        let mut replaced = false;
        while let Some(change) = edits.next_if(|key| key <= item.key())? {
            replaced = change.key() == item.key();
            if let Change::Put(new) = change {
                writer.push(&new)?;
            }
        }
        if !replaced {
            writer.push(item)?;
        }
    }
    while let Some(change) = edits.next_if(|key| below.is_none_or(|below| key < below))? {
        if let Change::Put(new) = change {
            writer.push(&new)?;
        }
    }
    Ok(())
}

/// A level's edits, with a look at the next one.
struct Edits<I, T> {
    rest: I,
    next: Option<Change<T>>,
}

impl<T: Item, I: Iterator<Item = Result<Change<T>>>> Edits<I, T> {
    fn new(mut edits: I) -> Result<Self> {
        let next = edits.next().transpose()?;
        Ok(Edits { rest: edits, next })
    }

    fn next_if(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Change<T>>> {
        if !self.next.as_ref().is_some_and(|change| wanted(change.key())) {
            return Ok(None);
        }
        let following = self.rest.next().transpose()?;
        Ok(std::mem::replace(&mut self.next, following))
    }
}

/// Cuts the entries of a level into pages and writes them.
struct LevelWriter<'a, S: ?Sized> {
    store: &'a S,
    cutter: &'a PageCutter,
    level: u8,
    page: PageWriter,
    /// The entry added last, if it is a page and the first of this one.
    lone_child: Option<Child>,
    written: Vec<Child>,
    tail: Option<Tail>,
}

impl<'a, S: PageStore + ?Sized> LevelWriter<'a, S> {
    fn new(store: &'a S, cutter: &'a PageCutter, level: u8) -> Self {
        let page = PageWriter::default();
        let written = Vec::new();
        LevelWriter { store, cutter, level, page, lone_child: None, written, tail: None }
    }

    /// Whether all that was added is in ended pages.
    fn is_at_cut(&self) -> bool {
        self.page.is_empty()
    }

    fn push<T: Item>(&mut self, item: &T) -> Result<()> {
        self.lone_child = if self.page.is_empty() { item.as_child().cloned() } else { None };
        let filled = self.page.push(item);
        if self.cutter.ends_page(self.level, item.key(), &filled) {
            self.end_page()?;
        }
        Ok(())
    }

    fn end_page(&mut self) -> Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        let page = self.page.take(self.level);
        let id = self.store.write_page(page.bytes)?;
        self.tail = Some(Tail { id, lone_child: self.lone_child.take() });
        self.written.push(Child { first_key: page.first_key, id, totals: page.totals });
        Ok(())
    }
}
