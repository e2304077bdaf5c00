//! Contents: their chunks in order, and their bytes as a stream.
use super::Repository;
use super::read_ahead::ReadAhead;
use crate::error::{Error, ErrorKind, Result};
use crate::node::{ChunkRef, Content, FileContent};
use crate::pack::{BlobLocation, PackKind};
use crate::tree::{ListPart, ListReader};
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

/// How far ahead of the place that is read chunks are fetched, in bytes: at first, and at most. Each time
/// it is twice as far, so that who reads only a beginning pays for little more.
const AHEAD_MIN: u64 = 1 << 20;
const AHEAD_MAX: u64 = 32 << 20;

/// Chunks that are looked up ahead, however short they are.
const AHEAD_CHUNKS_MAX: usize = 4096;

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
        Box::new(ContentReader::new(self.clone(), content, None))
    }
}

/// A content as a stream. After its last byte it proves that the length was right.
///
/// A read that failed changes nothing: the next one tries the same place again.
pub(super) struct ContentReader {
    repository: Repository,
    content: FileContent,
    /// `None` until it is needed, and after its source failed.
    chunks: Option<Chunks>,
    /// How many chunks it has given.
    given: usize,
    /// Chunks that come next.
    next: VecDeque<Next>,
    current: Bytes,
    left: u64,
    ahead: Option<Arc<ReadAhead>>,
    /// How far ahead chunks are fetched, in bytes.
    reach: u64,
}

/// A chunk to come.
struct Next {
    chunk: ChunkRef,
    /// Where it is being fetched from, when it was this reader who had it fetched.
    planned: Option<BlobLocation>,
}

impl ContentReader {
    /// Reads on demand, or ahead of itself through `ahead`.
    pub(super) fn new(
        repository: Repository,
        content: &FileContent,
        ahead: Option<Arc<ReadAhead>>,
    ) -> Self {
        let current = match &content.content {
            Content::Inline(bytes) => Bytes::copy_from_slice(bytes),
            _ => Bytes::new(),
        };
        let left = content.len - (current.len() as u64).min(content.len);
        ContentReader {
            repository,
            content: content.clone(),
            chunks: None,
            given: 0,
            next: VecDeque::new(),
            current,
            left,
            ahead,
            reach: AHEAD_MIN,
        }
    }

    fn next_chunk(&mut self) -> Result<Bytes> {
        let damaged =
            |what: &'static str| Error::new(ErrorKind::Damaged, "reading a content").because(what);
        self.look_ahead()?;
        let Some(Next { chunk, .. }) = self.next.front() else {
            return if self.left == 0 { Ok(Bytes::new()) } else { Err(damaged("it is too short")) };
        };
        let bytes = self.chunk_bytes(chunk)?;
        if bytes.len() as u64 != u64::from(chunk.len) || u64::from(chunk.len) > self.left {
            return Err(damaged("a chunk has another length"));
        }
        self.left -= u64::from(chunk.len);
        self.next.pop_front();
        Ok(bytes)
    }

    fn chunk_bytes(&self, chunk: &ChunkRef) -> Result<Bytes> {
        let fetched = self.ahead.as_ref().and_then(|a| self.repository.read_fetched(a, &chunk.id));
        match fetched {
            Some(bytes) => Ok(bytes),
            None => self.repository.read_blob(PackKind::Data, &chunk.id),
        }
    }

    /// Makes sure that the next chunk is known, if there is one; has those behind it fetched once half
    /// of what was fetched before is read.
    fn look_ahead(&mut self) -> Result<()> {
        let known: u64 = self.next.iter().map(|next| u64::from(next.chunk.len)).sum();
        let is_far = self.next.len() >= AHEAD_CHUNKS_MAX / 2 || known >= self.reach / 2;
        if !self.next.is_empty() && (is_far || self.chunks.is_none()) {
            return Ok(());
        }
        let reach = if self.ahead.is_some() { self.reach } else { 0 };
        let first_new = self.next.len();
        let pulled = self.pull(known, reach);
        self.plan(first_new);
        match pulled {
            // What is known is read first.
            Err(_) if !self.next.is_empty() => Ok(()),
            pulled => pulled,
        }
    }

    /// Takes chunks from the list: one at least, then until `reach` bytes are known.
    fn pull(&mut self, mut known: u64, reach: u64) -> Result<()> {
        while self.next.is_empty() || (known < reach && self.next.len() < AHEAD_CHUNKS_MAX) {
            let next = match &mut self.chunks {
                Some(chunks) => chunks.next(),
                // From the beginning, less what was given before it failed.
                None => {
                    let mut chunks = self.repository.chunks(&self.content);
                    for passed in chunks.by_ref().take(self.given) {
                        passed?;
                    }
                    self.chunks.insert(chunks).next()
                }
            };
            match next {
                Some(Ok(chunk)) => {
                    self.given += 1;
                    known = known.saturating_add(u64::from(chunk.len));
                    self.next.push_back(Next { chunk, planned: None });
                }
                Some(Err(error)) => {
                    self.chunks = None;
                    return Err(error);
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Has the chunks from the `first` on fetched, unless there is one only: that is read just now.
    fn plan(&mut self, first: usize) {
        let Some(ahead) = self.ahead.as_ref().filter(|_| self.next.len() > 1) else { return };
        if first == self.next.len() {
            return;
        }
        let mut places = Vec::new();
        let mut located = Vec::new();
        for (position, next) in self.next.iter().enumerate().skip(first) {
            // What cannot be found now is told by whoever reads it.
            if let Ok(Some(place)) = self.repository.index().locate(&next.chunk.id) {
                places.push(place);
                located.push(position);
            }
        }
        let is_new = ahead.look_ahead(&places);
        for ((position, place), is_new) in located.into_iter().zip(places).zip(is_new) {
            self.next[position].planned = is_new.then_some(place);
        }
        self.reach = (self.reach * 2).min(AHEAD_MAX);
    }
}

impl Drop for ContentReader {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.give_up(self.next.iter().filter_map(|next| next.planned.as_ref()));
        }
    }
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !buffer.is_empty() {
            self.current = self.next_chunk().map_err(io::Error::other)?;
        }
        let len = buffer.len().min(self.current.len());
        buffer[..len].copy_from_slice(&self.current[..len]);
        self.current.advance(len);
        Ok(len)
    }
}
