//! What snapshots reach: every page of their trees once, level by level, in the order in which
//! pages lie in packs; the names of all that is met, sorted on disk.
//!
//! Memory does not depend on how much is reached. Levels fall on the way down, so damaged or
//! hostile pages lead into no cycle.
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, ID_LEN};
use crate::interrupt::Interrupt;
use crate::node::{self, Attached, Content, FileContent};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::runs::{Merge, SortedRuns};
use crate::tree::{LEVEL_MAX, LIST_DEPTH_MAX, PageLinks, PageRef, list_links, page_links};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Pages that are read at a time, by all processors together: 32 MiB if all are of the largest
/// size, 1 MiB as they are.
const PAGES_AT_ONCE: usize = 256;

/// Pages that lie together in a block are read by one thread.
const PAGES_PER_THREAD: usize = 32;

/// A page on its way to be read: the first 8 bytes of its pack's id, its block's ordinal
/// (big-endian), its id. Sorted, pages come pack by pack.
const PLACED_LEN: usize = 8 + 4 + ID_LEN;

/// Names of blobs that snapshots reach.
pub(super) struct Reach {
    scratch: PathBuf,
    ids: SortedRuns<ID_LEN>,
}

/// What to do about pages that are lost or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gaps {
    /// What hangs from them is unknown, and so is what may go: an error.
    Refused,
    /// What is left of the tree counts: whoever names what was never stored stops nobody.
    Passed,
}

/// What pages lead to.
#[derive(Default)]
struct Found {
    pages: Vec<BlobId>,
    /// Pages of lists, with their level.
    lists: Vec<(u8, BlobId)>,
    chunks: Vec<BlobId>,
}

/// A page's kind and level decide how it is read.
#[derive(Debug, Clone, Copy)]
enum Level {
    Tree(u8),
    List(u8),
}

impl Reach {
    /// Nothing is reached yet. Temporary files go to `scratch`.
    pub(super) fn new(scratch: &Path) -> Self {
        Reach { scratch: scratch.to_owned(), ids: SortedRuns::new(scratch) }
    }

    /// Adds all that the trees under `roots` reach.
    ///
    /// # Errors
    ///
    /// With [`Gaps::Refused`], [`Damaged`](ErrorKind::Damaged),
    /// [`NotFound`](ErrorKind::NotFound) or [`TooNew`](ErrorKind::TooNew) for a page that is; what
    /// reading the store and this computer's disk meets; [`Interrupted`](ErrorKind::Interrupted).
    pub(super) fn add(
        &mut self,
        repository: &Repository,
        roots: impl Iterator<Item = PageRef>,
        gaps: Gaps,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let frontier = |levels| (0..=levels).map(|_| SortedRuns::new(&self.scratch)).collect();
        let (trees, lists) = (frontier(LEVEL_MAX), frontier(LIST_DEPTH_MAX));
        let ids = &mut self.ids;
        let mut walk = Walk { repository, gaps, progress, interrupt, trees, lists, ids };
        for root in roots {
            walk.place(Level::Tree(root.level), root.id)?;
        }
        for level in (0..=LEVEL_MAX).rev() {
            walk.visit(Level::Tree(level))?;
        }
        for level in (0..=LIST_DEPTH_MAX).rev() {
            walk.visit(Level::List(level))?;
        }
        Ok(())
    }

    /// All names in rising order.
    ///
    /// # Errors
    ///
    /// A temporary file could not be read.
    pub(super) fn sorted(&mut self) -> Result<Merge<'_, ID_LEN>> {
        self.ids.sorted()
    }
}

/// One addition to a [`Reach`]: pages still to be read, by level.
struct Walk<'a> {
    repository: &'a Repository,
    gaps: Gaps,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    trees: Vec<SortedRuns<PLACED_LEN>>,
    lists: Vec<SortedRuns<PLACED_LEN>>,
    ids: &'a mut SortedRuns<ID_LEN>,
}

