//! One snapshot, read path by path.
use super::Repository;
use super::content::ContentReader;
use crate::encoding::Encrypting;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{self, Content, Encoding, Node, NodeKind};
use crate::path::TreePath;
use crate::reader::{Entries, SnapshotReader};
use crate::tree::{Entry, PageRef, Scan, get};
use std::io::Read;

/// A snapshot of an opened repository; cheap to clone.
#[derive(Clone)]
pub struct SnapshotView {
    repository: Repository,
    root: Option<PageRef>,
}

impl SnapshotView {
    pub(super) fn new(repository: Repository, root: Option<PageRef>) -> Self {
        SnapshotView { repository, root }
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
        let stored = ContentReader::new(self.repository.clone(), &node.content);
        Ok(match &node.encoding {
            Encoding::AsStored => Box::new(stored),
            Encoding::AppleEncrypted { file_key } => Box::new(Encrypting::new(stored, file_key)),
        })
    }

    /// Reading is on demand for now: a source that reads back little gains nothing from it.
    fn prefetch(&self, _: &[TreePath]) {}
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
