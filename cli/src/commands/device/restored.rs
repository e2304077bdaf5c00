//! Which snapshot was restored onto which device from here: the next backup of the device goes on from
//! that one, since it is what the device holds.
//!
//! A small file per repository and device in this user's data folder. Whatever goes wrong with it is no
//! reason to fail: an older or newer parent is as right, and only costs that more is sent.
use crate::failure::Failure;
use crate::settings::HomeFolders;
use devsnap_device::Udid;
use devsnap_device::lockdown::DeviceInfo;
use devsnap_engine::id::SnapshotId;
use devsnap_engine::node::Time;
use devsnap_engine::repository::{Repository, now_secs};
use devsnap_engine::snapshot::{Named, Origin};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest file that is read, in bytes.
const FILE_LEN_MAX: u64 = 4096;

/// What stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Restored {
    snapshot: SnapshotId,
    at_secs: i64,
}

fn file(repository: &Repository, udid: &Udid) -> Option<PathBuf> {
    let name = format!("{}-{udid}.json", repository.id().short());
    Some(HomeFolders::of_this_user().data?.join("restored").join(name))
}

/// Remembers that `named` is on the device now. A snapshot of another device is no parent of this one's:
/// then what was remembered is forgotten.
pub(in crate::commands) fn remember(repository: &Repository, device: &DeviceInfo, named: &Named) {
    let Some(file) = file(repository, &device.udid) else { return };
    match is_of(named, &device.udid) {
        true => write(&file, Restored { snapshot: named.id, at_secs: now_secs() }),
        false => drop(fs::remove_file(&file)),
    }
}

/// The snapshot to go on from, when one was restored and none of the device was taken since.
pub(super) fn parent(repository: &Repository, udid: &Udid) -> Result<Option<SnapshotId>, Failure> {
    let Some(restored) = file(repository, udid).and_then(|file| read(&file)) else {
        return Ok(None);
    };
    Ok(choose(restored, &repository.snapshots()?.named, udid))
}

fn choose(restored: Restored, named: &[Named], udid: &Udid) -> Option<SnapshotId> {
    let restored_at = Time { secs: restored.at_secs, nanos: 0 };
    let mut own = named.iter().filter(|named| is_of(named, udid) && named.snapshot.is_complete());
    if own.clone().any(|named| named.snapshot.taken_at >= restored_at) {
        return None;
    }
    own.find(|named| named.id == restored.snapshot).map(|named| named.id)
}

fn is_of(named: &Named, udid: &Udid) -> bool {
    match &named.snapshot.origin {
        Origin::Device(device) => Udid::parse(&device.udid).as_ref() == Some(udid),
        Origin::Folder { .. } => false,
    }
}

fn write(file: &Path, restored: Restored) {
    let value = json!({ "snapshot": restored.snapshot.to_hex(), "at": restored.at_secs });
    if let Some(folder) = file.parent() {
        let _ = fs::create_dir_all(folder);
    }
    let _ = fs::write(file, value.to_string());
}

fn read(file: &Path) -> Option<Restored> {
    if fs::metadata(file).ok()?.len() > FILE_LEN_MAX {
        return None;
    }
    let value: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let snapshot = value.get("snapshot")?.as_str()?.parse().ok()?;
    Some(Restored { snapshot, at_secs: value.get("at")?.as_i64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_is_read_back_and_anything_else_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("restored/one.json");
        assert_eq!(read(&file), None);
        let restored =
            Restored { snapshot: SnapshotId::from_bytes([7; 32]), at_secs: 1_800_000_000 };
        write(&file, restored);
        assert_eq!(read(&file), Some(restored));
        for odd in ["", "{}", "[1]", "{\"snapshot\":\"x\",\"at\":1}"] {
            fs::write(&file, odd).unwrap();
            assert_eq!(read(&file), None, "{odd}");
        }
        fs::write(&file, vec![b' '; 5000]).unwrap();
        assert_eq!(read(&file), None);
    }
}
