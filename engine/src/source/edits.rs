//! What a run changed against its parent: a batch of edits that spills to disk past a bound.
//!
//! A source hands edits over in whatever order they happen; the tree wants them sorted by path,
//! one per path. Edits are kept encoded; when [`TreeEdits::IN_MEMORY_MAX`] bytes of them are
//! waiting, they are sorted and written out as one run of an unnamed temporary file. Reading
//! merges the runs, so a million edits cost the memory of a few buffers.
use super::ContentTicket;
use crate::codec::{Decoder, Malformed, put_bytes, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::node::{self, NODE_LEN_MAX, Node};
use crate::path::{PATH_LEN_MAX, TreePath};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// One change to the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// The path now names this node; what is still on its way is in `awaiting`.
    Put {
        /// The node, complete but for what is awaited.
        node: Box<Node>,
        /// Contents pushed during this run.
        awaiting: Awaiting,
    },
    /// The path names what `from`, and all below it, named in the parent.
    MoveFrom(TreePath),
    /// The path, and all below it, names nothing any more.
    Remove,
}

/// Tickets of the contents a put still waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Awaiting {
    /// The file's content.
    pub content: Option<ContentTicket>,
    /// Its encoded extended attributes, when they are too long for the node.
    pub xattrs: Option<ContentTicket>,
    /// Its encoded holes, when they are too long for the node.
    pub holes: Option<ContentTicket>,
}

/// An edit with the path it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditRecord {
    /// Which path.
    pub path: TreePath,
    /// What happens to it.
    pub edit: Edit,
}

/// Edits collected during a run, at most a bounded number of bytes of them in memory.
///
/// Removes and moves refer to the parent and apply first; a later put of the same path replaces
/// an earlier one.
pub struct TreeEdits {
    scratch: PathBuf,
    bound_bytes: usize,
    waiting: Vec<Filed>,
    waiting_bytes: usize,
    spilled: Option<File>,
    runs: Vec<(u64, u64)>,
    sequence: u64,
}

impl TreeEdits {
    /// Encoded edits kept in memory before they are sorted and written out, in bytes.
    pub const IN_MEMORY_MAX: usize = 16 * 1024 * 1024;

    /// An empty batch that spills into unnamed files in `scratch`.
    pub fn new(scratch: &Path) -> Self {
        TreeEdits::with_bound(scratch, Self::IN_MEMORY_MAX)
    }

    /// As [`new`](Self::new), spilling past `bound_bytes`.
    pub fn with_bound(scratch: &Path, bound_bytes: usize) -> Self {
        TreeEdits {
            scratch: scratch.to_owned(),
            bound_bytes,
            waiting: Vec::new(),
            waiting_bytes: 0,
            spilled: None,
            runs: Vec::new(),
            sequence: 0,
        }
    }

    /// How many edits were pushed.
    pub fn len(&self) -> u64 {
        self.sequence
    }

    /// Whether none was pushed.
    pub fn is_empty(&self) -> bool {
        self.sequence == 0
    }

    /// Adds an edit.
    ///
    /// # Errors
    ///
    /// The temporary file could not be written.
    pub fn push(&mut self, path: &TreePath, edit: &Edit) -> Result<()> {
        let record = encode_edit(edit);
        self.waiting_bytes += path.key().len() + record.len() + 80;
        self.waiting.push(Filed { key: path.key().to_vec(), sequence: self.sequence, record });
        self.sequence += 1;
        if self.waiting_bytes >= self.bound_bytes {
            self.spill().map_err(|e| Error::local("writing edits to a temporary file", e))?;
        }
        Ok(())
    }

    /// All edits, sorted by path, and for one path in the order they were pushed.
    ///
    /// # Errors
    ///
    /// The temporary file could not be read.
    pub fn sorted(mut self) -> Result<SortedEdits> {
        let doing = "reading edits from a temporary file";
        if self.spilled.is_some() && !self.waiting.is_empty() {
            self.spill().map_err(|e| Error::local("writing edits to a temporary file", e))?;
        }
        let mut runs = Vec::new();
        if let Some(file) = &self.spilled {
            for &(start, end) in &self.runs {
                runs.push(Run::over(file, start, end).map_err(|e| Error::local(doing, e))?);
            }
        } else {
            self.waiting.sort_unstable();
            runs.push(Run::Memory(std::mem::take(&mut self.waiting).into_iter()));
        }
        let mut merged = SortedEdits { heads: BinaryHeap::new(), runs };
        for index in 0..merged.runs.len() {
            merged.refill(index)?;
        }
        Ok(merged)
    }

