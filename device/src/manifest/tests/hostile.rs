//! Databases that were made to do harm.
use super::*;

/// What opens nothing, and why in a word.
fn refusal(made: &Made) -> String {
    match made.read(Order::Name, &Within::everything()) {
        Ok((rows, _)) => format!("{} rows", rows.len()),
        Err(BadManifest::Strange(what)) => what.to_owned(),
        Err(error) => format!("{error:?}").chars().take_while(|c| c.is_alphabetic()).collect(),
    }
}

/// Puts `sql` as the schema's word for `Files`, past everything that SQLite would not write.
fn with_schema(kind: &str, name: &str, sql: &str) -> Made {
    let made = Made::of(&[("HomeDomain", "x", 1)]);
    let connection = Connection::open(made.path()).unwrap();
    connection.execute_batch("PRAGMA writable_schema = ON").unwrap();
    connection
        .execute(
            "UPDATE sqlite_schema SET type = ?, name = ?, sql = ? WHERE name = 'Files'",
            params![kind, name, sql],
        )
        .unwrap();
    made
}

#[test]
fn files_must_be_a_plain_table() {
    let endless = "CREATE VIEW Files AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
                   SELECT x AS fileID, x AS domain, x AS relativePath, 1 AS flags, NULL AS file FROM n";
    for sql in [
        endless,
        "CREATE TABLE Other(x)",
        "CREATE VIRTUAL TABLE Files USING fts5(fileID, domain, relativePath, flags, file)",
        "CREATE VIEW files AS SELECT * FROM sqlite_schema",
    ] {
        assert_eq!(refusal(&Made::by(sql)), "`Files` is no plain table", "{sql}");
    }
}

#[test]
fn a_schema_that_says_one_thing_and_means_another_is_refused() {
    for (kind, name, sql) in [
        ("table", "Files", "CREATE VIEW Files AS SELECT 1"),
        ("view", "Files", "CREATE TABLE Files(fileID, domain, relativePath, flags, file)"),
        ("table", "Files", "CREATE TABLE files2(fileID, domain, relativePath, flags, file)"),
        (
            "table",
            "Files",
            "CREATE /* */ VIRTUAL TABLE Files USING fts5(fileID, domain, relativePath, flags, file)",
        ),
        ("table", "Files", "create table Files(fileID"),
    ] {
        let refused = refusal(&with_schema(kind, name, sql));
        assert!(
            ["Damaged", "`Files` is no plain table"].contains(&refused.as_str()),
            "{sql}: {refused}"
        );
    }
}

#[test]
fn columns_that_are_computed_missing_or_in_the_way_are_refused() {
    for (columns, why) in [
        (
            "fileID, domain, relativePath, flags, file AS (zeroblob(1000000))",
            "`Files` lacks a column",
        ),
        (
            "fileID, domain, relativePath, flags, file AS (zeroblob(9)) STORED",
            "`Files` lacks a column",
        ),
        ("fileID, domain, relativePath, flags", "`Files` lacks a column"),
        (
            "fileID, domain, relativePath, flags, file, RowID",
            "`Files` hides the numbers of its rows",
        ),
    ] {
        assert_eq!(refusal(&Made::by(&format!("CREATE TABLE Files({columns})"))), why, "{columns}");
    }
    let without =
        "CREATE TABLE Files(fileID PRIMARY KEY, domain, relativePath, flags, file) WITHOUT ROWID";
    assert_eq!(refusal(&Made::by(without)), "Damaged");
}

#[test]
fn triggers_views_and_further_columns_beside_the_table_are_never_used() {
    let made = Made::of(&[("HomeDomain", "x", 1)]);
    made.change(
        "CREATE TRIGGER t AFTER DELETE ON Files BEGIN SELECT 1; END;
         CREATE VIEW v AS SELECT * FROM Files JOIN Files; ALTER TABLE Files ADD COLUMN later;",
    );

    assert_eq!(made.names(&Within::everything()), pairs(&[("HomeDomain", "x")]));
}

