//! Apple backup folders made from a seed, as the known programs leave them.
//!
//! A [`BackupSetFixture`] writes `<root>/<UDID>/` with the three lists, a real SQLite
//! `Manifest.db`, and one blob per file in `00 … ff`. The same settings always give the same
//! bytes, so a test may write the set twice and compare, or write day 0 and day 1 and let a
//! snapshot find the difference.
//!
//! What is real and what stands in: the lists, the schema and the rows (NSKeyedArchiver `MBFile`s
//! with real SHA-1 file ids and digests) are as Apple's. An *encrypted* set has the right keys,
//! lengths and entropy, but its ciphertext is noise that no password opens.
use std::io;
use std::path::{Path, PathBuf};

mod database;
mod files;
mod lists;

pub use files::{BackupFile, file_id};

/// A UDID of the shape devices have had since 2018.
pub const UDID: &str = "00008030-001A2B3C4D5E6F78";
/// A UDID of the shape devices had before.
pub const OLD_UDID: &str = "0123456789abcdef0123456789abcdef01234567";
/// When day 0 ended: 2026-11-01T20:04:00Z, in seconds of the Unix epoch.
pub const DAY_0_SECS: u64 = 1_793_563_440;

/// Who wrote the host's part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// libimobiledevice: `Info.plist` as XML.
    Idevicebackup2,
    /// Apple's own: `Info.plist` in binary, with `Product Name`.
    Finder,
    /// `Info.plist` as XML, the GUID as bytes, without `Last Backup Date`.
    Pymobiledevice3,
}

/// The settings of a backup set to be written.
#[derive(Debug, Clone)]
pub struct BackupSetFixture {
    /// Of the device; also the folder's name. See [`UDID`] and [`OLD_UDID`].
    pub udid: String,
    /// What the owner calls the device.
    pub device_name: String,
    /// Who wrote the host's part.
    pub host: Host,
    /// Whether the owner has set a backup password.
    pub encrypted: bool,
    /// `SnapshotState` of `Status.plist`; `finished` unless a test says otherwise.
    pub snapshot_state: String,
    /// Days since the first backup; each changes a few files and adds a photo.
    pub day: u16,
    /// Chooses the contents.
    pub seed: u64,
    /// Further files, stored beside those every fixture has.
    pub more_files: Vec<BackupFile>,
}

impl BackupSetFixture {
    /// A finished, unencrypted first backup by idevicebackup2, some 25 files of a phone.
    pub fn new(seed: u64) -> Self {
        BackupSetFixture {
            udid: UDID.into(),
            device_name: "Anna’s iPhone".into(),
            host: Host::Idevicebackup2,
            encrypted: false,
            snapshot_state: "finished".into(),
            day: 0,
            seed,
            more_files: Vec::new(),
        }
    }

    /// The same phone `day` days after its first backup.
    #[must_use]
    pub fn on_day(mut self, day: u16) -> Self {
        self.day = day;
        self
    }

    /// The same phone with a backup password.
    #[must_use]
    pub fn encrypted(mut self) -> Self {
        self.encrypted = true;
        self
    }

    /// The same set as another program would have written it.
    #[must_use]
    pub fn by(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// The same set with its session stopped in `state`: `uploading`, `moving`, `removing`.
    #[must_use]
    pub fn stopped_while(mut self, state: &str) -> Self {
        self.snapshot_state = state.into();
        self
    }

    /// Writes the set into `root`, which must exist, and returns `<root>/<UDID>`.
    ///
    /// What is there already is replaced file by file, and blobs of an earlier day that the
    /// manifest no longer names are removed, as a device does.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn write(&self, root: &Path) -> io::Result<PathBuf> {
        let folder = root.join(&self.udid);
        let files = self.files();
        files::write_blobs(&folder, &files, self)?;
        std::fs::write(folder.join("Manifest.db"), database::manifest_db(&files, self)?)?;
        std::fs::write(folder.join("Manifest.plist"), lists::manifest(self))?;
        std::fs::write(folder.join("Info.plist"), lists::info(self))?;
        std::fs::write(folder.join("Status.plist"), lists::status(self))?;
        Ok(folder)
    }

    /// Every file of this day, in no order that matters.
    pub fn files(&self) -> Vec<BackupFile> {
        let mut files = files::of_a_phone(self.seed, self.day);
        files.extend(self.more_files.iter().cloned());
        files
    }

    /// Seconds of the Unix epoch at which this day's backup ended.
    pub fn taken_at_secs(&self) -> u64 {
        DAY_0_SECS + u64::from(self.day) * 86_400
    }
}

/// `len` bytes that look random and are the same for the same `label`.
fn noise(label: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(label.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_into(fixture: &BackupSetFixture) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let folder = fixture.write(root.path()).unwrap();
        (root, folder)
    }

    #[test]
    fn file_ids_are_the_ones_real_phones_use() {
        let sms = file_id("HomeDomain", "Library/SMS/sms.db");
        assert_eq!(sms, "3d0d7e5fb2ce288813306e4d4636395e047a3d28");
        let root = file_id("CameraRollDomain", "");
        assert_eq!(root, "be1f28f40e6e4e95dba86a2d9fa4b12dc70b9dc5");
    }

    #[test]
    fn every_file_row_has_its_blob_and_every_blob_its_row() {
        let (_root, folder) = write_into(&BackupSetFixture::new(1).on_day(2));
        let database = rusqlite::Connection::open(folder.join("Manifest.db")).unwrap();
        let mut rows = database.prepare("SELECT fileID FROM Files WHERE flags = 1").unwrap();
        let ids: Vec<String> =
            rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert!(ids.iter().all(|id| folder.join(&id[..2]).join(id).is_file()));
        let shards = (0..=255u8).map(|shard| folder.join(format!("{shard:02x}")));
        let blobs: usize = shards.map(|shard| std::fs::read_dir(shard).unwrap().count()).sum();
        assert_eq!(ids.len(), blobs);
    }

    #[test]
    fn the_manifest_looks_like_a_devices() {
        let (_root, folder) = write_into(&BackupSetFixture::new(1));
        let start = std::fs::read(folder.join("Manifest.db")).unwrap();
        assert_eq!(&start[..16], b"SQLite format 3\0");
        assert_eq!(&start[16..20], [0x10, 0x00, 2, 2], "4096-byte pages, write-ahead log");
        assert_eq!(start[63], 2, "user_version");

        let (_root, folder) = write_into(&BackupSetFixture::new(1).encrypted());
        let start = std::fs::read(folder.join("Manifest.db")).unwrap();
        assert_ne!(&start[..16], b"SQLite format 3\0");
        assert_eq!(start.len() % 16, 0);
    }

    #[test]
    fn the_same_settings_give_the_same_bytes_and_another_day_does_not() {
        for fixture in [BackupSetFixture::new(1), BackupSetFixture::new(1).encrypted()] {
            let contents = |day| {
                let (_root, folder) = write_into(&fixture.clone().on_day(day));
                let lists = ["Info.plist", "Manifest.plist", "Status.plist", "Manifest.db"];
                let sms = "3d/3d0d7e5fb2ce288813306e4d4636395e047a3d28";
                let read = |name| std::fs::read(folder.join(name)).unwrap();
                lists.into_iter().chain([sms]).map(read).collect::<Vec<_>>()
            };
            assert_eq!(contents(0), contents(0));
            assert!(contents(0).last() != contents(1).last());
        }
    }
}
