//! Files being put together under temporary names.
use super::attributes::note;
use crate::node::Hole;
use crate::path::TreePath;
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::{Errno, Result};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Files kept open at a time; others are opened again when their next piece comes.
const OPEN_MAX: usize = 64;

/// Stretches of zeros left unwritten in one file; past that zeros are written like data.
const SKIPPED_MAX: usize = 64 * 1024;

/// Zeros that stand for stretches where they were not written at first.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A file that was begun.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// The folder both names are in.
    pub(super) folder: TreePath,
    /// The temporary name.
    pub(super) temporary: Vec<u8>,
    /// Its final length in bytes.
    pub(super) len: u64,
    /// Zeros not written yet, by offset: start to end.
    skipped: Vec<(u64, u64)>,
}

impl Pending {
    pub(super) fn new(folder: TreePath, temporary: Vec<u8>, len: u64) -> Self {
        Pending { folder, temporary, len, skipped: Vec::new() }
    }

    /// Whether a stretch of zeros may be left out for now: only the end of the restore tells
    /// whether it is a hole.
    pub(super) fn skip(&mut self, offset: u64, len: u64) -> bool {
        if let Some(last) = self.skipped.last_mut()
            && last.1 == offset
        {
            last.1 += len;
            return true;
        }
        if self.skipped.len() >= SKIPPED_MAX {
            return false;
        }
        self.skipped.push((offset, offset + len));
        true
    }

    /// Forgets that zeros were left out where something else is written now.
    pub(super) fn unskip(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len);
        if self.skipped.iter().all(|&(from, to)| to <= offset || end <= from) {
            return;
        }
        let around = |(from, to): (u64, u64)| [(from, to.min(offset)), (from.max(end), to)];
        let left = std::mem::take(&mut self.skipped).into_iter().flat_map(around);
        self.skipped = left.filter(|(from, to)| from < to).collect();
    }

    /// Gives `file` exactly these holes: zeros left out elsewhere are written, data within is
    /// given back to the disk.
    pub(super) fn settle(&mut self, file: &File, holes: &[Hole]) -> std::io::Result<Vec<String>> {
        self.skipped.sort_unstable();
        for &(start, end) in &self.skipped {
            let mut at = start;
            let first = holes.partition_point(|hole| hole.offset.saturating_add(hole.len) <= start);
            for hole in holes[first..].iter().take_while(|hole| hole.offset < end) {
                write_zeros(file, at, hole.offset)?;
                at = hole.offset.saturating_add(hole.len);
            }
            write_zeros(file, at, end)?;
        }
        let mut notes = Vec::new();
        for hole in holes.iter().filter(|hole| hole.offset < self.len) {
            let end = hole.offset.saturating_add(hole.len).min(self.len);
            if !reads_as_zeros(file, hole.offset, end)? {
                // The file changed while it was read; the bytes that were kept win.
                notes.push(format!("the hole at {} holds data, which was kept", hole.offset));
                continue;
            }
            match punch(file, hole.offset, end - hole.offset) {
                Ok(()) => {}
                // No holes here: the zeros stand as they are, and more of them is no news.
                Err(errno) => {
                    notes.push(note("holes", errno));
                    break;
                }
            }
        }
        Ok(notes)
    }
}

/// Whether nothing but zeros stands from `at` to `end`; what was never written is not read.
fn reads_as_zeros(file: &File, mut at: u64, end: u64) -> std::io::Result<bool> {
    let mut bytes = vec![0; ZEROS.len()];
    while at < end {
        at = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => return Ok(true),
            // A file system that does not know holes: all of it is read.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            Err(errno) => return Err(errno.into()),
        };
        let len = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(bytes.len());
        file.read_exact_at(&mut bytes[..len], at)?;
        if bytes[..len] != ZEROS[..len] {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}

fn write_zeros(file: &File, mut at: u64, end: u64) -> std::io::Result<()> {
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(&ZEROS[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

fn punch(file: &File, offset: u64, len: u64) -> Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    loop {
        match rustix::fs::fallocate(file, flags, offset, len) {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// All files begun and not yet finished.
#[derive(Debug, Default)]
pub(super) struct PendingFiles {
    files: HashMap<u64, Pending>,
    /// The most recently used is last.
    open: VecDeque<(u64, Arc<File>)>,
    last: u64,
}

impl PendingFiles {
    /// Files a new one and gives it its number.
    pub(super) fn add(&mut self, pending: Pending, file: File) -> u64 {
        self.last += 1;
        self.files.insert(self.last, pending);
        self.opened(self.last, Arc::new(file));
        self.last
    }

    pub(super) fn get(&mut self, number: u64) -> Option<&mut Pending> {
        self.files.get_mut(&number)
    }

    /// The open file, if it is among the ones used last.
    pub(super) fn open(&mut self, number: u64) -> Option<Arc<File>> {
        let at = self.open.iter().position(|(open, _)| *open == number)?;
        let (_, file) = self.open.remove(at)?;
        self.open.push_back((number, Arc::clone(&file)));
        Some(file)
    }

    /// Remembers that a file is open, and closes the one unused for longest.
    pub(super) fn opened(&mut self, number: u64, file: Arc<File>) {
        self.open.push_back((number, file));
        if self.open.len() > OPEN_MAX {
            self.open.pop_front();
        }
    }

    /// Takes a file out, to finish or to drop it.
    pub(super) fn remove(&mut self, number: u64) -> Option<Pending> {
        self.open.retain(|(open, _)| *open != number);
        self.files.remove(&number)
    }

    /// Takes all files out.
    pub(super) fn drain(&mut self) -> Vec<Pending> {
        self.open.clear();
        self.files.drain().map(|(_, pending)| pending).collect()
    }
}
