//! What `Manifest.plist` says of a set's encryption.
use super::{BadKeybag, Keybag};
use crate::plist_guard::{BadPlist, PlistLimits, read_keys};

/// The longest wrapped key that is taken over, in bytes: 44 is what devices write, 76 the longest
/// that [`ClassKeys::unwrap`](super::ClassKeys::unwrap) understands.
const MANIFEST_KEY_LEN_MAX: usize = 256;

/// An encrypted set, by its own `Manifest.plist`: what a password is tried against.
#[derive(Debug, Clone)]
pub struct EncryptedSet {
    /// What the password opens.
    pub keybag: Keybag,
    /// The key of `Manifest.db`, wrapped, for [`ClassKeys::unwrap`](super::ClassKeys::unwrap).
    /// Empty when the list has none: so it was before iOS 10.2, whose `Manifest.db` is plain.
    pub manifest_key: Vec<u8>,
}

/// Why a `Manifest.plist` tells nothing about encryption.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadEncryptedSet {
    /// It is no property list, or lacks what an encrypted set has.
    #[error("Manifest.plist cannot be used: {0}")]
    List(#[from] BadPlist),
    /// Its keybag is none.
    #[error("Manifest.plist cannot be used: {0}")]
    Keybag(#[from] BadKeybag),
}

impl EncryptedSet {
    /// What the `Manifest.plist` in `bytes` says; `None`: the set is not encrypted.
    ///
    /// The list is believed. Sets whose bytes disagree with it were seen
    /// ([`Oddity::EncryptionDisagrees`](crate::Oddity::EncryptionDisagrees)); without a keybag
    /// nobody could read such a set anyway.
    ///
    /// # Errors
    ///
    /// The list cannot be read, or says "encrypted" and has no usable keybag.
    pub fn of_manifest_plist(bytes: &[u8]) -> Result<Option<EncryptedSet>, BadEncryptedSet> {
        let keys = ["IsEncrypted", "BackupKeyBag", "ManifestKey"];
        let fields = read_keys(bytes, &PlistLimits::BACKUP_SET, &keys)?;
        if !fields.flag("IsEncrypted")?.unwrap_or(false) {
            return Ok(None);
        }
        let keybag = fields.data("BackupKeyBag")?;
        let keybag = keybag.ok_or(BadPlist::Missing { key: "BackupKeyBag" })?;
        let manifest_key = fields.data("ManifestKey")?.unwrap_or_default();
        if manifest_key.len() > MANIFEST_KEY_LEN_MAX {
            let wrong = BadPlist::WrongType { key: "ManifestKey", expected: "a wrapped key" };
            return Err(wrong.into());
        }
        Ok(Some(EncryptedSet {
            keybag: Keybag::parse(keybag)?,
            manifest_key: manifest_key.to_vec(),
        }))
    }
}