#[test]
fn rows_that_are_none_are_counted_and_cost_no_other_row() {
    let made = Made::of(&[("HomeDomain", "good", 1)]);
    made.change(&format!(
        "INSERT INTO Files VALUES
           (NULL, 'HomeDomain', 'no id', 1, NULL),
           ('../../../etc/passwd', 'HomeDomain', 'an id that climbs', 1, NULL),
           ('3D0D7E5FB2CE288813306E4D4636395E047A3D28', 'HomeDomain', 'upper case', 1, NULL),
           ('{0}1', NULL, 'no domain', 1, NULL),
           ('{0}2', 'HomeDomain', NULL, 1, NULL),
           ('{0}3', 'HomeDomain', CAST(x'ff' AS TEXT), 1, NULL),
           ('{0}4', 'HomeDomain', 'no flags', 'many', NULL),
           ('{0}5', 'HomeDomain', replace(hex(zeroblob(4000)), '0', 'a'), 1, NULL),
           (CAST('{0}6' AS BLOB), 'HomeDomain', 'an id as a blob', 8, NULL),
           ('{0}8', 'HomeDomain', 'one of a session that runs', 129, NULL),
           ('{0}7', 'HomeDomain', 'a record that is a number', 2, 7);",
        "3".repeat(39)
    ));

    for order in [Order::Name, Order::FileId] {
        let (mut rows, tally) = made.read(order, &Within::everything()).unwrap();
        rows.sort_by(|a, b| a.relative_path.cmp(&b.relative_path));

        assert_eq!(tally, Tally { rows: 4, refused: 8 });
        let paths: Vec<_> = rows.iter().map(|row| (row.relative_path.as_str(), row.kind)).collect();
        let expected = [
            ("a record that is a number", RowKind::Folder),
            ("an id as a blob", RowKind::Other(8)),
            ("good", RowKind::File),
            ("one of a session that runs", RowKind::File),
        ];
        assert_eq!(paths, expected);
    }
}

