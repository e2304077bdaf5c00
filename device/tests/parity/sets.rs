//! What the two hosts keep: the folders of one backup each, file beside file.
use crate::expected::{are_in_the_document, fits};
use plist::Value;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// A place in which two sets differ, and why they do.
struct Expected {
    /// File, and key or row in it; a star stands for anything.
    place: &'static str,
    occurs: Occurs,
    why: &'static str,
}

/// When a difference occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occurs {
    Always,
    /// In encrypted backups only.
    Encrypted,
    /// Unless both sessions fall into one second.
    Mostly,
}

const MOMENT: &str = "The two sessions take place one after the other.";
const NEW_KEYS: &str = "The phone makes new keys for each full backup, and in software too they are \
                        random. The lengths are the same.";

/// What is known of the files.
const DIFFERENCES: &[Expected] = &[
    always("Info.plist: GUID", "Each host draws one by lot."),
    mostly("Info.plist: Last Backup Date", MOMENT),
    mostly("Manifest.plist: Date", MOMENT),
    mostly("Status.plist: Date", MOMENT),
    mostly("Status.plist: UUID", "The phone makes one for each session, from the moment of it."),
    always("Manifest.plist: BackupKeyBag", NEW_KEYS),
    encrypted("Manifest.plist: ManifestKey", NEW_KEYS),
    encrypted("Manifest.db: its bytes", NEW_KEYS),
    encrypted("*/*: its bytes", NEW_KEYS),
];

const fn always(place: &'static str, why: &'static str) -> Expected {
    Expected { place, occurs: Occurs::Always, why }
}

const fn mostly(place: &'static str, why: &'static str) -> Expected {
    Expected { place, occurs: Occurs::Mostly, why }
}

const fn encrypted(place: &'static str, why: &'static str) -> Expected {
    Expected { place, occurs: Occurs::Encrypted, why }
}

#[test]
fn the_document_has_the_same_differences_of_files() {
    are_in_the_document(DIFFERENCES.iter().map(|expected| expected.why));
}

/// What was found in two sets.
#[derive(Default)]
pub(crate) struct Comparison {
    /// Files that both have.
    pub(crate) files: usize,
    /// Places, and what each has there.
    differing: BTreeMap<String, [String; 2]>,
}

impl Comparison {
    pub(crate) fn of(sets: [&Path; 2]) -> Comparison {
        let mut found = Comparison::default();
        let names = sets.map(|set| {
            let mut names = BTreeSet::new();
            names_below(set, set, &mut names);
            names
        });
        for name in &names[0] | &names[1] {
            match names.each_ref().map(|names| names.contains(&name)) {
                [true, true] => found.compare_file(sets.map(|set| set.join(&name)), &name),
                has => found.differ(&name, has.map(|has| if has { "is there" } else { "is not" })),
            }
        }
        found
    }

    fn differ(&mut self, place: &str, has: [impl ToString; 2]) {
        self.differing.insert(place.to_owned(), has.map(|has| has.to_string()));
    }

    fn compare_file(&mut self, paths: [PathBuf; 2], name: &str) {
        let is_folder = paths.each_ref().map(|path| path.is_dir());
        if is_folder.contains(&true) {
            if is_folder != [true, true] {
                self.differ(name, ["a folder", "no folder"]);
            }
            return;
        }
        let bytes = paths.each_ref().map(|path| fs::read(path).unwrap());
        self.files += 1;
        if bytes[0] == bytes[1] {
            return;
        }
        if name.ends_with(".plist") {
            let lists = bytes.map(|bytes| Value::from_reader(Cursor::new(bytes)).unwrap());
            self.compare_values(name, [Some(&lists[0]), Some(&lists[1])]);
        } else if bytes.iter().all(|bytes| bytes.starts_with(b"SQLite format 3\0")) {
            self.compare_databases(name, paths);
        } else {
            let lengths = bytes.map(|bytes| bytes.len());
            let what = if lengths[0] == lengths[1] { "its bytes" } else { "its length" };
            self.differ(&format!("{name}: {what}"), lengths);
        }
    }

    /// Compares two lists key by key, as deep as there are dictionaries.
    fn compare_values(&mut self, place: &str, values: [Option<&Value>; 2]) {
        match values {
            [Some(Value::Dictionary(one)), Some(Value::Dictionary(other))] => {
                let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
                for key in keys {
                    self.compare_values(&format!("{place}: {key}"), [one.get(key), other.get(key)]);
                }
            }
            [one, other] if one == other => {}
            _ => self.differ(place, values.map(|value| shortly(&format!("{value:?}")))),
        }
    }

