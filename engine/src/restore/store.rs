//! What a restore needs of a store; narrow, so that its rules are tested without one.
use crate::error::Result;
use crate::id::{BlobId, PackId};
use crate::node::{ChunkRef, FileContent};
use crate::pack::{BlobLocation, BlockEntry, PackKind};
use crate::repository::Repository;
use std::io::Read;

/// Stored contents, found and read block by block.
pub(super) trait BlobStore: Sync {
    /// Where a blob is; `None` when it is not stored.
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>>;

    /// Where a chunk is. A place that says another length than the file may be one that somebody lied
    /// about: then its pack is asked.
    fn locate_chunk(&self, chunk: &ChunkRef) -> Result<Option<BlobLocation>> {
        match self.locate(&chunk.id)? {
            Some(found) if found.len != chunk.len && self.settle(&found.pack)? => {
                self.locate(&chunk.id)
            }
            found => Ok(found),
        }
    }

    /// Looks into a pack in which a blob was not where it should be; whether blobs are found elsewhere
    /// in it from now on.
    fn settle(&self, _: &PackId) -> Result<bool> {
        Ok(false)
    }

    /// The plaintexts of neighbouring blocks of one data pack, read with one request; `blocks`
    /// are (ordinal, entry), ascending by offset. Blobs in them are not yet verified.
    fn read_blocks(&self, pack: &PackId, blocks: &[(u32, BlockEntry)]) -> Result<Vec<Vec<u8>>>;

    /// Goes on only if `plain` is the content blob `id`.
    fn verify_blob(&self, id: &BlobId, plain: &[u8]) -> Result<()>;

    /// The chunks of a content in order.
    fn chunks<'a>(
        &'a self,
        content: &FileContent,
    ) -> Box<dyn Iterator<Item = Result<ChunkRef>> + Send + 'a>;

    /// The bytes of a content, verified.
    fn open_content(&self, content: &FileContent) -> Result<Box<dyn Read + Send>>;
}

impl BlobStore for Repository {
    fn locate(&self, id: &BlobId) -> Result<Option<BlobLocation>> {
        Repository::locate(self, id)
    }
    fn settle(&self, pack: &PackId) -> Result<bool> {
        Repository::settle(self, pack)
    }
    fn read_blocks(&self, pack: &PackId, blocks: &[(u32, BlockEntry)]) -> Result<Vec<Vec<u8>>> {
        Repository::read_blocks(self, PackKind::Data, pack, blocks)
    }
    fn verify_blob(&self, id: &BlobId, plain: &[u8]) -> Result<()> {
        Repository::verify_blob(self, id, plain)
    }
    fn chunks<'a>(
        &'a self,
        content: &FileContent,
    ) -> Box<dyn Iterator<Item = Result<ChunkRef>> + Send + 'a> {
        Repository::chunks(self, content)
    }
    fn open_content(&self, content: &FileContent) -> Result<Box<dyn Read + Send>> {
        Ok(Repository::open_content(self, content))
    }
}
