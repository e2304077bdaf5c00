//! `Status.plist`: how far the set's last session came.
use std::fmt;

use jiff::Timestamp;

use crate::plist_guard::{BadPlist, PlistLimits, read_keys};

/// What a snapshot needs of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) date: Timestamp,
    pub(crate) full: Option<bool>,
    pub(crate) state: SnapshotState,
}

impl Status {
    pub(crate) fn parse(bytes: &[u8], limits: &PlistLimits) -> Result<Self, BadPlist> {
        let fields = read_keys(bytes, limits, &["Date", "IsFullBackup", "SnapshotState"])?;
        let state = fields.text("SnapshotState")?;
        Ok(Status {
            date: fields.date("Date")?.ok_or(BadPlist::Missing { key: "Date" })?,
            full: fields.flag("IsFullBackup")?,
            state: state
                .map(SnapshotState::from)
                .ok_or(BadPlist::Missing { key: "SnapshotState" })?,
        })
    }
}

/// How far a session came, in the device's words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotState {
    /// New files go to `Snapshot/`; the set as it was before stands untouched beside it.
    Uploading,
    /// All has arrived and is being moved into place: the set is a mixture of two.
    Moving,
    /// The new manifest is in place; files it does not name are being removed.
    Removing,
    /// The set is whole.
    Finished,
    /// A word this version does not know; not taken for whole.
    Other(String),
}

impl From<String> for SnapshotState {
    fn from(word: String) -> Self {
        match word.as_str() {
            "uploading" => SnapshotState::Uploading,
            "moving" => SnapshotState::Moving,
            "removing" => SnapshotState::Removing,
            "finished" => SnapshotState::Finished,
            _ => SnapshotState::Other(word),
        }
    }
}

/// The device's word; an unknown one escaped, so that it cannot move the terminal's cursor.
impl fmt::Display for SnapshotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotState::Uploading => f.write_str("uploading"),
            SnapshotState::Moving => f.write_str("moving"),
            SnapshotState::Removing => f.write_str("removing"),
            SnapshotState::Finished => f.write_str("finished"),
            SnapshotState::Other(word) => write!(f, "{}", word.escape_debug()),
        }
    }
}
