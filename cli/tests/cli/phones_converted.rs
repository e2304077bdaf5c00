//! Encrypted phones kept as plaintext, as a person sees it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::{Table, newest};
use crate::program::{ends_with, err};
use devsnap_simulator::contents::{Contents, compare};
use devsnap_simulator::mobilebackup2::Habits;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECRET: &str = "open sesame 7";

/// An encrypted phone, and files with its password and another.
fn encrypted() -> Table {
    let table = Table::ready(&[0]);
    table.phone(0).set_backup_password(Some(SECRET.into()));
    fs::write(table.at("backup-password"), format!("{SECRET}\n")).unwrap();
    fs::write(table.at("other-password"), "another\n").unwrap();
    table
}

fn with_password(table: &Table, words: &[&str], file: &str) -> Vec<String> {
    let file = table.at(file).to_str().unwrap().to_owned();
    let words = words.iter().map(|word| (*word).to_owned());
    words.chain(["--backup-password-file".to_owned(), file]).collect()
}

#[track_caller]
fn summary(table: &Table, words: &[&str], file: &str) -> Value {
    let words = with_password(table, words, file);
    table.summary(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Every file of a snapshot as a restore writes it, the set's folder beside it.
fn restored(table: &Table, snapshot: &str) -> (BTreeMap<PathBuf, Vec<u8>>, PathBuf) {
    let target =
        table.at(&format!("back-{snapshot}-{}", fs::read_dir(table.at("")).unwrap().count()));
    table.done(&["restore", snapshot, "--target", target.to_str().unwrap()]);
    let (mut files, mut waiting) = (BTreeMap::new(), vec![target.clone()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => waiting.push(path),
                false => {
                    let name = path.strip_prefix(&target).unwrap().to_owned();
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    let set = target.join(table.udid(0));
    (files, set)
}

#[track_caller]
fn is_true(table: &Table, set: &Path) {
    let truth = newest(table.phone(0).folder());
    compare::compare(set, Some(SECRET), &truth, &mut || true).unwrap();
}

/// The phone goes on from the last snapshot.
#[track_caller]
fn a_day_later(table: &Table) {
    table.day(0, 1);
    let made = summary(table, &["snapshot"], "backup-password");
    assert_eq!(made["device"]["full"], false);
    is_true(table, &restored(table, "latest").1);
}

#[test]
fn a_phone_whose_password_is_given_is_kept_as_plaintext_and_restored_encrypted() {
    let table = encrypted();
    let made = summary(&table, &["snapshot"], "backup-password");
    assert!(made["files_converted"].as_u64().unwrap() > 50, "{made}");
    assert_eq!(made["device"]["verification"], "rows");
    let (files, set) = restored(&table, "latest");
    is_true(&table, &set);
    // One file by itself is the same.
    let (name, bytes) = files.iter().find(|(name, _)| name.ends_with("Manifest.db")).unwrap();
    let dumped = table.run(&["dump", "latest", name.to_str().unwrap()]);
    assert!(dumped.stdout == *bytes && !bytes.starts_with(b"SQLite"));
    let stats = table.summary(&["stats"]);
    let plain = stats["bytes_encrypted_as_plaintext"].as_u64().unwrap();
    assert!(plain > stats["bytes_encrypted_as_received"].as_u64().unwrap() / 2, "{stats}");
    assert!(table.done(&["stats"]).contains("kept as plaintext"));
    table.done(&["check", "--read-data"]);
    a_day_later(&table);
}

#[test]
fn a_snapshot_that_was_stored_as_it_came_is_converted_and_reads_the_same() {
    let table = encrypted();
    table.done(&["snapshot", "--tag", "first"]);
    table.done(&["describe", "latest", "before the repair"]);
    let before = table.summary(&["show", "latest"]);
    let (files, _) = restored(&table, "latest");
    let refused = table.run(&["convert", "latest"]);
    ends_with(&refused, 2, "password");
    let words = with_password(&table, &["convert", "latest"], "other-password");
    let refused = table.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let short = &before["id"].as_str().unwrap()[..8];
    ends_with(&refused, 25, &format!("snapshot {short}: the backup password is wrong"));
    assert!(err(&refused).contains("had when the backup was made"), "{}", err(&refused));
    assert!(!err(&refused).contains("another"));
    assert_eq!(table.newest(), before["id"], "nothing was done");

    let done = summary(&table, &["convert", "latest"], "backup-password");
    assert_eq!(done["converted"], 1);
    let after = table.summary(&["show", "latest"]);
    assert_ne!(after["id"], before["id"]);
    for same in ["time", "tags", "description", "device", "complete"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(table.summary(&["snapshots"])["snapshots"], 1, "it takes the other's place");
    assert!(restored(&table, "latest").0 == files, "every byte is the same");
    let again = summary(&table, &["convert", "latest"], "backup-password");
    assert_eq!(again["converted"], 0);
    assert_eq!(table.newest(), after["id"]);
    // What the old one had to itself can go, and the phone goes on from what was converted.
    table.done(&["prune", "--max-unused", "0"]);
    table.done(&["check", "--read-data"]);
    a_day_later(&table);
}

#[test]
fn what_found_no_room_to_wait_is_converted_when_the_session_is_over() {
    let table = encrypted();
    let made = summary(&table, &["snapshot", "--spool-limit", "64KiB"], "backup-password");
    assert!(made["files_overflowed"].as_u64().unwrap() > 0, "{made}");
    assert_eq!(made["snapshot_id"], Value::from(table.newest()));
    assert_eq!(table.summary(&["snapshots"])["snapshots"], 1);
    let stats = table.summary(&["stats"]);
    let plain = stats["bytes_encrypted_as_plaintext"].as_u64().unwrap();
    assert!(plain > 64 << 10, "{stats}");
    is_true(&table, &restored(&table, "latest").1);
}

#[test]
fn a_wrong_password_costs_no_backup_and_only_its_advantage() {
    let table = encrypted();
    let words = with_password(&table, &["snapshot"], "other-password");
    let made = table.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert!(err(&made).contains("the backup password is wrong"), "{}", err(&made));
    is_true(&table, &restored(&table, "latest").1);
}

#[test]
fn the_folder_that_another_program_wrote_is_kept_as_plaintext_too() {
    let table = encrypted();
    table.done(&["snapshot"]);
    let (files, set) = restored(&table, "latest");
    let made = summary(&table, &["snapshot", set.to_str().unwrap()], "backup-password");
    assert_eq!(made["snapshot_id"], Value::from(table.newest()));
    assert!(restored(&table, "latest").0 == files);
    let stats = table.summary(&["stats"]);
    assert!(stats["bytes_encrypted_as_plaintext"].as_u64().unwrap() > 0, "{stats}");
    // The wrong one costs nothing here either.
    let words = with_password(&table, &["snapshot", set.to_str().unwrap()], "other-password");
    let kept = table.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    ends_with(&kept, 0, "the backup password is wrong");
    assert!(err(&kept).contains(&format!("devsnap convert {}", &table.newest()[..8])));
    assert!(restored(&table, "latest").0 == files);
}

/// Decrypts every file of a set and prints the digests: the work of other people's software.
const DECRYPT: &str = include_str!("../../../simulator/tests/backup/decrypt.py");

#[test]
fn other_peoples_software_decrypts_what_was_kept_as_plaintext() {
    let table = encrypted();
    let folder = table.phone(0).folder();
    // It reads no unusual records, and takes a file's class for that of its key, which they are not
    // for class 7.
    Habits { odd_records: 0, ..Habits::load(folder).unwrap() }.save(folder).unwrap();
    let mut contents = Contents::open(folder).unwrap();
    let seventh: Vec<_> = contents.items().filter(|i| i.protection_class == 7).cloned().collect();
    for mut item in seventh {
        item.protection_class = 3;
        contents.put(item);
    }
    contents.save(folder).unwrap();
    summary(&table, &["snapshot"], "backup-password");
    let (_, set) = restored(&table, "latest");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-servers/venv/bin/python");
    let ran = Command::new(python).args(["-c", DECRYPT]).arg(&set).arg(SECRET).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!said.contains("No module named"), "run tests/servers/install: {said}");
    assert!(ran.status.success(), "{said}");
    let said = String::from_utf8(ran.stdout).unwrap();
    let digests: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let truth = newest(folder);
    let files: Vec<_> = truth.items.iter().filter(|item| item.sha256.is_some()).collect();
    assert_eq!(digests.as_object().unwrap().len(), files.len());
    for item in files {
        assert_eq!(digests[item.file_id()].as_str(), item.sha256.as_deref(), "{item:?}");
    }
}
