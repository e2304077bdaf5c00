//! Contents: their chunks in order, and their bytes as a stream.
use super::Repository;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{ChunkRef, Content, FileContent};
use crate::pack::PackKind;
use crate::tree::{ListPart, ListReader};
use bytes::{Buf, Bytes};
use std::io::{self, Read};

/// Chunks of a content, in order.
pub type Chunks = Box<dyn Iterator<Item = Result<ChunkRef>> + Send>;

impl Repository {
    /// The chunks of a content in order: none when it is empty or stands in its node.
    ///
    /// An error item for a content that is missing, or a list that cannot be read.
    pub fn chunks(&self, content: &FileContent) -> Chunks {
        match &content.content {
            Content::Empty | Content::Inline(_) => Box::new(std::iter::empty()),
            Content::Chunks(chunks) => Box::new(chunks.clone().into_iter().map(Ok)),
            Content::List { root, depth } => {
                let list = ListReader::new(self.clone(), *root, *depth, content.len);
                Box::new(list.filter_map(|part| match part {
                    Ok(ListPart::Chunk(chunk)) => Some(Ok(chunk)),
                    Ok(ListPart::Page(_)) => None,
                    Err(e) => Some(Err(e)),
                }))
            }
            Content::Missing => {
                let missing = Error::new(ErrorKind::NotFound, "reading a content")
                    .because("it could not be read when the snapshot was made");
                Box::new(std::iter::once(Err(missing)))
            }
        }
    }

    /// The bytes of a content, verified chunk by chunk as they are read.
    pub fn open_content(&self, content: &FileContent) -> Box<dyn Read + Send> {
        Box::new(ContentReader::new(self.clone(), content))
    }
}

/// A content as a stream. After its last byte it proves that the length was right.
pub(super) struct ContentReader {
    repository: Repository,
    chunks: Chunks,
    current: Bytes,
    left: u64,
}

impl ContentReader {
    pub(super) fn new(repository: Repository, content: &FileContent) -> Self {
        let current = match &content.content {
            Content::Inline(bytes) => Bytes::copy_from_slice(bytes),
            _ => Bytes::new(),
        };
        let left = content.len - (current.len() as u64).min(content.len);
        ContentReader { chunks: repository.chunks(content), repository, current, left }
    }

    fn next_chunk(&mut self) -> Result<Bytes> {
        let damaged =
            |what: &'static str| Error::new(ErrorKind::Damaged, "reading a content").because(what);
        let Some(chunk) = self.chunks.next().transpose()? else {
            return if self.left == 0 { Ok(Bytes::new()) } else { Err(damaged("it is too short")) };
        };
        let bytes = self.repository.read_blob(PackKind::Data, &chunk.id)?;
        if bytes.len() as u64 != u64::from(chunk.len) || u64::from(chunk.len) > self.left {
            return Err(damaged("a chunk has another length"));
        }
        self.left -= u64::from(chunk.len);
        Ok(bytes)
    }
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            self.current = self.next_chunk().map_err(io::Error::other)?;
        }
        let len = buffer.len().min(self.current.len());
        buffer[..len].copy_from_slice(&self.current[..len]);
        self.current.advance(len);
        Ok(len)
    }
}
