//! MBFile: the record of one file, archived by NSKeyedArchiver, in Manifest.db's column `file`.
use super::{Unreadable, plist_bytes};
use plist::{Dictionary, Uid, Value};
use std::collections::BTreeMap;

/// What an archive may measure. Attributes over 2,048 bytes are left out by phones.
const ARCHIVE_MAX: usize = 256 * 1024;

/// The metadata of a file, folder or link in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MbFile {
    /// Path within the domain.
    pub relative_path: String,
    /// Modification, status change, birth: seconds since 1970.
    pub times: [i64; 3],
    /// Bytes, as `stat` said; the content may have another length.
    pub size: u64,
    /// With the type's bits, e.g. `0o100644`.
    pub mode: u32,
    /// Owner.
    pub user_id: u32,
    /// Group.
    pub group_id: u32,
    /// Equal numbers are hard links.
    pub inode: u64,
    /// Data protection, 1 to 4 and 7; 0 for links.
    pub protection_class: u32,
    /// Class and wrapped key, in an encrypted backup.
    pub encryption_key: Option<Vec<u8>>,
    /// SHA-1 of the blob as the host has it, in some domains.
    pub digest: Option<Vec<u8>>,
    /// Extended attributes.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// A link's target.
    pub target: Option<String>,
}

/// How an archive may differ from the usual, and still be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oddity {
    /// The usual.
    #[default]
    None,
    /// `EncryptionKey`, `Digest` are data, not NSMutableData objects with data in them.
    PlainData,
    /// Keys nobody knows, and objects nobody refers to.
    Unknown,
    /// Times and mode are objects referred to, not numbers in place.
    Boxed,
    /// No `Size`.
    NoSize,
}

impl Oddity {
    /// All but the usual.
    pub const ALL: [Oddity; 4] =
        [Oddity::PlainData, Oddity::Unknown, Oddity::Boxed, Oddity::NoSize];
}

/// The objects of an archive while it is written.
struct Objects {
    objects: Vec<Value>,
    data_class: Option<u64>,
}

impl Objects {
    fn add(&mut self, value: Value) -> Value {
        self.objects.push(value);
        Value::Uid(Uid::new(self.last()))
    }

    fn last(&self) -> u64 {
        u64::try_from(self.objects.len()).unwrap_or(u64::MAX) - 1
    }

    fn class(&mut self, names: &[&str]) -> Value {
        let mut class = Dictionary::new();
        class.insert("$classname".into(), Value::from(names[0]));
        let names = names.iter().map(|name| Value::from(*name)).collect();
        class.insert("$classes".into(), Value::Array(names));
        self.add(Value::Dictionary(class))
    }

    /// Data as an object with a class, as phones write it.
    fn data(&mut self, bytes: &[u8], plain: bool) -> Value {
        if plain {
            return self.add(Value::Data(bytes.to_vec()));
        }
        let class = match self.data_class {
            Some(uid) => Value::Uid(Uid::new(uid)),
            None => {
                let class = self.class(&["NSMutableData", "NSData", "NSObject"]);
                self.data_class = Some(self.last());
                class
            }
        };
        let mut object = Dictionary::new();
        object.insert("NS.data".into(), Value::Data(bytes.to_vec()));
        object.insert("$class".into(), class);
        self.add(Value::Dictionary(object))
    }
}

