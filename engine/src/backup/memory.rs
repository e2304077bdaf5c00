//! What this run learns about files of this computer; it is remembered once the snapshot counts.
use super::edits::Lists;
use crate::codec::{Decoder, Malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{FileMemory, Index, KnownFile};
use crate::node::encode_content;
use crate::pipeline::{Resolved, TicketTable};
use crate::source::{ContentTicket, FileStat, StatMemory};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Files are remembered in transactions of this many.
const AT_ONCE: usize = 50_000;

/// size (8), mtime (16), ctime (16), inode (8), device (8), ticket (8), length of the path (4).
const RECORD_LEN: usize = 68;

/// The longest path that is remembered, in bytes.
const PATH_LEN_MAX: u32 = 64 << 10;

/// The memory as it was, and what is added to it.
pub(super) struct RunMemory {
    before: FileMemory,
    learnt: Mutex<Learnt>,
}

struct Learnt {
    out: BufWriter<File>,
    /// A memory that could not be written forgets everything: that costs time, nothing else.
    failed: bool,
}

impl RunMemory {
    pub(super) fn new(index: &Index, scratch: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(scratch)
            .map_err(|e| Error::local("making a temporary file", e))?;
        let learnt = Mutex::new(Learnt { out: BufWriter::new(file), failed: false });
        Ok(RunMemory { before: index.file_memory()?, learnt })
    }

    /// Writes what was learnt into the index.
    pub(super) fn keep(self, index: &Index, tickets: &TicketTable, lists: &Lists) -> Result<()> {
        let doing = "reading a temporary file";
        let Learnt { out, failed } =
            self.learnt.into_inner().unwrap_or_else(PoisonError::into_inner);
        if failed {
            return Ok(());
        }
        let mut file = out.into_inner().map_err(|e| Error::local(doing, e.into_error()))?;
        file.rewind().map_err(|e| Error::local(doing, e))?;
        let mut from = BufReader::new(file);
        let mut files = Vec::new();
        while let Some((path, stat, ticket)) =
            read_record(&mut from).map_err(|e| Error::local(doing, e))?
        {
            let content = match tickets.resolve(ticket)? {
                Resolved::Node(content) => content,
                Resolved::Long { .. } => lists.get(&ticket).cloned().ok_or_else(|| {
                    Error::new(ErrorKind::SourceFailed, doing).because("a content has no list")
                })?,
            };
            let mut encoded = Vec::new();
            encode_content(&content, &mut encoded);
            files.push((path, KnownFile::new(&stat, &encoded)));
            if files.len() >= AT_ONCE {
                index.remember_files(std::mem::take(&mut files))?;
            }
        }
        if files.is_empty() { Ok(()) } else { index.remember_files(files) }
    }
}

impl StatMemory for RunMemory {
    fn is_unchanged(&self, host_path: &Path, stat: &FileStat, content: &[u8]) -> bool {
        self.before.holds(host_path, &KnownFile::new(stat, content))
    }

    fn remember(&self, host_path: &Path, stat: &FileStat, ticket: ContentTicket) {
        let path = host_path.as_os_str().as_bytes();
        let Ok(path_len) = u32::try_from(path.len()) else { return };
        if path_len > PATH_LEN_MAX {
            return;
        }
        let mut record = Vec::with_capacity(RECORD_LEN + path.len());
        record.extend_from_slice(&stat.size_bytes.to_le_bytes());
        record.extend_from_slice(&stat.mtime_nanos.to_le_bytes());
        record.extend_from_slice(&stat.ctime_nanos.to_le_bytes());
        record.extend_from_slice(&stat.inode.to_le_bytes());
        record.extend_from_slice(&stat.device.to_le_bytes());
        record.extend_from_slice(&ticket.0.to_le_bytes());
        record.extend_from_slice(&path_len.to_le_bytes());
        record.extend_from_slice(path);
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if !learnt.failed && learnt.out.write_all(&record).is_err() {
            learnt.failed = true;
        }
    }
}

fn read_record(from: &mut impl Read) -> io::Result<Option<(Vec<u8>, FileStat, ContentTicket)>> {
    let mut record = [0; RECORD_LEN];
    match from.read_exact(&mut record) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let (stat, ticket, path_len) =
        decode(&record).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let mut path = vec![0; path_len.min(PATH_LEN_MAX) as usize];
    from.read_exact(&mut path)?;
    Ok(Some((path, stat, ticket)))
}

fn decode(record: &[u8; RECORD_LEN]) -> Result<(FileStat, ContentTicket, u32), Malformed> {
    let mut from = Decoder::new(record);
    let stat = FileStat {
        size_bytes: from.u64("size")?,
        mtime_nanos: i128::from_le_bytes(from.array("mtime")?),
        ctime_nanos: i128::from_le_bytes(from.array("ctime")?),
        inode: from.u64("inode")?,
        device: from.u64("device")?,
    };
    Ok((stat, ContentTicket(from.u64("ticket")?), from.u32("path length")?))
}
