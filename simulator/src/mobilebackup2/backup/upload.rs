//! Sends files, in batches, and once more those that changed meanwhile.
use super::super::host::block;
use super::super::stop::Step;
use super::blocks::{Cut, Stored, send as send_blocks, stored_len};
use super::manifest::Keys;
use super::plan::{Plan, Upload};
use super::weather::{Weather, forecast};
use super::{BATCH, Backup, records};
use crate::backup_files::cipher::random_key;
use crate::backup_files::manifest_db::{FILE, Row};
use crate::backup_files::shard_path;
use crate::contents::{Item, Kind};
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;

/// A blob that the host has taken.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    /// Its row.
    pub(super) row: Row,
    /// The file as it was sent.
    pub(super) item: Item,
    /// Bytes on the host.
    pub(super) stored: u64,
}

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// By name.
    pub(super) blobs: BTreeMap<String, Blob>,
    /// What happened to files meanwhile, in words.
    pub(super) weather: Vec<String>,
}

/// Sends all files of the plan.
///
/// # Errors
///
/// The host fails, the person cancels, the connection is gone.
pub(super) fn send(backup: &mut Backup<'_, '_, '_>, plan: &mut Plan, keys: &Keys) -> Step<Sent> {
    let weather = if backup.session.habits.weather {
        forecast(&plan.uploads, &backup.contents, &mut backup.random)
    } else {
        BTreeMap::new()
    };
    let mut sent = Sent::default();
    let mut again = Vec::new();
    let uploads = std::mem::take(&mut plan.uploads);
    let batches = uploads.chunks(BATCH).count().max(1);
    for (number, batch) in uploads.chunks(BATCH).enumerate() {
        again.extend(send_batch(backup, batch, &weather, keys, &mut sent)?);
        backup.session.host.progress = 5.0 + 80.0 * share(number + 1, batches);
        backup.session.cancellation()?;
    }
    backup.session.cancellation()?;
    for batch in again.chunks(BATCH) {
        send_batch(backup, batch, &BTreeMap::new(), keys, &mut sent)?;
    }
    Ok(sent)
}

fn share(part: usize, of: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    number(part) / number(of)
}

/// One message. Returns those to be sent again.
fn send_batch(
    backup: &mut Backup<'_, '_, '_>,
    batch: &[Upload],
    weather: &BTreeMap<String, Weather>,
    keys: &Keys,
    sent: &mut Sent,
) -> Step<Vec<Upload>> {
    let size = |upload: &Upload| {
        let item = backup.contents.get(&upload.domain, &upload.relative_path);
        stored_len(item.map_or(0, |item| item.size), backup.encrypted)
    };
    let total = batch.iter().map(size).sum();
    backup.session.host.upload(total)?;
    let mut again = Vec::new();
    let mut taken = Vec::new();
    for upload in batch {
        let Some(item) = backup.contents.get(&upload.domain, &upload.relative_path).cloned() else {
            continue;
        };
        let what = weather.get(&upload.file_id).copied();
        let of = |what: &str| format!("{what} {} {}", item.domain, item.relative_path);
        match what {
            Some(Weather::Changes) => {
                break_off(backup, upload, &item, "The file was modified while uploading")?;
                change(backup, &item);
                sent.weather.push(of("changed"));
                again.push(upload.clone());
            }
            Some(Weather::Vanishes) => {
                break_off(backup, upload, &item, "No such file or directory")?;
                backup.contents.remove(&item.domain, &item.relative_path);
                sent.weather.push(of("vanished"));
            }
            Some(Weather::Grows) => {
                let grown = grow(backup, &item);
                sent.weather.push(of("grew"));
                taken.push(send_file(backup, upload, grown, keys)?);
            }
            None => taken.push(send_file(backup, upload, item, keys)?),
        }
    }
    backup.session.host.uploaded()?;
    sent.blobs.extend(taken.into_iter().map(|blob| (blob.row.file_id.clone(), blob)));
    Ok(again)
}

fn begin(backup: &mut Backup<'_, '_, '_>, upload: &Upload, item: &Item) -> Step<()> {
    let on_host = backup.session.path(&format!("Snapshot/{}", shard_path(&upload.file_id)));
    // Databases are copied first; all else comes from the snapshot of the file system.
    let is_database = item.size != item.stat_size;
    let on_phone = if is_database {
        format!("/.ba/mobile/{}", upload.file_id)
    } else {
        format!("/.b/6/{}", item.relative_path)
    };
    backup.session.host.begin_file(&on_phone, &on_host)
}

/// Some of the file's bytes, and then an error.
fn break_off(
    backup: &mut Backup<'_, '_, '_>,
    upload: &Upload,
    item: &Item,
    text: &str,
) -> Step<()> {
    begin(backup, upload, item)?;
    if let Some(body) = &item.body {
        let key = if backup.encrypted { Some(random_key()?) } else { None };
        let part = body.length / 2;
        let mut cut = Cut::of(part, backup.session.habits.odd_blocks, &mut backup.random);
        let from = Stored::new(body.open(), key.as_ref());
        send_blocks(backup.session.host, from, part, &mut cut, |_| {})?;
    }
    backup.session.host.block(block::PHONE_FAILED, text.as_bytes())
}

/// The file is another one by now.
fn change(backup: &mut Backup<'_, '_, '_>, item: &Item) {
    if let Some(item) = backup.contents.get_mut(&item.domain, &item.relative_path) {
        if let Some(body) = &item.body {
            item.set_body(body.changed());
        }
        item.mtime += 1;
        item.ctime = item.mtime;
    }
}

/// The file is longer by now: its bytes, with the metadata of a moment ago.
fn grow(backup: &mut Backup<'_, '_, '_>, item: &Item) -> Item {
    let mut grown = item.clone();
    let more = 1 + backup.random.below(9000);
    if let Some(body) = &item.body {
        grown.set_body(body.grown(more));
    }
    let mut on_phone = grown.clone();
    on_phone.mtime += 1;
    on_phone.ctime = on_phone.mtime;
    backup.contents.put(on_phone);
    Item { stat_size: item.stat_size, ..grown }
}

fn send_file(
    backup: &mut Backup<'_, '_, '_>,
    upload: &Upload,
    item: Item,
    keys: &Keys,
) -> Step<Blob> {
    begin(backup, upload, &item)?;
    let key = if backup.encrypted { Some(random_key()?) } else { None };
    let stored = stored_len(item.size, backup.encrypted);
    let mut cut = Cut::of(stored, backup.session.habits.odd_blocks, &mut backup.random);
    let mut digest = Sha1::new();
    if let Some(body) = &item.body {
        let from = Stored::new(body.open(), key.as_ref());
        send_blocks(backup.session.host, from, stored, &mut cut, |bytes| digest.update(bytes))?;
    }
    backup.session.host.block(block::END, &[])?;
    let wrapped = match &key {
        Some(key) => Some(keys.wrap(item.protection_class, key)?),
        None => None,
    };
    let wrapped = wrapped.as_ref().map(<[u8; 44]>::as_slice);
    let record = records::record(&item, wrapped, digest.finalize().into());
    let odd = backup.session.habits.odd_records;
    let row = Row {
        file_id: upload.file_id.clone(),
        domain: item.domain.clone(),
        relative_path: item.relative_path.clone(),
        flags: FILE,
        file: records::archive(&record, Kind::File, odd, &mut backup.random),
    };
    Ok(Blob { row, item, stored })
}
