//! What long work reports while it runs: counted bytes and files, never text for people.
use crate::path::TreePath;

/// The stages a person can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Opening: keys, listings, bringing the local index level.
    Opening,
    /// Counting what there is to do.
    Scanning,
    /// Contents are read and stored.
    Reading,
    /// The last packs and index segments are made durable, the tree is built.
    Finishing,
    /// A restore looks at what the target already holds.
    Comparing,
    /// A restore writes.
    Restoring,
    /// Packs are put on this computer's disk before they are read from.
    Staging,
    /// A check compares snapshots, trees and index.
    CheckingStructure,
    /// A check reads stored bytes.
    CheckingData,
}

/// Why a file is not in the snapshot as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultKind {
    /// It could not be opened or read.
    Unreadable,
    /// It was listed and then gone.
    Vanished,
    /// It changed each time it was read; the content is of no single moment.
    ChangedWhileRead,
    /// Its name or one of its attributes cannot be stored or brought back.
    Unsupported,
}

impl FaultKind {
    /// The word for it, in JSON and in snapshots.
    pub fn word(self) -> &'static str {
        match self {
            FaultKind::Unreadable => "unreadable",
            FaultKind::Vanished => "vanished",
            FaultKind::ChangedWhileRead => "changed-while-read",
            FaultKind::Unsupported => "unsupported",
        }
    }
}

/// One path that is not as it should be; the run goes on and ends incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which path.
    pub path: TreePath,
    /// What happened.
    pub kind: FaultKind,
    /// The operating system's or the engine's words.
    pub reason: String,
}

/// Watches long work. Called from many threads; must be cheap and must not block.
pub trait Progress: Send + Sync {
    /// Work enters `phase`.
    fn phase(&self, phase: Phase) {
        let _ = phase;
    }
    /// Whether somebody wants to know how much is ahead, so that counting it is worth the effort.
    fn wants_totals(&self) -> bool {
        false
    }
    /// This much more is ahead; more may come to light until [`expect_no_more`](Self::expect_no_more).
    fn expect(&self, files: u64, bytes: u64) {
        let _ = (files, bytes);
    }
    /// All that is ahead has been told: only now do shares and times that are left mean something.
    fn expect_no_more(&self) {}
    /// This much more is done; `bytes` are plaintext bytes.
    fn advance(&self, files: u64, bytes: u64) {
        let _ = (files, bytes);
    }
    /// This many more bytes were put on the storage.
    fn stored(&self, bytes: u64) {
        let _ = bytes;
    }
    /// A path is not as it should be.
    fn fault(&self, fault: &Fault) {
        let _ = fault;
    }
    /// Something that is not about one path and that a person should know, in one sentence.
    fn warn(&self, sentence: &str) {
        let _ = sentence;
    }
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
