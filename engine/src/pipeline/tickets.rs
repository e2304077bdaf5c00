//! Which content each ticket stands for.
//!
//! Contents are known in the order their chunks are named and wanted in the order of paths, so
//! they are written to a temporary file as they come, and read back at their places: memory holds
//! eight bytes a content.
//!
//! A record: number of chunks (varint), then per chunk id (32 bytes) and length (varint). Contents
//! that stand in their node have no record.
use crate::codec::{Decoder, Malformed, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;
use crate::node::{CHUNKS_IN_NODE_MAX, ChunkRef, Content, FileContent, INLINE_LEN_MAX};
use crate::source::ContentTicket;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a ticket stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// A content that fits a node.
    Node(FileContent),
    /// More chunks than that.
    Long {
        /// In order.
        chunks: Vec<ChunkRef>,
        /// Their bytes.
        len: u64,
    },
}

/// Contents by ticket.
pub struct TicketTable {
    state: Mutex<State>,
    settled: Condvar,
    file: File,
}

struct State {
    out: BufWriter<File>,
    written: u64,
    places: Vec<Place>,
    unsettled: usize,
}

#[derive(Clone)]
enum Place {
    Unknown,
    Inline(Box<[u8]>),
    /// Where the record begins in the file, and its length.
    At(u64, u32),
}

impl TicketTable {
    pub(crate) fn new(scratch: &Path) -> Result<Self> {
        let doing = "making a temporary file";
        let file = tempfile::tempfile_in(scratch).map_err(|e| Error::local(doing, e))?;
        let out = BufWriter::new(file.try_clone().map_err(|e| Error::local(doing, e))?);
        let state = State { out, written: 0, places: Vec::new(), unsettled: 0 };
        Ok(TicketTable { state: Mutex::new(state), settled: Condvar::new(), file })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket for a content whose chunks are still to be named.
    pub(super) fn issue(&self) -> ContentTicket {
        let mut state = self.state();
        state.places.push(Place::Unknown);
        state.unsettled += 1;
        ContentTicket(state.places.len() as u64 - 1)
    }

    /// A ticket for a content that stands in its node.
    pub(super) fn issue_inline(&self, bytes: &[u8]) -> ContentTicket {
        debug_assert!(bytes.len() <= INLINE_LEN_MAX, "longer contents have chunks");
        let mut state = self.state();
        state.places.push(Place::Inline(bytes.into()));
        ContentTicket(state.places.len() as u64 - 1)
    }

    /// Notes the chunks of the content that `ticket` stands for.
    pub(super) fn settle(&self, ticket: ContentTicket, chunks: &[ChunkRef]) -> Result<()> {
        let mut record = Vec::with_capacity(10 + chunks.len() * 36);
        put_varint(&mut record, chunks.len() as u64);
        for chunk in chunks {
            record.extend_from_slice(chunk.id.as_bytes());
            put_varint(&mut record, u64::from(chunk.len));
        }
        let record_len = u32::try_from(record.len())
            .map_err(|_| Error::new(ErrorKind::Invalid, "storing a content of 100 TiB"))?;
        let mut state = self.state();
        let write = state.out.write_all(&record);
        write.map_err(|e| Error::local("writing a temporary file", e))?;
        let at = state.written;
        state.written += u64::from(record_len);
        let place = usize::try_from(ticket.0).ok().and_then(|n| state.places.get_mut(n));
        *place.expect("because this table issued the ticket") = Place::At(at, record_len);
        state.unsettled -= 1;
        if state.unsettled == 0 {
            self.settled.notify_all();
        }
        Ok(())
    }

    /// Waits until every ticket is settled, at most this long; whether they are.
    pub(super) fn wait_settled(&self, at_most: Duration) -> bool {
        let state = self.state();
        if state.unsettled == 0 {
            return true;
        }
        let waited = self.settled.wait_timeout(state, at_most);
        waited.unwrap_or_else(PoisonError::into_inner).0.unsettled == 0
    }

    /// The content that `ticket` stands for.
    ///
    /// # Errors
    ///
    /// [`SourceFailed`](ErrorKind::SourceFailed) for a ticket of another run; the temporary file
    /// could not be read.
    pub fn resolve(&self, ticket: ContentTicket) -> Result<Resolved> {
        let doing = "reading a temporary file";
        let place = {
            let mut state = self.state();
            state.out.flush().map_err(|e| Error::local(doing, e))?;
            let place = usize::try_from(ticket.0).ok().and_then(|n| state.places.get(n));
            place.cloned().unwrap_or(Place::Unknown)
        };
        let (at, len) = match place {
            Place::At(at, len) => (at, len),
            Place::Inline(bytes) => return Ok(Resolved::Node(FileContent::inline(&bytes))),
            Place::Unknown => {
                return Err(Error::new(ErrorKind::SourceFailed, "looking up a content")
                    .because("its ticket was not issued in this run"));
            }
        };
        let mut record = vec![0; len as usize];
        self.file.read_exact_at(&mut record, at).map_err(|e| Error::local(doing, e))?;
        let chunks =
            decode(&record).map_err(|e| Error::new(ErrorKind::LocalDisk, doing).because(e))?;
        let len = chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
        if chunks.len() > CHUNKS_IN_NODE_MAX {
            return Ok(Resolved::Long { chunks, len });
        }
        Ok(Resolved::Node(FileContent { content: Content::Chunks(chunks), len }))
    }
}

fn decode(record: &[u8]) -> Result<Vec<ChunkRef>, Malformed> {
    let mut from = Decoder::new(record);
    let count = from.count(from.remaining() / 33, "number of chunks")?;
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        let id = BlobId::from_bytes(from.array("id")?);
        let len = u32::try_from(from.varint("length")?).map_err(|_| Malformed("length"))?;
        chunks.push(ChunkRef { id, len });
    }
    from.finish("end of record")?;
    Ok(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ticket_leads_to_its_content_whatever_the_order() {
        let folder = tempfile::tempdir().unwrap();
        let table = TicketTable::new(folder.path()).unwrap();
        let chunk = |n: u8| ChunkRef { id: BlobId::from_bytes([n; 32]), len: u32::from(n) + 1 };
        let (first, second) = (table.issue(), table.issue());
        let inline = table.issue_inline(b"tiny");
        assert!(!table.wait_settled(Duration::ZERO));
        let many: Vec<_> = (0..70).map(chunk).collect();
        table.settle(second, &many).unwrap();
        table.settle(first, &[chunk(9)]).unwrap();
        assert!(table.wait_settled(Duration::ZERO));
        let content = Content::Chunks(vec![chunk(9)]);
        let node = Resolved::Node(FileContent { content, len: 10 });
        assert_eq!(table.resolve(first).unwrap(), node);
        let len = (1..=70).sum();
        assert_eq!(table.resolve(second).unwrap(), Resolved::Long { chunks: many, len });
        let node = Resolved::Node(FileContent::inline(b"tiny"));
        assert_eq!(table.resolve(inline).unwrap(), node);
        let foreign = table.resolve(ContentTicket(77)).unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::SourceFailed);
    }
}
