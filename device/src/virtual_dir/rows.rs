//! Whether every file that the manifest names is there.
use std::path::Path;

use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{Fault, FaultKind};
use devsnap_engine::source::{Faults, Verification};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::VirtualBackupDir;
use super::names::Listed;
use super::path::Name;

/// What an unencrypted database begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// The longest value that a manifest's row may have, in bytes; real ones have a few kilobytes.
const VALUE_LEN_MAX: i32 = 16 << 20;

impl VirtualBackupDir<'_> {
    /// Looks whether every file of the manifest is there; what is not goes into `faults`.
    ///
    /// This never throws a session away: what is there is kept, and said to be incomplete.
    pub fn verify(&self, faults: &mut Faults, interrupt: &Interrupt) -> Verification {
        let Some(manifest) = self.own_file("Manifest.db") else { return Verification::Names };
        let mut first = [0; SQLITE.len()];
        let read =
            std::io::Read::read_exact(&mut super::At::start_of(manifest.as_file()), &mut first);
        if read.is_err() || first != SQLITE {
            return Verification::Names;
        }
        match self.compare(manifest.path(), faults, interrupt) {
            Ok(0) => Verification::Rows,
            Ok(_) => Verification::Incomplete,
            Err(_) => {
                let path = TreePath::root();
                let reason = "Manifest.db cannot be read as a database".to_owned();
                faults.push(Fault { path, kind: FaultKind::Unreadable, reason });
                Verification::Unreadable
            }
        }
    }

    /// How many files that the manifest names are missing. Both sides are sorted, so
    /// one shard's listing is in memory at a time.
    fn compare(
        &self,
        manifest: &Path,
        faults: &mut Faults,
        interrupt: &Interrupt,
    ) -> Result<u64, Box<dyn std::error::Error>> {
        let database = open(manifest)?;
        let mut statement =
            database.prepare("SELECT fileID FROM Files WHERE flags = 1 ORDER BY fileID")?;
        let mut rows = statement.query([])?;
        let (mut files, mut missing) = (0_u64, 0_u64);
        let mut shard = (String::new(), Vec::new());
        while let Some(row) = rows.next()? {
            if files.is_multiple_of(1024) {
                interrupt.check()?;
            }
            let id: String = row.get(0)?;
            files += 1;
            let of = id.get(..2).unwrap_or_default();
            if shard.0 != of {
                shard = (of.to_owned(), self.shard(of)?);
            }
            if shard.1.binary_search_by(|line| line.name.as_str().cmp(&id)).is_ok() {
                continue;
            }
            missing += 1;
            let text = format!("{}/{of}/{id}", self.udid);
            // What is no path at all cannot be there either; it is told by its shard.
            let path = TreePath::from_slashed(text.as_bytes()).unwrap_or_else(|_| self.root());
            let reason = "the manifest names it, and the device did not send it".to_owned();
            let fault = Fault { path, kind: FaultKind::Vanished, reason };
            self.progress.fault(&fault);
            faults.push(fault);
        }
        Ok(missing)
    }

    fn root(&self) -> TreePath {
        super::path::tree_path(&[Name::of(self.udid.as_str())])
    }

    fn shard(&self, shard: &str) -> Result<Vec<Listed>, Box<dyn std::error::Error>> {
        let path = [Name::of(self.udid.as_str()), Name::of(shard)];
        Ok(self.names.list(&path)?.unwrap_or_default())
    }
}

/// Opens a manifest that anybody may have written, to be read and never changed.
fn open(path: &Path) -> Result<Connection, Box<dyn std::error::Error>> {
    let mut uri = "file:".to_owned();
    for byte in path.to_str().ok_or("the path of a temporary file is no text")?.bytes() {
        match byte {
            b'%' | b'?' | b'#' | 0x80.. => uri.push_str(&format!("%{byte:02x}")),
            _ => uri.push(char::from(byte)),
        }
    }
    // Immutable: real manifests are in WAL mode, and opening one would put files beside it.
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let database = Connection::open_with_flags(uri, flags)?;
    database.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_LEN_MAX)?;
    database.pragma_update(None, "trusted_schema", false)?;
    // A view or a virtual table under this name would run whatever its writer thought of.
    let made_by: String = database.query_row(
        "SELECT sql FROM sqlite_schema WHERE name = 'Files' AND type = 'table'",
        [],
        |row| row.get(0),
    )?;
    if !made_by.to_ascii_uppercase().starts_with("CREATE TABLE") {
        return Err("`Files` is no plain table".into());
    }
    Ok(database)
}
