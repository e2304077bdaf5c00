//! `Manifest.db` and the records in it.
use devsnap_device::manifest::{BadManifest, FileId, ManifestDb, MbFile, Order, Row, Within};
use devsnap_engine::interrupt::Interrupt;
use plist::{Dictionary, Uid, Value};
use std::collections::BTreeSet;

/// A record that is read holds no more than its bytes do, and is read the same again.
pub fn mbfile(data: &[u8]) {
    let Ok(file) = MbFile::decode(data) else {
        return;
    };
    let held = [&file.encryption_key, &file.digest].into_iter().flatten().map(Vec::len);
    assert!(held.sum::<usize>() <= 2 * data.len());
    // A text of UTF-16 may grow by half.
    assert!(file.target.as_ref().is_none_or(|target| target.len() <= 2 * data.len()));
    assert!(file.xattrs.values().all(|value| value.len() <= data.len()));
    assert_eq!(MbFile::decode(data).ok(), Some(file));
}

pub(crate) fn mbfile_seeds() -> Vec<Vec<u8>> {
    vec![record("Library/x", 1), record("", 2), record("Library/link", 4)]
}

fn record(path: &str, flags: u64) -> Vec<u8> {
    let uid = |number| Value::Uid(Uid::new(number));
    let mut xattrs = Vec::new();
    let tag = Dictionary::from_iter([("com.example.tag", Value::Data(vec![1, 2, 3]))]);
    Value::Dictionary(tag).to_writer_binary(&mut xattrs).expect("because a Vec takes every write");
    let mut fields = Dictionary::from_iter([
        ("RelativePath", uid(2)),
        ("LastModified", 1_700_000_000.into()),
        ("Birth", 1_600_000_000.into()),
        ("Size", uid(6)),
        ("Mode", [0, 0o100_644, 0o040_755, 0, 0o120_755][flags as usize].into()),
        ("InodeNumber", u64::MAX.into()),
        ("EncryptionKey", uid(3)),
        ("Digest", Value::Data(vec![8; 20])),
        ("ExtendedAttributes", uid(5)),
    ]);
    if flags == 4 {
        fields.insert("Target".to_owned(), "../x".into());
    }
    let objects = vec![
        "$null".into(),
        Value::Dictionary(fields),
        path.into(),
        Value::Dictionary(Dictionary::from_iter([("NS.data", uid(4))])),
        Value::Data([vec![3, 0, 0, 0], vec![9; 40]].concat()),
        Value::Data(xattrs),
        4096.into(),
    ];
    let archive = Dictionary::from_iter([
        ("$top", Value::Dictionary(Dictionary::from_iter([("root", uid(1))]))),
        ("$objects", Value::Array(objects)),
    ]);
    let mut bytes = Vec::new();
    Value::Dictionary(archive)
        .to_writer_binary(&mut bytes)
        .expect("because a Vec takes every write");
    bytes
}

/// A database that opens is read in both orders, each rising and without a name twice, is the same the
/// second time, and nothing is put beside it.
pub fn manifest_rows(data: &[u8]) {
    let folder = tempfile::tempdir().expect("because temporary files can be written");
    let path = folder.path().join("Manifest.db");
    std::fs::write(&path, data).expect("because temporary files can be written");
    if let Ok(manifest) = ManifestDb::open(&path, &Interrupt::new()) {
        if let Ok(by_id) = read(&manifest, Order::FileId, &Within::everything()) {
            assert!(by_id.is_sorted_by(|a, b| a.file_id < b.file_id));
            let again = read(&manifest, Order::FileId, &Within::everything());
            assert_eq!(again.ok(), Some(by_id));
        }
        if let Ok(by_name) = read(&manifest, Order::Name, &Within::everything()) {
            let names = by_name.iter().map(|row| (&row.domain, &row.relative_path));
            assert_eq!(names.collect::<BTreeSet<_>>().len(), by_name.len());
        }
        let below = Within::domain("HomeDomain").below("Library");
        for row in read(&manifest, Order::Name, &below).unwrap_or_default() {
            let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
            let rest = row.relative_path.strip_prefix("Library");
            assert!(row.domain == "HomeDomain" && rest.is_some_and(is_below));
        }
    }
    let files = std::fs::read_dir(folder.path()).expect("because it was just made");
    assert_eq!(files.count(), 1);
}

fn read(manifest: &ManifestDb, order: Order, within: &Within) -> Result<Vec<Row>, BadManifest> {
    let mut listing = manifest.list(order, within)?;
    let mut rows = listing.rows()?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        assert!(FileId::parse(row.file_id.to_string().as_bytes()) == Some(row.file_id));
        all.push(row);
    }
    assert_eq!(rows.tally().rows, all.len() as u64);
    Ok(all)
}

pub(crate) fn manifest_rows_seeds() -> Vec<Vec<u8>> {
    let names =
        [("HomeDomain", "", 2), ("HomeDomain", "Library/x", 1), ("AppDomain-a.b", "link", 4)];
    let few = database(names.into_iter().map(|(d, p, flags)| (d, p.to_owned(), flags)));
    let many = database((0..40).map(|n| ("HomeDomain", format!("Library/{n}"), 1)));
    vec![few, many]
}

/// Pages of 512 bytes, so that changes hit what matters.
fn database<'a>(rows: impl Iterator<Item = (&'a str, String, u64)>) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("because temporary files can be written");
    let path = folder.path().join("Manifest.db");
    let make = || -> rusqlite::Result<()> {
        let connection = rusqlite::Connection::open(&path)?;
        connection.execute_batch(
            "PRAGMA page_size = 512;
             CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT,
                                 flags INTEGER, file BLOB);
             CREATE INDEX FilesDomainIdx ON Files(domain);",
        )?;
        for (domain, path, flags) in rows {
            let id = FileId::of(domain, &path).to_string();
            let file = if flags == 1 { record(&path, flags) } else { Vec::new() };
            let file = file.get(..40).map(<[u8]>::to_vec);
            connection.execute(
                "INSERT INTO Files VALUES (?, ?, ?, ?, ?)",
                rusqlite::params![id, domain, path, flags as i64, file],
            )?;
        }
        Ok(())
    };
    make().expect("because the statements are right");
    std::fs::read(&path).expect("because it was just written")
}
