//! A phone's files under the names they have on it, out of plain and of encrypted snapshots.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::{Table, newest};
use crate::program::{ends_with, err, objects_of, said_by};
use devsnap_simulator::contents::{Contents, Item, Kind, Truth};
use devsnap_simulator::mobilebackup2::Habits;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The password that phones here encrypt their backups with.
const SECRET: &str = "a secret of the phone's";

/// One phone, whose manifest has a usual record in every row.
pub(crate) fn table() -> Table {
    let table = Table::ready(&[0]);
    let habits = Habits { keybag_rounds: 200, odd_records: 0, ..Habits::default() };
    habits.save(table.phone(0).folder()).unwrap();
    table
}

/// The same, encrypted. Files with the right and with a wrong password lie beside it.
fn encrypted_table() -> Table {
    let table = table();
    table.phone(0).set_backup_password(Some(SECRET.into()));
    fs::write(table.at("home/secret"), format!("{SECRET}\n")).unwrap();
    fs::write(table.at("home/wrong"), "another\n").unwrap();
    table
}

/// Puts things on the phone that a phone would not have.
pub(crate) fn plant(table: &Table, planted: &[(&str, &str)]) {
    let mut contents = Contents::open(table.phone(0).folder()).unwrap();
    let like = contents.items().find(|item| item.kind == Kind::File && !item.only_encrypted);
    let like = like.unwrap().clone();
    for (n, (domain, path)) in planted.iter().enumerate() {
        contents.put(Item {
            domain: (*domain).to_owned(),
            relative_path: (*path).to_owned(),
            inode: 900_000 + u64::try_from(n).unwrap(),
            ..like.clone()
        });
    }
    contents.save(table.phone(0).folder()).unwrap();
}

pub(crate) fn truth(table: &Table) -> Truth {
    newest(table.phone(0).folder())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file and link below `folder`, by its path in it.
pub(crate) fn found_in(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => drop(found.insert(entry.path().strip_prefix(folder).unwrap().to_owned())),
            }
        }
    }
    found
}

/// Holds what was extracted against the truth: of the items that `wanted` chooses every one, as it
/// was on the phone, and no other.
#[track_caller]
pub(crate) fn is_true(extracted: &Path, truth: &Truth, wanted: impl Fn(&Item) -> bool) {
    let mut expected = BTreeSet::new();
    for item in truth.items.iter().filter(|item| wanted(item)) {
        let path = Path::new(&item.domain).join(&item.relative_path);
        let here = extracted.join(&path);
        let metadata = fs::symlink_metadata(&here).unwrap_or_else(|e| panic!("{here:?}: {e}"));
        match item.kind {
            Kind::File => {
                assert!(metadata.is_file(), "{item:?}");
                assert_eq!(Some(sha256(&fs::read(&here).unwrap())), item.sha256, "{item:?}");
                assert_eq!(metadata.mtime(), item.mtime, "{item:?}");
                expected.insert(path);
            }
            Kind::Folder => assert!(metadata.is_dir(), "{item:?}"),
            Kind::Link => {
                let leads_to = fs::read_link(&here).unwrap();
                assert_eq!(leads_to.to_str(), item.target.as_deref(), "{item:?}");
                expected.insert(path);
            }
        }
    }
    assert!(!expected.is_empty());
    assert_eq!(found_in(extracted), expected);
}

/// The domains of a truth, each once.
pub(crate) fn domains(truth: &Truth) -> Vec<String> {
    let domains: BTreeSet<_> = truth.items.iter().map(|item| item.domain.clone()).collect();
    domains.into_iter().collect()
}

#[test]
fn one_file_is_dumped_as_it_was_on_the_phone() {
    for (table, password) in
        [(table(), &[][..]), (encrypted_table(), &["--backup-password-file", "secret"][..])]
    {
        table.done(&["snapshot"]);
        let truth = truth(&table);
        let messages = ("HomeDomain", "Library/SMS/sms.db");
        let is_it = |item: &&Item| (item.domain.as_str(), item.relative_path.as_str()) == messages;
        let item = truth.items.iter().find(is_it).unwrap();

        let words = ["dump", "latest", "HomeDomain:Library/SMS/sms.db"];
        let output = table.run(&[&words[..], password].concat());

        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert_eq!(Some(sha256(&output.stdout)), item.sha256);
    }
}