impl Walk<'_> {
    /// Puts a page where it will be read.
    fn place(&mut self, level: Level, id: BlobId) -> Result<()> {
        let pages = match level {
            Level::Tree(level) => self.trees.get_mut(usize::from(level)),
            Level::List(level) => self.lists.get_mut(usize::from(level)),
        };
        let doing = || format!("looking for page {}", id.short());
        let (Some(pages), Some(location)) = (pages, self.repository.locate(&id)?) else {
            return match self.gaps {
                Gaps::Passed => Ok(()),
                Gaps::Refused => Err(Error::new(ErrorKind::Damaged, doing()).because(
                    "a snapshot needs it and no pack has it; nothing was deleted. `devsnap check` tells \
                     which one: make a new snapshot, then forget that one",
                )),
            };
        };
        let mut record = [0; PLACED_LEN];
        record[..8].copy_from_slice(&location.pack.as_bytes()[..8]);
        record[8..12].copy_from_slice(&location.ordinal.to_be_bytes());
        record[12..].copy_from_slice(id.as_bytes());
        pages.push(record)
    }

    /// Reads all pages of a level; what they lead to is placed below or kept.
    fn visit(&mut self, level: Level) -> Result<()> {
        let empty = SortedRuns::new(Path::new(""));
        let mut pages = match level {
            Level::Tree(level) => std::mem::replace(&mut self.trees[usize::from(level)], empty),
            Level::List(level) => std::mem::replace(&mut self.lists[usize::from(level)], empty),
        };
        let mut pages = pages.sorted()?;
        loop {
            self.interrupt.check()?;
            let mut batch = Vec::with_capacity(PAGES_AT_ONCE);
            for record in pages.by_ref().take(PAGES_AT_ONCE) {
                let id = record?.last_chunk().copied().expect("because a record ends in an id");
                batch.push(BlobId::from_bytes(id));
            }
            if batch.is_empty() {
                return Ok(());
            }
            for found in self.read(level, &batch) {
                self.take(level, found?)?;
            }
            batch.iter().try_for_each(|id| self.keep(id))?;
            self.progress.advance(batch.len() as u64, 0);
        }
    }

    fn read(&self, level: Level, batch: &[BlobId]) -> Vec<Result<Found>> {
        let (repository, gaps) = (self.repository, self.gaps);
        let read = |id: &BlobId| match links(repository, level, *id) {
            Err(error) if gaps == Gaps::Passed && is_loss(&error) => Ok(Found::default()),
            links => links,
        };
        batch.par_iter().with_min_len(PAGES_PER_THREAD).map(read).collect()
    }

    fn take(&mut self, level: Level, found: Found) -> Result<()> {
        for page in found.pages {
            // Levels fall: a page of level 0 has no pages below.
            let below = match level {
                Level::Tree(level) => Level::Tree(level - 1),
                Level::List(level) => Level::List(level - 1),
            };
            self.place(below, page)?;
        }
        for (level, page) in found.lists {
            self.place(Level::List(level), page)?;
        }
        found.chunks.iter().try_for_each(|id| self.keep(id))
    }

    /// What lies nowhere cannot be kept; whether that is damage depends on who names it.
    fn keep(&mut self, id: &BlobId) -> Result<()> {
        if self.gaps == Gaps::Passed && !self.repository.index().is_there(id)? {
            return Ok(());
        }
        self.ids.push(*id.as_bytes())
    }
}

/// Whether something is not there as it should be.
pub(super) fn is_loss(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::TooNew)
}

/// What one page leads to.
fn links(repository: &Repository, level: Level, id: BlobId) -> Result<Found> {
    let mut found = Found::default();
    match level {
        Level::List(0) => found.chunks = list_links(repository, id, 0)?,
        Level::List(level) => found.pages = list_links(repository, id, level)?,
        Level::Tree(level) => match page_links(repository, id, level)? {
            PageLinks::Pages(pages) => found.pages = pages,
            PageLinks::Entries(entries) => {
                for entry in entries {
                    let node = node::decode(&entry.value).map_err(|e| {
                        let doing = format!("reading the node of {}", entry.path());
                        Error::new(ErrorKind::Damaged, doing).because(e)
                    })?;
                    found.content(&node.content)?;
                    for attached in [&node.holes, &node.xattrs] {
                        if let Attached::Stored(content) = attached {
                            found.content(content)?;
                        }
                    }
                }
            }
        },
    }
    Ok(found)
}

impl Found {
    fn content(&mut self, content: &FileContent) -> Result<()> {
        match &content.content {
            Content::Chunks(chunks) => self.chunks.extend(chunks.iter().map(|chunk| chunk.id)),
            Content::List { root, depth } => {
                let level = depth.checked_sub(1).filter(|level| *level <= LIST_DEPTH_MAX);
                let level = level.ok_or_else(|| {
                    Error::new(ErrorKind::Damaged, "reading a list of chunks").because("its depth")
                })?;
                self.lists.push((level, *root));
            }
            Content::Empty | Content::Inline(_) | Content::Missing => {}
        }
        Ok(())
    }
}
