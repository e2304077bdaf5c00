//! The manifest of the new backup: made from the earlier one, and sent.
use super::super::host::block;
use super::super::stop::Step;
use super::blocks::{Cut, Stored, send as send_blocks, stored_len};
use super::earlier::Earlier;
use super::plan::Plan;
use super::upload::Sent;
use super::{Backup, records};
use crate::backup_files::Unreadable;
use crate::backup_files::cipher::{CLASSED_LEN, Key, random_key};
use crate::backup_files::hex;
use crate::backup_files::keybag::{ClassKeys, Keybag};
use crate::backup_files::manifest_db::ManifestDb;
use crate::backup_files::manifest_plist::ManifestPlist;
use crate::contents::{Item, Truth, truth};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// Protection class of Manifest.db.
const MANIFEST_CLASS: u32 = 4;

/// The keybag of this backup: that of the base, or a new one with a full backup.
pub(super) struct Keys {
    keybag: Vec<u8>,
    classes: Option<ClassKeys>,
}

impl Keys {
    /// Takes or makes it.
    pub(super) fn of(earlier: &Earlier, backup: &Backup<'_, '_, '_>) -> Step<Keys> {
        if let Some(base) = &earlier.base {
            return Ok(Keys { keybag: base.keybag.clone(), classes: base.keys.clone() });
        }
        match backup.session.phone.backup_password().filter(|_| backup.encrypted) {
            None => Ok(Keys { keybag: Keybag::of_the_device()?, classes: None }),
            Some(password) => {
                let rounds = backup.session.habits.keybag_rounds;
                let (keybag, classes) = Keybag::create(&password, rounds)?;
                Ok(Keys { keybag: keybag.bytes().to_vec(), classes: Some(classes) })
            }
        }
    }

    /// Wraps a file's key.
    pub(super) fn wrap(&self, class: u32, key: &Key) -> Result<[u8; CLASSED_LEN], Unreadable> {
        let classes = self.classes.as_ref();
        classes.ok_or_else(|| Unreadable::new("no keybag to wrap keys in"))?.wrap(class, key)
    }
}

/// The manifest as it was sent.
pub(super) struct SentManifest {
    /// Manifest.plist.
    pub(super) plist: Vec<u8>,
    /// SHA-256 of Manifest.db as the host has it.
    pub(super) db_sha256: String,
}

/// Makes and sends Manifest.plist and Manifest.db, into `Snapshot`.
///
/// # Errors
///
/// The host fails, or the connection is gone.
pub(super) fn send(
    backup: &mut Backup<'_, '_, '_>,
    earlier: &Earlier,
    plan: &Plan,
    sent: &Sent,
    keys: &Keys,
    work: &Path,
) -> Step<SentManifest> {
    let path = work.join("next.db");
    let mut db = match &earlier.base {
        None => ManifestDb::create(&path)?,
        Some(base) => base.db.copy_to(&path)?,
    };
    let mut rows: Vec<_> = sent.blobs.values().map(|blob| blob.row.clone()).collect();
    for row in &plan.rows {
        let Some(item) = backup.contents.get(&row.domain, &row.relative_path) else { continue };
        let record = records::record(item, None, [0; 20]);
        let odd = backup.session.habits.odd_records;
        let mut row = row.clone();
        row.file = records::archive(&record, item.kind, odd, &mut backup.random);
        rows.push(row);
    }
    rows.sort_by(|a, b| (&a.domain, &a.relative_path).cmp(&(&b.domain, &b.relative_path)));
    db.change(&rows, &plan.gone(earlier, sent))?;
    let path = db.finish()?;
    let key = if backup.encrypted { Some(random_key()?) } else { None };
    let manifest = ManifestPlist {
        date: backup.date,
        is_encrypted: backup.encrypted,
        keybag: keys.keybag.clone(),
        manifest_key: match &key {
            Some(key) => Some(keys.wrap(MANIFEST_CLASS, key)?.to_vec()),
            None => None,
        },
        udid: None,
        product_version: None,
    };
    let identity = backup.session.phone.identity();
    let passcode = backup.session.faults.passcode != crate::phone::Passcode::Absent;
    let plist = manifest.to_bytes(identity, &bundles(backup), passcode);
    let on_host = backup.session.path("Snapshot/Manifest.plist");
    backup.session.host.upload_bytes(&on_host, &plist)?;
    let db_sha256 = send_db(backup, &path, key.as_ref())?;
    Ok(SentManifest { plist, db_sha256 })
}

fn send_db(backup: &mut Backup<'_, '_, '_>, path: &Path, key: Option<&Key>) -> Step<String> {
    let file = File::open(path)?;
    let length = stored_len(file.metadata()?.len(), backup.encrypted);
    let on_host = backup.session.path("Snapshot/Manifest.db");
    let mut hash = Sha256::new();
    let mut cut = Cut::of(length, backup.session.habits.odd_blocks, &mut backup.random);
    let host = &mut backup.session.host;
    host.upload(length)?;
    host.begin_file("/.ba/mobile/Manifest.db", &on_host)?;
    let from = Stored::new(file, key);
    send_blocks(host, from, length, &mut cut, |bytes| hash.update(bytes))?;
    host.block(block::END, &[])?;
    host.uploaded()?;
    Ok(hex(&hash.finalize()))
}

/// Apps with a container.
fn bundles(backup: &Backup<'_, '_, '_>) -> Vec<String> {
    let roots = backup.contents.items().filter(|item| item.relative_path.is_empty());
    roots.filter_map(|item| item.domain.strip_prefix("AppDomain-").map(str::to_owned)).collect()
}

/// What the new backup holds, for the record: files as they were sent; files that stay as the record
/// of the earlier backup has them, or without a digest when this phone has no such record.
pub(super) fn held(backup: &Backup<'_, '_, '_>, earlier: &Earlier, sent: &Sent) -> Step<Vec<Item>> {
    let folder = backup.session.phone.folder();
    let before = earlier.base.as_ref().map(|base| truth::backup_path(folder, base.date));
    let before: BTreeMap<String, Item> = match before.map(|path| Truth::read(&path)) {
        Some(Ok(truth)) => truth.items.into_iter().map(|item| (item.file_id(), item)).collect(),
        _ => BTreeMap::new(),
    };
    let holds = |item: &&Item| backup.encrypted || !item.only_encrypted;
    let held = backup.contents.items().filter(holds).map(|item| {
        let file_id = item.file_id();
        if let Some(blob) = sent.blobs.get(&file_id) {
            return Item { xattrs: records::attributes(item), ..blob.item.clone() };
        }
        match before.get(&file_id).filter(|old| old.mtime == item.mtime && old.kind == item.kind) {
            Some(old) => old.clone(),
            None if item.body.is_none() => {
                Item { xattrs: records::attributes(item), ..item.clone() }
            }
            None => Item { sha256: None, body: None, ..item.clone() },
        }
    });
    Ok(held.collect())
}