#[test]
fn a_folder_of_the_phone_is_listed_with_dates() {
    let table = table();
    table.done(&["snapshot"]);
    let truth = truth(&table);

    let listed = table.json(&["ls", "latest", "HomeDomain:Library/SMS"]);

    let nodes: BTreeMap<_, _> = listed
        .iter()
        .filter(|line| line["message_type"] == "node")
        .map(|line| (line["path"].as_str().unwrap().to_owned(), line))
        .collect();
    let children = truth.items.iter().filter(|item| {
        let rest = item.relative_path.strip_prefix("Library/SMS/");
        item.domain == "HomeDomain" && rest.is_some_and(|rest| !rest.contains('/'))
    });
    let mut expected = 0;
    for item in children {
        let node = nodes.get(&item.relative_path).unwrap_or_else(|| panic!("{item:?}: {nodes:?}"));
        assert_eq!(node["domain"], "HomeDomain");
        let kind = match item.kind {
            Kind::File => "file",
            Kind::Folder => "folder",
            Kind::Link => "symlink",
        };
        assert_eq!(node["kind"], kind, "{node}");
        let date: jiff::Timestamp = node["mtime"].as_str().unwrap().parse().unwrap();
        assert_eq!(date.as_second(), item.mtime, "{node}");
        expected += 1;
    }
    assert!(expected > 0);
    assert_eq!(nodes.len(), expected, "and nothing else: {nodes:?}");
}

#[test]
fn domains_are_listed() {
    let table = table();
    table.done(&["snapshot"]);
    let said = table.done(&["ls", "latest", ":"]);
    for domain in domains(&truth(&table)) {
        assert!(said.lines().any(|line| line.trim_end_matches(':') == domain), "{domain}: {said}");
    }
}

#[test]
fn a_name_of_the_phone_is_found() {
    let table = table();
    table.done(&["snapshot"]);
    let said = table.done(&["find", "HomeDomain:**/sms.db"]);
    assert!(said.contains("HomeDomain:Library/SMS/sms.db"), "{said}");
    assert!(!said.contains("Bookmarks.db"), "{said}");
}

#[test]
fn two_days_differ_by_the_names_of_the_phone() {
    let table = table();
    table.done(&["snapshot"]);
    let before = truth(&table);
    plant(&table, &[("HomeDomain", "Library/Notes/new one")]);
    let mut contents = Contents::open(table.phone(0).folder()).unwrap();
    contents.remove("HomeDomain", "Library/Safari/Bookmarks.db").unwrap();
    contents.save(table.phone(0).folder()).unwrap();
    table.done(&["snapshot"]);
    let after = truth(&table);
    let has = |truth: &Truth, path: &str| {
        truth.items.iter().any(|item| item.domain == "HomeDomain" && item.relative_path == path)
    };
    assert!(has(&before, "Library/Safari/Bookmarks.db") && has(&after, "Library/Notes/new one"));

    let changes = table.json(&["diff", "latest~1", "latest", "HomeDomain:Library"]);

    let of = |kind: &str| -> Vec<&str> {
        let changes = changes.iter().filter(|line| line["change"] == kind);
        changes.map(|line| line["path"].as_str().unwrap()).collect()
    };
    assert!(of("added").contains(&"Library/Notes/new one"), "{changes:?}");
    assert!(of("removed").contains(&"Library/Safari/Bookmarks.db"), "{changes:?}");
    assert!(changes.iter().all(|line| line["domain"].is_null() || line["domain"] == "HomeDomain"));
    // An untouched file is in neither.
    let same = "Library/Preferences/.GlobalPreferences.plist";
    assert!(changes.iter().all(|line| line["path"] != same), "{changes:?}");
}

#[test]
fn restore_takes_the_stored_files_that_names_choose() {
    let table = table();
    table.done(&["snapshot"]);
    let truth = truth(&table);

    table.done(&["restore", "latest", "--include", "CameraRollDomain:*", "--target", "back"]);

    let set = table.at("home/back").join(table.udid(0));
    for item in truth.items.iter().filter(|item| item.kind == Kind::File) {
        let name = item.file_id();
        let stored = set.join(&name[..2]).join(&name);
        assert_eq!(stored.exists(), item.domain == "CameraRollDomain", "{item:?}");
    }
}

