//! Manifests as devices write them, and as nobody should.
use std::path::{Path, PathBuf};

use devsnap_engine::interrupt::Interrupt;
use proptest::prelude::*;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::*;

mod hostile;
mod records;

/// What devices make.
const SCHEMA: &str = "
    PRAGMA page_size = 4096; PRAGMA auto_vacuum = 2; PRAGMA user_version = 2;
    CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER, file BLOB);
    CREATE INDEX FilesDomainIdx ON Files(domain);
    CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
    CREATE INDEX FilesFlagsIdx ON Files(flags);
    CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);";

/// A database that is being made.
struct Made {
    folder: TempDir,
}

impl Made {
    fn by(sql: &str) -> Made {
        let made = Made { folder: tempfile::tempdir().unwrap() };
        made.change(sql);
        made
    }

    fn of(rows: &[(&str, &str, i64)]) -> Made {
        let made = Made::by(SCHEMA);
        let connection = Connection::open(made.path()).unwrap();
        for (domain, path, flags) in rows {
            let id = FileId::of(domain, path).to_string();
            connection
                .execute(
                    "INSERT INTO Files VALUES (?, ?, ?, ?, ?)",
                    params![id, domain, path, flags, records::simple(("Target", (*path).into()))],
                )
                .unwrap();
        }
        made
    }

    fn path(&self) -> PathBuf {
        // What a URI must not take for something else.
        self.folder.path().join("Mani?fest#%41é.db")
    }

    fn change(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap()
    }

    fn put(&self, bytes: &[u8]) {
        std::fs::write(self.path(), bytes).unwrap();
    }

    fn open(&self) -> Result<ManifestDb, BadManifest> {
        ManifestDb::open(&self.path(), &Interrupt::new())
    }

    fn read(&self, order: Order, within: &Within) -> Result<(Vec<Row>, Tally), BadManifest> {
        read(&self.open()?, order, within)
    }

    fn names(&self, within: &Within) -> Vec<(String, String)> {
        let (rows, _) = self.read(Order::Name, within).unwrap();
        rows.into_iter().map(|row| (row.domain, row.relative_path)).collect()
    }
}

fn read(
    manifest: &ManifestDb,
    order: Order,
    within: &Within,
) -> Result<(Vec<Row>, Tally), BadManifest> {
    let mut listing = manifest.list(order, within)?;
    let mut rows = listing.rows()?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(row);
    }
    Ok((all, rows.tally()))
}

fn pairs(names: &[(&str, &str)]) -> Vec<(String, String)> {
    names.iter().map(|(domain, path)| ((*domain).to_owned(), (*path).to_owned())).collect()
}

#[test]
fn a_file_id_is_the_one_that_devices_give() {
    for (domain, path, id) in [
        ("HomeDomain", "Library/SMS/sms.db", "3d0d7e5fb2ce288813306e4d4636395e047a3d28"),
        ("CameraRollDomain", "", "be1f28f40e6e4e95dba86a2d9fa4b12dc70b9dc5"),
    ] {
        assert_eq!(FileId::of(domain, path).to_string(), id);
        assert_eq!(FileId::parse(id.as_bytes()), Some(FileId::of(domain, path)));
        assert_eq!(FileId::of(domain, path).stored_path(), format!("{}/{id}", &id[..2]));
    }
}