    /// Compares two databases row by row; cells that are lists, key by key.
    fn compare_databases(&mut self, name: &str, paths: [PathBuf; 2]) {
        let tables = paths.map(|path| rows_of(&path));
        let all: BTreeSet<_> = tables[0].keys().chain(tables[1].keys()).collect();
        for row in all {
            let place = format!("{name}: {row}");
            match tables.each_ref().map(|rows| rows.get(row)) {
                [Some(one), Some(other)] => {
                    for (number, cells) in one.iter().zip(other).enumerate() {
                        let place = format!("{place}: {number}");
                        match cells {
                            (Cell::Blob(one), Cell::Blob(other)) if one != other => {
                                let list = |bytes| Value::from_reader(Cursor::new(bytes)).ok();
                                let lists = [list(one), list(other)];
                                self.compare_values(&place, lists.each_ref().map(Option::as_ref));
                            }
                            (one, other) if one == other => {}
                            (one, other) => {
                                self.differ(&place, [format!("{one:?}"), format!("{other:?}")])
                            }
                        }
                    }
                }
                has => self.differ(
                    &place,
                    has.map(|row| if row.is_some() { "is there" } else { "is not" }),
                ),
            }
        }
    }

    /// Fails when something differs that is not in the table, or something of the table no longer
    /// does.
    #[track_caller]
    pub(crate) fn holds(&self, is_encrypted: bool, of: &str) {
        let may = |e: &&Expected| is_encrypted || e.occurs != Occurs::Encrypted;
        let expected: Vec<_> = DIFFERENCES.iter().filter(may).collect();
        let mut findings = String::new();
        for (place, [theirs, ours]) in &self.differing {
            if !expected.iter().any(|expected| fits(expected.place, place)) {
                let _ = writeln!(
                    findings,
                    "{place}\n  − idevicebackup2: {theirs}\n  + devsnap: {ours}"
                );
            }
        }
        for expected in expected {
            let must = expected.occurs != Occurs::Mostly;
            if must && !self.differing.keys().any(|place| fits(expected.place, place)) {
                let _ = writeln!(findings, "no longer differs: {}", expected.place);
            }
        }
        assert!(findings.is_empty(), "{of}, what differs and is not in the table:\n{findings}");
    }
}

fn names_below(root: &Path, folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        names.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        if path.is_dir() {
            names_below(root, &path, names);
        }
    }
}

/// All rows of all tables by table and first cell; and how the tables are made.
fn rows_of(file: &Path) -> BTreeMap<String, Vec<Cell>> {
    let uri = format!("file:{}?immutable=1", file.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let database = Connection::open_with_flags(uri, flags).unwrap();
    let mut rows = BTreeMap::new();
    let mut tables = database.prepare("SELECT name, sql FROM sqlite_master").unwrap();
    let tables: Vec<(String, Option<String>)> = tables
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (name, sql) in tables {
        rows.insert(name.clone(), vec![sql.clone().map_or(Cell::Null, Cell::Text)]);
        if !sql.is_some_and(|sql| sql.starts_with("CREATE TABLE")) {
            continue;
        }
        let mut select = database.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = select.column_count();
        let mut found = select.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let cells: Vec<Cell> = (0..columns).map(|column| row.get(column).unwrap()).collect();
            rows.insert(format!("{name} {:?}", cells[0]), cells);
        }
    }
    rows
}

fn shortly(text: &str) -> String {
    text.chars().take(200).collect()
}

#[test]
fn a_file_a_key_and_a_row_that_differ_are_found() {
    let sets = [0, 1].map(|number| {
        let set = tempfile::tempdir().unwrap();
        fs::create_dir(set.path().join("ab")).unwrap();
        fs::write(set.path().join("ab/same"), "same").unwrap();
        fs::write(set.path().join("ab/other"), ["one", "two"][number]).unwrap();
        fs::write(set.path().join(["left", "right"][number]), "").unwrap();
        let mut list = plist::Dictionary::new();
        list.insert("Key".to_owned(), number.to_string().into());
        list.insert("Same".to_owned(), true.into());
        Value::Dictionary(list).to_file_xml(set.path().join("Status.plist")).unwrap();
        let database = Connection::open(set.path().join("Manifest.db")).unwrap();
        let rows = format!("CREATE TABLE Files (a, b); INSERT INTO Files VALUES (7, {number});");
        database.execute_batch(&rows).unwrap();
        set
    });
    let found = Comparison::of([sets[0].path(), sets[1].path()]);
    let places: Vec<_> = found.differing.keys().map(String::as_str).collect();
    let row = "Manifest.db: Files Integer(7): 1";
    assert_eq!(places, [row, "Status.plist: Key", "ab/other: its bytes", "left", "right"]);
    assert_eq!(found.files, 4);
}