#[test]
fn names_that_choose_nothing_restore_nothing_and_remove_nothing() {
    let table = table();
    table.done(&["snapshot"]);
    let mine = table.at("home/back").join(table.udid(0)).join("mine");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "my own").unwrap();
    for more in [&[][..], &["--delete"], &["--include", "nothing-like-it", "--delete"]] {
        let words = ["restore", "latest", "--include", "HomeDomain:nope", "--target", "back"];
        ends_with(&table.run(&[&words, more].concat()), 0, "nothing in the snapshot matches");
        assert_eq!(found_in(&table.at("home/back")).len(), 1, "{more:?}");
        assert_eq!(fs::read(&mine).unwrap(), b"my own");
    }
}

/// Snapshots of an encrypted phone, made with and without its password.
fn encrypted_both_ways(words: &[&str]) -> (Table, Truth) {
    let table = encrypted_table();
    table.done(&[&["snapshot"], words].concat());
    let truth = truth(&table);
    assert!(truth.backup.as_ref().unwrap().encrypted);
    (table, truth)
}

#[test]
fn an_encrypted_phone_comes_out_with_its_password_however_it_is_stored() {
    for words in [&[][..], &["--backup-password-file", "secret"][..]] {
        let (table, truth) = encrypted_both_ways(words);

        let all = domains(&truth);
        let specs: Vec<_> = all.iter().map(String::as_str).collect();
        let end = ["--target", "out", "--backup-password-file", "secret"];
        table.done(&[&["extract", "latest"], specs.as_slice(), &end].concat());

        is_true(&table.at("home/out"), &truth, |_| true);
        let health = Path::new("HealthDomain/Health/healthdb.sqlite");
        assert!(table.at("home/out").join(health).exists(), "in encrypted backups only");
    }
}

#[test]
fn a_wrong_or_missing_backup_password_is_one_clear_line() {
    let (table, _) = encrypted_both_ways(&[]);
    let spec = "HomeDomain:Library/SMS/sms.db";
    for words in [
        &["extract", "latest", spec, "--target", "out"][..],
        &["dump", "latest", spec],
        &["ls", "latest", "HomeDomain:Library"],
        &["find", "HomeDomain:**"],
        &["restore", "latest", "--include", "HomeDomain:**", "--target", "back"],
    ] {
        // Nobody can be asked: there is no terminal.
        let missing = table.run(words);
        ends_with(&missing, 2, "backup password");
        assert!(missing.stdout.is_empty(), "{words:?}");
        let wrong = table.run(&[words, &["--backup-password-file", "wrong"]].concat());
        ends_with(&wrong, 25, "backup password");
        assert!(wrong.stdout.is_empty(), "{words:?}");
        for output in [missing, wrong] {
            let said = err(&output);
            assert!(!said.contains(SECRET) && !said.contains("another"), "{said}");
        }
    }
    assert!(!table.at("home/out").exists() || found_in(&table.at("home/out")).is_empty());
}

#[test]
fn a_stored_name_needs_no_backup_password() {
    let (table, truth) = encrypted_both_ways(&[]);
    let file = truth.items.iter().find(|item| item.kind == Kind::File).unwrap().file_id();
    let stored = format!("{}/{}/{file}", table.udid(0), &file[..2]);
    let said = table.done(&["ls", "latest", &stored]);
    assert!(said.contains(&file), "{said}");
}

#[test]
fn a_snapshot_of_a_folder_has_no_names_of_a_phone() {
    let table = table();
    fs::create_dir(table.at("home/plain")).unwrap();
    fs::write(table.at("home/plain/HomeDomain:Library"), "a name with a colon").unwrap();
    table.done(&["snapshot", "plain"]);
    // As a stored name it is found.
    let said = table.done(&["find", "HomeDomain:Library"]);
    assert!(said.contains("HomeDomain:Library"), "{said}");
    let output = table.run(&["extract", "latest", "HomeDomain", "--target", "out"]);
    assert_ne!(output.status.code(), Some(0));
    assert!(err(&output).contains("device"), "{}", err(&output));
}

#[test]
fn programs_are_told_in_json_lines() {
    let table = table();
    table.done(&["snapshot"]);
    let output = table.run(&[
        "extract",
        "latest",
        "HomeDomain:Library/SMS",
        "--target",
        "out",
        "--json",
        "--no-progress",
    ]);
    let said = said_by(output);
    let summary: Value = objects_of(&said).pop().unwrap();
    assert_eq!(summary["message_type"], "summary", "{said}");
    let files = found_in(&table.at("home/out")).len();
    assert_eq!(summary["files_written"].as_u64(), Some(u64::try_from(files).unwrap()), "{summary}");
}
