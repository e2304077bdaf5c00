//! From `Snapshot` to the final places; and reading back what the host has then.
use super::super::host::Entry;
use super::super::session::Session;
use super::super::stop::{MbError, Step, Stop};
use super::earlier::Earlier;
use super::manifest::SentManifest;
use super::plan::Plan;
use super::upload::Sent;
use super::{BATCH, Backup};
use crate::backup_files::shard_path;
use crate::backup_files::status::{SnapshotState, Status};
use crate::phone::Stage;
use std::collections::BTreeMap;

/// Moves, removes, reads back.
///
/// # Errors
///
/// The host fails, or has other things than it should.
pub(super) fn settle(
    backup: &mut Backup<'_, '_, '_>,
    earlier: &Earlier,
    plan: &Plan,
    sent: &Sent,
    manifest: &SentManifest,
) -> Step<()> {
    let full = earlier.full_because.is_some();
    backup.tell(SnapshotState::Moving, full)?;
    backup.session.stage(Stage::Moving)?;
    backup.session.host.progress = 88.0;
    move_blobs(backup.session, sent)?;
    backup.tell(SnapshotState::Removing, full)?;
    backup.session.stage(Stage::Removing)?;
    backup.session.host.progress = 94.0;
    let obsolete = plan.obsolete(earlier, sent);
    remove(backup.session, earlier, &obsolete)?;
    backup.tell(SnapshotState::Finished, false)?;
    backup.session.stage(Stage::Verifying)?;
    backup.session.host.progress = 98.0;
    read_back(backup, manifest)?;
    compare_names(backup.session, &expected(earlier, plan, sent), &obsolete)?;
    backup.session.host.progress = 100.0;
    Ok(())
}

fn move_blobs(session: &mut Session<'_, '_>, sent: &Sent) -> Step<()> {
    let root = session.udid.clone();
    let place = |below: &str| (format!("{root}/Snapshot/{below}"), format!("{root}/{below}"));
    let names: Vec<&String> = sent.blobs.keys().collect();
    for batch in names.chunks(BATCH) {
        session.host.rename(batch.iter().map(|name| place(&shard_path(name))))?;
    }
    session.host.rename([place("Manifest.plist")])?;
    session.host.rename([place("Manifest.db")])
}

fn remove(session: &mut Session<'_, '_>, earlier: &Earlier, obsolete: &[String]) -> Step<()> {
    let root = session.udid.clone();
    for batch in obsolete.chunks(BATCH) {
        let paths: Vec<String> =
            batch.iter().map(|name| format!("{root}/{}", shard_path(name))).collect();
        session.host.remove(&paths)?;
    }
    session.host.remove(&[format!("{root}/Snapshot")])?;
    session.host.remove(&[format!("{root}/Manifest.mbdx")])?;
    match &earlier.set_aside {
        Some(aside) => session.host.remove(std::slice::from_ref(aside)),
        None => Ok(()),
    }
}

/// The three files that the next backup begins with must be the ones that were sent.
fn read_back(backup: &mut Backup<'_, '_, '_>, manifest: &SentManifest) -> Step<()> {
    let wrong =
        |what: &str| Stop::refused(MbError::CORRUPT, format!("{what} is not what was sent"));
    let session = &mut backup.session;
    let status = session.path("Status.plist");
    let status = session.fetch(&status)?.ok_or_else(|| wrong("Status.plist"))?;
    let status = Status::parse(&status)?;
    if status.uuid != backup.uuid || status.snapshot_state != SnapshotState::Finished {
        return Err(wrong("Status.plist"));
    }
    let plist = session.path("Manifest.plist");
    if session.fetch(&plist)?.as_deref() != Some(&manifest.plist) {
        return Err(wrong("Manifest.plist"));
    }
    let db = session.path("Manifest.db");
    let work = session.work_folder()?;
    let sha256 = session.fetch_into(&db, &work.path().join("read back"), None)?;
    if sha256.as_ref() != Some(&manifest.db_sha256) {
        return Err(wrong("Manifest.db"));
    }
    Ok(())
}

/// Blobs that must be on the host: their sizes, as far as this session knows them.
fn expected(earlier: &Earlier, plan: &Plan, sent: &Sent) -> BTreeMap<String, Option<u64>> {
    let is_file = |name: &&String| {
        let row = earlier.base.as_ref().and_then(|base| base.rows.get(*name));
        row.is_some_and(|row| row.flags == crate::backup_files::manifest_db::FILE)
    };
    let stays = plan.stays.iter().filter(is_file).map(|name| (name.clone(), None));
    stays.chain(sent.blobs.iter().map(|(name, blob)| (name.clone(), Some(blob.stored)))).collect()
}

/// Lists every folder: what was sent must be there, what was removed must not.
fn compare_names(
    session: &mut Session<'_, '_>,
    expected: &BTreeMap<String, Option<u64>>,
    removed: &[String],
) -> Step<()> {
    let root = session.udid.clone();
    let top = session.host.list(&root)?;
    if top.contains_key("Snapshot") {
        return Err(Stop::refused(MbError::WRITE, "Snapshot was removed and is still there"));
    }
    let mut listed: BTreeMap<String, Entry> = BTreeMap::new();
    for shard in top.iter().filter(|(_, entry)| entry.is_folder).map(|(name, _)| name) {
        listed.extend(session.host.list(&format!("{root}/{shard}"))?);
    }
    for (name, size) in expected {
        let Some(entry) = listed.get(name) else {
            let text = format!("The blob {name} is missing after the backup");
            return Err(Stop::refused(MbError::CORRUPT, text));
        };
        if let Some(size) = size.filter(|size| *size != entry.size) {
            let text = format!("The blob {name} has {} bytes instead of {size}", entry.size);
            return Err(Stop::refused(MbError::CORRUPT, text));
        }
    }
    match removed.iter().find(|name| listed.contains_key(*name)) {
        None => Ok(()),
        Some(name) => {
            let text = format!("The blob {name} was removed and is still there");
            Err(Stop::refused(MbError::WRITE, text))
        }
    }
}
