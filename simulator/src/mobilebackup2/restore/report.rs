//! What a restore found.
use super::super::stop::Step;
use super::options::Options;
use super::source::Source;
use crate::backup_files::mbfile::MbFile;
use crate::contents::truth::write_json;
use crate::contents::{Item, Truth};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// What a restore found, in the phone's folder as `reports/restore-0000.json` and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreReport {
    /// Folder of the backup on the host.
    pub source: String,
    /// What the host wanted, with the defaults of what it did not say.
    pub options: Options,
    /// The apps that the host has left word of before it asked, by their ids.
    #[serde(default)]
    pub applications: Option<Vec<String>>,
    /// Date of Manifest.plist, once it was read.
    pub date: Option<i64>,
    /// Whether the backup is encrypted.
    pub encrypted: bool,
    /// Whether the phone knows what that backup holds; if not, nothing was compared.
    pub known: bool,
    /// Files, folders and links in the manifest.
    pub rows: usize,
    /// What the manifest has otherwise than the phone knows, or lacks, or has too much.
    pub rows_different: Vec<String>,
    /// Rows whose record is missing or unreadable: nothing of theirs is restored.
    pub rows_without_record: usize,
    /// How many files were asked for, each counted once.
    pub asked: usize,
    /// How many of them were asked for once more.
    pub asked_again: usize,
    /// Files every byte of which was as the phone knows it.
    pub same: usize,
    /// Files that were not.
    pub different: Vec<String>,
    /// Files of which the phone does not know what they should be.
    pub unknown: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The phone's point in time afterwards.
    pub point: Option<u32>,
}

impl RestoreReport {
    pub(super) fn begin(source: &str, options: Options) -> RestoreReport {
        RestoreReport {
            source: source.to_owned(),
            options,
            applications: None,
            date: None,
            encrypted: false,
            known: false,
            rows: 0,
            rows_different: Vec::new(),
            rows_without_record: 0,
            asked: 0,
            asked_again: 0,
            same: 0,
            different: Vec::new(),
            unknown: Vec::new(),
            error: None,
            point: None,
        }
    }

    /// The newest report in a phone's folder.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be read.
    pub fn newest(folder: &Path) -> io::Result<RestoreReport> {
        let last = (0..).take_while(|number| path(folder, *number).exists()).last();
        let last = last.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no restore yet"))?;
        serde_json::from_slice(&fs::read(path(folder, last))?).map_err(io::Error::other)
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let next = (0..).find(|number| !path(folder, *number).exists());
        write_json(&path(folder, next.unwrap_or(0)), self)
    }

    pub(super) fn manifest(&mut self, source: &Source) {
        self.date = Some(source.manifest.date);
        self.encrypted = source.manifest.is_encrypted;
    }

    /// Compares the manifest's rows with what the phone knows.
    pub(super) fn compare_rows(
        &mut self,
        source: &Source,
        truth: Option<&Truth>,
        options: &Options,
    ) -> Step<()> {
        self.known = truth.is_some();
        let items = truth.iter().flat_map(|truth| &truth.items);
        let mut known: BTreeMap<String, &Item> = items.map(|item| (item.file_id(), item)).collect();
        source.db.each(|row| {
            self.rows += 1;
            let place = format!("{} {}", row.domain, row.relative_path);
            let item = known.remove(&row.file_id);
            match (row.file.as_deref().map(MbFile::parse), item) {
                (None | Some(Err(_)), _) => self.rows_without_record += 1,
                (Some(Ok(_)), None) if truth.is_some() => {
                    self.rows_different.push(format!("{place}: unknown"));
                }
                (Some(Ok(_)), None) => {}
                (Some(Ok(record)), Some(item)) => {
                    if !agrees(&record, item) {
                        self.rows_different.push(format!("{place}: another record"));
                    }
                }
            }
            Ok::<(), super::super::stop::Stop>(())
        })?;
        for item in known.values().filter(|i| options.want(&i.domain, &i.relative_path)) {
            self.rows_different.push(format!("{} {}: missing", item.domain, item.relative_path));
        }
        Ok(())
    }
}

fn agrees(record: &MbFile, item: &Item) -> bool {
    // Some archives leave the size out.
    let size = record.size == item.stat_size || record.size == 0;
    let times = record.times == [item.mtime, item.ctime, item.birth];
    // A hidden change leaves the row, with the change time of before.
    let mtime = record.times[0] == item.mtime;
    record.relative_path == item.relative_path
        && record.mode == item.mode
        && (times || mtime)
        && size
        && record.inode == item.inode
        && record.target == item.target
        && record.attributes == item.xattrs
}

fn path(folder: &Path, number: u32) -> std::path::PathBuf {
    folder.join("reports").join(format!("restore-{number:04}.json"))
}
