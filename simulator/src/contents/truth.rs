//! The truth about a point in time, as a file of JSON: what is on the phone, or what a backup of it
//! holds. Tests compare what a host has with it.
//!
//! `truth/phone-0003.json` is the phone at its point 3. `truth/backup-1700000000.json` is what the
//! backup whose Manifest.plist has that date holds: after incremental backups that is not always
//! what is on the phone, since a change without a trace in a file's time is not seen.
use super::item::Item;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// What is on a phone, or in a backup, at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Truth {
    /// The phone's seed.
    pub seed: u64,
    /// The phone's point in time.
    pub point: u32,
    /// The phone's clock at that point: seconds since 1970.
    pub clock: i64,
    /// The highest inode number so far.
    pub last_inode: u64,
    /// Which backup this is, when it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backup: Option<BackupOf>,
    /// All files, folders and links, by domain and path.
    pub items: Vec<Item>,
}

/// Names a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupOf {
    /// `UniqueDeviceID`.
    pub udid: String,
    /// `Date` of Manifest.plist: seconds since 1970. No two backups of a phone have the same.
    pub date: i64,
    /// Status.plist's `UUID`.
    pub uuid: String,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Whether it was a full backup.
    pub full: bool,
    /// Names of blobs that were sent in this session; the others were there.
    pub sent: Vec<String>,
    /// What chance did to files while they were sent.
    pub weather: Vec<String>,
}

impl Truth {
    /// Reads a file of truth.
    ///
    /// # Errors
    ///
    /// No such file, or not one of ours.
    pub fn read(path: &Path) -> io::Result<Truth> {
        serde_json::from_slice(&fs::read(path)?).map_err(|e| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", path.display()))
        })
    }

    /// Writes it: whole, or not at all.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write_json(path, self)
    }
}

/// Writes `value` as JSON under another name, makes it durable, and gives it its name.
///
/// # Errors
///
/// The folder cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(folder)?);
    serde_json::to_writer(&mut file, value).map_err(io::Error::other)?;
    file.flush()?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Where the truth about a point in time is.
pub fn point_path(folder: &Path, point: u32) -> PathBuf {
    folder.join("truth").join(format!("phone-{point:04}.json"))
}

/// Where the truth about a backup is.
pub fn backup_path(folder: &Path, date: i64) -> PathBuf {
    folder.join("truth").join(format!("backup-{date}.json"))
}

/// The number of the newest point in time.
///
/// # Errors
///
/// The folder cannot be read.
pub fn newest_point(folder: &Path) -> io::Result<Option<u32>> {
    Ok(numbers(folder, "phone-")?.into_iter().filter_map(|n| u32::try_from(n).ok()).max())
}

/// The dates of all backups of this phone, the oldest first.
///
/// # Errors
///
/// The folder cannot be read.
pub fn backups(folder: &Path) -> io::Result<Vec<i64>> {
    let mut dates = numbers(folder, "backup-")?;
    dates.sort_unstable();
    Ok(dates)
}

fn numbers(folder: &Path, stem: &str) -> io::Result<Vec<i64>> {
    let entries = match fs::read_dir(folder.join("truth")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|n| n.strip_prefix(stem)?.strip_suffix(".json"));
        numbers.extend(number.and_then(|n| n.parse::<i64>().ok()));
    }
    Ok(numbers)
}
