//! Whether every file that the manifest names is there.
use std::fs::File;
use std::io::Read;

use devsnap_engine::error::Error;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{Fault, FaultKind};
use devsnap_engine::source::{Faults, Verification};

use super::VirtualBackupDir;
use super::names::{Listed, NameError};
use super::path::Name;
use super::previous::At;
use super::spooling::Spooling;
use crate::manifest::{BadManifest, ManifestDb, Order, RowKind, Within};

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
    fn compare(&self, manifest: &ManifestDb, faults: &mut Faults) -> Result<u64, NotCompared> {
        let mut missing = 0_u64;
        let mut shard = (None, Vec::new());
        let mut tell = |path, kind, reason: String| {
            let fault = Fault { path, kind, reason };
            self.progress.fault(&fault);
            faults.push(fault);
        };
        let mut listing = manifest.list(Order::FileId, &Within::everything().names_only())?;
        let mut rows = listing.rows()?;
        while let Some(row) = rows.next()? {
            if row.kind != RowKind::File {
                continue;
            }
            let name = Name::Blob(row.file_id.0);
            let of = row.file_id.0[0];
            if shard.0 != Some(of) {
                self.interrupt.check()?;
                shard = (Some(of), self.shard(&format!("{of:02x}"))?);
            }
            let is_there = name.with_text(|id| {
                shard.1.binary_search_by(|line| line.name.as_str().cmp(id)).is_ok()
            });
            if is_there {
                continue;
            }
            missing += 1;
            let path = [Name::of(self.udid.as_str()), Name::of(&format!("{of:02x}")), name];
            let reason = "the manifest names it, and the device did not send it".to_owned();
            tell(super::path::tree_path(&path), FaultKind::Vanished, reason);
        }
        let refused = rows.tally().refused;
        if refused > 0 {
            let reason = format!("{refused} rows of Manifest.db cannot be used");
            let path = super::path::tree_path(&[Name::of(self.udid.as_str())]);
            tell(path, FaultKind::Unreadable, reason);
        }
        Ok(missing + refused)
    }

    fn shard(&self, shard: &str) -> Result<Vec<Listed>, NameError> {
        let path = [Name::of(self.udid.as_str()), Name::of(shard)];
        Ok(self.names.list(&path)?.unwrap_or_default())
    }
}

/// Whether a manifest is a database as it is.
fn is_plain(manifest: &File) -> bool {
    let mut first = [0; SQLITE.len()];
    At::start_of(manifest).read_exact(&mut first).is_ok() && first == SQLITE
}

/// Why the manifest could not be held against what is there.
#[derive(Debug, thiserror::Error)]
enum NotCompared {
    #[error(transparent)]
    Manifest(#[from] BadManifest),
    #[error(transparent)]
    Names(#[from] NameError),
    #[error(transparent)]
    Stopped(#[from] Error),
}
