//! `Manifest.db`: which blob is which file.
use std::collections::BTreeSet;
use std::io;

use plist::{Dictionary, Uid, Value};
use rusqlite::{Connection, params};
use sha1::{Digest, Sha1};

use super::files::padded_len;
use super::{BackupFile, BackupSetFixture, file_id, noise};

/// The schema as found in a device's manifest; page size and the pragmas as well, but for the
/// one that spares tests the wait for the disk.
const SCHEMA: &str = "
    PRAGMA page_size = 4096;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    PRAGMA user_version = 2;
    CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER, file BLOB);
    CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);
    CREATE INDEX FilesDomainIdx ON Files(domain);
    CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
    CREATE INDEX FilesFlagsIdx ON Files(flags);
";

const IS_FILE: u32 = 1;
const IS_FOLDER: u32 = 2;
const FILE_MODE: u32 = 0o100_644;
const FOLDER_MODE: u32 = 0o040_755;

/// The bytes of a set's `Manifest.db`; noise of the padded length when the set is encrypted.
pub(super) fn manifest_db(files: &[BackupFile], set: &BackupSetFixture) -> io::Result<Vec<u8>> {
    let plain = database(files, set).map_err(io::Error::other)?;
    if !set.encrypted {
        return Ok(plain);
    }
    let label = format!("encrypted manifest {} {}", set.seed, set.day);
    Ok(noise(&label, padded_len(plain.len())))
}

fn database(
    files: &[BackupFile],
    set: &BackupSetFixture,
) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("Manifest.db");
    let mut connection = Connection::open(&path)?;
    connection.execute_batch(SCHEMA)?;
    let rows = connection.transaction()?;
    let mut inode = 1_000;
    let insert = |domain: &str, path: &str, flags: u32, list: Vec<u8>| {
        let row = params![file_id(domain, path), domain, path, flags, list];
        rows.execute("INSERT INTO Files VALUES (?1, ?2, ?3, ?4, ?5)", row)
    };
    for (domain, path) in folders_of(files) {
        inode += 1;
        insert(domain, path, IS_FOLDER, folder_record(path, inode))?;
    }
    for file in files {
        inode += 1;
        insert(&file.domain, &file.relative_path, IS_FILE, file_record(file, inode, set))?;
    }
    rows.commit()?;
    // The last connection to close moves what is in the log into the database itself.
    connection.close().map_err(|(_, error)| error)?;
    Ok(std::fs::read(&path)?)
}

/// Every folder above a file, and every domain's root, which has an empty path.
fn folders_of(files: &[BackupFile]) -> BTreeSet<(&str, &str)> {
    let mut folders = BTreeSet::new();
    for file in files {
        folders.insert((file.domain.as_str(), ""));
        for (slash, _) in file.relative_path.match_indices('/') {
            folders.insert((file.domain.as_str(), &file.relative_path[..slash]));
        }
    }
    folders
}

fn folder_record(path: &str, inode: u64) -> Vec<u8> {
    record(path, FOLDER_MODE, 0, inode, super::DAY_0_SECS, Vec::new())
}

/// An `MBFile` of a file: encrypted ones carry a wrapped key, those of `HomeDomain` a digest of
/// the stored bytes.
fn file_record(file: &BackupFile, inode: u64, set: &BackupSetFixture) -> Vec<u8> {
    let changed_at = super::DAY_0_SECS + u64::from(file.changed_on_day) * 86_400;
    let mut data = Vec::new();
    if set.encrypted {
        let label = format!("key {} {} {}", set.seed, file.relative_path, file.changed_on_day);
        let mut key = 3u32.to_le_bytes().to_vec();
        key.extend(noise(&label, 40));
        data.push(("EncryptionKey", key));
    }
    if file.domain == "HomeDomain" {
        data.push(("Digest", Sha1::digest(file.blob(set)).to_vec()));
    }
    record(&file.relative_path, FILE_MODE, file.content.len() as u64, inode, changed_at, data)
}

/// NSKeyedArchiver's form: `$objects[1]` is the file, and what is not a number is another object.
fn record(
    path: &str,
    mode: u32,
    size: u64,
    inode: u64,
    changed_at: u64,
    data: Vec<(&'static str, Vec<u8>)>,
) -> Vec<u8> {
    let number = |number: u64| Value::Integer(number.into());
    let mut file = Dictionary::from_iter([
        ("Birth", number(changed_at)),
        ("Flags", number(0)),
        ("GroupID", number(501)),
        ("InodeNumber", number(inode)),
        ("LastModified", number(changed_at)),
        ("LastStatusChange", number(changed_at)),
        ("Mode", number(mode.into())),
        ("ProtectionClass", number(if mode == FOLDER_MODE { 0 } else { 3 })),
        ("RelativePath", Value::Uid(Uid::new(2))),
        ("Size", number(size)),
        ("UserID", number(501)),
        ("$class", Value::Uid(Uid::new(3))),
    ]);
    let class = Dictionary::from_iter([
        ("$classname", Value::from("MBFile")),
        ("$classes", Value::Array(vec!["MBFile".into(), "NSObject".into()])),
    ]);
    let mut objects =
        vec!["$null".into(), Value::Boolean(false), path.into(), Value::Dictionary(class)];
    for (key, bytes) in data {
        file.insert(key.into(), Value::Uid(Uid::new(objects.len() as u64)));
        objects.push(Value::Data(bytes));
    }
    objects[1] = Value::Dictionary(file);
    let root = Dictionary::from_iter([("root", Value::Uid(Uid::new(1)))]);
    let archive = Dictionary::from_iter([
        ("$version", number(100_000)),
        ("$archiver", Value::from("NSKeyedArchiver")),
        ("$top", Value::Dictionary(root)),
        ("$objects", Value::Array(objects)),
    ]);
    let mut bytes = Vec::new();
    Value::Dictionary(archive).to_writer_binary(&mut bytes).expect("a Vec takes every write");
    bytes
}
