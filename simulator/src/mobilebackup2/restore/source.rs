//! The backup that is restored: its manifest, its keys, what state it is in.
use super::super::session::Session;
use super::super::stop::{MbError, Step, Stop};
use crate::backup_files::cipher::Key;
use crate::backup_files::keybag::{ClassKeys, Keybag};
use crate::backup_files::manifest_db::ManifestDb;
use crate::backup_files::manifest_plist::ManifestPlist;
use crate::backup_files::plist_bytes;
use crate::backup_files::status::{SnapshotState, Status};
use std::collections::BTreeSet;
use std::path::Path;

/// A backup on the host.
pub(super) struct Source {
    /// Its folder.
    pub(super) folder: String,
    /// Manifest.plist.
    pub(super) manifest: ManifestPlist,
    /// Manifest.db, decrypted.
    pub(super) db: ManifestDb,
    /// The keys of its files, when it is encrypted.
    pub(super) keys: Option<ClassKeys>,
    /// Blobs that still are in `Snapshot`.
    pub(super) unmoved: BTreeSet<String>,
}

impl Source {
    /// Reads it, in the order phones do.
    ///
    /// # Errors
    ///
    /// It is missing, damaged, of a version that does not fit, or the password is wrong.
    pub(super) fn read(
        session: &mut Session<'_, '_>,
        folder: &str,
        password: Option<&str>,
        work: &Path,
    ) -> Step<Source> {
        let corrupt = |text: &str| Stop::refused(MbError::CORRUPT, text);
        let at = |name: &str| format!("{folder}/{name}");
        // For the class of the device it is of. Whether it can be used is decided later.
        session.fetch(&at("Manifest.plist"))?;
        session.fetch_into(&at("Manifest.db"), &work.join("first look"), None)?;
        let status = session.fetch(&at("Status.plist"))?.filter(|bytes| !bytes.is_empty());
        let status = status.ok_or_else(|| Stop::refused(MbError::EMPTY, "There is no backup"))?;
        let status = Status::parse(&status)?;
        if !(2.4..4.0).contains(&status.version_number()) {
            return Err(Stop::refused(MbError::VERSION, "The backup has another version"));
        }
        let (unmoved, manifests) = unmoved(session, folder, &status)?;
        let plist = session.fetch(&at(&format!("{manifests}Manifest.plist")))?;
        let plist = plist.ok_or_else(|| match status.snapshot_state {
            SnapshotState::Uploading => {
                Stop::refused(MbError::EMPTY, "The first backup was never completed")
            }
            _ => corrupt("There is no Manifest.plist"),
        })?;
        let manifest = ManifestPlist::parse(&plist)?;
        let info = session.fetch(&at("Info.plist"))?;
        check_version(session, info.as_deref())?;
        let keys = unlock(&manifest, password)?;
        let key = manifest_key(&manifest, keys.as_ref())?;
        let to = work.join("Manifest.db");
        session
            .fetch_into(&at(&format!("{manifests}Manifest.db")), &to, key.as_ref())?
            .ok_or_else(|| corrupt("There is no Manifest.db"))?;
        let db = ManifestDb::open(&to)?;
        Ok(Source { folder: folder.to_owned(), manifest, db, keys, unmoved })
    }

    /// Where a blob is on the host.
    pub(super) fn path(&self, file_id: &str) -> String {
        let place = crate::backup_files::shard_path(file_id);
        let snapshot = if self.unmoved.contains(file_id) { "Snapshot/" } else { "" };
        format!("{}/{snapshot}{place}", self.folder)
    }
}

/// Of a backup that was interrupted while files were moved: blobs that still are in `Snapshot`, and
/// where its manifests are.
fn unmoved(
    session: &mut Session<'_, '_>,
    folder: &str,
    status: &Status,
) -> Step<(BTreeSet<String>, &'static str)> {
    if status.snapshot_state != SnapshotState::Moving {
        return Ok((BTreeSet::new(), ""));
    }
    let snapshot = format!("{folder}/Snapshot");
    let mut blobs = BTreeSet::new();
    let top = session.host.list(&snapshot)?;
    for shard in top.iter().filter(|(_, entry)| entry.is_folder).map(|(name, _)| name) {
        blobs.extend(session.host.list(&format!("{snapshot}/{shard}"))?.into_keys());
    }
    let manifests = if top.contains_key("Manifest.db") { "Snapshot/" } else { "" };
    Ok((blobs, manifests))
}

/// A backup of a newer iOS does not go onto an older phone. A missing Info.plist is tolerated.
fn check_version(session: &Session<'_, '_>, info: Option<&[u8]>) -> Step<()> {
    let Some(info) = info.map(plist_bytes::read).transpose()? else { return Ok(()) };
    let version = plist_bytes::string(&info, "Product Version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.unwrap_or(0) > session.ios().0 {
        let text = format!("The backup is of iOS {version}, which is newer");
        return Err(Stop::refused(MbError::VERSION, text));
    }
    Ok(())
}

fn unlock(manifest: &ManifestPlist, password: Option<&str>) -> Step<Option<ClassKeys>> {
    if !manifest.is_encrypted {
        return Ok(None);
    }
    let keybag = Keybag::parse(&manifest.keybag)?;
    let wrong = |text: &str| Stop::refused(MbError::PASSWORD, text);
    let password = password.ok_or_else(|| wrong("The backup needs a password"))?;
    keybag.unlock(password).map(Some).map_err(|_| wrong("Invalid password"))
}

fn manifest_key(manifest: &ManifestPlist, keys: Option<&ClassKeys>) -> Step<Option<Key>> {
    let Some(keys) = keys else { return Ok(None) };
    let none = || Stop::refused(MbError::CORRUPT, "There is no ManifestKey");
    Ok(Some(keys.unwrap(manifest.manifest_key.as_deref().ok_or_else(none)?)?))
}