    fn spill(&mut self) -> std::io::Result<()> {
        self.waiting.sort_unstable();
        let file = match &mut self.spilled {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(&self.scratch)?),
        };
        let start = file.seek(SeekFrom::End(0))?;
        let mut out = BufWriter::with_capacity(256 * 1024, &*file);
        let mut head = Vec::new();
        for Filed { key, sequence, record } in self.waiting.drain(..) {
            head.clear();
            put_varint(&mut head, sequence);
            put_bytes(&mut head, &key);
            put_varint(&mut head, record.len() as u64);
            out.write_all(&u32::try_from(head.len()).expect("a key is short").to_le_bytes())?;
            out.write_all(&head)?;
            out.write_all(&record)?;
        }
        out.flush()?;
        drop(out);
        let end = file.stream_position()?;
        self.runs.push((start, end));
        self.waiting_bytes = 0;
        Ok(())
    }
}

/// An edit as it is kept: ordered by path, then by when it was pushed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Filed {
    key: Vec<u8>,
    sequence: u64,
    record: Vec<u8>,
}

/// Edits in the order of their paths.
pub struct SortedEdits {
    heads: BinaryHeap<Reverse<(Filed, usize)>>,
    runs: Vec<Run>,
}

enum Run {
    Memory(std::vec::IntoIter<Filed>),
    Disk(BufReader<Stretch>),
}

/// A stretch of the shared temporary file, read at its own position.
struct Stretch {
    file: File,
    at: u64,
    end: u64,
}

impl Stretch {
    fn is_at_end(&self) -> bool {
        self.at == self.end
    }
}

