//! What the host has of earlier backups, read from its bytes and nothing else.
use super::super::session::Session;
use super::super::stop::{MbError, Step, Stop};
use super::BATCH;
use crate::backup_files::keybag::{ClassKeys, Keybag};
use crate::backup_files::manifest_db::{FILE, ManifestDb, Row};
use crate::backup_files::manifest_plist::ManifestPlist;
use crate::backup_files::mbfile::MbFile;
use crate::backup_files::status::{SnapshotState, Status, VERSION};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a row of the earlier manifest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OldRow {
    /// File, folder or link.
    pub(super) flags: i64,
    /// Modification time; unknown when the record cannot be read.
    pub(super) mtime: Option<i64>,
}

/// The manifest to go on with.
pub(super) struct Base {
    /// Its date, which names the backup it is of.
    pub(super) date: i64,
    /// Its rows, in a file of this session's.
    pub(super) db: ManifestDb,
    /// What the rows say, by name.
    pub(super) rows: BTreeMap<String, OldRow>,
    /// Its keybag, and the keys in it when the backup is encrypted.
    pub(super) keybag: Vec<u8>,
    /// See `keybag`.
    pub(super) keys: Option<ClassKeys>,
}

/// What the host has.
#[derive(Default)]
pub(super) struct Earlier {
    /// Why this must be a full backup; `None` when it need not be.
    pub(super) full_because: Option<String>,
    /// The manifest to go on with, in an incremental backup.
    pub(super) base: Option<Base>,
    /// Blobs in the folders, by name, when they were listed.
    pub(super) blobs: BTreeSet<String>,
    /// Where an old backup was moved to, to be removed in the end.
    pub(super) set_aside: Option<String>,
}

impl Earlier {
    fn full(because: &str) -> Earlier {
        Earlier { full_because: Some(because.to_owned()), ..Earlier::default() }
    }

    /// A full backup over what is there: its blobs are listed, to be removed in the end.
    fn full_over(session: &mut Session<'_, '_>, because: &str) -> Step<Earlier> {
        Ok(Earlier { blobs: list_blobs(session)?, ..Earlier::full(because) })
    }
}

/// Reads what there is, and finishes what an earlier session left half done.
///
/// # Errors
///
/// The host has something damaged, or cannot send it.
pub(super) fn read(session: &mut Session<'_, '_>, work: &Path) -> Step<Earlier> {
    let path = session.path("Status.plist");
    let Some(bytes) = session.fetch(&path)? else {
        return Ok(Earlier::full("there is no Status.plist"));
    };
    let Ok(status) = Status::parse(&bytes) else {
        return Earlier::full_over(session, "Status.plist cannot be read");
    };
    let version = status.version_number();
    if !(2.4..4.0).contains(&version) {
        let text = format!("A backup of version {:?}", status.version);
        return Err(Stop::refused(MbError::VERSION, text));
    }
    if version < 3.3 {
        return set_aside(session);
    }
    finish_earlier(session, &status)?;
    let path = session.path("Manifest.plist");
    let Some(bytes) = session.fetch(&path)? else {
        return Earlier::full_over(session, "there is no Manifest.plist");
    };
    let Ok(manifest) = ManifestPlist::parse(&bytes) else {
        // iOS 15 gives up here; pymobiledevice3 empties the file to get a full backup of later ones.
        if bytes.is_empty() && session.ios().0 < 16 {
            let text = "Error reading backup properties: Cannot parse a NULL or zero-length data";
            return Err(Stop::refused(MbError::CORRUPT, text));
        }
        return Earlier::full_over(session, "Manifest.plist cannot be read");
    };
    let keys = match open_keybag(session, &manifest) {
        Ok(keys) => keys,
        Err(because) => return Earlier::full_over(session, because),
    };
    let base = read_base(session, &manifest, keys, work)?;
    let blobs = list_blobs(session)?;
    let missing = |(name, row): &(&String, &OldRow)| row.flags == FILE && !blobs.contains(*name);
    if let Some((name, _)) = base.rows.iter().find(missing) {
        let because = format!("the blob {name} is in the manifest and not in the listing");
        return Ok(Earlier { full_because: Some(because), blobs, ..Earlier::default() });
    }
    Ok(Earlier { base: Some(base), blobs, ..Earlier::default() })
}

