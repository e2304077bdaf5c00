//! A stored set as the device's owner knows it: by domain and path, decrypted.
//!
//! In a set files lie under hashes of their names, and `Manifest.db` tells which is which.
//! [`StoredLists`] is a set whose lists have been read and says whether it takes a password;
//! [`LogicalView`] is the set opened; [`extract`] brings files of it into a folder under their own names.
//!
//! Names come from a device and are hostile: here one becomes a path of this computer only as a
//! [`TreePath`].
use std::io::{self, Read};
use std::path::Path;

use devsnap_engine::encoding::Decrypting;
use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{Encoding, Node};
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;

use crate::backup_set::path_in_set;
use crate::conversion::{Locked, NoManifest, Unlocked, open_manifest};
use crate::keybag::EncryptedSet;
use crate::manifest::{BadManifest, ManifestDb, Row, RowKind};
use crate::plist_guard::{PlistLimits, read_bytes};
use crate::udid::Udid;

mod app;
mod extract;
mod links;

pub use app::AppDomains;
pub use extract::{ExtractOptions, ExtractReport, NotExtracted, extract};

/// Why a set cannot be seen as its owner knows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotLogical {
    /// The snapshot has no file of this name, which every set has.
    #[error("the snapshot has no {0}: it holds no whole backup of a device")]
    NoSet(&'static str),
    /// The password is wrong, or the list of keys cannot be used.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] NoManifest),
    /// The repository failed; somebody asked to stop.
    #[error(transparent)]
    Engine(#[from] Error),
    /// The same, while bytes were moved.
    #[error("a list of the set cannot be read")]
    Io(#[from] io::Error),
}

/// Why a file's content cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoContent {
    /// Folders and links have none.
    #[error("it is a folder or a link, and has no content")]
    NoFile,
    /// The snapshot lacks the stored file.
    #[error("the snapshot does not have its content")]
    Absent,
    /// The manifest has no key for it that opens.
    #[error("its key cannot be had from the manifest")]
    NoKey,
    /// The repository failed.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// The lists of a set, before it is opened.
pub struct StoredLists<'v> {
    view: &'v dyn SnapshotReader,
    udid: Udid,
    manifest_plist: Vec<u8>,
    set: Option<EncryptedSet>,
}

impl<'v> StoredLists<'v> {
    /// Reads the lists of the set of the device `udid` in `view`.
    ///
    /// # Errors
    ///
    /// There is no set, or its lists cannot be read.
    pub fn read(view: &'v dyn SnapshotReader, udid: Udid) -> Result<Self, NotLogical> {
        let list = open(view, &path_in_set(&udid, "Manifest.plist"), "Manifest.plist")?;
        let manifest_plist = read_bytes(list, &PlistLimits::BACKUP_SET)?;
        let set = EncryptedSet::of_manifest_plist(&manifest_plist);
        let set = set.map_err(|bad| Locked::Unusable(Box::new(bad)))?;
        Ok(StoredLists { view, udid, manifest_plist, set })
    }

    /// Whether it takes the backup password to open it.
    pub fn is_encrypted(&self) -> bool {
        self.set.is_some()
    }

    /// The set's keys; none when it is not encrypted, whatever the password. Deriving them takes seconds, and
    /// is spared when they are `known` of an earlier set of the same keybag.
    ///
    /// # Errors
    ///
    /// The password is wrong or missing, or the set's keys cannot be used.
    pub fn unlock(
        &self,
        password: Option<&[u8]>,
        known: Option<&Unlocked>,
        interrupt: &Interrupt,
    ) -> Result<Option<Unlocked>, Locked> {
        let Some(set) = &self.set else { return Ok(None) };
        let password = password.ok_or(Locked::Wrong)?;
        Unlocked::of_set(set, password, known, interrupt).map(Some)
    }

    /// Opens the set, as [`unlock`](Self::unlock) does. `Manifest.db` lies in `scratch` until the view is dropped, in a file without a name.
    ///
    /// # Errors
    ///
    /// The password is wrong or missing; the manifest cannot be read.
    pub fn open(
        self,
        password: Option<&[u8]>,
        known: Option<&Unlocked>,
        scratch: &Path,
        interrupt: &Interrupt,
    ) -> Result<LogicalView<'v>, NotLogical> {
        let unlocked = self.unlock(password, known, interrupt)?;
        let stored = open(self.view, &path_in_set(&self.udid, "Manifest.db"), "Manifest.db")?;
        let stored = Stoppable { inner: stored, interrupt };
        let key = unlocked.as_ref().and_then(Unlocked::manifest_key);
        let manifest = open_manifest(stored, key, scratch, interrupt)?;
        let apps = AppDomains::of(&self.manifest_plist);
        Ok(LogicalView { view: self.view, udid: self.udid, manifest, unlocked, apps })
    }
}

