//! One snapshot, read path by path.
use super::Repository;
use super::content::ContentReader;
use super::read_ahead::ReadAhead;
use crate::encoding::Encrypting;
use crate::error::{Error, ErrorKind, Result};
use crate::id::PackId;
use crate::node::{self, Content, Encoding, FileContent, Node, NodeKind};
use crate::pack::{BlobLocation, BlockEntry, PackKind};
use crate::path::TreePath;
use crate::reader::{Entries, SnapshotReader};
use crate::tree::{Entry, PageRef, Scan, get};
use std::io::Read;
use std::sync::Arc;

/// How much of each file is fetched before it is opened, in bytes; what follows is fetched while it is
/// read.
const PREFETCH_MAX: u64 = 16 << 20;

/// Pieces that are planned for one batch, however many paths it names.
const PIECES_MAX: usize = 64 * 1024;

/// A snapshot of an opened repository; cheap to clone. Clones share what was fetched ahead, and threads
/// that fetch are over when the last clone and the last file it opened are dropped.
#[derive(Clone)]
pub struct SnapshotView {
    repository: Repository,
    root: Option<PageRef>,
    ahead: Arc<ReadAhead>,
}

impl SnapshotView {
    pub(super) fn new(repository: Repository, root: Option<PageRef>) -> Self {
        let source = repository.clone();
        let fetch = Box::new(move |pack: &PackId, blocks: &[(u32, BlockEntry)]| {
            source.read_blocks(PackKind::Data, pack, blocks)
        });
        let connections = repository.backend().connections();
        SnapshotView { repository, root, ahead: Arc::new(ReadAhead::new(fetch, connections)) }
    }

    /// Where the beginnings of these files lie, in their order. What cannot be found is told by whoever
    /// opens it.
    fn beginnings(&self, paths: &[TreePath]) -> Result<Vec<BlobLocation>> {
        // In the order of the tree, neighbours share pages.
        let mut order: Vec<usize> = (0..paths.len()).collect();
        order.sort_by_key(|position| paths[*position].key());
        let mut contents: Vec<Option<FileContent>> = vec![None; paths.len()];
        for position in order {
            let node = unless_lost(self.entry(&paths[position]))?.flatten();
            let file = node.filter(|node| node.kind == NodeKind::File);
            contents[position] = file.map(|file| file.content);
        }
        let (mut places, mut pieces) = (Vec::new(), 0);
        for content in contents.into_iter().flatten() {
            let mut len = 0;
            for chunk in self.repository.chunks(&content) {
                let Some(chunk) = unless_lost(chunk)? else { break };
                // Found or not: a list may name what is not stored, without end.
                pieces += 1;
                if len >= PREFETCH_MAX || pieces > PIECES_MAX {
                    break;
                }
                len += u64::from(chunk.len);
                places.extend(self.repository.index().locate(&chunk.id)?);
            }
        }
        Ok(places)
    }

    /// The root of its tree.
    pub fn root(&self) -> Option<&PageRef> {
        self.root.as_ref()
    }
}

fn decoded(entry: &Entry) -> Result<(TreePath, Node)> {
    let path = entry.path();
    let node = node::decode(&entry.value).map_err(|e| {
        Error::new(ErrorKind::Damaged, format!("reading the node of {path}")).because(e)
    })?;
    Ok((path, node))
}

impl SnapshotReader for SnapshotView {
    fn entry(&self, path: &TreePath) -> Result<Option<Node>> {
        let entry = get(&self.repository, self.root.as_ref(), path.key())?;
        entry.map(|entry| Ok(decoded(&entry)?.1)).transpose()
    }

    fn walk<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        let mut scan = Scan::new(&self.repository, self.root.as_ref());
        scan.seek(folder.key());
        let folder = folder.clone();
        let within = move |entry: &Result<Entry>| match entry {
            Ok(entry) => entry.path().is_within(&folder),
            Err(_) => true,
        };
        Box::new(scan.take_while(within).map(|entry| decoded(&entry?)))
    }

    fn list<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        let mut scan = Scan::new(&self.repository, self.root.as_ref());
        scan.seek(folder.key());
        Box::new(Children { scan, folder: folder.clone() })
    }

    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>> {
        let missing = |why: &'static str| {
            Error::new(ErrorKind::NotFound, format!("opening {path}")).because(why)
        };
        let node = self.entry(path)?.ok_or_else(|| missing("the snapshot has no such path"))?;
        if node.kind != NodeKind::File {
            return Err(missing("it is not a file"));
        }
        if node.content.content == Content::Missing {
            return Err(missing("its content could not be read when the snapshot was made"));
        }
        let ahead = Some(self.ahead.clone());
        let stored = ContentReader::new(self.repository.clone(), &node.content, ahead);
        Ok(match &node.encoding {
            Encoding::AsStored => Box::new(stored),
            Encoding::AppleEncrypted { file_key } => Box::new(Encrypting::new(stored, file_key)),
        })
    }

    fn prefetch(&self, paths: &[TreePath]) {
        if self.repository.is_write_only() {
            return;
        }
        // A store that cannot be reached is told by whoever opens a file.
        if let Ok(places) = self.beginnings(paths) {
            self.ahead.prefetch(&places);
        }
    }
}

/// `None` for what is lost or damaged, which is no reason to fetch nothing else.
fn unless_lost<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Damaged) => Ok(None),
        Err(e) => Err(e),
    }
}

/// What lies directly in a folder; whole subtrees are passed by seeking.
struct Children<'a> {
    scan: Scan<'a, Repository>,
    folder: TreePath,
}

impl Iterator for Children<'_> {
    type Item = Result<(TreePath, Node)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.scan.next()? {
                Ok(entry) => entry,
                Err(e) => return Some(Err(e)),
            };
            let path = entry.path();
            if path == self.folder {
                continue;
            }
            let name = path.relative_to(&self.folder)?.components().next()?.to_vec();
            let child = self.folder.join(&name).ok()?;
            // Behind all that begins with the child and a NUL.
            self.scan.seek(&[child.key(), &[1]].concat());
            if child == path {
                return Some(decoded(&entry));
            }
        }
    }
}
