//! MBFile: what the manifest says of one file, as NSKeyedArchiver writes it.
//!
//! An archive is a list of objects that refer to each other by number. Only the numbers on the way
//! to the fields asked for are followed, and only few at a time, so references in a circle end.
use std::collections::BTreeMap;

use plist::{Dictionary, Value};

use crate::plist_guard::{BadPlist, PlistLimits, read_value};

/// Real archives have 400 to 700 bytes, attributes at most 2048 more, and some 30 values.
const LIMITS: PlistLimits = PlistLimits {
    bytes_max: 64 << 10,
    depth_max: 8,
    values_max: 2048,
    content_bytes_max: 128 << 10,
};

/// How many references are followed to a value. Real archives have one.
const REFERENCES_MAX: usize = 4;

/// Why a record is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadRecord {
    /// The manifest has no record for the row.
    #[error("the manifest says nothing of it")]
    Absent,
    /// Not a property list, or one that asks for too much.
    #[error("its record cannot be read")]
    Plist(#[source] BadPlist),
    /// A property list that is no archive of one object.
    #[error("its record is no archive")]
    NoArchive,
    /// The field holds something else.
    #[error("its record has no usable `{0}`")]
    Field(&'static str),
}

/// What a row says of its file, folder or link.
///
/// Hostile, as everything in a manifest: a length is a claim, a target is text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MbFile {
    /// Length in bytes, where it is said. **Not** the length of the content: for databases the device
    /// describes the live file and sends a compacted copy.
    pub size: Option<u64>,
    /// Type and permissions, as `stat` has them: `0o100644`.
    pub mode: Option<u32>,
    /// Last modification, in seconds from the Unix epoch.
    pub mtime: Option<i64>,
    /// When it was made, in seconds from the Unix epoch.
    pub birth: Option<i64>,
    /// Last change of its status, in seconds from the Unix epoch.
    pub status_change: Option<i64>,
    /// Owner on the device; 501 is its user, 0 its root.
    pub user: Option<u32>,
    /// Group on the device.
    pub group: Option<u32>,
    /// Number on the device; files with the same one are names of one file.
    pub inode: Option<u64>,
    /// Which class of keys protects it.
    pub protection_class: Option<u32>,
    /// Its key, wrapped: the class (four bytes, little-endian), then 40 bytes. Only in encrypted sets.
    pub encryption_key: Option<Vec<u8>>,
    /// A hash of the stored file, in some domains: SHA-1, by what else has that length.
    pub digest: Option<Vec<u8>>,
    /// Where a link points.
    pub target: Option<String>,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl MbFile {
    /// Reads an archive.
    ///
    /// # Errors
    ///
    /// See [`BadRecord`]. A field may be absent, and one that cannot be read counts as absent, but for
    /// `EncryptionKey`: nobody is to take an encrypted file for a plain one.
    pub fn decode(bytes: &[u8]) -> Result<MbFile, BadRecord> {
        let archive = read_value(bytes, &LIMITS).map_err(BadRecord::Plist)?;
        let record = Record::of(&archive).ok_or(BadRecord::NoArchive)?;
        Ok(MbFile {
            size: record.number("Size"),
            mode: record.number("Mode"),
            mtime: record.number("LastModified"),
            birth: record.number("Birth"),
            status_change: record.number("LastStatusChange"),
            user: record.number("UserID"),
            group: record.number("GroupID"),
            inode: record.number("InodeNumber"),
            protection_class: record.number("ProtectionClass"),
            encryption_key: record.data("EncryptionKey")?,
            digest: record.data("Digest").unwrap_or_default(),
            target: record.find("Target").flatten().and_then(Value::as_string).map(str::to_owned),
            xattrs: record
                .data("ExtendedAttributes")
                .ok()
                .flatten()
                .map_or_else(BTreeMap::new, |bytes| attributes(&bytes)),
        })
    }
}

/// The object that an archive is of, and those it may refer to.
struct Record<'a> {
    fields: &'a Dictionary,
    objects: &'a [Value],
}

impl<'a> Record<'a> {
    fn of(archive: &'a Value) -> Option<Record<'a>> {
        let archive = archive.as_dictionary()?;
        let objects = archive.get("$objects")?.as_array()?;
        let root = archive.get("$top")?.as_dictionary()?.get("root")?;
        let fields = follow(root, objects)?.as_dictionary()?;
        Some(Record { fields, objects })
    }

    /// What stands under `key`, at the end of its references; `Some(None)` where that leads nowhere.
    fn find(&self, key: &str) -> Option<Option<&'a Value>> {
        let value = follow(self.fields.get(key)?, self.objects);
        // The archiver's word for nothing.
        let is_null = value.and_then(Value::as_string) == Some("$null");
        (!is_null).then_some(value)
    }

    fn number<N: TryFrom<i128>>(&self, key: &str) -> Option<N> {
        let Value::Integer(number) = self.find(key)?? else { return None };
        let signed = number.as_signed().map(i128::from);
        signed.or_else(|| number.as_unsigned().map(i128::from)).and_then(|n| N::try_from(n).ok())
    }

    /// Data in place, or an object that holds it under `NS.data`.
    fn data(&self, key: &'static str) -> Result<Option<Vec<u8>>, BadRecord> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let data = match value {
            Some(Value::Dictionary(object)) => {
                object.get("NS.data").and_then(|data| follow(data, self.objects))
            }
            value => value,
        };
        let data = data.and_then(Value::as_data).map(<[u8]>::to_vec);
        data.map(Some).ok_or(BadRecord::Field(key))
    }
}

/// The value at the end of `value`'s references.
fn follow<'a>(value: &'a Value, objects: &'a [Value]) -> Option<&'a Value> {
    let mut value = value;
    for _ in 0..REFERENCES_MAX {
        let Value::Uid(number) = value else { return Some(value) };
        value = objects.get(usize::try_from(number.get()).ok()?)?;
    }
    (!matches!(value, Value::Uid(_))).then_some(value)
}

/// A property list of its own: names to data. What else is in it is left out.
fn attributes(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let Ok(Value::Dictionary(list)) = read_value(bytes, &LIMITS) else { return BTreeMap::new() };
    list.into_iter().filter_map(|(name, value)| Some((name, value.into_data()?))).collect()
}
