//! Bytes in: cut into chunks, small ones batched, each with its place in its content.
use super::Shared;
use super::flush;
use super::sealer::{Piece, Work};
use super::tickets::TicketTable;
use crate::chunker::Chunker;
use crate::error::Result;
use crate::id::BlobId;
use crate::node::{ChunkRef, INLINE_LEN_MAX};
use crate::source::{ContentSink, ContentStream, ContentTicket};
use crossbeam_channel::Sender;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// A batch of small pieces goes to a worker when it holds this many bytes: about one bundle.
const BATCH_BYTES: usize = 256 << 10;

/// And at the latest with this many pieces.
const BATCH_PIECES: usize = 2048;

/// Takes contents in.
pub(super) struct Intake {
    shared: Arc<Shared>,
    tickets: Arc<TicketTable>,
    work: Sender<Work>,
    batch: Arc<Mutex<Batch>>,
    workers: usize,
}

#[derive(Default)]
struct Batch {
    pieces: Vec<Piece>,
    bytes: usize,
}

impl Intake {
    pub(super) fn new(
        shared: Arc<Shared>,
        tickets: Arc<TicketTable>,
        work: Sender<Work>,
        workers: usize,
    ) -> Self {
        Intake { shared, tickets, work, batch: Arc::default(), workers }
    }

    /// Sends on the small pieces that wait for company.
    pub(super) fn flush(&self) {
        let pieces = {
            let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *batch).pieces
        };
        if !pieces.is_empty() {
            // A pipeline that has stopped takes nothing; its failure is reported elsewhere.
            let _ = self.shared.offer(&self.work, Work::Batch(pieces));
        }
    }
}

impl ContentSink for Intake {
    fn begin(&self) -> Box<dyn ContentStream> {
        Box::new(Stream {
            chunker: Chunker::new(self.shared.repository.cutter().clone()),
            out: Out {
                shared: self.shared.clone(),
                work: self.work.clone(),
                batch: self.batch.clone(),
                content: Arc::new(Naming::new(self.tickets.clone())),
                chunks: 0,
            },
            len: 0,
        })
    }

    fn flush(&self) -> io::Result<()> {
        Intake::flush(self);
        flush::run(&self.shared, &self.work, self.workers)
    }
}

/// One content on its way in.
struct Stream {
    chunker: Chunker,
    out: Out,
    len: u64,
}

/// Where its chunks go.
struct Out {
    shared: Arc<Shared>,
    work: Sender<Work>,
    batch: Arc<Mutex<Batch>>,
    content: Arc<Naming>,
    chunks: usize,
}

pub(super) fn stopped() -> io::Error {
    io::Error::other("storing has stopped")
}

impl Out {
    fn send(&mut self, plain: Vec<u8>) -> io::Result<()> {
        let shared = &self.shared;
        let give_up = || shared.interrupt.is_raised();
        let permit = shared.budget.take(plain.len(), give_up).ok_or_else(stopped)?;
        let small = plain.len() < shared.bundled_below();
        let piece = Piece { plain, permit, content: self.content.clone(), position: self.chunks };
        self.chunks += 1;
        let work = if small { self.batched(piece) } else { Some(Work::Chunk(piece)) };
        match work {
            Some(work) => shared.offer(&self.work, work).map_err(|_| stopped()),
            None => Ok(()),
        }
    }

    /// Adds a piece to the batch; the batch when it is full.
    fn batched(&self, piece: Piece) -> Option<Work> {
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        batch.bytes += piece.plain.len();
        batch.pieces.push(piece);
        let full = batch.bytes >= BATCH_BYTES || batch.pieces.len() >= BATCH_PIECES;
        full.then(|| Work::Batch(std::mem::take(&mut *batch).pieces))
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunker.push(bytes, |chunk| self.out.send(chunk))?;
        self.len += bytes.len() as u64;
        self.out.shared.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ContentStream for Stream {
    fn finish(self: Box<Self>) -> io::Result<ContentTicket> {
        let Stream { chunker, mut out, len } = *self;
        let in_node = len <= INLINE_LEN_MAX as u64;
        let mut inline = Vec::new();
        chunker.finish(|chunk| {
            if in_node {
                inline = chunk;
                return Ok(());
            }
            out.send(chunk)
        })?;
        if out.shared.is_stopped() {
            return Err(stopped());
        }
        if in_node {
            return Ok(out.content.tickets.issue_inline(&inline));
        }
        out.content.end(out.chunks).map_err(io::Error::other)
    }
}

/// A content whose chunks are being named.
pub(super) struct Naming {
    tickets: Arc<TicketTable>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    chunks: Vec<Option<ChunkRef>>,
    named: usize,
    /// Set when the content ended, with its number of chunks.
    ended: Option<(ContentTicket, usize)>,
}

impl Naming {
    fn new(tickets: Arc<TicketTable>) -> Self {
        Naming { tickets, state: Mutex::default() }
    }

    /// Notes the name of the chunk at `position`.
    pub(super) fn named(&self, position: usize, id: BlobId, len: u32) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.chunks.len() <= position {
            state.chunks.resize(position + 1, None);
        }
        state.chunks[position] = Some(ChunkRef { id, len });
        state.named += 1;
        self.settle_if_whole(&mut state)
    }

    /// The content has ended after this many chunks.
    fn end(&self, chunks: usize) -> Result<ContentTicket> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = self.tickets.issue();
        state.ended = Some((ticket, chunks));
        self.settle_if_whole(&mut state)?;
        Ok(ticket)
    }

    fn settle_if_whole(&self, state: &mut State) -> Result<()> {
        match state.ended {
            Some((ticket, count)) if state.named == count => {
                let chunks: Vec<ChunkRef> = std::mem::take(&mut state.chunks)
                    .into_iter()
                    .map(|chunk| chunk.expect("because all positions were named"))
                    .collect();
                self.tickets.settle(ticket, &chunks)
            }
            _ => Ok(()),
        }
    }
}
