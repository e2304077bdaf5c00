//! One file, folder or link of a phone, at one time.
use super::body::Body;
use crate::backup_files::file_id;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

/// A file, folder or link. As JSON it is an entry of the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Domain.
    pub domain: String,
    /// Path in the domain, empty for its root.
    pub relative_path: String,
    /// What it is.
    pub kind: Kind,
    /// With the type's bits.
    pub mode: u32,
    /// Owner.
    pub user_id: u32,
    /// Group.
    pub group_id: u32,
    /// Equal numbers are hard links.
    pub inode: u64,
    /// Data protection: 1 to 4 and 7; 0 for links.
    pub protection_class: u32,
    /// Seconds since 1970. Whether it has changed decides whether a backup sends the file.
    pub mtime: i64,
    /// Seconds since 1970.
    pub ctime: i64,
    /// Seconds since 1970.
    pub birth: i64,
    /// Bytes of the content.
    pub size: u64,
    /// Bytes as metadata have it. For some databases it is another number than `size`: a backup
    /// holds a compacted copy, and the metadata of the live file.
    pub stat_size: u64,
    /// SHA-256 of the content, in hex; files only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sha256: Option<String>,
    /// A link's target.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// Extended attributes, their values in hex.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "in_hex", default)]
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Whether only encrypted backups hold it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub only_encrypted: bool,
    /// How the content is made; files only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<Body>,
}

impl Item {
    /// Gives it this content: size and digest follow. A database whose metadata lie goes on lying.
    pub fn set_body(&mut self, body: Body) {
        let lie = i128::from(self.stat_size) - i128::from(self.size);
        self.sha256 = Some(body.sha256());
        self.size = body.length;
        self.stat_size = u64::try_from(i128::from(body.length) + lie).unwrap_or(body.length);
        self.body = Some(body);
    }

    /// Its name in a backup.
    pub fn file_id(&self) -> String {
        file_id(&self.domain, &self.relative_path)
    }
}

/// Byte strings as hex text.
mod in_hex {
    use crate::backup_files::hex;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<String, Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter()
            .map(|(name, value)| (name, hex(value)))
            .collect::<BTreeMap<_, _>>()
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Vec<u8>>, D::Error> {
        let byte = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).map_err(D::Error::custom)?;
            u8::from_str_radix(text, 16).map_err(D::Error::custom)
        };
        let bytes = |hex: &str| hex.as_bytes().chunks(2).map(byte).collect::<Result<_, _>>();
        BTreeMap::<String, String>::deserialize(deserializer)?
            .into_iter()
            .map(|(name, hex)| Ok((name, bytes(&hex)?)))
            .collect()
    }
}
