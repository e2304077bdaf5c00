//! The last snapshot, as the phone reads it back: names on demand, three files at hand.
//!
//! In a backup the phone reads `Status.plist`, `Manifest.plist` and `Manifest.db` of what it sent
//! last time, and the names of everything else. The three are fetched to this computer *before*
//! it is asked for a backup: once it runs, a store that does not answer would break it off.
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{Content, Node, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;

use super::names::{Below, Lain};
use super::path::BackupPath;
use crate::backup_set::{SnapshotState, Status};
use crate::plist_guard::PlistLimits;
use crate::udid::Udid;

/// What the phone reads back; the first says whether the rest is of use.
const FILES: [&str; 3] = ["Status.plist", "Manifest.plist", "Manifest.db"];

/// The longest `Status.plist` read, in bytes; a real one is 189.
pub(super) const STATUS_LEN_MAX: u64 = 64 << 10;

/// The last snapshot of the device.
pub struct Previous<'r> {
    reader: &'r dyn SnapshotReader,
    files: HashMap<TreePath, File>,
}

/// Why there is no last snapshot to go on from.
#[derive(Debug)]
pub enum NoPrevious {
    /// It cannot be shown to the phone, and why, in a sentence. The phone sends everything.
    Unusable(String),
    /// The run cannot go on.
    Failed(Error),
}

impl<'r> Previous<'r> {
    /// Fetches what the phone will read into unnamed files in `scratch`.
    ///
    /// # Errors
    ///
    /// The snapshot is of no finished set, or a file of it is missing or damaged; the store or
    /// the disk failed; somebody asked to stop.
    pub fn fetch(
        reader: &'r dyn SnapshotReader,
        udid: &Udid,
        scratch: &Path,
        interrupt: &Interrupt,
    ) -> Result<Self, NoPrevious> {
        let mut files = HashMap::new();
        for name in FILES {
            let path = BackupPath::of_file(udid, name).tree_path();
            let file = fetch(reader, &path, scratch, interrupt).map_err(|e| no_file(name, e))?;
            if name == FILES[0] {
                let mut status = Vec::new();
                let read = At::start_of(&file).take(STATUS_LEN_MAX).read_to_end(&mut status);
                read.map_err(|e| NoPrevious::Failed(Error::local("reading a temporary file", e)))?;
                require_finished(&status)?;
            }
            files.insert(path, file);
        }
        Ok(Previous { reader, files })
    }

    /// The last snapshot as something to compare with, of which the phone sees nothing.
    pub fn hidden(reader: &'r dyn SnapshotReader) -> Self {
        Previous { reader, files: HashMap::new() }
    }

    /// The bytes of a file of the last snapshot.
    ///
    /// # Errors
    ///
    /// There is none at `path`, or it cannot be read.
    pub fn open(&self, path: &TreePath) -> io::Result<Box<dyn Read + Send + '_>> {
        match self.files.get(path) {
            Some(file) => Ok(Box::new(At::start_of(file))),
            None => self.reader.open(path).map_err(|error| {
                let kind = match error.kind() {
                    ErrorKind::NotFound => io::ErrorKind::NotFound,
                    _ => io::ErrorKind::Other,
                };
                io::Error::new(kind, error)
            }),
        }
    }
}

fn fetch(
    reader: &dyn SnapshotReader,
    path: &TreePath,
    scratch: &Path,
    interrupt: &Interrupt,
) -> Result<File, Error> {
    const DOING: &str = "writing a temporary file";
    let mut from = reader.open(path)?;
    let mut file = tempfile::tempfile_in(scratch).map_err(|e| Error::local(DOING, e))?;
    let mut piece = vec![0; 256 << 10];
    loop {
        interrupt.check()?;
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(file),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(of_reading(error)),
        };
        file.write_all(&piece[..read]).map_err(|e| Error::local(DOING, e))?;
    }
}

/// A reader of the engine hands its own error on inside an `io::Error`.
fn of_reading(error: io::Error) -> Error {
    const DOING: &str = "reading the last snapshot";
    let kind = error.get_ref().and_then(|e| e.downcast_ref::<Error>()).map(Error::kind);
    Error::new(kind.unwrap_or(ErrorKind::Damaged), DOING).because(error)
}

fn no_file(name: &str, error: Error) -> NoPrevious {
    match error.kind() {
        ErrorKind::NotFound => {
            NoPrevious::Unusable(format!("the last snapshot has no {name} that can be read"))
        }
        ErrorKind::Damaged => {
            NoPrevious::Unusable(format!("{name} of the last snapshot is damaged"))
        }
        // A station's key reads no contents, not even those it has stored.
        ErrorKind::Denied => NoPrevious::Unusable(format!(
            "{name} of the last snapshot cannot be read with this key"
        )),
        ErrorKind::Archived => {
            NoPrevious::Unusable(format!("{name} of the last snapshot lies in cold storage"))
        }
        _ => NoPrevious::Failed(error),
    }
}

fn require_finished(status: &[u8]) -> Result<(), NoPrevious> {
    let state = Status::parse(status, &PlistLimits::BACKUP_SET).map(|status| status.state);
    match state {
        Ok(SnapshotState::Finished) => Ok(()),
        Ok(state) => Err(NoPrevious::Unusable(format!(
            "the last snapshot is of a backup that did not end (\"{state}\")"
        ))),
        Err(_) => {
            Err(NoPrevious::Unusable("Status.plist of the last snapshot cannot be read".to_owned()))
        }
    }
}

impl Below for Previous<'_> {
    fn at(&self, path: &TreePath) -> Result<Option<Lain>, Error> {
        Ok(self.reader.entry(path)?.as_ref().and_then(lain))
    }

    fn list(&self, folder: &TreePath) -> Result<Vec<(Vec<u8>, Lain)>, Error> {
        let mut lines = Vec::new();
        for entry in self.reader.list(folder) {
            let (path, node) = entry?;
            if let (Some(name), Some(is)) = (path.name(), lain(&node)) {
                lines.push((name.to_vec(), is));
            }
        }
        Ok(lines)
    }
}

/// What the phone is told of a node. A file whose bytes are missing is not there: it sends it again.
pub(crate) fn lain(node: &Node) -> Option<Lain> {
    match node.kind {
        NodeKind::Folder => Some(Lain::Folder { mtime: node.mtime }),
        NodeKind::File if node.content.content == Content::Missing => None,
        NodeKind::File => Some(Lain::File { size_bytes: node.size_bytes(), mtime: node.mtime }),
        _ => Some(Lain::Other),
    }
}

/// Reads a shared file at a position of its own.
pub(super) struct At<'f> {
    file: &'f File,
    at: u64,
}

impl<'f> At<'f> {
    pub(super) fn start_of(file: &'f File) -> Self {
        At { file, at: 0 }
    }
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
