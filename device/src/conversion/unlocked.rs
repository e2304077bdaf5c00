//! A set that its password has opened.
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use devsnap_engine::encoding::Decrypting;
use devsnap_engine::interrupt::Interrupt;

use crate::keybag::{ClassKeys, EncryptedSet, FileKey, Keybag, UnlockError};
use crate::manifest::{BadManifest, ManifestDb, Order, Row, RowKind, Within};

/// Keys of one set.
#[derive(Debug, Clone)]
pub struct Unlocked {
    keybag: Keybag,
    class_keys: ClassKeys,
    /// `None` before iOS 10.2, whose `Manifest.db` is plain.
    manifest_key: Option<FileKey>,
}

/// Why a set does not open.
#[derive(Debug, thiserror::Error)]
pub enum Locked {
    /// It is not encrypted.
    #[error("the set is not encrypted")]
    NotEncrypted,
    /// Its own lists are at fault.
    #[error("the set's list of keys cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The password is another one.
    #[error("the backup password is wrong")]
    Wrong,
    /// Somebody asked to stop.
    #[error("stopping as asked")]
    Interrupted,
}

impl From<UnlockError> for Locked {
    fn from(error: UnlockError) -> Self {
        match error {
            UnlockError::WrongPassword => Locked::Wrong,
            UnlockError::Interrupted => Locked::Interrupted,
            other => Locked::Unusable(Box::new(other)),
        }
    }
}

/// Why the manifest of an opened set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NoManifest {
    /// What should be it could not be fetched or decrypted.
    #[error("Manifest.db cannot be decrypted")]
    Sealed(#[from] io::Error),
    /// It is no database that a device makes.
    #[error(transparent)]
    Bad(#[from] BadManifest),
}

impl Unlocked {
    /// Opens the set whose `Manifest.plist` this is. Deriving keys takes seconds; it is spared when the
    /// keybag is that of a set that is `known`: a device makes a new one only when it sends
    /// everything anew.
    ///
    /// # Errors
    ///
    /// The password is another one; the set is not encrypted, or damaged; somebody asked to stop.
    pub fn of(
        manifest_plist: &[u8],
        password: &[u8],
        known: Option<&Unlocked>,
        interrupt: &Interrupt,
    ) -> Result<Self, Locked> {
        let set = EncryptedSet::of_manifest_plist(manifest_plist);
        let set = set.map_err(|bad| Locked::Unusable(Box::new(bad)))?;
        Unlocked::of_set(&set.ok_or(Locked::NotEncrypted)?, password, known, interrupt)
    }

    /// As [`of`](Self::of), of a set whose list has been read.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn of_set(
        set: &EncryptedSet,
        password: &[u8],
        known: Option<&Unlocked>,
        interrupt: &Interrupt,
    ) -> Result<Self, Locked> {
        const NO_USE: &str =
            "the backup password opens the keybag, and the keybag does not open Manifest.db";
        let class_keys = match known.filter(|known| known.keybag == set.keybag) {
            Some(known) => known.class_keys.clone(),
            None => set.keybag.unlock(password, interrupt)?,
        };
        let manifest_key = match set.manifest_key.as_slice() {
            [] => None,
            wrapped => {
                let key = class_keys.unwrap(wrapped);
                Some(key.ok_or_else(|| Locked::Unusable(NO_USE.into()))?)
            }
        };
        Ok(Unlocked { keybag: set.keybag.clone(), class_keys, manifest_key })
    }

    /// The key of `Manifest.db`, if that is encrypted.
    pub fn manifest_key(&self) -> Option<&FileKey> {
        self.manifest_key.as_ref()
    }

    /// The keys of the device's protection classes, which open those of files.
    pub fn class_keys(&self) -> &ClassKeys {
        &self.class_keys
    }

    /// Tells each file of the manifest whose key opens, in the order of the files' names.
    ///
    /// # Errors
    ///
    /// The manifest cannot be read on.
    pub fn file_keys(
        &self,
        manifest: &ManifestDb,
        mut tell: impl FnMut(&Row, FileKey),
    ) -> Result<(), BadManifest> {
        let mut listing = manifest.list(Order::FileId, &Within::everything())?;
        let mut rows = listing.rows()?;
        while let Some(row) = rows.next()? {
            if row.kind != RowKind::File {
                continue;
            }
            let wrapped = row.file().ok().and_then(|file| file.encryption_key);
            if let Some(key) = wrapped.and_then(|wrapped| self.class_keys.unwrap(&wrapped)) {
                tell(&row, key);
            }
        }
        Ok(())
    }
}

/// Opens the `Manifest.db` whose bytes `stored` gives, decrypted with `key` if there is one. Its file in
/// `scratch` has lost its name before this returns.
///
/// # Errors
///
/// It is not what the key was for, or no such database; the disk failed.
pub fn open_manifest(
    mut stored: impl Read,
    key: Option<&FileKey>,
    scratch: &Path,
    interrupt: &Interrupt,
) -> Result<ManifestDb, NoManifest> {
    let mut plain = tempfile::NamedTempFile::new_in(scratch)?;
    let mut into: BufWriter<&mut File> = BufWriter::new(plain.as_file_mut());
    match key {
        Some(key) => io::copy(&mut Decrypting::new(stored, key.as_bytes()), &mut into)?,
        None => io::copy(&mut stored, &mut into)?,
    };
    into.flush()?;
    drop(into);
    Ok(ManifestDb::open(plain.path(), interrupt)?)
}
