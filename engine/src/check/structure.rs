//! Every tree, page by page, and every blob it names.
//!
//! Each page is read once, whoever names it and however often, so a store that means harm is looked
//! through in a time that its size bounds; what was seen takes a bounded part of memory.
use super::lists::Lists;
use super::seen::SeenSet;
use super::{CheckReport, Severity};
use crate::backend::ObjectKind;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, SnapshotId};
use crate::interrupt::Interrupt;
use crate::node::{self, Attached, ChunkRef, Content, FileContent, NodeKind};
use crate::pack::BlobLocation;
use crate::path::TreePath;
use crate::repository::Repository;
use crate::tree::{self, Entry, PageRef, PageSource};
use std::collections::HashSet;
use std::path::Path;

/// Damaged pages of one snapshot that are passed to look at the rest; after that many it is
/// given up.
const BAD_PAGES_MAX: usize = 64;

/// What the check of trees needs of a store.
pub(super) trait Blobs: PageSource {
    /// Where a blob is; `None` when it is not stored.
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>>;

    /// Whether the snapshot is still there: what was forgotten meanwhile may have been swept.
    fn has_snapshot(&self, id: &SnapshotId) -> Result<bool>;
}

impl Blobs for Repository {
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        Repository::locate(self, id)
    }
    fn has_snapshot(&self, id: &SnapshotId) -> Result<bool> {
        let listed = self.backend().list(ObjectKind::Snapshot, &id.to_hex()).next();
        Ok(listed.transpose()?.is_some())
    }
}

/// Whether a chunk is stored, as long as it is said to be.
pub(super) fn is_chunk_stored<B: Blobs>(store: &B, chunk: ChunkRef) -> Result<bool> {
    Ok(store.locate(&chunk.id)?.is_some_and(|location| location.len == chunk.len))
}

/// Walks these trees; temporary files go to `scratch`.
pub(super) fn check<B: Blobs>(
    store: &B,
    roots: impl Iterator<Item = (SnapshotId, Option<PageRef>)>,
    scratch: &Path,
    report: &mut CheckReport,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut trees = Trees::new(store, scratch, 1, interrupt);
    for (id, root) in roots {
        let found = trees.walk(root.as_ref())?;
        if !found.is_sound() && !store.has_snapshot(&id)? {
            continue;
        }
        let name = format!("snapshot {}", id.short());
        report.snapshots += 1;
        report.blobs += found.blobs;
        for sentence in found.sentences(&name) {
            report.find(Severity::Damage, sentence);
        }
    }
    Ok(())
}

/// The trees of a store, as far as they were walked.
pub(super) struct Trees<'a, B> {
    store: &'a B,
    interrupt: &'a Interrupt,
    scratch: &'a Path,
    /// Pages of trees that lack nothing: seen once, passed from then on.
    sound: SeenSet,
    /// Pages that cannot be read: at most [`BAD_PAGES_MAX`] for each snapshot.
    bad: HashSet<BlobId>,
    lists: Lists<'a, B>,
    /// Paths of one kind that are kept for each tree.
    paths_max: usize,
}

/// Paths of which something is so: the first of them, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paths {
    /// The first, in the order of the tree.
    pub first: Vec<TreePath>,
    /// How many.
    pub count: u64,
}

impl Paths {
    fn add(&mut self, path: TreePath, first_max: usize) {
        self.count += 1;
        if self.first.len() < first_max {
            self.first.push(path);
        }
    }
}

/// What was found in one tree.
#[derive(Default)]
pub(super) struct Found {
    pub(super) blobs: u64,
    /// Files, and the bytes that reading them gives.
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) bad_pages: u64,
    pub(super) first_bad: Option<String>,
    /// Paths of which something is lost.
    pub(super) lacking: Paths,
    /// Files whose contents the snapshot never had.
    pub(super) never_stored: Paths,
    given_up: bool,
}

impl Found {
    fn is_sound(&self) -> bool {
        self.bad_pages == 0 && self.lacking.count == 0
    }

    fn sentences(&self, name: &str) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.bad_pages > 0 {
            let (count, first) = (self.bad_pages, self.first_bad.as_deref().unwrap_or("unknown"));
            let more = if self.given_up { " or more" } else { "" };
            sentences
                .push(format!("{name}: {count}{more} tree pages cannot be read, first: {first}"));
        }
        if let Some(first) = self.lacking.first.first() {
            let count = self.lacking.count;
            sentences.push(format!("{name}: {count} paths lack stored bytes, first: {first}"));
        }
        sentences
    }
}

impl<'a, B: Blobs> Trees<'a, B> {
    /// Of no tree yet; temporary files go to `scratch`. Of each tree `paths_max` paths of one kind are
    /// kept.
    pub(super) fn new(
        store: &'a B,
        scratch: &'a Path,
        paths_max: usize,
        interrupt: &'a Interrupt,
    ) -> Self {
        Trees {
            store,
            interrupt,
            scratch,
            sound: SeenSet::new(scratch),
            bad: HashSet::new(),
            lists: Lists::new(store, scratch, interrupt),
            paths_max,
        }
    }

