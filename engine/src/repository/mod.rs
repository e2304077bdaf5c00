//! An opened store. (Skeleton: signatures are fixed, bodies are being written elsewhere.)
#![allow(missing_docs, clippy::unimplemented, unused)]
use crate::backend::Backend;
use crate::chunker::ChunkerParams;
use crate::error::Result;
use crate::id::{BlobId, PackId, RepositoryId};
use crate::interrupt::Interrupt;
use crate::node::{ChunkRef, FileContent, Node};
use crate::pack::{BlobLocation, BlockEntry, PackKind};
use crate::path::TreePath;
use crate::progress::Progress;
use crate::reader::{Entries, SnapshotReader};
use crate::seal::{KdfCost, RecoveryKey};
use crate::snapshot::{Named, Snapshot};
use crate::tree::{PageSource, TreeParams};
use bytes::Bytes;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub struct InitOptions {
    pub kdf: KdfCost,
    pub chunker: ChunkerParams,
    pub tree: TreeParams,
}
impl Default for InitOptions {
    fn default() -> Self {
        InitOptions {
            kdf: KdfCost::STANDARD,
            chunker: ChunkerParams::STANDARD,
            tree: TreeParams::STANDARD,
        }
    }
}
/// What opens a repository.
pub enum Unlock<'a> {
    Password(&'a [u8]),
    Recovery(&'a RecoveryKey),
}
/// Snapshots that count, oldest first, and objects that could not be read.
pub struct Snapshots {
    pub named: Vec<Named>,
    /// Object name and why.
    pub unreadable: Vec<(String, crate::error::Error)>,
}
/// What the local index knows of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredTotals {
    pub data_packs: u64,
    pub meta_packs: u64,
    /// Bytes of all packs as stored.
    pub stored_bytes: u64,
    pub blobs: u64,
    pub segments: u64,
}
/// An opened repository; cheap to clone.
#[derive(Clone)]
pub struct Repository(Arc<()>);
impl Repository {
    /// Makes a repository; the recovery key is returned once and stored nowhere.
    /// Errors: AlreadyExists, Denied, NoSpace, Unreachable.
    pub fn init(
        backend: &dyn Backend,
        password: &[u8],
        options: &InitOptions,
    ) -> Result<(RepositoryId, RecoveryKey)> {
        unimplemented!()
    }
    /// `cache` is the folder of this computer's copies; one folder per repository id is made in it.
    /// Errors: NoRepository, WrongPassword, TooNew, Damaged, Denied, Unreachable.
    pub fn open(
        backend: Box<dyn Backend>,
        unlock: &Unlock<'_>,
        cache: &Path,
        progress: &dyn Progress,
    ) -> Result<Repository> {
        unimplemented!()
    }
    pub fn id(&self) -> RepositoryId {
        unimplemented!()
    }
    /// For people; without secrets.
    pub fn place(&self) -> String {
        unimplemented!()
    }
    /// This repository's folder inside the cache.
    pub fn cache_folder(&self) -> &Path {
        unimplemented!()
    }
    pub fn snapshots(&self) -> Result<Snapshots> {
        unimplemented!()
    }
    pub fn view(&self, snapshot: &Snapshot) -> SnapshotView {
        unimplemented!()
    }
    pub fn stored_totals(&self) -> Result<StoredTotals> {
        unimplemented!()
    }
    /// Where a blob is; `None` when it is not stored.
    pub fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        unimplemented!()
    }
    /// Fetches neighbouring blocks of one pack with one request and opens them: their plaintexts, in the order asked.
    /// `blocks` are (ordinal, entry), ascending by offset. Blob ids are NOT yet compared: call `verify_blob`.
    pub fn read_blocks(
        &self,
        kind: PackKind,
        pack: &PackId,
        blocks: &[(u32, BlockEntry)],
    ) -> Result<Vec<Vec<u8>>> {
        unimplemented!()
    }
    /// Goes on only if `plain` is the content blob `id`. Error: Damaged.
    pub fn verify_blob(&self, id: &BlobId, plain: &[u8]) -> Result<()> {
        unimplemented!()
    }
    /// Reads one blob, verified. Pages are `PackKind::Meta`, contents `PackKind::Data`.
    pub fn read_blob(&self, kind: PackKind, id: &BlobId) -> Result<Bytes> {
        unimplemented!()
    }
    /// The chunks of a content in order (empty for `Inline`/`Empty`; NotFound for `Missing`), its list read page by page.
    pub fn chunks<'a>(
        &'a self,
        content: &FileContent,
    ) -> Box<dyn Iterator<Item = Result<ChunkRef>> + Send + 'a> {
        unimplemented!()
    }
    /// The bytes of any content as a stream, verified.
    pub fn open_content(&self, content: &FileContent) -> Result<Box<dyn Read + Send>> {
        unimplemented!()
    }
}
impl PageSource for Repository {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        unimplemented!()
    }
}
/// One snapshot read path by path.
#[derive(Clone)]
pub struct SnapshotView(Arc<()>);
impl SnapshotReader for SnapshotView {
    fn entry(&self, path: &TreePath) -> Result<Option<Node>> {
        unimplemented!()
    }
    fn walk<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        unimplemented!()
    }
    fn list<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        unimplemented!()
    }
    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>> {
        unimplemented!()
    }
    fn prefetch(&self, paths: &[TreePath]) {
        unimplemented!()
    }
}
