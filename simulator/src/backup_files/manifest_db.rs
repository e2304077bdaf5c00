//! Manifest.db: one row for each file, folder and link of a backup.
//!
//! A phone makes the next manifest from the one before, which the host hands back: rows of
//! unchanged files stay as they are, keys and all, and most pages stay the same.
use super::Unreadable;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// `flags` of a regular file, a folder, a link.
pub const FILE: i64 = 1;
/// See [`FILE`].
pub const FOLDER: i64 = 2;
/// See [`FILE`].
pub const LINK: i64 = 4;

/// What may stand in the schema: the tables, the indexes, and the keys' own indexes.
const SCHEMA: &[&str] = &[
    "Files",
    "Properties",
    "FilesDomainIdx",
    "FilesRelativePathIdx",
    "FilesFlagsIdx",
    "sqlite_autoindex_Files_1",
    "sqlite_autoindex_Properties_1",
];

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Name of the blob.
    pub file_id: String,
    /// Domain.
    pub domain: String,
    /// Path in the domain, empty for its root.
    pub relative_path: String,
    /// [`FILE`], [`FOLDER`] or [`LINK`].
    pub flags: i64,
    /// The archived record, when there is one.
    pub file: Option<Vec<u8>>,
}

/// An open Manifest.db, in a file of the phone's own.
pub struct ManifestDb {
    connection: Connection,
    path: PathBuf,
}

impl ManifestDb {
    /// Makes an empty one at `path`, where nothing is.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn create(path: &Path) -> Result<ManifestDb, Unreadable> {
        let connection = Connection::open(path).map_err(bad)?;
        // The order counts: page size and vacuuming are fixed when the first table is made.
        connection
            .execute_batch(
                "PRAGMA page_size = 4096;
                 PRAGMA auto_vacuum = INCREMENTAL;
                 PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = OFF;
                 PRAGMA user_version = 2;
                 CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER, file BLOB);
                 CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);
                 CREATE INDEX FilesDomainIdx ON Files (domain);
                 CREATE INDEX FilesRelativePathIdx ON Files (relativePath);
                 CREATE INDEX FilesFlagsIdx ON Files (flags);",
            )
            .map_err(bad)?;
        Ok(ManifestDb { connection, path: path.to_owned() })
    }

    /// Opens one that came from a host. The file is the phone's copy and will be changed.
    ///
    /// # Errors
    ///
    /// No database, or one with anything in it that phones do not put there.
    pub fn open(path: &Path) -> Result<ManifestDb, Unreadable> {
        let connection = Connection::open(path).map_err(bad)?;
        connection
            .execute_batch(
                "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = OFF;",
            )
            .map_err(bad)?;
        let names: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_master")
            .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
            .map_err(bad)?;
        if !names.iter().any(|name| name == "Files") {
            return Err(Unreadable::new("Manifest.db has no table Files"));
        }
        if let Some(strange) = names.iter().find(|name| !SCHEMA.contains(&name.as_str())) {
            return Err(Unreadable::new(format!("Manifest.db holds {strange:?}")));
        }
        Ok(ManifestDb { connection, path: path.to_owned() })
    }

    /// Shows every row, in the order of their names.
    ///
    /// # Errors
    ///
    /// A damaged database, or what `see` returns.
    pub fn each<E: From<Unreadable>>(
        &self,
        mut see: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT fileID, domain, relativePath, flags, file FROM Files ORDER BY fileID";
        let mut statement = self.connection.prepare(sql).map_err(bad)?;
        let mut rows = statement.query([]).map_err(bad)?;
        while let Some(row) = rows.next().map_err(bad)? {
            let read = || {
                Ok(Row {
                    file_id: row.get(0)?,
                    domain: row.get(1)?,
                    relative_path: row.get(2)?,
                    flags: row.get(3)?,
                    file: row.get(4)?,
                })
            };
            see(read().map_err(bad)?)?;
        }
        Ok(())
    }

    /// One row.
    ///
    /// # Errors
    ///
    /// A damaged database.
    pub fn row(&self, file_id: &str) -> Result<Option<Row>, Unreadable> {
        let sql = "SELECT fileID, domain, relativePath, flags, file FROM Files WHERE fileID = ?1";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| {
                statement
                    .query_row([file_id], |row| {
                        Ok(Row {
                            file_id: row.get(0)?,
                            domain: row.get(1)?,
                            relative_path: row.get(2)?,
                            flags: row.get(3)?,
                            file: row.get(4)?,
                        })
                    })
                    .optional()
            })
            .map_err(bad)
    }

    /// Puts rows in place of those with their names, and takes out those named in `gone`: one
    /// transaction.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn change(&mut self, rows: &[Row], gone: &[String]) -> Result<(), Unreadable> {
        let transaction = self.connection.transaction().map_err(bad)?;
        {
            let mut delete =
                transaction.prepare("DELETE FROM Files WHERE fileID = ?1").map_err(bad)?;
            for name in gone {
                delete.execute([name]).map_err(bad)?;
            }
            let mut insert = transaction
                .prepare("INSERT OR REPLACE INTO Files VALUES (?1, ?2, ?3, ?4, ?5)")
                .map_err(bad)?;
            for row in rows {
                insert
                    .execute(params![
                        row.file_id,
                        row.domain,
                        row.relative_path,
                        row.flags,
                        row.file
                    ])
                    .map_err(bad)?;
            }
        }
        transaction.commit().map_err(bad)
    }

    /// A copy in another file, page for page, to be changed.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn copy_to(&self, path: &Path) -> Result<ManifestDb, Unreadable> {
        std::fs::copy(&self.path, path)
            .map_err(|e| Unreadable::new(format!("the manifest of this phone: {e}")))?;
        ManifestDb::open(path)
    }

    /// Closes it. The file is whole, without a journal beside it, and its header says that it is
    /// kept with a write-ahead log, as that of a real phone does.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn finish(self) -> Result<PathBuf, Unreadable> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(bad)?;
        self.connection.close().map_err(|(_, e)| bad(e))?;
        set_journal_flags(&self.path)
            .map_err(|e| Unreadable::new(format!("the manifest of this phone: {e}")))?;
        Ok(self.path)
    }
}

