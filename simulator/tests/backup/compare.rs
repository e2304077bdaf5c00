//! A backup set on disk, held against the truth.
use devsnap_simulator::backup_files::cipher::Decryptor;
use devsnap_simulator::backup_files::keybag::{ClassKeys, Keybag};
use devsnap_simulator::backup_files::manifest_db::{FILE, FOLDER, LINK, ManifestDb};
use devsnap_simulator::backup_files::manifest_plist::ManifestPlist;
use devsnap_simulator::backup_files::mbfile::MbFile;
use devsnap_simulator::backup_files::status::{SnapshotState, Status};
use devsnap_simulator::backup_files::{Unreadable, hex, shard_path};
use devsnap_simulator::contents::{Item, Kind, Truth, truth};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The truth about the newest backup of a phone.
pub(crate) fn newest(phone: &Path) -> Truth {
    let date = *truth::backups(phone).unwrap().last().expect("a backup was made");
    Truth::read(&truth::backup_path(phone, date)).unwrap()
}

/// Reads the set in `folder` with nothing but its own bytes and the password, and compares it with
/// `truth`: every row, every blob, every byte.
pub(crate) fn compare(folder: &Path, password: Option<&str>, truth: &Truth) {
    let status = Status::parse(&fs::read(folder.join("Status.plist")).unwrap()).unwrap();
    assert_eq!(status.snapshot_state, SnapshotState::Finished);
    assert!(!folder.join("Snapshot").exists());
    let manifest = ManifestPlist::parse(&fs::read(folder.join("Manifest.plist")).unwrap()).unwrap();
    let backup = truth.backup.as_ref().unwrap();
    assert_eq!((manifest.date, manifest.is_encrypted), (backup.date, password.is_some()));
    assert_eq!((backup.date, &backup.uuid), (manifest.date, &status.uuid));
    let keys = password.map(|word| Keybag::parse(&manifest.keybag).unwrap().unlock(word).unwrap());
    let work = tempfile::tempdir().unwrap();
    let db = work.path().join("Manifest.db");
    let bytes = fs::read(folder.join("Manifest.db")).unwrap();
    fs::write(&db, plain(&bytes, keys.as_ref(), manifest.manifest_key.as_deref()).0).unwrap();

    let mut items: BTreeMap<String, &Item> =
        truth.items.iter().map(|item| (item.file_id(), item)).collect();
    let mut blobs = BTreeSet::new();
    let manifest = ManifestDb::open(&db).unwrap();
    manifest
        .each::<Unreadable>(|row| {
            let item = items.remove(&row.file_id);
            let item = item.unwrap_or_else(|| panic!("{row:?} is not in the truth"));
            assert_eq!(row.domain, item.domain);
            assert_eq!(row.relative_path, item.relative_path);
            let flags = [FILE, FOLDER, LINK][item.kind as usize];
            assert_eq!(row.flags, flags, "{row:?}");
            let record = row.file.as_deref().map(MbFile::parse);
            if let Some(Ok(record)) = &record {
                compare_record(record, item);
            } else {
                assert_eq!(item.kind, Kind::Folder, "only folders may be without a record");
            }
            if item.kind == Kind::File {
                let blob = fs::read(folder.join(shard_path(&row.file_id))).unwrap();
                compare_blob(&blob, &record.unwrap().unwrap(), keys.as_ref(), item);
                blobs.insert(row.file_id);
            }
            Ok(())
        })
        .unwrap();
    assert!(items.is_empty(), "not in the manifest: {:?}", items.values().collect::<Vec<_>>());
    assert_eq!(blobs_of(folder), blobs, "blobs and rows");
}

fn compare_record(record: &MbFile, item: &Item) {
    assert_eq!(record.relative_path, item.relative_path);
    assert_eq!((record.mode, record.times[0]), (item.mode, item.mtime), "{item:?}");
    assert_eq!(record.target, item.target);
    assert_eq!(record.attributes, item.xattrs);
    assert_eq!((record.inode, record.protection_class), (item.inode, item.protection_class));
    assert!(record.size == item.stat_size || record.size == 0, "{item:?}");
}

fn compare_blob(blob: &[u8], record: &MbFile, keys: Option<&ClassKeys>, item: &Item) {
    if let Some(digest) = &record.digest {
        assert_eq!(&Sha1::digest(blob)[..], &digest[..], "{item:?}");
    }
    let (bytes, padded) = plain(blob, keys, record.encryption_key.as_deref());
    assert_eq!(padded, keys.is_some());
    assert_eq!(u64::try_from(bytes.len()).unwrap(), item.size, "{item:?}");
    assert_eq!(Some(hex(&Sha256::digest(&bytes))), item.sha256, "{item:?}");
}

/// The bytes without encryption; and whether there was any.
fn plain(bytes: &[u8], keys: Option<&ClassKeys>, wrapped: Option<&[u8]>) -> (Vec<u8>, bool) {
    let Some(keys) = keys else {
        assert!(wrapped.is_none(), "a key in a backup that is not encrypted");
        return (bytes.to_vec(), false);
    };
    let mut decryptor = Decryptor::new(&keys.unwrap(wrapped.unwrap()).unwrap());
    let mut plain = Vec::new();
    decryptor.push(bytes, &mut plain);
    decryptor.finish(&mut plain).unwrap();
    (plain, true)
}

/// The names of all blobs in a set.
pub(crate) fn blobs_of(folder: &Path) -> BTreeSet<String> {
    let shards = fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_dir());
    shards
        .flat_map(|shard| fs::read_dir(shard.path()).unwrap().flatten())
        .map(|blob| blob.file_name().into_string().unwrap())
        .collect()
}
