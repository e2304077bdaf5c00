//! The files of a small phone, and where a set keeps their contents.
use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use sha1::{Digest, Sha1};

use super::{BackupSetFixture, noise};

/// One file as the manifest knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// The part of the phone it belongs to, e.g. `HomeDomain`.
    pub domain: String,
    /// Its path within the domain.
    pub relative_path: String,
    /// Its content, in plain.
    pub content: Vec<u8>,
    /// The day it last changed on; an encrypted phone uploads it anew under a new key then.
    pub changed_on_day: u16,
}

impl BackupFile {
    /// A file that has not changed since day 0.
    pub fn new(domain: &str, relative_path: &str, content: Vec<u8>) -> Self {
        BackupFile {
            domain: domain.into(),
            relative_path: relative_path.into(),
            content,
            changed_on_day: 0,
        }
    }

    /// The bytes a set keeps for it.
    pub(super) fn blob(&self, set: &BackupSetFixture) -> Vec<u8> {
        if !set.encrypted {
            return self.content.clone();
        }
        let id = file_id(&self.domain, &self.relative_path);
        noise(
            &format!("ciphertext {} {id} {}", set.seed, self.changed_on_day),
            padded_len(self.content.len()),
        )
    }
}

/// The name Apple gives to a file in a set: SHA-1 of `<domain>-<path>`, in hex.
pub fn file_id(domain: &str, relative_path: &str) -> String {
    hex(&Sha1::digest(format!("{domain}-{relative_path}")))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Length of `len` bytes under AES-CBC with PKCS#7: up to the next 16, never none.
pub(super) fn padded_len(len: usize) -> usize {
    (len / 16 + 1) * 16
}

/// A phone's files: databases that change daily, lists that hardly do, photos that only come.
pub(super) fn of_a_phone(seed: u64, day: u16) -> Vec<BackupFile> {
    let daily = [
        ("HomeDomain", "Library/SMS/sms.db", 48),
        ("HomeDomain", "Library/CallHistoryDB/CallHistory.storedata", 24),
        ("AppDomainGroup-group.net.whatsapp.WhatsApp.shared", "ChatStorage.sqlite", 64),
    ];
    let steady = [
        ("HomeDomain", "Library/AddressBook/AddressBook.sqlitedb", 32),
        ("HealthDomain", "Health/healthdb.sqlite", 40),
    ];
    let mut files = Vec::new();
    for (domain, path, pages) in daily {
        let content = database_like(&format!("{seed} {path}"), pages, day);
        files.push(BackupFile { changed_on_day: day, ..BackupFile::new(domain, path, content) });
    }
    for (domain, path, pages) in steady {
        files.push(BackupFile::new(
            domain,
            path,
            database_like(&format!("{seed} {path}"), pages, 0),
        ));
    }
    for number in 0..12 {
        let path = format!("Library/Preferences/com.example.app{number}.plist");
        let list = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>\
             <key>number</key><integer>{}</integer></dict></plist>\n",
            seed + number
        );
        files.push(BackupFile::new("HomeDomain", &path, list.into_bytes()));
    }
    for number in 0..6 + day {
        let path = format!("Media/DCIM/100APPLE/IMG_{number:04}.HEIC");
        let content = noise(&format!("{seed} {path}"), 60_000 + 1_000 * usize::from(number));
        let taken_on = number.saturating_sub(5);
        files.push(BackupFile {
            changed_on_day: taken_on,
            ..BackupFile::new("CameraRollDomain", &path, content)
        });
    }
    files.push(BackupFile::new("HomeDomain", "Library/Cookies/empty", Vec::new()));
    files
}

/// Pages of 4096 bytes that begin like a database; each day rewrites three of them in place.
fn database_like(label: &str, pages: usize, day: u16) -> Vec<u8> {
    let mut content = Vec::with_capacity(pages * 4096);
    for page in 0..pages {
        let changed = (1..=day).rev().find(|day| (page * 7 + usize::from(*day)) % pages < 3);
        content.extend(noise(&format!("{label} {page} {changed:?}"), 4096));
    }
    content[..16].copy_from_slice(b"SQLite format 3\0");
    content
}

/// Makes the 256 folders, writes every blob, and removes those nobody names any more.
pub(super) fn write_blobs(
    folder: &Path,
    files: &[BackupFile],
    set: &BackupSetFixture,
) -> io::Result<()> {
    let mut named = BTreeSet::new();
    for shard in 0..=255u8 {
        fs::create_dir_all(folder.join(format!("{shard:02x}")))?;
    }
    for file in files {
        let id = file_id(&file.domain, &file.relative_path);
        fs::write(folder.join(&id[..2]).join(&id), file.blob(set))?;
        named.insert(id);
    }
    for shard in 0..=255u8 {
        for entry in fs::read_dir(folder.join(format!("{shard:02x}")))? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| named.contains(name)) {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}
