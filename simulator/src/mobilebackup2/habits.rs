//! How a phone goes about its backups, where real phones differ or tests want it quicker.
use crate::contents::truth::write_json;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Settings that a phone keeps in its folder, as `habits.json`. A missing file, and a missing
/// field, stand for the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Habits {
    /// Rounds of the first derivation of a new keybag. Real phones: 10,000,000.
    pub keybag_rounds: u32,
    /// Whether files change, grow and vanish while they are sent.
    pub weather: bool,
    /// Of a thousand rows of the manifest, so many have an unusual record, or none.
    pub odd_records: u16,
    /// Whether blocks have all sizes from 1 byte to 64 MiB, or 32 KiB only.
    pub odd_blocks: bool,
    /// Seconds the phone waits for an answer.
    pub patience_seconds: u64,
    /// What it says in the version exchange; 400 since iOS 14, and 300 for hosts that know no more.
    pub device_link_version: u32,
    /// Folders of other phones whose backups may be restored to this one: where to find the truth
    /// about them.
    pub other_phones: Vec<PathBuf>,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits {
            keybag_rounds: 10_000,
            weather: true,
            odd_records: 8,
            odd_blocks: true,
            patience_seconds: 600,
            device_link_version: 400,
            other_phones: Vec::new(),
        }
    }
}

impl Habits {
    /// Those kept in `folder`.
    ///
    /// # Errors
    ///
    /// The file is there and cannot be read.
    pub fn load(folder: &Path) -> io::Result<Habits> {
        match fs::read(folder.join("habits.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Habits::default()),
            Err(error) => Err(error),
        }
    }

    /// Keeps them in `folder`, for sessions that begin from now on.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        write_json(&folder.join("habits.json"), self)
    }
}
