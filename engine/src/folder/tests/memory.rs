//! A repository the size of a test: contents, snapshots and what was remembered, in memory.
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{FolderOptions, FolderSource, FolderTarget, TargetOptions};
use crate::id::BlobId;
use crate::interrupt::Interrupt;
use crate::node::{Attached, ChunkRef, Content, FileContent, Node, NodeKind, encode_content};
use crate::node::{decode_holes, decode_xattrs};
use crate::path::TreePath;
use crate::progress::{Fault, Progress, Silent};
use crate::reader::{Entries, SnapshotReader};
use crate::source::{
    ContentSink, ContentStream, ContentTicket, Edit, FileStat, Source, SourceError, SourceRun,
    StatMemory,
};
use crate::target::{Restored, Target};
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Contents by ticket; a content is one chunk named by its ticket.
#[derive(Default, Clone)]
pub(super) struct Store(Arc<Mutex<Vec<Vec<u8>>>>);

struct Stream {
    store: Store,
    bytes: Vec<u8>,
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(buf);
        Ok(buf.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl ContentStream for Stream {
    fn finish(self: Box<Self>) -> std::io::Result<ContentTicket> {
        let mut contents = self.store.0.lock().unwrap();
        contents.push(self.bytes);
        Ok(ContentTicket(contents.len() as u64 - 1))
    }
}

impl ContentSink for Store {
    fn begin(&self) -> Box<dyn ContentStream> {
        Box::new(Stream { store: self.clone(), bytes: Vec::new() })
    }

    fn flush(&self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Store {
    fn content(&self, ticket: ContentTicket) -> FileContent {
        let len = self.0.lock().unwrap()[usize::try_from(ticket.0).unwrap()].len();
        let mut id = [0; 32];
        id[..8].copy_from_slice(&ticket.0.to_le_bytes());
        let chunk = ChunkRef { id: BlobId::from_bytes(id), len: u32::try_from(len).unwrap() };
        FileContent { content: Content::Chunks(vec![chunk]), len: len as u64 }
    }

    pub(super) fn bytes(&self, content: &FileContent) -> Vec<u8> {
        match &content.content {
            Content::Empty => Vec::new(),
            Content::Inline(bytes) => bytes.clone(),
            Content::Chunks(chunks) => {
                let number = u64::from_le_bytes(chunks[0].id.as_bytes()[..8].try_into().unwrap());
                self.0.lock().unwrap()[usize::try_from(number).unwrap()].clone()
            }
            other => panic!("no bytes: {other:?}"),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A snapshot: nodes by path.
#[derive(Default, Clone, PartialEq, Debug)]
pub(super) struct Snapshot(pub(super) BTreeMap<TreePath, Node>);

impl SnapshotReader for Snapshot {
    fn entry(&self, path: &TreePath) -> Result<Option<Node>> {
        Ok(self.0.get(path).cloned())
    }
    fn walk<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        let folder = folder.clone();
        let within = self.0.iter().filter(move |(path, _)| path.is_within(&folder));
        Box::new(within.map(|(path, node)| Ok((path.clone(), node.clone()))))
    }
    fn list<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        let folder = Some(folder.clone());
        let within = self.0.iter().filter(move |(path, _)| path.parent() == folder);
        Box::new(within.map(|(path, node)| Ok((path.clone(), node.clone()))))
    }
    fn open(&self, _: &TreePath) -> Result<Box<dyn Read + Send>> {
        Err(Error::new(ErrorKind::NotFound, "opening"))
    }
    fn prefetch(&self, _: &[TreePath]) {}
}

/// Remembers by path what was read, as the content it became.
#[derive(Default)]
pub(super) struct Memory {
    store: Store,
    known: Mutex<HashMap<PathBuf, (FileStat, Vec<u8>)>>,
}

impl StatMemory for Memory {
    fn is_unchanged(&self, host_path: &Path, stat: &FileStat, content: &[u8]) -> bool {
        let known = self.known.lock().unwrap();
        known.get(host_path).is_some_and(|(was, had)| was == stat && had == content)
    }
    fn remember(&self, host_path: &Path, stat: &FileStat, ticket: ContentTicket) {
        let mut content = Vec::new();
        encode_content(&self.store.content(ticket), &mut content);
        self.known.lock().unwrap().insert(host_path.to_owned(), (*stat, content));
    }
}

/// The result of a run.
pub(super) struct Ran {
    pub(super) edits: Vec<(TreePath, Edit)>,
    pub(super) faults: Vec<Fault>,
    pub(super) snapshot: Snapshot,
}

/// Everything a run needs.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) memory: Memory,
    pub(super) interrupt: Interrupt,
}

impl Desk {
    pub(super) fn new() -> Self {
        let store = Store::default();
        let memory = Memory { store: store.clone(), ..Memory::default() };
        Desk { store, memory, interrupt: Interrupt::new() }
    }

    pub(super) fn back_up(&self, root: &Path, parent: Option<&Snapshot>) -> Ran {
        self.back_up_with(root, parent, FolderOptions::default(), &Silent).unwrap()
    }

    pub(super) fn back_up_with(
        &self,
        root: &Path,
        parent: Option<&Snapshot>,
        options: FolderOptions,
        progress: &dyn Progress,
    ) -> Result<Ran, SourceError> {
        let scratch = tempfile::tempdir().unwrap();
        let delivery = FolderSource::new(root.to_owned(), options).run(&SourceRun {
            parent: parent.map(|parent| parent as &dyn SnapshotReader),
            contents: &self.store,
            remembered: &self.memory,
            scratch: scratch.path(),
            progress,
            interrupt: &self.interrupt,
        })?;
        let faults = delivery.faults.kept().to_vec();
        let edits: Vec<_> = delivery
            .edits
            .sorted()
            .unwrap()
            .map(|record| record.unwrap())
            .map(|record| (record.path, record.edit))
            .collect();
        let snapshot = self.applied(parent.cloned().unwrap_or_default(), &edits);
        Ok(Ran { edits, faults, snapshot })
    }

    fn applied(&self, mut snapshot: Snapshot, edits: &[(TreePath, Edit)]) -> Snapshot {
        for (path, edit) in edits {
            match edit {
                Edit::Remove => snapshot.0.retain(|at, _| !at.is_within(path)),
                Edit::MoveFrom(_) => panic!("a folder never moves"),
                Edit::Put { .. } => {}
            }
        }
        for (path, edit) in edits {
            if let Edit::Put { node, awaiting } = edit {
                let mut node = (**node).clone();
                if let Some(ticket) = awaiting.content {
                    node.content = self.store.content(ticket);
                }
                for (ticket, attached) in
                    [(awaiting.xattrs, &mut node.xattrs), (awaiting.holes, &mut node.holes)]
                {
                    if let Some(ticket) = ticket {
                        *attached = Attached::Stored(self.store.content(ticket));
                    }
                }
                snapshot.0.insert(path.clone(), node);
            }
        }
        snapshot
    }

    fn attached(&self, attached: &Attached) -> Vec<u8> {
        match attached {
            Attached::None => Vec::new(),
            Attached::Here(bytes) => bytes.clone(),
            Attached::Stored(content) => self.store.bytes(content),
        }
    }

    /// Brings `snapshot` back to `root`, in pieces of `piece` bytes, last piece first.
    pub(super) fn restore(&self, snapshot: &Snapshot, root: &Path, piece: usize) -> Vec<String> {
        let target = FolderTarget::open(root, &TargetOptions::default()).unwrap();
        let mut notes = Vec::new();
        let mut links = HashMap::new();
        for (path, node) in &snapshot.0 {
            let xattrs = decode_xattrs(&self.attached(&node.xattrs)).unwrap();
            let holes = decode_holes(&self.attached(&node.holes)).unwrap();
            let restored = Restored { path, node, xattrs: &xattrs, holes: &holes };
            match node.kind {
                NodeKind::Folder => target.make_folder(path).unwrap(),
                NodeKind::File => {
                    let first = node.hard_link.as_ref().and_then(|group| links.get(group));
                    if let Some(first) = first {
                        target.make_hard_link(path, first).unwrap();
                        continue;
                    }
                    let bytes = self.store.bytes(&node.content);
                    let ticket = target.begin_file(path, bytes.len() as u64).unwrap();
                    for (number, part) in bytes.chunks(piece).enumerate().rev() {
                        target.write_piece(ticket, (number * piece) as u64, part).unwrap();
                    }
                    notes.extend(target.finish_file(ticket, &restored).unwrap());
                    if let Some(group) = &node.hard_link {
                        links.insert(group.clone(), path.clone());
                    }
                }
                _ => notes.extend(target.make_special(&restored).unwrap()),
            }
        }
        for (path, node) in snapshot.0.iter().rev().filter(|(_, n)| n.kind == NodeKind::Folder) {
            let xattrs = decode_xattrs(&self.attached(&node.xattrs)).unwrap();
            let restored = Restored { path, node, xattrs: &xattrs, holes: &[] };
            notes.extend(target.finish_folder(&restored).unwrap());
        }
        target.sync(true).unwrap();
        notes
    }
}
