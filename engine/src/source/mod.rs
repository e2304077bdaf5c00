//! Where a backup comes from: the port a device or a folder plugs into.
//!
//! A source is *driven by its device*: the phone decides which file comes next, so the source
//! pushes and the engine receives. Bytes and names travel apart. Bytes go into the [`ContentSink`]
//! the moment they arrive and come back as a [`ContentTicket`]; names stay with the source, which
//! may still rename or delete them, and are handed over once, as [`TreeEdits`] against the parent
//! snapshot, when the device is done. Nothing here assumes that a source can be read twice.
mod edits;

use crate::id::SnapshotId;
use crate::interrupt::Interrupt;
use crate::node::Time;
use crate::progress::{Fault, Progress};
use crate::reader::SnapshotReader;
use std::io;
use std::path::Path;

pub use edits::{Awaiting, Edit, EditRecord, SortedEdits, TreeEdits};

/// Something that can be backed up once, from start to end.
pub trait Source {
    /// Runs the transfer to its end and returns what changed against the parent snapshot.
    ///
    /// Every ticket in the result was issued by `run.contents` during this call. Edits come in
    /// any order; the engine sorts them.
    ///
    /// # Errors
    ///
    /// A device that disconnects, refuses, or asks for its passcode. Bytes already pushed are
    /// kept as unreferenced blobs, so the next attempt does not store them again. A single file
    /// that cannot be read is no error but a [`Fault`] in the delivery.
    fn run(&mut self, run: &SourceRun<'_>) -> Result<Delivery, SourceError>;

    /// The snapshot that edits shall refer to, when somebody named one. Asked before
    /// [`run`](Self::run); otherwise it is the newest that will do.
    fn parent(&self) -> Option<SnapshotId> {
        None
    }

    /// What a device has said of the backup it made. Asked after [`run`](Self::run).
    fn device_run(&self) -> Option<DeviceRun> {
        None
    }
}

/// What is known of a device's backup only when it is over; recorded with the device's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRun {
    /// Whether the device sent everything, not only what had changed.
    pub full: bool,
    /// When the device made it, by its own clock.
    pub backup_at: Option<Time>,
    /// What was looked at when it had come.
    pub verification: Verification,
}

/// How far a device's set was held against its own list of files when it had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Its manifest was opened, and every file it names is there.
    Rows,
    /// Its manifest is encrypted: the files are there that the device sent, what they should be is
    /// not known.
    Names,
    /// Its manifest was opened, and files it names are not there.
    Incomplete,
    /// Its manifest cannot be read as a database.
    Unreadable,
}

impl Verification {
    /// All there are.
    pub const ALL: [Verification; 4] = [
        Verification::Rows,
        Verification::Names,
        Verification::Incomplete,
        Verification::Unreadable,
    ];

    /// The word it is stored and shown under.
    pub fn word(self) -> &'static str {
        match self {
            Verification::Rows => "rows",
            Verification::Names => "names",
            Verification::Incomplete => "incomplete",
            Verification::Unreadable => "unreadable",
        }
    }
}

/// What a source works with while it runs.
pub struct SourceRun<'a> {
    /// The snapshot that edits refer to; `None` means against nothing.
    pub parent: Option<&'a dyn SnapshotReader>,
    /// Where contents go.
    pub contents: &'a dyn ContentSink,
    /// What this computer remembers of the files it read last time.
    pub remembered: &'a dyn StatMemory,
    /// A folder for temporary files, on a disk of this computer, readable by its owner only.
    pub scratch: &'a Path,
    /// Who is watching.
    pub progress: &'a dyn Progress,
    /// Raised when the person asks to stop; looked at between files and between reads.
    pub interrupt: &'a Interrupt,
}

/// What a run delivered.
pub struct Delivery {
    /// What changed against the parent.
    pub edits: TreeEdits,
    /// Paths that are not as they should be; non-empty makes the snapshot incomplete.
    pub faults: Faults,
}

/// Faults of a run: all counted, the first ones kept.
#[derive(Debug, Default)]
pub struct Faults {
    kept: Vec<Fault>,
    total: u64,
}

impl Faults {
    /// How many faults are kept with their paths; the rest is only counted.
    pub const KEPT_MAX: usize = 1000;

    /// Notes one fault.
    pub fn push(&mut self, fault: Fault) {
        self.total += 1;
        if self.kept.len() < Self::KEPT_MAX {
            self.kept.push(fault);
        }
    }

    /// The faults kept, in the order they happened.
    pub fn kept(&self) -> &[Fault] {
        &self.kept
    }

    /// How many there were in all.
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// Takes file contents in.
pub trait ContentSink: Send + Sync {
    /// Begins one file's content.
    fn begin(&self) -> Box<dyn ContentStream>;

    /// Makes every content that was finished durable and listed, so that what is told that its
    /// bytes are safe may throw its own copy away. Blocks until it is so.
    ///
    /// It closes packs that are not full, so it is for a source's few points of no return: a phone
    /// is told that its backup is finished.
    ///
    /// # Errors
    ///
    /// [`StorageFull`](io::ErrorKind::StorageFull) when the storage has no room left, anything
    /// else when the pipeline has stopped or the person asked to stop. `create_snapshot` reports
    /// the pipeline's own error.
    fn flush(&self) -> io::Result<()>;
}

/// One file's content on its way in.
///
/// Chunks already claimed are stored even if the stream is dropped: another file may have been
/// told that they are known.
///
/// `write` blocks while more bytes than the pipeline's budget are still being sealed and stored.
/// That pause is the backpressure: the source stops reading its socket, and the phone waits.
pub trait ContentStream: io::Write + Send {
    /// Ends the content. Dropping the stream instead discards what was written.
    ///
    /// # Errors
    ///
    /// The pipeline has stopped; its own error is reported by `create_snapshot`.
    fn finish(self: Box<Self>) -> io::Result<ContentTicket>;
}

/// Stands for a content until its blobs have names. Only the engine makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentTicket(pub(crate) u64);

/// What the operating system said of a file when it was last read, to tell an unchanged file
/// without reading it. Times in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Length in bytes.
    pub size_bytes: u64,
    /// Last change of the content.
    pub mtime_nanos: i128,
    /// Last change of content or attributes; cannot be set by programs.
    pub ctime_nanos: i128,
    /// Inode number.
    pub inode: u64,
    /// Device number.
    pub device: u64,
}

/// This computer's memory of files it has read: part of the local cache, may be empty at any time.
pub trait StatMemory: Send + Sync {
    /// Whether the file at this host path looked exactly like `stat` when it was last read, and
    /// that reading gave the content that encodes to `content`.
    ///
    /// `false` is always a correct answer.
    fn is_unchanged(&self, host_path: &Path, stat: &FileStat, content: &[u8]) -> bool;

    /// Notes that the content behind `ticket` was read while the file looked like `stat`.
    ///
    /// It is remembered only once the snapshot is kept. The caller does not offer a file whose
    /// last change is so recent that another one could have the same time.
    fn remember(&self, host_path: &Path, stat: &FileStat, ticket: ContentTicket);
}

/// Remembers nothing: every file is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMemory;

impl StatMemory for NoMemory {
    fn is_unchanged(&self, _: &Path, _: &FileStat, _: &[u8]) -> bool {
        false
    }
    fn remember(&self, _: &Path, _: &FileStat, _: ContentTicket) {}
}

/// Why a source stopped.
#[derive(Debug, thiserror::Error)]
#[error("the source stopped")]
pub struct SourceError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

const _: fn(&dyn Source, &dyn ContentSink) = |_, _| {};