    /// Walks one tree, past pages that cannot be read. A tree with damage leaves no page marked as
    /// sound, so that each snapshot sharing the damage is told of.
    pub(super) fn walk(&mut self, root: Option<&PageRef>) -> Result<Found> {
        let mut errors: Vec<String> = Vec::new();
        loop {
            let mut found = Found::default();
            // No tree names a page twice, as each begins with the key that its parent says.
            let mut fresh = SeenSet::new(self.scratch);
            let (mut last, mut stopped, mut failed) = (None, None, None);
            let (sound, bad, lists) = (&self.sound, &self.bad, &mut self.lists);
            let bad_pages = std::cell::Cell::new(0);
            let enter = |id: BlobId, _| {
                if bad.contains(&id) {
                    bad_pages.set(bad_pages.get() + 1);
                    return false;
                }
                last = Some(id);
                let is_new = sound.contains(id.as_bytes()).and_then(|seen| {
                    if !seen {
                        fresh.insert(*id.as_bytes())?;
                    }
                    Ok(!seen)
                });
                is_new.unwrap_or_else(|error| {
                    failed.get_or_insert(error);
                    false
                })
            };
            let mut look =
                Look { store: self.store, lists, paths_max: self.paths_max, found: &mut found };
            let visit = |entry: &Entry| {
                let looked = self.interrupt.check().and_then(|()| look.at(entry));
                looked.inspect_err(|error| stopped = Some(error.kind()))
            };
            let walked = tree::walk(self.store, root, enter, visit);
            if let Some(error) = failed {
                return Err(error);
            }
            found.bad_pages = bad_pages.get();
            match (walked, last) {
                (Ok(()), _) => {
                    if found.is_sound() {
                        self.sound.absorb(fresh)?;
                    }
                    found.first_bad = errors.into_iter().next();
                    return Ok(found);
                }
                (Err(error), Some(page)) if stopped.is_none() && is_loss(&error) => {
                    errors.push(format!("{error:?}"));
                    self.bad.insert(page);
                    if errors.len() > BAD_PAGES_MAX {
                        found.bad_pages += 1;
                        found.first_bad = errors.into_iter().next();
                        found.given_up = true;
                        return Ok(found);
                    }
                }
                (Err(error), _) => return Err(error),
            }
        }
    }
}

pub(super) fn is_loss(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::TooNew)
}

/// A look at the entries of one tree.
struct Look<'l, 'a, B> {
    store: &'a B,
    lists: &'l mut Lists<'a, B>,
    paths_max: usize,
    found: &'l mut Found,
}

impl<B: Blobs> Look<'_, '_, B> {
    /// Looks up every blob that a path names; what is lost is counted, an error stops the check.
    fn at(&mut self, entry: &Entry) -> Result<()> {
        let path = entry.path();
        let Ok(node) = node::decode(&entry.value) else {
            self.found.lacking.add(path, self.paths_max);
            return Ok(());
        };
        let attached =
            [&node.holes, &node.xattrs].into_iter().filter_map(|attached| match attached {
                Attached::Stored(content) => Some(content),
                Attached::None | Attached::Here(_) => None,
            });
        let mut is_whole = node.size_bytes() == entry.size_bytes;
        for content in std::iter::once(&node.content).chain(attached) {
            is_whole &= self.is_stored(content)?;
        }
        if node.kind == NodeKind::File {
            self.found.files += 1;
            self.found.bytes = self.found.bytes.saturating_add(node.size_bytes());
        }
        if node.content.content == Content::Missing {
            self.found.never_stored.add(path.clone(), self.paths_max);
        }
        if !is_whole {
            self.found.lacking.add(path, self.paths_max);
        }
        Ok(())
    }

    /// Whether all of a content is in the index, as long as it says. One that was never stored is the
    /// snapshot's own incompleteness, and no damage.
    fn is_stored(&mut self, content: &FileContent) -> Result<bool> {
        let blobs = &mut self.found.blobs;
        let chunks = match &content.content {
            Content::Chunks(chunks) => chunks,
            Content::List { root, depth } => {
                let Some(level) = depth.checked_sub(1) else { return Ok(false) };
                return self.lists.is_whole(*root, level, content.len, blobs);
            }
            Content::Empty | Content::Inline(_) | Content::Missing => return Ok(true),
        };
        let mut len = 0u64;
        for chunk in chunks {
            *blobs += 1;
            if !is_chunk_stored(self.store, *chunk)? {
                return Ok(false);
            }
            len = len.saturating_add(u64::from(chunk.len));
        }
        Ok(len == content.len)
    }
}