#[test]
fn an_index_that_lies_changes_nothing() {
    // The table with two rows beside indexes that have none.
    let made = Made::of(&[("HomeDomain", "x", 1), ("HomeDomain", "y", 1)]);
    let connection = Connection::open(made.path()).unwrap();
    connection
        .execute_batch(
            "PRAGMA writable_schema = ON;
             CREATE TABLE Empty(a TEXT PRIMARY KEY, b TEXT); CREATE INDEX EmptyIdx ON Empty(b);
             UPDATE sqlite_schema SET rootpage =
               (SELECT rootpage FROM sqlite_schema WHERE name = 'EmptyIdx')
               WHERE name = 'FilesDomainIdx';
             UPDATE sqlite_schema SET rootpage =
               (SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_Empty_1')
               WHERE name = 'sqlite_autoindex_Files_1';",
        )
        .unwrap();
    drop(connection);

    let (rows, _) = made.read(Order::FileId, &Within::domain("HomeDomain")).unwrap();

    assert_eq!(rows.len(), 2);
}

#[test]
fn texts_that_compare_otherwise_are_compared_as_bytes() {
    let made = Made::by(
        "CREATE TABLE Files(fileID COLLATE NOCASE, domain COLLATE NOCASE, relativePath, flags, file);
         INSERT INTO Files VALUES ('1111111111111111111111111111111111111111', 'B', 'x', 1, NULL),
           ('0000000000000000000000000000000000000000', 'a', 'x', 1, NULL);",
    );

    assert_eq!(made.names(&Within::everything()), pairs(&[("B", "x"), ("a", "x")]));
    assert_eq!(made.names(&Within::domain("b")), []);
}

#[test]
fn a_row_longer_than_any_can_be_costs_itself() {
    let made = Made::of(&[("HomeDomain", "x", 1)]);
    made.change(&format!(
        "INSERT INTO Files VALUES ('{}', 'HomeDomain', 'huge', 1, zeroblob(3000000))",
        "3".repeat(40)
    ));

    let (rows, tally) = made.read(Order::Name, &Within::everything()).unwrap();

    assert_eq!((rows.len(), tally), (1, Tally { rows: 1, refused: 1 }));
}

#[test]
fn of_two_rows_with_one_name_the_second_is_refused() {
    let made = Made::by(
        "CREATE TABLE Files(fileID, domain, relativePath, flags, file);
         INSERT INTO Files VALUES ('1111111111111111111111111111111111111111', 'A', 'x', 1, NULL),
           ('1111111111111111111111111111111111111111', 'A', 'y', 1, NULL),
           ('0000000000000000000000000000000000000000', 'A', 'x', 1, NULL);",
    );

    for order in [Order::Name, Order::FileId] {
        let (_, tally) = made.read(order, &Within::everything()).unwrap();
        assert_eq!(tally, Tally { rows: 2, refused: 1 });
    }
}

#[test]
fn a_schema_of_thousands_of_tables_is_refused_before_it_is_read() {
    let tables: String = (0..2000).map(|n| format!("CREATE TABLE t{n}(x);")).collect();
    let made = Made::by(
        &format!("BEGIN; {SCHEMA} {tables} COMMIT;").replace("PRAGMA auto_vacuum = 2;", ""),
    );

    assert_eq!(refusal(&made), "its schema is far too large");
}

#[test]
fn a_schema_of_a_few_pages_is_read() {
    let tables: String = (0..100).map(|n| format!("CREATE TABLE t{n}(x);")).collect();
    let made = Made::by(&format!("{SCHEMA} {tables}"));

    assert_eq!(refusal(&made), "0 rows");
}

#[test]
fn texts_in_another_encoding_are_refused() {
    let made = Made::by(&format!("PRAGMA encoding = 'UTF-16le'; {SCHEMA}"));

    assert_eq!(refusal(&made), "its texts are not UTF-8");
}

/// The number of the page at which the table `Files` begins.
fn root_of_files(made: &Made) -> usize {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'Files'";
    let page: u32 =
        Connection::open(made.path()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
    usize::try_from(page).unwrap()
}

/// A table whose root, and every page below it, names one page hundreds of times over, seven
/// levels deep: a few pages that hold more rows than anybody will ever read.
#[test]
fn pages_that_many_others_point_to_are_no_way_to_have_endless_rows() {
    let made = Made::of(&[("HomeDomain", "x", 1), ("HomeDomain", "y", 1)]);
    let mut bytes = made.bytes();
    let root = root_of_files(&made);
    let leaf_at = (root - 1) * 4096;
    let leaf = bytes[leaf_at..leaf_at + 4096].to_vec();
    // Levels of inner pages are appended, each pointing only to the next; the leaf comes last.
    let first_new = bytes.len() / 4096 + 1;
    let levels = 7;
    let inner = |child: usize| {
        let child = u32::try_from(child).unwrap().to_be_bytes();
        let cells: u16 = 500;
        let mut page = vec![0; 4096];
        page[0] = 0x05;
        page[3..5].copy_from_slice(&cells.to_be_bytes());
        page[8..12].copy_from_slice(&child);
        for cell in 0..usize::from(cells) {
            // One cell, named by all pointers: a child and the number 1.
            let at: u16 = 4091;
            page[12 + 2 * cell..14 + 2 * cell].copy_from_slice(&at.to_be_bytes());
        }
        page[5..7].copy_from_slice(&4091_u16.to_be_bytes());
        page[4091..4095].copy_from_slice(&child);
        page[4095] = 1;
        page
    };
    bytes[leaf_at..leaf_at + 4096].copy_from_slice(&inner(first_new));
    for level in 1..levels {
        bytes.extend(inner(first_new + level));
    }
    bytes.extend(leaf);
    let pages = u32::try_from(bytes.len() / 4096).unwrap();
    bytes[28..32].copy_from_slice(&pages.to_be_bytes());
    made.put(&bytes);

    let refused = refusal(&made);

    assert!(["TooMuch", "Damaged"].contains(&refused.as_str()), "{refused}");
}

#[test]
fn a_database_cut_or_changed_anywhere_is_refused_or_read_never_a_panic() {
    let rows: Vec<String> = (0..60).map(|n| format!("Library/{n}")).collect();
    let rows: Vec<_> = rows.iter().map(|path| ("HomeDomain", path.as_str(), 1)).collect();
    let made = Made::of(&rows);
    let whole = made.bytes();
    for cut in (0..whole.len()).step_by(911) {
        made.put(&whole[..cut]);
        let _ = refusal(&made);
    }
    let root = (root_of_files_in(&whole) - 1) * 4096;
    for at in (0..120).chain(root..root + 120) {
        for byte in [0, 1, 0x05, 0x7f, 0xff] {
            let mut changed = whole.clone();
            changed[at] = byte;
            made.put(&changed);
            if let Ok((rows, _)) = made.read(Order::FileId, &Within::everything()) {
                assert!(rows.is_sorted_by_key(|row| row.file_id), "byte {at} made {byte}");
            }
        }
    }
}

fn root_of_files_in(bytes: &[u8]) -> usize {
    let made = Made { folder: tempfile::tempdir().unwrap() };
    made.put(bytes);
    root_of_files(&made)
}
