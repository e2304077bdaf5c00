//! One dated state of one device or folder, and how it is told from others.
//!
//! A snapshot is immutable: tags, descriptions and the wish to forget it are notes of their own.
//! Its writer signs it and numbers it, and names the snapshot it wrote before, so that a store
//! which hides or replays old ones is noticed.
mod codec;
mod select;

use crate::id::{SessionId, SnapshotId};
use crate::node::Time;
use crate::path::TreePath;
use crate::progress::FaultKind;
use crate::seal::WriterId;
use crate::source::Verification;
use crate::tree::PageRef;
use serde::{Deserialize, Serialize};

pub use codec::{SNAPSHOT_LEN_MAX, decode, encode};
pub use select::{SelectError, Selector, folded, is_of, select};

/// A state of a device or folder, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is of.
    pub origin: Origin,
    /// When its source was read.
    pub taken_at: Time,
    /// The writer's distance from UTC then, in seconds east: for showing times and for calendars.
    pub utc_offset_secs: i32,
    /// The tree; `None` for an empty one.
    pub root: Option<PageRef>,
    /// The snapshot whose tree the run's edits referred to.
    pub parent: Option<SnapshotId>,
    /// What the run found and stored.
    pub totals: Totals,
    /// Whether everything is there.
    pub completeness: Completeness,
    /// Words given when it was made.
    pub tags: Vec<String>,
    /// The session that wrote it.
    pub session: SessionId,
    /// Who wrote it.
    pub writer: WriterId,
    /// How many snapshots this writer wrote before.
    pub sequence: u64,
    /// The one it wrote last before this.
    pub previous: Option<SnapshotId>,
    /// The program that wrote it, e.g. `devsnap 0.1.0`.
    pub program: String,
}

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A folder of a computer.
    Folder {
        /// The computer's name.
        host: String,
        /// The folder's path there.
        path: Vec<u8>,
    },
    /// An Apple device, whether it was read itself or through a backup folder it wrote.
    Device(DeviceIdentity),
}

/// Who a device is and what kind of backup set its tree holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// Apple's name for it, for ever; the tree is rooted at a folder of this name.
    pub udid: String,
    /// The name its owner gave it.
    pub name: String,
    /// E.g. `iPhone16,1`.
    pub product_type: String,
    /// The system's version, e.g. `26.1`.
    pub os_version: String,
    /// The system's build, e.g. `23B85`.
    pub os_build: String,
    /// Whether the set is encrypted with the device's backup password.
    pub encrypted: bool,
    /// Whether the device sent everything, not only what had changed; `None` when nobody knows, as
    /// of a finished set that lay in a folder.
    pub full: Option<bool>,
    /// When the device made the set.
    pub backup_at: Option<Time>,
    /// The computer that read it.
    pub host: String,
    /// What was looked at when it had come; `None`: nothing, or in a way this version does not know.
    pub verification: Option<Verification>,
}

/// Counts of a run; stored under these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Paths that the parent did not have.
    pub new: u64,
    /// Paths that name something else than in the parent.
    pub changed: u64,
    /// Paths that only the parent has.
    pub removed: u64,
    /// Plaintext that was read, in bytes.
    pub read_bytes: u64,
    /// Plaintext that nobody had stored before, in bytes.
    pub added_bytes: u64,
    /// What storing it took, in bytes.
    pub stored_bytes: u64,
    /// How long the run took, in milliseconds.
    pub duration_millis: u64,
}

/// Whether a snapshot is what its source was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// Everything is there.
    Complete,
    /// Some paths are not as they should be.
    Incomplete {
        /// How many.
        total: u64,
        /// The first of them.
        first: Vec<(TreePath, FaultKind)>,
    },
}

/// A snapshot with its name, and what was said of it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub id: SnapshotId,
    /// What it says; its tags are those it has now.
    pub snapshot: Snapshot,
    /// What somebody has said of it, in a sentence.
    pub description: Option<String>,
}

impl Origin {
    /// `device` or `folder`.
    pub fn word(&self) -> &'static str {
        match self {
            Origin::Folder { .. } => "folder",
            Origin::Device(_) => "device",
        }
    }
}

impl Snapshot {
    /// Whether it lacks nothing.
    pub fn is_complete(&self) -> bool {
        self.completeness == Completeness::Complete
    }

    /// What snapshots of one device or folder have in common: they are each other's history.
    pub fn lineage(&self) -> Vec<u8> {
        match &self.origin {
            Origin::Device(device) => [b"device\0", device.udid.as_bytes()].concat(),
            Origin::Folder { host, path } => {
                [b"folder\0", host.as_bytes(), b"\0", path.as_slice()].concat()
            }
        }
    }
}
