//! Reading one file: skipped when it is remembered, read again when it changes meanwhile.
use super::attributes::read_holes;
use super::source::failed;
use crate::node::{Content, Encoding, FileContent, INLINE_LEN_MAX, Node, NodeKind};
use crate::node::{encode_content, encode_holes};
use crate::source::{ContentTicket, FileStat, SourceError, SourceRun};
use rustix::fs::Stat;
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Times a file that keeps changing is read before it is taken as it is.
const ATTEMPTS_MAX: u32 = 3;

/// Bytes asked of the kernel at a time.
const READ_LEN: usize = 256 * 1024;

/// A file changed more recently than this is not remembered, in nanoseconds: coarse file system
/// clocks (FAT: 2 s) could give a second change the same time.
const SETTLED_NANOS: i128 = 2_000_000_000;

/// A file about to be read.
pub(super) struct Reading<'a> {
    pub(super) run: &'a SourceRun<'a>,
    pub(super) file: BorrowedFd<'a>,
    pub(super) host_path: &'a Path,
    /// What the parent has at its path.
    pub(super) known: Option<&'a Node>,
}

/// What was read.
pub(super) struct Taken {
    /// The file as it looked when the reading ended.
    pub(super) stat: Stat,
    /// Its content, unless `ticket` stands for it.
    pub(super) content: FileContent,
    pub(super) ticket: Option<ContentTicket>,
    /// Its encoded holes.
    pub(super) holes: Vec<u8>,
    /// It changed each time it was read.
    pub(super) changed: bool,
}

/// Why reading stopped.
pub(super) enum Stopped {
    /// The file cannot be read; the run goes on.
    File(io::Error),
    /// The run cannot go on.
    Run(SourceError),
}

impl From<Errno> for Stopped {
    fn from(errno: Errno) -> Self {
        Stopped::File(errno.into())
    }
}

/// Reads files one after the other through one buffer.
pub(super) struct FileReader {
    buffer: Vec<u8>,
}

impl FileReader {
    pub(super) fn new() -> Self {
        FileReader { buffer: vec![0; READ_LEN] }
    }

    /// The file's content: the parent's if this computer remembers it, else read.
    pub(super) fn read(&mut self, reading: &Reading<'_>) -> Result<Taken, Stopped> {
        let mut before = rustix::fs::fstat(reading.file)?;
        let size = size_of(&before);
        if let Some(content) = reading.remembered(&before) {
            reading.run.progress.advance(0, size);
            let holes = holes_of(reading.file, &before)?;
            return Ok(Taken { stat: before, content, ticket: None, holes, changed: false });
        }
        let mut attempt = 1;
        loop {
            let began = nanos_now();
            let (content, ticket, len) = self.read_once(reading, &before, attempt == 1)?;
            let holes = holes_of(reading.file, &before)?;
            let after = rustix::fs::fstat(reading.file)?;
            let changed = file_stat(&before) != file_stat(&after) || len != size_of(&before);
            if changed && attempt < ATTEMPTS_MAX {
                attempt += 1;
                before = after;
                continue;
            }
            if let Some(ticket) = ticket {
                let stat = file_stat(&after);
                if !changed && stat.ctime_nanos + SETTLED_NANOS < began {
                    reading.run.remembered.remember(reading.host_path, &stat, ticket);
                }
            }
            // Holes past the bytes that were read would be a promise nobody can keep.
            let holes = if changed { Vec::new() } else { holes };
            return Ok(Taken { stat: after, content, ticket, holes, changed });
        }
    }

    /// Reads as many bytes as `stat` promises, and one more to see that there are no more; a file
    /// that grows as fast as it is read comes to an end too.
    fn read_once(
        &mut self,
        reading: &Reading<'_>,
        stat: &Stat,
        counts: bool,
    ) -> Result<(FileContent, Option<ContentTicket>, u64), Stopped> {
        let size = size_of(stat);
        if size <= INLINE_LEN_MAX as u64 {
            let (bytes, len) = self.read_small(reading, size)?;
            if counts {
                reading.run.progress.advance(0, size);
            }
            return Ok((FileContent::inline(&bytes), None, len));
        }
        let stop = |error: io::Error| Stopped::Run(failed(error));
        let mut stream = reading.run.contents.begin();
        let mut at = 0;
        loop {
            reading.run.interrupt.check().map_err(|e| Stopped::Run(failed(e)))?;
            let len = self.read_at(reading.file, at)?;
            let wanted = usize::try_from(size - at).unwrap_or(usize::MAX).min(len);
            stream.write_all(&self.buffer[..wanted]).map_err(stop)?;
            if counts {
                reading.run.progress.advance(0, wanted as u64);
            }
            at += wanted as u64;
            if len > wanted || len == 0 {
                let ticket = stream.finish().map_err(stop)?;
                let more = u64::from(len > wanted);
                return Ok((FileContent::default(), Some(ticket), at + more));
            }
        }
    }

    fn read_small(&mut self, reading: &Reading<'_>, size: u64) -> Result<(Vec<u8>, u64), Stopped> {
        let mut bytes = Vec::new();
        loop {
            let len = self.read_at(reading.file, bytes.len() as u64)?;
            bytes.extend_from_slice(&self.buffer[..len]);
            if len == 0 || bytes.len() > INLINE_LEN_MAX {
                let len = bytes.len() as u64;
                bytes.truncate(usize::try_from(size).unwrap_or(INLINE_LEN_MAX));
                return Ok((bytes, len));
            }
        }
    }

    fn read_at(&mut self, file: BorrowedFd<'_>, at: u64) -> Result<usize, Stopped> {
        loop {
            match rustix::io::pread(file, &mut self.buffer[..], at) {
                Err(Errno::INTR) => {}
                answer => return Ok(answer?),
            }
        }
    }
}

impl Reading<'_> {
    /// The parent's content, if the file is remembered as having it.
    fn remembered(&self, stat: &Stat) -> Option<FileContent> {
        let known = self.known?;
        let usable = known.kind == NodeKind::File
            && known.encoding == Encoding::AsStored
            && !known.changed_while_read
            && known.content.len == size_of(stat)
            && matches!(known.content.content, Content::Chunks(_) | Content::List { .. });
        if !usable {
            return None;
        }
        let mut encoded = Vec::new();
        encode_content(&known.content, &mut encoded);
        let unchanged =
            self.run.remembered.is_unchanged(self.host_path, &file_stat(stat), &encoded);
        unchanged.then(|| known.content.clone())
    }
}

/// The file's encoded holes. A file that has a block for every byte has none, and is not asked.
fn holes_of(file: BorrowedFd<'_>, stat: &Stat) -> Result<Vec<u8>, Errno> {
    let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
    // `st_blocks` counts 512 bytes, whatever the file system's block is.
    if size_of(stat) <= INLINE_LEN_MAX as u64 || blocks.saturating_mul(512) >= size_of(stat) {
        return Ok(Vec::new());
    }
    Ok(encode_holes(&read_holes(file, size_of(stat))?))
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn file_stat(stat: &Stat) -> FileStat {
    let nanos = |secs: i64, nanos: u64| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
    FileStat {
        size_bytes: size_of(stat),
        mtime_nanos: nanos(stat.st_mtime, stat.st_mtime_nsec),
        ctime_nanos: nanos(stat.st_ctime, stat.st_ctime_nsec),
        inode: stat.st_ino,
        device: stat.st_dev,
    }
}

fn nanos_now() -> i128 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_nanos().cast_signed()
}
