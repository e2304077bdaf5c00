//! Status.plist: which step a backup has come to.
use super::{Unreadable, plist_bytes};
use plist::{Date, Dictionary, Value};
use std::time::{Duration, SystemTime};

/// The version current phones write. From 2.4 on the phone reads it, below 3.3 it starts anew.
pub const VERSION: &str = "3.3";

/// `SnapshotState`: the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotState {
    /// `Snapshot` is being filled; what lay there before is untouched.
    Uploading,
    /// Everything is in `Snapshot`; files are being moved to their places.
    Moving,
    /// The new manifest is in place; obsolete blobs are being removed.
    Removing,
    /// Consistent.
    Finished,
}

impl SnapshotState {
    const ALL: [(SnapshotState, &str); 4] = [
        (SnapshotState::Uploading, "uploading"),
        (SnapshotState::Moving, "moving"),
        (SnapshotState::Removing, "removing"),
        (SnapshotState::Finished, "finished"),
    ];

    /// Apple's word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("finished", |(_, word)| word)
    }
}

/// What Status.plist says.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Upper-case UUID of the session.
    pub uuid: String,
    /// Seconds since 1970.
    pub date: i64,
    /// E.g. `3.3`.
    pub version: String,
    /// `empty`, `old` or `new`.
    pub backup_state: String,
    /// The step.
    pub snapshot_state: SnapshotState,
    /// Whether the session is a full backup; false once it is finished.
    pub is_full: bool,
}

impl Status {
    /// As a binary plist.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut dictionary = Dictionary::new();
        dictionary.insert("UUID".into(), Value::from(self.uuid.as_str()));
        dictionary.insert("Date".into(), date(self.date));
        dictionary.insert("Version".into(), Value::from(self.version.as_str()));
        dictionary.insert("BackupState".into(), Value::from(self.backup_state.as_str()));
        dictionary.insert("SnapshotState".into(), Value::from(self.snapshot_state.word()));
        dictionary.insert("IsFullBackup".into(), Value::from(self.is_full));
        plist_bytes::binary(&Value::Dictionary(dictionary))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) or a host wrote.
    ///
    /// # Errors
    ///
    /// No plist, or one without a state.
    pub fn parse(bytes: &[u8]) -> Result<Status, Unreadable> {
        let value = plist_bytes::read(bytes)?;
        let text = |key: &str| {
            plist_bytes::string(&value, key)
                .map(str::to_owned)
                .ok_or_else(|| Unreadable::new(format!("Status.plist has no {key}")))
        };
        let state = text("SnapshotState")?;
        let snapshot_state = SnapshotState::ALL.iter().find(|(_, word)| *word == state);
        let (snapshot_state, _) = snapshot_state
            .ok_or_else(|| Unreadable::new(format!("Status.plist: SnapshotState {state:?}")))?;
        Ok(Status {
            uuid: text("UUID")?,
            date: value.as_dictionary().and_then(|d| seconds(d.get("Date"))).unwrap_or_default(),
            version: text("Version")?,
            backup_state: text("BackupState")?,
            snapshot_state: *snapshot_state,
            is_full: plist_bytes::boolean(&value, "IsFullBackup").unwrap_or(false),
        })
    }

    /// The version as a number, 0 when it is none.
    pub fn version_number(&self) -> f64 {
        self.version.parse().unwrap_or(0.0)
    }
}

/// A plist date from seconds since 1970.
pub fn date(seconds: i64) -> Value {
    let since = Duration::from_secs(seconds.unsigned_abs());
    Value::Date(Date::from(SystemTime::UNIX_EPOCH + since))
}

/// Seconds since 1970 of a plist date, when there is one and it is not before 1970.
pub fn seconds(value: Option<&Value>) -> Option<i64> {
    let time = SystemTime::from(value?.as_date()?);
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_comes_back_and_the_size_is_that_of_a_real_one() {
        for (state, _) in SnapshotState::ALL {
            let status = Status {
                uuid: "0F0E4C5A-7B6C-4F0D-9E3A-1C2B3D4E5F60".into(),
                date: 1_700_000_000,
                version: VERSION.into(),
                backup_state: "new".into(),
                snapshot_state: state,
                is_full: state == SnapshotState::Uploading,
            };

            let bytes = status.to_bytes();

            assert_eq!(Status::parse(&bytes).unwrap(), status);
            assert!((170..230).contains(&bytes.len()), "{}", bytes.len());
        }
    }

    #[test]
    fn what_is_no_status_is_an_error() {
        for bytes in [&b""[..], b"<plist version=\"1.0\"><dict/></plist>", b"nonsense"] {
            assert!(Status::parse(bytes).is_err());
        }
    }
}
