//! Ways through a tree: look-up, scan, and a walk over its pages.
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;

use super::page::{BadPage, Child, Item, Items, Page, Totals, decode};
use super::{Entry, LEVEL_MAX, PageRef, PageSource};

/// What a page must be for its parent to have told the truth.
pub(super) struct Expected<'k> {
    pub(super) level: u8,
    pub(super) totals: Totals,
    /// Unknown for a root.
    pub(super) first_key: Option<&'k [u8]>,
    /// All keys are below this, if there is a page to the right.
    pub(super) below: Option<&'k [u8]>,
}

/// Reads pages, checks them, and remembers the last one of each level, so that passes over the
/// same corner of a tree read it once.
pub(super) struct PageReader<'s, S: ?Sized> {
    source: &'s S,
    recent: Vec<Option<(BlobId, Arc<Page>)>>,
}

impl<'s, S: PageSource + ?Sized> PageReader<'s, S> {
    pub(super) fn new(source: &'s S) -> Self {
        PageReader { source, recent: vec![None; usize::from(LEVEL_MAX) + 1] }
    }

    /// The page `id`, after comparing it with what is `expected`.
    pub(super) fn read(&mut self, id: BlobId, expected: &Expected<'_>) -> Result<Arc<Page>> {
        let damaged =
            || Error::new(ErrorKind::Damaged, format!("reading tree page {}", id.short()));
        let slot = self.recent.get_mut(usize::from(expected.level));
        let slot = slot.ok_or_else(|| damaged().because("its level is too high"))?;
        let page = match slot {
            Some((recent, page)) if *recent == id => Arc::clone(page),
            _ => {
                let page = decode(&self.source.read_page(id)?).map_err(|bad| match bad {
                    BadPage::TooNew(_) => {
                        let doing = format!("reading tree page {}", id.short());
                        Error::new(ErrorKind::TooNew, doing).because(bad)
                    }
                    BadPage::Malformed(_) => damaged().because(bad),
                })?;
                let page = Arc::new(page);
                *slot = Some((id, Arc::clone(&page)));
                page
            }
        };
        match difference(&page, expected) {
            None => Ok(page),
            Some(what) => Err(damaged().because(what)),
        }
    }
}

