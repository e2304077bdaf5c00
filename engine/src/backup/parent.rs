//! Which snapshot a run is compared with, and which one it follows.
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, SnapshotId};
use crate::interrupt::Interrupt;
use crate::node::{self, Attached, ChunkRef, Content, FileContent};
use crate::progress::Progress;
use crate::repository::Repository;
use crate::snapshot::{Named, Origin};
use crate::tree::{ListPart, ListReader, PageRef, walk};
use std::collections::HashSet;

/// How many of the newest snapshots are looked through for a parent.
const NEWEST_TRIED: usize = 3;

/// Where a run stands among the snapshots that are there.
pub(super) struct Lineage {
    /// The newest snapshot of the same device or folder that may be inherited from.
    pub(super) parent: Option<Named>,
    /// How many snapshots this writer wrote before.
    pub(super) sequence: u64,
    /// The last of them.
    pub(super) previous: Option<SnapshotId>,
}

impl Lineage {
    /// Looks through the snapshots.
    ///
    /// Inheriting is reuse: while sweepers have marked packs, or packs are lost, the parent's tree
    /// is walked, and a parent that needs one of them is not used. When none of the newest will do,
    /// everything is read anew, and stored as far as no sound pack has it.
    ///
    /// A station's parent is one of its own, if it has kept that one's pages: it reads no others.
    ///
    /// A parent that somebody `wanted` is the only one that is tried.
    pub(super) fn find(
        repository: &Repository,
        origin: &Origin,
        wanted: Option<SnapshotId>,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let found = repository.snapshots()?;
        // After the snapshots, so that whatever counts can be read.
        repository.level_index()?;
        let missing = repository.note_missing_packs()?;
        if missing > 0 {
            progress.warn(&format!(
                "{missing} packs of the repository are missing or cut short; what they held and \
                 is still there to be read is stored again"
            ));
        }
        let writer = repository.keys().signer.writer();
        let own = found.named.iter().chain(&found.unconfirmed);
        let last = own
            .filter(|named| named.snapshot.writer == writer)
            .max_by_key(|named| named.snapshot.sequence);
        let (sequence, previous) = last
            .map_or((0, None), |named| (named.snapshot.sequence.saturating_add(1), Some(named.id)));
        let tried: Vec<_> = match wanted {
            None => candidates(repository, &found.named, origin).collect(),
            Some(id) => found.named.iter().filter(|n| n.id == id && is_parent(n, origin)).collect(),
        };
        for candidate in &tried {
            if is_reliable(repository, candidate.snapshot.root.as_ref(), interrupt)? {
                return Ok(Lineage { parent: Some((*candidate).clone()), sequence, previous });
            }
        }
        if wanted.is_some() || !tried.is_empty() {
            progress.warn(
                "no earlier snapshot can be built on: what they need is missing, or about to be \
                 removed; everything is read anew",
            );
        }
        Ok(Lineage { parent: None, sequence, previous })
    }
}

/// What may be a parent, the best first: the newest few, and the newest that was written with a full
/// key. Each may cost a walk through its tree, and a station may date what it writes as it likes.
fn candidates<'n>(
    repository: &Repository,
    named: &'n [Named],
    origin: &Origin,
) -> impl Iterator<Item = &'n Named> {
    let own = repository.keys().signer.writer();
    let may_read = |named: &Named| !repository.is_write_only() || named.snapshot.writer == own;
    let fitting: Vec<_> =
        named.iter().rev().filter(|named| is_parent(named, origin) && may_read(named)).collect();
    let (newest, older) = fitting.split_at(fitting.len().min(NEWEST_TRIED));
    let full = |named: &&&Named| repository.config().is_full(named.snapshot.writer);
    let full = older.iter().find(full).filter(|_| !newest.iter().any(|named| full(&named)));
    newest.iter().chain(full).copied().collect::<Vec<_>>().into_iter()
}

/// A folder's incomplete snapshot is a parent like any other: what it lacks is read again. A
/// device would take what is missing for sent.
fn is_parent(named: &Named, origin: &Origin) -> bool {
    let same = match (&named.snapshot.origin, origin) {
        (Origin::Device(a), Origin::Device(b)) => a.udid == b.udid,
        (Origin::Folder { host: a, path: b }, Origin::Folder { host, path }) => {
            (a, b) == (host, path)
        }
        _ => false,
    };
    same && (named.snapshot.is_complete() || matches!(origin, Origin::Folder { .. }))
}

/// Whether all that a tree needs lies in packs that are whole and that nobody has condemned. Walks
/// it only when there is a doubt.
pub(super) fn is_reliable(
    repository: &Repository,
    root: Option<&PageRef>,
    interrupt: &Interrupt,
) -> Result<bool> {
    if !repository.is_write_only() && !repository.index().has_unreliable() {
        return Ok(true);
    }
    let mut reliable = true;
    let lost = || Error::new(ErrorKind::NotFound, "looking through a tree");
    let index = repository.index();
    let need = |id| -> Result<()> {
        interrupt.check()?;
        index.locate_reliable(&id)?.map(|_| ()).ok_or_else(lost)
    };
    let is_loss = |e: &Error| match e.kind() {
        ErrorKind::NotFound | ErrorKind::Damaged | ErrorKind::TooNew => true,
        // A page that a station has not kept.
        ErrorKind::Denied => repository.is_write_only(),
        _ => false,
    };
    // Of a hostile tree, too, each page is read once.
    let (mut pages, mut lists) = (HashSet::new(), HashSet::new());
    let walked = walk(
        repository,
        root,
        |id, _| pages.insert(id),
        |entry| {
            let node = node::decode(&entry.value)
                .map_err(|e| Error::new(ErrorKind::Damaged, "reading a node").because(e))?;
            let attached = [&node.xattrs, &node.holes].into_iter().filter_map(|a| match a {
                Attached::Stored(content) => Some(content),
                _ => None,
            });
            for content in attached.chain([&node.content]) {
                need_content(repository, content, &mut lists, &need)?;
            }
            Ok(())
        },
    );
    for result in std::iter::once(walked).chain(pages.into_iter().map(need)) {
        match result {
            Err(e) if is_loss(&e) => reliable = false,
            other => other?,
        }
    }
    Ok(reliable)
}

/// `lists` are the pages of lists that were looked into: one may be named any number of times.
fn need_content(
    repository: &Repository,
    content: &FileContent,
    lists: &mut HashSet<BlobId>,
    need: &impl Fn(BlobId) -> Result<()>,
) -> Result<()> {
    match content.content {
        Content::Missing | Content::Empty | Content::Inline(_) => Ok(()),
        Content::Chunks(ref chunks) => chunks.iter().try_for_each(|chunk| need(chunk.id)),
        Content::List { root, depth } => {
            let mut list = ListReader::new(repository.clone(), root, depth, content.len);
            while let Some(part) = list.next() {
                match part? {
                    ListPart::Page(id) if !lists.insert(id) => list.pass(),
                    ListPart::Page(id) | ListPart::Chunk(ChunkRef { id, .. }) => need(id)?,
                }
            }
            Ok(())
        }
    }
}
