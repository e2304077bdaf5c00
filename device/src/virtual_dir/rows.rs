//! Whether every file that the manifest names is there.
use std::fs::File;
use std::io::Read;

use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{Fault, FaultKind};
use devsnap_engine::source::{Faults, Verification};

use super::VirtualBackupDir;
use super::names::Listed;
use super::path::Name;
use super::previous::At;
use super::spooling::Spooling;
use crate::manifest::{ManifestDb, Order, RowKind, Within};

/// What an unencrypted database begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

impl VirtualBackupDir<'_> {
    /// Looks whether every file of the manifest is there; what is not goes into `faults`.
    ///
    /// This never throws a session away: what is there is kept, and said to be incomplete.
    pub fn verify(&self, faults: &mut Faults) -> Verification {
        let compared = match self.spooling.as_ref().and_then(Spooling::manifest) {
            Some(decrypted) => self.compare(decrypted, faults),
            None => match self.own_file("Manifest.db").filter(|file| is_plain(file.as_file())) {
                None => return Verification::Names,
                Some(file) => ManifestDb::open(file.path(), self.interrupt)
                    .map_err(Into::into)
                    .and_then(|manifest| self.compare(&manifest, faults)),
            },
        };
        match compared {
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
        manifest: &ManifestDb,
        faults: &mut Faults,
    ) -> Result<u64, Box<dyn std::error::Error>> {
        let mut listing = manifest.list(Order::FileId, &Within::everything().names_only())?;
        let mut rows = listing.rows()?;
        let mut missing = 0_u64;
        let mut shard = (String::new(), Vec::new());
        while let Some(row) = rows.next()? {
            if row.kind != RowKind::File {
                continue;
            }
            let id = row.file_id.to_string();
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
        let refused = rows.tally().refused;
        if refused > 0 {
            let reason = format!("{refused} rows of the manifest cannot be used");
            let fault = Fault { path: self.root(), kind: FaultKind::Unreadable, reason };
            self.progress.fault(&fault);
            faults.push(fault);
        }
        Ok(missing + refused)
    }

    fn root(&self) -> TreePath {
        super::path::tree_path(&[Name::of(self.udid.as_str())])
    }

    fn shard(&self, shard: &str) -> Result<Vec<Listed>, Box<dyn std::error::Error>> {
        let path = [Name::of(self.udid.as_str()), Name::of(shard)];
        Ok(self.names.list(&path)?.unwrap_or_default())
    }
}

/// Whether a manifest is a database as it is.
fn is_plain(manifest: &File) -> bool {
    let mut first = [0; SQLITE.len()];
    At::start_of(manifest).read_exact(&mut first).is_ok() && first == SQLITE
}