/// A set, opened.
pub struct LogicalView<'v> {
    view: &'v dyn SnapshotReader,
    udid: Udid,
    manifest: ManifestDb,
    unlocked: Option<Unlocked>,
    apps: AppDomains,
}

impl LogicalView<'_> {
    /// Which file is which.
    pub fn manifest(&self) -> &ManifestDb {
        &self.manifest
    }

    /// Its keys, when it is encrypted.
    pub fn unlocked(&self) -> Option<&Unlocked> {
        self.unlocked.as_ref()
    }

    /// Which domains are an app's.
    pub fn apps(&self) -> &AppDomains {
        &self.apps
    }

    /// Where the stored file of `row` lies in the snapshot.
    pub fn stored_path(&self, row: &Row) -> TreePath {
        path_in_set(&self.udid, &row.file_id.stored_path())
    }

    /// The node of the stored file of `row`, if the snapshot has it.
    ///
    /// # Errors
    ///
    /// The repository failed.
    pub fn stored(&self, row: &Row) -> Result<Option<Node>, Error> {
        self.view.entry(&self.stored_path(row))
    }

    /// The content of the file of `row`, decrypted.
    ///
    /// A padding that no device writes is kept, since files were seen that were cut off while they were
    /// sent. `Size` is not looked at: of databases it is another file's.
    ///
    /// # Errors
    ///
    /// See [`NoContent`]. Reading yields `Damaged` of the engine instead of a wrong byte.
    pub fn open(&self, row: &Row) -> Result<LogicalFile, NoContent> {
        if row.kind != RowKind::File {
            return Err(NoContent::NoFile);
        }
        let key = match &self.unlocked {
            None => None,
            Some(unlocked) => {
                // A file of an encrypted set has a key, always; one without would be handed out as it is
                // stored, and nobody could tell.
                let wrapped = row.file().ok().and_then(|file| file.encryption_key);
                let wrapped = wrapped.ok_or(NoContent::NoKey)?;
                Some(unlocked.class_keys().unwrap(&wrapped).ok_or(NoContent::NoKey)?)
            }
        };
        let node = self.stored(row)?.ok_or(NoContent::Absent)?;
        let stored = match self.view.open(&self.stored_path(row)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(NoContent::Absent),
            opened => opened?,
        };
        let stored_len = node.size_bytes();
        Ok(match (key, &node.encoding) {
            (None, _) => LogicalFile { content: stored, len_min: stored_len, len_max: stored_len },
            (Some(key), encoding) => {
                let len_min = match encoding {
                    Encoding::AppleEncrypted { .. } => node.content.len,
                    Encoding::AsStored => stored_len.saturating_sub(16),
                };
                let content = Decrypting::new(stored, key.as_bytes()).keeping_bad_padding();
                LogicalFile { content: Box::new(content), len_min, len_max: stored_len }
            }
        })
    }
}

/// A file's content on its way out.
pub struct LogicalFile {
    /// Its bytes.
    pub content: Box<dyn Read + Send>,
    /// It has at least so many bytes.
    pub len_min: u64,
    /// It has at most so many bytes.
    pub len_max: u64,
}

fn open(
    view: &dyn SnapshotReader,
    path: &TreePath,
    name: &'static str,
) -> Result<Box<dyn Read + Send>, NotLogical> {
    match view.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(NotLogical::NoSet(name)),
        opened => Ok(opened?),
    }
}

/// Heeds the wish to stop between two reads.
struct Stoppable<'a, R> {
    inner: R,
    interrupt: &'a Interrupt,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        self.inner.read(into)
    }
}

impl From<BadManifest> for NotLogical {
    fn from(bad: BadManifest) -> Self {
        NotLogical::Manifest(bad.into())
    }
}

#[cfg(test)]
mod tests;