impl MbFile {
    /// Archives it.
    pub fn archive(&self, oddity: Oddity) -> Vec<u8> {
        let mut record = Dictionary::new();
        // Objects 0 and 1 are fixed: the null object, and this record.
        let objects = vec![Value::from("$null"), Value::Boolean(false)];
        let mut objects = Objects { objects, data_class: None };
        let plain = oddity == Oddity::PlainData;
        let path = objects.add(Value::from(self.relative_path.as_str()));
        record.insert("RelativePath".into(), path);
        let numbers = [
            ("LastModified", self.times[0]),
            ("LastStatusChange", self.times[1]),
            ("Birth", self.times[2]),
            ("Mode", i64::from(self.mode)),
        ];
        for (key, number) in numbers {
            let mut value = Value::from(number);
            if oddity == Oddity::Boxed {
                value = objects.add(value);
            }
            record.insert(key.into(), value);
        }
        if oddity != Oddity::NoSize {
            record.insert("Size".into(), Value::from(self.size));
        }
        record.insert("UserID".into(), Value::from(u64::from(self.user_id)));
        record.insert("GroupID".into(), Value::from(u64::from(self.group_id)));
        record.insert("InodeNumber".into(), Value::from(self.inode));
        record.insert("ProtectionClass".into(), Value::from(u64::from(self.protection_class)));
        record.insert("Flags".into(), Value::from(0u64));
        if let Some(key) = &self.encryption_key {
            let key = objects.data(key, plain);
            record.insert("EncryptionKey".into(), key);
        }
        if let Some(digest) = &self.digest {
            let digest = objects.data(digest, true);
            record.insert("Digest".into(), digest);
        }
        if !self.attributes.is_empty() {
            let attributes = attributes_to_bytes(&self.attributes);
            let attributes = objects.data(&attributes, plain);
            record.insert("ExtendedAttributes".into(), attributes);
        }
        if let Some(target) = &self.target {
            let target = objects.add(Value::from(target.as_str()));
            record.insert("Target".into(), target);
        }
        if oddity == Oddity::Unknown {
            record.insert("ContentGeneration".into(), Value::from(3u64));
            objects.add(Value::from("nobody refers to this"));
        }
        let class = objects.class(&["MBFile", "NSObject"]);
        record.insert("$class".into(), class);
        objects.objects[1] = Value::Dictionary(record);
        let mut top = Dictionary::new();
        top.insert("root".into(), Value::Uid(Uid::new(1)));
        let mut archive = Dictionary::new();
        archive.insert("$version".into(), Value::from(100_000u64));
        archive.insert("$archiver".into(), Value::from("NSKeyedArchiver"));
        archive.insert("$top".into(), Value::Dictionary(top));
        archive.insert("$objects".into(), Value::Array(objects.objects));
        plist_bytes::binary(&Value::Dictionary(archive))
    }

    /// Reads an archive, whatever its oddity.
    ///
    /// # Errors
    ///
    /// No archive, or one without a path, mode or time.
    pub fn parse(bytes: &[u8]) -> Result<MbFile, Unreadable> {
        if bytes.len() > ARCHIVE_MAX {
            return Err(Unreadable::new(format!("an MBFile of {} bytes", bytes.len())));
        }
        let archive = plist_bytes::read(bytes)?;
        let fields = Fields::of(&archive)?;
        let number = |key: &str| fields.number(key);
        let need = |key: &str| {
            number(key).ok_or_else(|| Unreadable::new(format!("an MBFile without {key}")))
        };
        let small = |key: &str| number(key).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let time = |key: &str| i64::try_from(number(key).unwrap_or(0)).unwrap_or(0);
        let path = fields.get("RelativePath").and_then(Value::as_string);
        need("LastModified")?;
        Ok(MbFile {
            relative_path: path
                .ok_or_else(|| Unreadable::new("an MBFile without RelativePath"))?
                .to_owned(),
            times: [time("LastModified"), time("LastStatusChange"), time("Birth")],
            size: number("Size").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            mode: u32::try_from(need("Mode")?)
                .map_err(|_| Unreadable::new("an MBFile with a mode that is none"))?,
            user_id: small("UserID"),
            group_id: small("GroupID"),
            inode: number("InodeNumber").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            protection_class: small("ProtectionClass"),
            encryption_key: fields.data("EncryptionKey"),
            digest: fields.data("Digest"),
            attributes: match fields.data("ExtendedAttributes") {
                Some(bytes) => attributes_from_bytes(&bytes)?,
                None => BTreeMap::new(),
            },
            target: fields.get("Target").and_then(Value::as_string).map(str::to_owned),
        })
    }
}

/// The record of an archive, whose fields may be references.
struct Fields<'a> {
    record: &'a Dictionary,
    objects: &'a [Value],
}