/// Moves a backup of an older format out of the way.
fn set_aside(session: &mut Session<'_, '_>) -> Step<Earlier> {
    let date = plist::Date::from(std::time::SystemTime::now()).to_xml_format();
    let digits: String = date.chars().filter(char::is_ascii_digit).collect();
    let (day, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let aside = format!("{}-{day}-{time}", session.udid);
    session.host.rename([(session.udid.clone(), aside.clone())])?;
    let mut earlier = Earlier::full("the backup has an older format");
    earlier.set_aside = Some(aside);
    Ok(earlier)
}

/// An interrupted session: what it had begun to move is moved, what it had begun to send is dropped.
fn finish_earlier(session: &mut Session<'_, '_>, status: &Status) -> Step<()> {
    let snapshot = session.path("Snapshot");
    match status.snapshot_state {
        SnapshotState::Finished => return Ok(()),
        // The phone keeps no snapshot of its own between sessions, so it starts over.
        SnapshotState::Uploading => return session.host.remove(&[snapshot]),
        SnapshotState::Moving => move_all(session)?,
        SnapshotState::Removing => {}
    }
    tell(session, status, SnapshotState::Removing)?;
    let old = session.path("Manifest.mbdx");
    session.host.remove(&[snapshot])?;
    session.host.remove(&[old])?;
    tell(session, status, SnapshotState::Finished)
}

/// Everything that is still in `Snapshot`, to its place.
fn move_all(session: &mut Session<'_, '_>) -> Step<()> {
    let root = session.udid.clone();
    if !session.host.list(&root)?.contains_key("Snapshot") {
        return Ok(());
    }
    let top = session.host.list(&format!("{root}/Snapshot"))?;
    for shard in top.iter().filter(|(_, entry)| entry.is_folder).map(|(name, _)| name) {
        let blobs = session.host.list(&format!("{root}/Snapshot/{shard}"))?;
        let names: Vec<&String> = blobs.keys().collect();
        for batch in names.chunks(BATCH) {
            let moves = batch.iter().map(|name| {
                (format!("{root}/Snapshot/{shard}/{name}"), format!("{root}/{shard}/{name}"))
            });
            session.host.rename(moves)?;
        }
    }
    for name in ["Manifest.plist", "Manifest.db"] {
        if top.contains_key(name) {
            session.host.rename([(format!("{root}/Snapshot/{name}"), format!("{root}/{name}"))])?;
        }
    }
    Ok(())
}

fn tell(session: &mut Session<'_, '_>, status: &Status, state: SnapshotState) -> Step<()> {
    let mut status = Status { snapshot_state: state, version: VERSION.into(), ..status.clone() };
    status.is_full &= state != SnapshotState::Finished;
    let path = session.path("Status.plist");
    session.host.upload_bytes(&path, &status.to_bytes())
}

/// The keys of an encrypted backup; or why it cannot be gone on with.
fn open_keybag(
    session: &Session<'_, '_>,
    manifest: &ManifestPlist,
) -> Result<Option<ClassKeys>, &'static str> {
    match (manifest.is_encrypted, session.phone.backup_password()) {
        (false, None) => Ok(None),
        (true, None) => Err("the backup is encrypted, and the next one shall not be"),
        (false, Some(_)) => Err("the backup is not encrypted, and the next one shall be"),
        (true, Some(password)) => Keybag::parse(&manifest.keybag)
            .and_then(|keybag| keybag.unlock(&password))
            .map(Some)
            .map_err(|_| "the password does not open the keybag"),
    }
}

fn read_base(
    session: &mut Session<'_, '_>,
    manifest: &ManifestPlist,
    keys: Option<ClassKeys>,
    work: &Path,
) -> Step<Base> {
    let key = match (&keys, &manifest.manifest_key) {
        (None, _) => None,
        (Some(keys), Some(wrapped)) => Some(keys.unwrap(wrapped)?),
        (Some(_), None) => return Err(Stop::refused(MbError::CORRUPT, "There is no ManifestKey")),
    };
    let path = session.path("Manifest.db");
    let to = work.join("Manifest.db");
    if session.fetch_into(&path, &to, key.as_ref())?.is_none() {
        let text = "Error reading backup properties: there is no Manifest.db";
        return Err(Stop::refused(MbError::CORRUPT, text));
    }
    let db = ManifestDb::open(&to)?;
    let mut rows = BTreeMap::new();
    db.each::<Stop>(|row| {
        let mtime = mtime(&row);
        rows.insert(row.file_id, OldRow { flags: row.flags, mtime });
        Ok(())
    })?;
    Ok(Base { date: manifest.date, db, rows, keybag: manifest.keybag.clone(), keys })
}

fn mtime(row: &Row) -> Option<i64> {
    MbFile::parse(row.file.as_deref()?).ok().map(|file| file.times[0])
}

/// The names of all blobs, from the listings of the backup's folder and of those in it.
pub(super) fn list_blobs(session: &mut Session<'_, '_>) -> Step<BTreeSet<String>> {
    let root = session.udid.clone();
    let mut blobs = BTreeSet::new();
    let is_shard = |name: &str| {
        name.len() == 2 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    for (shard, entry) in session.host.list(&root)? {
        if entry.is_folder && is_shard(&shard) {
            let listing = session.host.list(&format!("{root}/{shard}"))?;
            blobs.extend(listing.into_iter().filter(|(_, e)| !e.is_folder).map(|(name, _)| name));
        }
    }
    Ok(blobs)
}