/// What about `page` is not as its parent says.
fn difference(page: &Page, expected: &Expected<'_>) -> Option<&'static str> {
    let last_key = page.key(page.len().saturating_sub(1));
    if page.level != expected.level {
        Some("its level is not the one below its parent's")
    } else if expected.first_key.is_some() && page.key(0) != expected.first_key {
        Some("its first key is not what its parent says")
    } else if expected.below.is_some_and(|below| last_key.is_none_or(|last| last >= below)) {
        Some("its keys run into the next page's")
    } else if page.totals() != expected.totals {
        Some("its totals are not what its parent says")
    } else {
        None
    }
}

/// Where a [`Cursor`] stands.
pub(super) enum Place<'c> {
    /// Before a page that has not been entered, of this level.
    Page(&'c Child, u8),
    /// Before an entry.
    Entry(&'c Entry),
}

/// A place in a tree, moving left to right and down; it reads a page only to enter it.
pub(super) struct Cursor {
    /// The pages entered, outermost first. At the bottom is a page of no store whose only child
    /// is the root; its level is one above the root's.
    frames: Vec<Frame>,
}

struct Frame {
    page: Arc<Page>,
    /// The entry to come next; those that were entered count as passed.
    at: usize,
    /// All keys of the page are below this.
    below: Option<Vec<u8>>,
}

impl Cursor {
    /// Before the root's page, or at the end of an empty tree.
    pub(super) fn new(root: Option<&PageRef>) -> Self {
        let above = |root: &PageRef| {
            let totals = Totals { entries: root.entries, size_bytes: root.size_bytes };
            let child = Child { first_key: Vec::new(), id: root.id, totals };
            let items = Items::Inner(vec![child]);
            let page = Page { level: root.level.saturating_add(1), items };
            Frame { page: Arc::new(page), at: 0, below: None }
        };
        Cursor { frames: root.map(above).into_iter().collect() }
    }

    /// Where the cursor stands; `None` at the end.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        let frame = self.frames.last()?;
        match &frame.page.items {
            Items::Leaf(entries) => entries.get(frame.at).map(Place::Entry),
            Items::Inner(children) => {
                let level = frame.page.level - 1;
                children.get(frame.at).map(|child| Place::Page(child, level))
            }
        }
    }

    /// The level of the page before which the cursor stands; `None` before an entry or at the end.
    pub(super) fn level(&self) -> Option<u8> {
        match self.place() {
            Some(Place::Page(_, level)) => Some(level),
            _ => None,
        }
    }

    /// Passes the entry or page before which the cursor stands.
    pub(super) fn step(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.at += 1;
        }
        self.leave_finished();
    }

    fn leave_finished(&mut self) {
        while self.frames.last().is_some_and(|frame| frame.at >= frame.page.len()) {
            self.frames.pop();
        }
    }

    /// What bounds the keys of the entry or page before which the cursor stands: the key of the
    /// next one, wherever it is.
    pub(super) fn bound(&self) -> Option<&[u8]> {
        let frame = self.frames.last()?;
        frame.page.key(frame.at + 1).or(frame.below.as_deref())
    }

    /// Reads the page before which the cursor stands; `None` where there is none.
    pub(super) fn read<S: PageSource + ?Sized>(
        &self,
        pages: &mut PageReader<'_, S>,
    ) -> Result<Option<Arc<Page>>> {
        let Some(Place::Page(child, level)) = self.place() else {
            return Ok(None);
        };
        let is_root = self.frames.len() == 1;
        let first_key = (!is_root).then_some(child.first_key.as_slice());
        let expected = Expected { level, totals: child.totals, first_key, below: self.bound() };
        pages.read(child.id, &expected).map(Some)
    }

    /// Enters the page before which the cursor stands.
    pub(super) fn enter<S: PageSource + ?Sized>(
        &mut self,
        pages: &mut PageReader<'_, S>,
    ) -> Result<()> {
        if let Some(page) = self.read(pages)? {
            let below = self.bound().map(<[u8]>::to_vec);
            if let Some(frame) = self.frames.last_mut() {
                frame.at += 1;
            }
            // The frame of a passed last child stays beneath its page and is left with it.
            self.frames.push(Frame { page, at: 0, below });
        }
        Ok(())
    }

    /// Moves right to the page of `level` in which `key` is or would be, or to the first page
    /// right of the cursor where that is already past `key`.
    pub(super) fn seek_page<S: PageSource + ?Sized>(
        &mut self,
        pages: &mut PageReader<'_, S>,
        level: u8,
        key: &[u8],
    ) -> Result<()> {
        loop {
            self.skip_below(key);
            match self.level() {
                Some(here) if here > level => self.enter(pages)?,
                _ => return Ok(()),
            }
        }
    }

    /// Moves right to the first entry not below `key`.
    fn seek_entry<S: PageSource + ?Sized>(
        &mut self,
        pages: &mut PageReader<'_, S>,
        key: &[u8],
    ) -> Result<()> {
        loop {
            self.skip_below(key);
            match self.place() {
                Some(Place::Page(child, _)) if child.first_key.as_slice() < key => {
                    self.enter(pages)?
                }
                _ => return Ok(()),
            }
        }
    }

    /// Passes, without reading, entries below `key` and pages that hold only such.
    fn skip_below(&mut self, key: &[u8]) {
        while let Some(frame) = self.frames.last_mut() {
            if frame.below.as_deref().is_some_and(|below| below <= key) {
                self.frames.pop();
                continue;
            }
            let below = frame.page.count_below(key);
            let target = match &frame.page.items {
                Items::Leaf(_) => below,
                // The last page that begins at or below the key may hold it.
                Items::Inner(_) if frame.page.key(below) == Some(key) => below,
                Items::Inner(_) => below.saturating_sub(1),
            };
            frame.at = frame.at.max(target);
            if frame.at < frame.page.len() {
                return;
            }
            self.frames.pop();
        }
    }
}

