//! Records of the manifest from items of the phone.
use crate::backup_files::manifest_db::{FILE, FOLDER, LINK};
use crate::backup_files::mbfile::{MbFile, Oddity};
use crate::contents::{Item, Kind};
use crate::random::Random;
use std::collections::BTreeMap;

/// Attributes of more bytes are left out.
pub(super) const ATTRIBUTES_MAX: usize = 2048;

/// Domains whose files have a digest in the manifest, which a restore compares.
const WITH_DIGEST: &[&str] = &[
    "HomeDomain",
    "RootDomain",
    "HealthDomain",
    "WirelessDomain",
    "SystemPreferencesDomain",
    "DatabaseDomain",
    "HomeKitDomain",
    "InstallDomain",
    "ManagedPreferencesDomain",
    "KeyboardDomain",
    "KeychainDomain",
];

/// The `flags` of a row.
pub(super) fn flags(kind: Kind) -> i64 {
    match kind {
        Kind::File => FILE,
        Kind::Folder => FOLDER,
        Kind::Link => LINK,
    }
}

/// The attributes that a backup takes along.
pub(super) fn attributes(item: &Item) -> BTreeMap<String, Vec<u8>> {
    let bytes: usize = item.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ATTRIBUTES_MAX { BTreeMap::new() } else { item.xattrs.clone() }
}

/// The record of an item; key and digest belong to the blob that was sent.
pub(super) fn record(item: &Item, key: Option<&[u8]>, digest: [u8; 20]) -> MbFile {
    let has_digest = item.kind == Kind::File && WITH_DIGEST.contains(&item.domain.as_str());
    MbFile {
        relative_path: item.relative_path.clone(),
        times: [item.mtime, item.ctime, item.birth],
        size: item.stat_size,
        mode: item.mode,
        user_id: item.user_id,
        group_id: item.group_id,
        inode: item.inode,
        protection_class: item.protection_class,
        encryption_key: key.map(<[u8]>::to_vec),
        digest: has_digest.then(|| digest.to_vec()),
        attributes: attributes(item),
        target: item.target.clone(),
    }
}

/// The record as the manifest has it: now and then in an unusual form. Of a folder there may be
/// nothing, or something that is no record.
pub(super) fn archive(
    record: &MbFile,
    kind: Kind,
    odd: u16,
    random: &mut Random,
) -> Option<Vec<u8>> {
    if random.below(1000) >= u64::from(odd) {
        return Some(record.archive(Oddity::None));
    }
    let choice = usize::try_from(random.below(6)).unwrap_or(0);
    match (Oddity::ALL.get(choice), kind) {
        (Some(oddity), _) => Some(record.archive(*oddity)),
        (None, Kind::Folder) if choice == 4 => None,
        (None, Kind::Folder) => Some(b"bplist00 that is none".to_vec()),
        (None, _) => Some(record.archive(Oddity::Unknown)),
    }
}
