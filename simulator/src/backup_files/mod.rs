//! Apple's files of a backup, as a phone writes and reads them: Status.plist, Manifest.plist with
//! its keybag, Manifest.db with one archived record a row, and blobs, encrypted or not.
//!
//! The phone reads too: what it did last time it learns from the files the host hands back, never
//! from its own memory. So everything here parses bytes that came over a wire: lengths are capped,
//! nothing panics, and what cannot be read says so.
//!
//! # Source
//!
//! The layouts are public knowledge: libimobiledevice and pymobiledevice3 (Status.plist, folders),
//! iphone-dataprotection and iphone_backup_decrypt (keybag, keys, ciphers), the Manifest.db that
//! the Mobile Verification Toolkit publishes among its tests (schema, records, proportions).
pub mod cipher;
pub mod keybag;
pub mod manifest_db;
pub mod manifest_plist;
pub mod mbfile;
pub mod plist_bytes;
pub mod status;

use sha1::{Digest, Sha1};
use std::fmt::Write as _;

/// A file of a backup that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl Unreadable {
    /// Says what is wrong, and with what.
    pub fn new(what: impl Into<String>) -> Unreadable {
        Unreadable(what.into())
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The name a file has in a backup: SHA-1 of `domain-relativePath`, as 40 lower-case hex digits.
pub fn file_id(domain: &str, relative_path: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(domain.as_bytes());
    hash.update(b"-");
    hash.update(relative_path.as_bytes());
    hex(&hash.finalize())
}

/// Where a blob lies below the folder of its backup: `ab/ab…`.
pub fn shard_path(file_id: &str) -> String {
    format!("{}/{file_id}", file_id.get(..2).unwrap_or(file_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_blobs_are_those_known_from_real_phones() {
        let known = [
            ("HomeDomain", "Library/SMS/sms.db", "3d0d7e5fb2ce288813306e4d4636395e047a3d28"),
            (
                "HomeDomain",
                "Library/AddressBook/AddressBook.sqlitedb",
                "31bb7ba8914766d4ba40d6dfb6113c8b614be442",
            ),
            ("CameraRollDomain", "", "be1f28f40e6e4e95dba86a2d9fa4b12dc70b9dc5"),
            ("HomeDomain", "", "70765829101933f25994c71bbee6dfd685535bff"),
        ];

        for (domain, path, id) in known {
            assert_eq!(file_id(domain, path), id);
        }
        assert_eq!(shard_path("3d0d"), "3d/3d0d");
    }
}