impl Read for Stretch {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = buf.len().min(left);
        let read = self.file.read_at(&mut buf[..len], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Run {
    fn over(file: &File, at: u64, end: u64) -> std::io::Result<Run> {
        let stretch = Stretch { file: file.try_clone()?, at, end };
        Ok(Run::Disk(BufReader::with_capacity(64 * 1024, stretch)))
    }

    fn next(&mut self) -> std::io::Result<Option<Filed>> {
        match self {
            Run::Memory(records) => Ok(records.next()),
            Run::Disk(reader) => read_spilled(reader),
        }
    }
}

fn read_spilled(reader: &mut BufReader<Stretch>) -> std::io::Result<Option<Filed>> {
    use std::io::{Error, ErrorKind};
    // Only the end of the stretch is an end: a file cut short must not pass for fewer edits.
    if reader.buffer().is_empty() && reader.get_ref().is_at_end() {
        return Ok(None);
    }
    let mut len = [0; 4];
    reader.read_exact(&mut len)?;
    let broken = |malformed: Malformed| Error::new(ErrorKind::InvalidData, malformed);
    let len = u32::from_le_bytes(len) as usize;
    if len > PATH_LEN_MAX + 32 {
        return Err(broken(Malformed("edit head")));
    }
    let mut head = vec![0; len];
    reader.read_exact(&mut head)?;
    let mut decoder = Decoder::new(&head);
    let sequence = decoder.varint("edit number").map_err(broken)?;
    let key = decoder.bytes(PATH_LEN_MAX, "edit path").map_err(broken)?.to_vec();
    let len = decoder.count(EDIT_LEN_MAX, "edit length").map_err(broken)?;
    let mut record = vec![0; len];
    reader.read_exact(&mut record)?;
    Ok(Some(Filed { key, sequence, record }))
}

impl SortedEdits {
    fn refill(&mut self, index: usize) -> Result<()> {
        let next = self.runs[index]
            .next()
            .map_err(|e| Error::local("reading edits from a temporary file", e))?;
        if let Some(filed) = next {
            self.heads.push(Reverse((filed, index)));
        }
        Ok(())
    }
}

impl Iterator for SortedEdits {
    type Item = Result<EditRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((Filed { key, record, .. }, index)) = self.heads.pop()?;
        if let Err(error) = self.refill(index) {
            return Some(Err(error));
        }
        let damaged = |what: &str| {
            Error::new(
                ErrorKind::LocalDisk,
                format!("reading an edit from a temporary file ({what})"),
            )
        };
        let path = match TreePath::from_key(key) {
            Ok(path) => path,
            Err(_) => return Some(Err(damaged("path"))),
        };
        Some(match decode_edit(&record) {
            Ok(edit) => Ok(EditRecord { path, edit }),
            Err(malformed) => Err(damaged(malformed.0)),
        })
    }
}

const EDIT_LEN_MAX: usize = NODE_LEN_MAX + PATH_LEN_MAX + 64;

fn encode_edit(edit: &Edit) -> Vec<u8> {
    let mut out = Vec::new();
    match edit {
        Edit::Put { node, awaiting } => {
            out.push(1);
            for ticket in [awaiting.content, awaiting.xattrs, awaiting.holes] {
                // One more than the ticket, so that 0 says "none".
                put_varint(&mut out, ticket.map_or(0, |ticket| ticket.0 + 1));
            }
            out.extend_from_slice(&node::encode(node));
        }
        Edit::MoveFrom(from) => {
            out.push(2);
            out.extend_from_slice(from.key());
        }
        Edit::Remove => out.push(3),
    }
    out
}

fn decode_edit(record: &[u8]) -> Result<Edit, Malformed> {
    let mut decoder = Decoder::new(record);
    match decoder.u8("edit code")? {
        1 => {
            let mut ticket = || -> Result<Option<ContentTicket>, Malformed> {
                Ok(decoder.varint("edit ticket")?.checked_sub(1).map(ContentTicket))
            };
            let awaiting = Awaiting { content: ticket()?, xattrs: ticket()?, holes: ticket()? };
            let node = node::decode(decoder.take(decoder.remaining(), "edit node")?)?;
            Ok(Edit::Put { node: Box::new(node), awaiting })
        }
        2 => {
            let key = decoder.take(decoder.remaining(), "edit path")?.to_vec();
            Ok(Edit::MoveFrom(TreePath::from_key(key).map_err(|_| Malformed("edit path"))?))
        }
        3 => Ok(Edit::Remove),
        _ => Err(Malformed("edit code")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeKind;

    fn put(mode: u32) -> Edit {
        let awaiting =
            Awaiting { content: Some(ContentTicket(u64::from(mode))), ..Awaiting::default() };
        Edit::Put { node: Box::new(Node::new(NodeKind::File, mode)), awaiting }
    }

    #[test]
    fn edits_come_back_sorted_whether_or_not_they_were_spilled() {
        let scratch = tempfile::tempdir().unwrap();
        let collect = |bound| {
            let mut edits = TreeEdits::with_bound(scratch.path(), bound);
            for n in 0..500u32 {
                let path = TreePath::from_slashed(format!("d{}/f{}", n % 7, n % 100).as_bytes());
                let path = path.unwrap();
                let edit = match n % 3 {
                    0 => put(n),
                    1 => Edit::Remove,
                    _ => Edit::MoveFrom(TreePath::from_slashed(b"Snapshot/x").unwrap()),
                };
                edits.push(&path, &edit).unwrap();
            }
            edits.sorted().unwrap().map(Result::unwrap).collect::<Vec<_>>()
        };
        let in_memory = collect(usize::MAX);
        assert_eq!(in_memory.len(), 500);
        assert!(in_memory.is_sorted_by(|a, b| a.path <= b.path));
        assert_eq!(collect(1000), in_memory);
    }

    #[test]
    fn a_temporary_file_cut_short_is_an_error_and_not_fewer_edits() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |n: u32| TreePath::from_slashed(format!("f{n}").as_bytes()).unwrap();
        for cut in [1, 3, 8, 20] {
            let mut edits = TreeEdits::with_bound(scratch.path(), 1);
            for n in 0..3 {
                edits.push(&path(n), &Edit::Remove).unwrap();
            }
            let file = edits.spilled.as_ref().unwrap();
            file.set_len(file.metadata().unwrap().len() - cut).unwrap();
            let read: Result<Vec<_>> = edits.sorted().and_then(Iterator::collect);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::LocalDisk, "{cut} bytes");
        }
    }
}