/// The entry of `key` in the tree under `root`.
///
/// # Errors
///
/// `Damaged` for a page that is not what it should be; whatever reading pages meets.
pub fn get<S: PageSource + ?Sized>(
    source: &S,
    root: Option<&PageRef>,
    key: &[u8],
) -> Result<Option<Entry>> {
    let mut scan = Scan::new(source, root);
    scan.seek(key);
    let found = scan.next().transpose()?;
    Ok(found.filter(|entry| entry.key == key))
}

/// The entries of a tree in order, read page by page as they are asked for.
///
/// A page that is damaged, lost or of a newer version is one error, and the scan goes on behind all
/// that hangs from it; any other error ends it.
pub struct Scan<'s, S: ?Sized> {
    pages: PageReader<'s, S>,
    cursor: Cursor,
    /// Entries below this are still to be skipped.
    start: Option<Vec<u8>>,
}

impl<'s, S: PageSource + ?Sized> Scan<'s, S> {
    /// All entries of the tree under `root`.
    pub fn new(source: &'s S, root: Option<&PageRef>) -> Self {
        Scan { pages: PageReader::new(source), cursor: Cursor::new(root), start: None }
    }

    /// Goes on at the first entry whose key is not below `key`, never backwards. What lies between
    /// is not read: a listing passes over a whole folder by seeking behind it.
    pub fn seek(&mut self, key: &[u8]) {
        if self.start.as_deref().is_none_or(|start| start < key) {
            self.start = Some(key.to_vec());
        }
    }

    fn advance(&mut self) -> Result<Option<Entry>> {
        if let Some(start) = &self.start {
            self.cursor.seek_entry(&mut self.pages, start)?;
            self.start = None;
        }
        loop {
            match self.cursor.place() {
                None => return Ok(None),
                Some(Place::Page(..)) => self.cursor.enter(&mut self.pages)?,
                Some(Place::Entry(entry)) => {
                    let entry = entry.clone();
                    self.cursor.step();
                    return Ok(Some(entry));
                }
            }
        }
    }
}

impl<S: PageSource + ?Sized> Iterator for Scan<'_, S> {
    type Item = Result<Entry>;
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if let Some(Err(error)) = &next {
            match error.kind() {
                ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::TooNew => self.cursor.step(),
                _ => self.cursor = Cursor::new(None),
            }
        }
        next
    }
}

/// Shows every page of the tree under `root`, parents before children, and every entry.
///
/// `enter` is told a page's id and level before the page is read, once per page, and answers
/// whether to read it: a page that an earlier tree has shown need not be read again, and all below
/// it is passed with it. `visit` is given the entries of the leaves that were entered.
///
/// # Errors
///
/// `Damaged` for a page that is not what it should be; whatever reading pages and `visit` meet.
pub fn walk<S: PageSource + ?Sized>(
    source: &S,
    root: Option<&PageRef>,
    mut enter: impl FnMut(BlobId, u8) -> bool,
    mut visit: impl FnMut(&Entry) -> Result<()>,
) -> Result<()> {
    let mut pages = PageReader::new(source);
    let mut cursor = Cursor::new(root);
    while let Some(place) = cursor.place() {
        match place {
            Place::Page(child, level) if enter(child.id, level) => cursor.enter(&mut pages)?,
            Place::Page(..) => cursor.step(),
            Place::Entry(entry) => {
                visit(entry)?;
                cursor.step();
            }
        }
    }
    Ok(())
}

/// The key that `place` starts with.
pub(super) fn key_of<'c>(place: &Place<'c>) -> &'c [u8] {
    match place {
        Place::Page(child, _) => child.key(),
        Place::Entry(entry) => entry.key(),
    }
}
