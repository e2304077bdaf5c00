//! Every tree, page by page, and every blob it names.
use super::{CheckReport, Severity};
use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;
use crate::interrupt::Interrupt;
use crate::node::{self, Attached, ChunkRef, Content, FileContent};
use crate::pack::BlobLocation;
use crate::path::TreePath;
use crate::repository::Repository;
use crate::snapshot::Named;
use crate::tree::{self, Entry, PageRef, PageSource};
use std::collections::HashSet;

/// Damaged pages of one snapshot that are passed to look at the rest; after that many it is
/// given up.
const BAD_PAGES_MAX: usize = 64;

/// What the check of trees needs of a store.
pub(super) trait Blobs: PageSource {
    /// Where a blob is; `None` when it is not stored.
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>>;

    /// The chunks of a content in order.
    fn chunks<'a>(
        &'a self,
        content: &FileContent,
    ) -> Box<dyn Iterator<Item = Result<ChunkRef>> + Send + 'a>;
}

impl Blobs for Repository {
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        Repository::locate(self, id)
    }
    fn chunks<'a>(
        &'a self,
        content: &FileContent,
    ) -> Box<dyn Iterator<Item = Result<ChunkRef>> + Send + 'a> {
        Repository::chunks(self, content)
    }
}

/// Walks the trees of all snapshots.
pub(super) fn check<B: Blobs>(
    store: &B,
    snapshots: &[Named],
    report: &mut CheckReport,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut trees = Trees { store, interrupt, sound: HashSet::new(), bad: HashSet::new() };
    for named in snapshots {
        let found = trees.walk(named.snapshot.root.as_ref())?;
        let name = format!("snapshot {}", named.id.short());
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
    /// Pages of trees that lack nothing: seen once, passed from then on. About 50 bytes a page,
    /// and a page for some 30 paths, so 2 MiB for a million paths plus what later trees changed.
    sound: HashSet<BlobId>,
    /// Pages that cannot be read.
    bad: HashSet<BlobId>,
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
            let mut fresh = HashSet::new();
            let mut last = None;
            let mut stopped = None;
            let (sound, bad) = (&self.sound, &self.bad);
            let bad_pages = std::cell::Cell::new(0);
            let enter = |id, _| {
                if bad.contains(&id) {
                    bad_pages.set(bad_pages.get() + 1);
                    return false;
                }
                last = Some(id);
                !sound.contains(&id) && fresh.insert(id)
            };
            let visit = |entry: &Entry| {
                look_at(self.store, self.interrupt, entry, &mut found).inspect_err(|error| {
                    stopped = Some(error.kind());
                })
            };
            let walked = tree::walk(self.store, root, enter, visit);
            found.bad_pages = bad_pages.get();
            match (walked, last) {
                (Ok(()), _) => {
                    if found.is_sound() {
                        self.sound.extend(fresh);
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

fn is_loss(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::TooNew)
}

/// Looks up every blob that a path names; what is lost is counted, an error stops the check.
fn look_at<B: Blobs>(
    store: &B,
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
        is_whole &= is_stored(store, interrupt, content, &mut found.blobs)?;
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
    interrupt: &Interrupt,
    content: &FileContent,
    blobs: &mut u64,
) -> Result<bool> {
    if !matches!(content.content, Content::Chunks(_) | Content::List { .. }) {
        return Ok(true);
    }
    let mut len = 0u64;
    for chunk in store.chunks(content) {
        interrupt.check()?;
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) if is_loss(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        *blobs += 1;
        if store.locate(&chunk.id)?.is_none_or(|location| location.len != chunk.len) {
            return Ok(false);
        }
        len = len.saturating_add(u64::from(chunk.len));
    }
    Ok(len == content.len)
}