impl<'a> Fields<'a> {
    fn of(archive: &'a Value) -> Result<Fields<'a>, Unreadable> {
        let none = || Unreadable::new("not a keyed archive");
        let archive = archive.as_dictionary().ok_or_else(none)?;
        let objects = archive.get("$objects").and_then(Value::as_array).ok_or_else(none)?;
        let root = archive.get("$top").and_then(Value::as_dictionary).and_then(|t| t.get("root"));
        let fields = Fields { record: archive, objects };
        let record = root.and_then(|root| fields.resolve(root)).and_then(Value::as_dictionary);
        Ok(Fields { record: record.ok_or_else(none)?, objects })
    }

    fn resolve(&self, value: &'a Value) -> Option<&'a Value> {
        match value {
            Value::Uid(uid) => self.objects.get(usize::try_from(uid.get()).ok()?),
            other => Some(other),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.resolve(self.record.get(key)?)
    }

    fn number(&self, key: &str) -> Option<i128> {
        plist_bytes::integer(self.get(key)?)
    }

    fn data(&self, key: &str) -> Option<Vec<u8>> {
        match self.get(key)? {
            Value::Data(data) => Some(data.clone()),
            Value::Dictionary(object) => {
                self.resolve(object.get("NS.data")?)?.as_data().map(<[u8]>::to_vec)
            }
            _ => None,
        }
    }
}

fn attributes_to_bytes(attributes: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut dictionary = Dictionary::new();
    for (name, value) in attributes {
        dictionary.insert(name.clone(), Value::Data(value.clone()));
    }
    plist_bytes::binary(&Value::Dictionary(dictionary))
}

fn attributes_from_bytes(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Unreadable> {
    let value = plist_bytes::read(bytes)?;
    let dictionary = value.as_dictionary().ok_or_else(|| Unreadable::new("odd attributes"))?;
    let entry = |(name, value): (&String, &Value)| {
        let data = value.as_data().ok_or_else(|| Unreadable::new("an attribute without data"))?;
        Ok((name.clone(), data.to_vec()))
    };
    dictionary.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> MbFile {
        MbFile {
            relative_path: "Library/Notizen/Re\u{301}sume\u{301} 1.txt".into(),
            times: [1_700_000_000, 1_700_000_005, 1_600_000_000],
            size: 7,
            mode: 0o100_644,
            user_id: 501,
            group_id: 501,
            inode: 4_294_967_299,
            protection_class: 3,
            encryption_key: Some(vec![7; 44]),
            digest: Some(vec![9; 20]),
            attributes: BTreeMap::from([("com.example".into(), vec![0, 1, 255])]),
            target: None,
        }
    }

    #[test]
    fn a_record_comes_back_from_every_kind_of_archive() {
        let file = sample();

        for oddity in Oddity::ALL.into_iter().chain([Oddity::None]) {
            let mut read = MbFile::parse(&file.archive(oddity)).unwrap();
            if oddity == Oddity::NoSize {
                assert_eq!(std::mem::replace(&mut read.size, 7), 0);
            }
            assert_eq!(read, file, "{oddity:?}");
        }
    }

    #[test]
    fn archives_measure_what_real_ones_do() {
        let relative_path = "Library/Preferences".to_owned();
        let file = MbFile { relative_path, attributes: BTreeMap::new(), digest: None, ..sample() };
        let folder = MbFile { encryption_key: None, ..file.clone() };

        let sizes = [file.archive(Oddity::None).len(), folder.archive(Oddity::None).len()];

        assert!((560..760).contains(&sizes[0]) && (350..500).contains(&sizes[1]), "{sizes:?}");
    }

    #[test]
    fn cut_archives_are_errors_or_read_never_a_panic() {
        let whole = sample().archive(Oddity::None);
        for length in 0..whole.len() {
            assert!(MbFile::parse(&whole[..length]).is_err(), "cut at {length}");
        }
        assert!(MbFile::parse(&vec![0; ARCHIVE_MAX + 1]).is_err());
    }
}
