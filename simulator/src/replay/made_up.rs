//! What stands for contents that no recording has: bytes drawn from a content's name, so that equal
//! contents are equal again, and unlike the real ones in all but length.
use super::recording::FileSaid;
use crate::plist_stream::encode;
use crate::random::Random;
use plist::{Date, Dictionary, Uid, Value};
use serde_json::Value as Json;
use std::io::{self, Cursor, Read};

/// The most bytes of one piece of data in a list.
const DATA_MAX: u64 = 16 << 20;

/// Bytes drawn from a name.
pub(super) struct Drawn {
    random: Random,
    left: u64,
    /// What was drawn and not taken yet.
    rest: [u8; 8],
    at: usize,
}

impl Drawn {
    pub(super) fn new(name: &str, bytes: u64) -> Drawn {
        Drawn { random: Random::split(0, name), left: bytes, rest: [0; 8], at: 8 }
    }
}

impl Read for Drawn {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        for byte in &mut into[..count] {
            if self.at == self.rest.len() {
                self.rest = self.random.next().to_le_bytes();
                self.at = 0;
            }
            *byte = self.rest[self.at];
            self.at += 1;
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// So many bytes drawn from `name`.
pub(super) fn data(name: &str, bytes: u64) -> Vec<u8> {
    let mut drawn = Vec::new();
    let mut from = Drawn::new(name, bytes.min(DATA_MAX));
    from.read_to_end(&mut drawn).expect("because drawing cannot fail");
    drawn
}

/// The content of a recorded file, and its length. It has the recorded length, but for the lists in
/// it that hosts read: those are as short as they must be.
pub(super) fn file(said: &FileSaid) -> (u64, Box<dyn Read + Send>) {
    let whole = |bytes: Vec<u8>| -> (u64, Box<dyn Read + Send>) {
        (bytes.len() as u64, Box::new(Cursor::new(bytes)))
    };
    if let Some((list, encoding)) = &said.list
        && let Some(bytes) = self::list(list).and_then(|list| encode(&list, *encoding).ok())
    {
        return whole(bytes);
    }
    match said.path.rsplit('/').next() {
        Some("Manifest.plist") => whole(manifest(said.bytes)),
        _ => (said.bytes, Box::new(Drawn::new(&said.hash, said.bytes))),
    }
}

/// A `Manifest.plist` of this length that says no more than that nothing is encrypted.
fn manifest(bytes: u64) -> Vec<u8> {
    let list = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\"><dict>\
        <key>IsEncrypted</key><false/><key>Version</key><string>10.0</string></dict></plist>\n";
    let len = usize::try_from(bytes.min(DATA_MAX)).unwrap_or(0).max(list.len());
    let mut bytes = list.as_bytes().to_vec();
    bytes.resize(len, b'\n');
    bytes
}

/// A recorded list, with made-up data; `None` when it is none.
pub(super) fn list(told: &Json) -> Option<Value> {
    Some(match told {
        Json::Bool(flag) => (*flag).into(),
        Json::String(text) => text.as_str().into(),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => return None,
        },
        Json::Array(items) => Value::Array(items.iter().map(list).collect::<Option<_>>()?),
        Json::Object(of) => {
            if let Some(fields) = of.get("dict") {
                let fields = fields.as_object()?.iter();
                let fields = fields.map(|(key, value)| Some((key.clone(), list(value)?)));
                return Some(Value::Dictionary(fields.collect::<Option<Dictionary>>()?));
            }
            if let Some(bytes) = of.get("data") {
                return Some(Value::Data(data(of.get("hash")?.as_str()?, bytes.as_u64()?)));
            }
            if let Some(number) = of.get("real") {
                return Some(number.as_f64().unwrap_or(0.0).into());
            }
            if let Some(hidden) = of.get("hidden") {
                return list(hidden);
            }
            if let Some(date) = of.get("date") {
                return Date::from_xml_format(date.as_str()?).ok().map(Value::Date);
            }
            Value::Uid(Uid::new(of.get("uid")?.as_u64()?))
        }
        Json::Null => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::recording::FileEnd;
    use serde_json::json;

    fn said(path: &str, bytes: u64) -> FileSaid {
        FileSaid {
            path: path.to_owned(),
            device_path_len: 3,
            bytes,
            blocks: vec![],
            hash: "abc".to_owned(),
            end: FileEnd::Whole,
            list: None,
        }
    }

    fn content(said: &FileSaid) -> Vec<u8> {
        let (len, mut content) = file(said);
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, len);
        bytes
    }

    #[test]
    fn contents_have_their_length_and_equal_ones_are_equal() {
        let one = content(&said("U/ab/ab", 1003));
        assert_eq!((one.len(), &one), (1003, &content(&said("U/Snapshot/ab/ab", 1003))));
        assert_eq!(content(&said("U/Manifest.plist", 5000)).len(), 5000);
        let list = plist::Value::from_reader(Cursor::new(content(&said("Manifest.plist", 900))));
        assert!(list.unwrap().as_dictionary().unwrap().contains_key("IsEncrypted"));
    }

    #[test]
    fn a_list_is_built_with_its_types() {
        let told = json!([
            "DLMessageStatusResponse", 18_446_744_073_709_551_603_u64, -3, { "real": 2.5 },
            { "dict": { "a": { "hidden": "xyz" }, "b": { "data": 5, "hash": "h" } } },
            { "date": "2026-11-01T10:00:00Z" }, true
        ]);
        let built = list(&told).unwrap().into_array().unwrap();
        assert_eq!(built[1].as_unsigned_integer(), Some(u64::MAX - 12));
        assert_eq!((built[2].as_signed_integer(), built[3].as_real()), (Some(-3), Some(2.5)));
        let fields = built[4].as_dictionary().unwrap();
        assert_eq!(fields.get("a").unwrap().as_string(), Some("xyz"));
        assert_eq!(fields.get("b").unwrap().as_data().map(<[u8]>::len), Some(5));
        assert!(built[5].as_date().is_some() && built[6].as_boolean() == Some(true));
        assert_eq!(list(&json!(null)), None);
    }
}
