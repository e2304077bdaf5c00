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
use crate::node::{self, Attached, ChunkRef, Content, FileContent};
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
    let mut trees = Trees {
        store,
        interrupt,
        scratch,
        sound: SeenSet::new(scratch),
        bad: HashSet::new(),
        lists: Lists::new(store, scratch, interrupt),
    };
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

struct Trees<'a, B> {
    store: &'a B,
    interrupt: &'a Interrupt,
    scratch: &'a Path,
    /// Pages of trees that lack nothing: seen once, passed from then on.
    sound: SeenSet,
    /// Pages that cannot be read: at most [`BAD_PAGES_MAX`] for each snapshot.
    bad: HashSet<BlobId>,
    lists: Lists<'a, B>,
}

/// What is wrong with one tree.
#[derive(Default)]
struct Found {
    blobs: u64,
    bad_pages: u64,
    first_bad: Option<String>,
    lacking: u64,
    first_lacking: Option<String>,
    given_up: bool,
}

impl Found {
    fn lacks(&mut self, path: &TreePath) {
        self.lacking += 1;
        self.first_lacking.get_or_insert_with(|| path.to_string());
    }

    fn is_sound(&self) -> bool {
        self.bad_pages == 0 && self.lacking == 0
    }

    fn sentences(&self, name: &str) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.bad_pages > 0 {
            let (count, first) = (self.bad_pages, self.first_bad.as_deref().unwrap_or("unknown"));
            let more = if self.given_up { " or more" } else { "" };
            sentences
                .push(format!("{name}: {count}{more} tree pages cannot be read, first: {first}"));
        }
        if let Some(first) = &self.first_lacking {
            let count = self.lacking;
            sentences.push(format!("{name}: {count} paths lack stored bytes, first: {first}"));
        }
        sentences
    }
}

impl<B: Blobs> Trees<'_, B> {
    /// Walks one tree, past pages that cannot be read. A tree with damage leaves no page marked as
    /// sound, so that each snapshot sharing the damage is told of.
    fn walk(&mut self, root: Option<&PageRef>) -> Result<Found> {
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
            let visit = |entry: &Entry| {
                look_at(self.store, lists, self.interrupt, entry, &mut found).inspect_err(|error| {
                    stopped = Some(error.kind());
                })
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

/// Looks up every blob that a path names; what is lost is counted, an error stops the check.
fn look_at<B: Blobs>(
    store: &B,
    lists: &mut Lists<'_, B>,
    interrupt: &Interrupt,
    entry: &Entry,
    found: &mut Found,
) -> Result<()> {
    interrupt.check()?;
    let path = entry.path();
    let Ok(node) = node::decode(&entry.value) else {
        found.lacks(&path);
        return Ok(());
    };
    let attached = [&node.holes, &node.xattrs].into_iter().filter_map(|attached| match attached {
        Attached::Stored(content) => Some(content),
        Attached::None | Attached::Here(_) => None,
    });
    let mut is_whole = node.size_bytes() == entry.size_bytes;
    for content in std::iter::once(&node.content).chain(attached) {
        is_whole &= is_stored(store, lists, content, &mut found.blobs)?;
    }
    if !is_whole {
        found.lacks(&path);
    }
    Ok(())
}

/// Whether all of a content is in the index, as long as it says. One that was never stored is the
/// snapshot's own incompleteness, and no damage.
fn is_stored<B: Blobs>(
    store: &B,
    lists: &mut Lists<'_, B>,
    content: &FileContent,
    blobs: &mut u64,
) -> Result<bool> {
    let chunks = match &content.content {
        Content::Chunks(chunks) => chunks,
        Content::List { root, depth } => {
            let Some(level) = depth.checked_sub(1) else { return Ok(false) };
            return lists.is_whole(*root, level, content.len, blobs);
        }
        Content::Empty | Content::Inline(_) | Content::Missing => return Ok(true),
    };
    let mut len = 0u64;
    for chunk in chunks {
        *blobs += 1;
        if !is_chunk_stored(store, *chunk)? {
            return Ok(false);
        }
        len = len.saturating_add(u64::from(chunk.len));
    }
    Ok(len == content.len)
}