/// Sets the header's write and read version (bytes 18 and 19 of an SQLite file) to 2.
fn set_journal_flags(path: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut flags = [0; 2];
    file.seek(SeekFrom::Start(18))?;
    file.read_exact(&mut flags)?;
    if flags != [2, 2] {
        file.seek(SeekFrom::Start(18))?;
        file.write_all(&[2, 2])?;
    }
    Ok(())
}

fn bad(error: rusqlite::Error) -> Unreadable {
    Unreadable::new(format!("Manifest.db: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::file_id;
    use super::*;

    fn row(path: &str, file: Option<Vec<u8>>) -> Row {
        Row {
            file_id: file_id("HomeDomain", path),
            domain: "HomeDomain".into(),
            relative_path: path.into(),
            flags: if path.is_empty() { FOLDER } else { FILE },
            file,
        }
    }

    fn all(manifest: &ManifestDb) -> Vec<Row> {
        let mut rows = Vec::new();
        manifest
            .each(|row| {
                rows.push(row);
                Ok::<(), Unreadable>(())
            })
            .unwrap();
        rows
    }

    #[test]
    fn rows_come_back_and_the_header_is_that_of_a_phone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Manifest.db");
        let mut manifest = ManifestDb::create(&path).unwrap();
        let root = row("", None);
        let file = row("Library/SMS/sms.db", Some(vec![1, 2, 3]));

        manifest.change(&[root.clone(), file.clone(), row("gone", None)], &[]).unwrap();
        manifest.change(&[], &[file_id("HomeDomain", "gone")]).unwrap();
        let path = manifest.finish().unwrap();

        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(b"SQLite format 3\0"));
        assert_eq!((&bytes[16..20], &bytes[60..64]), (&[16, 0, 2, 2][..], &[0, 0, 0, 2][..]));
        assert_eq!(bytes.len() % 4096, 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no journal is left");
        let again = ManifestDb::open(&path).unwrap();
        assert_eq!(all(&again), [file.clone(), root]);
        assert_eq!(again.row(&file.file_id).unwrap(), Some(file));
        assert_eq!(again.row("nobody").unwrap(), None);
    }

    #[test]
    fn what_is_no_manifest_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        for bytes in [&b""[..], b"no database at all, not even nearly", &[0; 8192]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(ManifestDb::open(&path).is_err());
        }
        let trap = folder.path().join("trap.db");
        ManifestDb::create(&trap).unwrap().finish().unwrap();
        Connection::open(&trap)
            .unwrap()
            .execute_batch("CREATE TRIGGER t AFTER INSERT ON Files BEGIN DELETE FROM Files; END")
            .unwrap();
        assert!(ManifestDb::open(&trap).is_err());
    }
}