#[test]
fn nothing_but_forty_lower_case_digits_is_a_file_id() {
    let id = "3d0d7e5fb2ce288813306e4d4636395e047a3d28";
    for bad in ["", "../../etc/passwd", &id[1..], &format!("{id}0"), &id.to_uppercase()] {
        assert_eq!(FileId::parse(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn rows_come_in_the_order_asked_for_whatever_the_mode_of_the_journal() {
    let made = Made::of(&[
        ("HomeDomain", "Library/a.b", 1),
        ("HomeDomain", "Library", 2),
        ("HomeDomain", "Library/a/z", 4),
        ("HomeDomain", "Library/a", 2),
        ("CameraRollDomain", "", 2),
    ]);
    made.change("PRAGMA journal_mode = WAL");

    let (by_name, tally) = made.read(Order::Name, &Within::everything()).unwrap();
    let (by_id, _) = made.read(Order::FileId, &Within::everything()).unwrap();

    let paths: Vec<&str> = by_name.iter().map(|row| row.relative_path.as_str()).collect();
    assert_eq!(paths, ["", "Library", "Library/a", "Library/a/z", "Library/a.b"]);
    assert_eq!(tally, Tally { rows: 5, refused: 0 });
    assert!(by_name.iter().all(Row::is_named_rightly));
    assert_eq!(by_name[3].kind, RowKind::Symlink);
    assert_eq!(by_name[3].file().unwrap().target.as_deref(), Some("Library/a/z"));
    assert!(by_id.is_sorted_by_key(|row| row.file_id) && by_id.len() == 5);
    let files = std::fs::read_dir(made.folder.path()).unwrap().count();
    assert_eq!(files, 1, "nothing is put beside it");
}

#[test]
fn what_is_within_a_domain_or_a_folder_is_told_from_what_begins_like_it() {
    let made = Made::of(&[
        ("AppDomain-a", "", 2),
        ("AppDomain-a", "Documents", 2),
        ("AppDomain-a", "Documents/x", 1),
        ("AppDomain-a", "Documents2/x", 1),
        ("AppDomain-ab", "Documents/x", 1),
        ("HomeDomain", "Documents/x", 1),
    ]);

    let below = made.names(&Within::domain("AppDomain-a").below("Documents"));
    let from = made.names(&Within::domains_from("AppDomain-a").below("Documents/x"));

    assert_eq!(below, pairs(&[("AppDomain-a", "Documents"), ("AppDomain-a", "Documents/x")]));
    assert_eq!(from, pairs(&[("AppDomain-a", "Documents/x"), ("AppDomain-ab", "Documents/x")]));
    assert_eq!(made.names(&Within::domain("appdomain-a")), []);
    assert_eq!(made.names(&Within::domain("AppDomain-a")).len(), 4);
}

#[test]
fn names_alone_come_without_records() {
    let made = Made::of(&[("HomeDomain", "x", 1)]);

    let (rows, _) = made.read(Order::FileId, &Within::everything().names_only()).unwrap();

    assert_eq!((rows.len(), rows[0].record.as_ref()), (1, None));
    assert!(matches!(rows[0].file(), Err(BadRecord::Absent)));
}

#[test]
fn a_wish_to_stop_is_heeded_before_the_next_row() {
    let made = Made::of(&[("HomeDomain", "x", 1), ("HomeDomain", "y", 1)]);
    let interrupt = Interrupt::new();
    let manifest = ManifestDb::open(&made.path(), &interrupt).unwrap();
    let mut listing = manifest.list(Order::Name, &Within::everything()).unwrap();
    let mut rows = listing.rows().unwrap();
    assert!(rows.next().unwrap().is_some());

    interrupt.raise();

    assert!(matches!(rows.next(), Err(BadManifest::Interrupted)));
}

#[test]
fn what_is_not_there_or_no_database_is_told_apart() {
    let nowhere = ManifestDb::open(Path::new("/nonexistent/x"), &Interrupt::new());
    assert!(matches!(nowhere, Err(BadManifest::Unreadable(_))));
    let made = Made::by(SCHEMA);
    for bytes in [&b""[..], b"SQLite format 3\0", &[7; 8192]] {
        made.put(bytes);
        assert!(matches!(made.open(), Err(BadManifest::NotADatabase)), "{} bytes", bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_row_comes_once_and_its_name_leads_to_its_file(
        rows in proptest::collection::btree_set(("[AB]Domain(-[a-c.]{1,3})?", "[a-c/.]{0,6}"), 0..40)
    ) {
        let given: Vec<_> = rows.iter().map(|(d, p)| (d.as_str(), p.as_str(), 1)).collect();
        let made = Made::of(&given);

        let (by_name, _) = made.read(Order::Name, &Within::everything()).unwrap();
        let (mut by_id, _) = made.read(Order::FileId, &Within::everything()).unwrap();

        prop_assert_eq!(made.open().unwrap().rows_total(), rows.len() as u64);
        let key = |row: &Row| (row.domain.clone(), row.relative_path.replace('/', "\0"));
        prop_assert!(by_name.is_sorted_by_key(key));
        by_id.sort_by_key(key);
        prop_assert_eq!(&by_id, &by_name);
        let names = by_name.iter().map(|row| (row.domain.clone(), row.relative_path.clone()));
        prop_assert_eq!(names.collect::<std::collections::BTreeSet<_>>(), rows);
        prop_assert!(by_name.iter().all(Row::is_named_rightly));
    }
}
