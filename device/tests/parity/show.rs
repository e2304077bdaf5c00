//! Property lists as one line of text each, and what of them must differ left out.
use plist::{Dictionary, Value};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// What is not compared, since it cannot be the same for two hosts, two moments or two runs.
/// `docs/device-protocol.md` has the same list.
pub(crate) const NOT_COMPARED: [&str; 11] = [
    "in listings, the size of a folder, which is the file system's, and of Info.plist, which each host writes itself",
    "what a program calls itself (`ClientVersionString`, `ProgName`, `Label`)",
    "tags of usbmuxd",
    "ports of services, which are told apart by the service that is behind them",
    "numbers of sessions; names and certificates of pairings",
    "handles of AFC, which are counted from 0 in each connection",
    "how much room there is on the computer",
    "dates",
    "the order of what nobody answers (observations, goodbyes) among other connections",
    "the order of names in a listing, which is the file system's",
    "contents of files that go to the device, but not their blocks",
];

/// Stands in texts for what is not compared; the bytes of such lists are not either.
pub(crate) const HIDDEN: [&str; 2] = ["a date", "as it is"];

/// A list as text, keys in the order in which they came.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        Value::Dictionary(entries) => {
            let mut shown: Vec<_> =
                entries.iter().map(|(key, value)| format!("{key}: {}", show(value))).collect();
            if entries.values().any(|value| of_a_listing(value).is_some()) {
                shown = entries.iter().map(|(name, entry)| show_entry(name, entry)).collect();
                shown.sort();
            }
            format!("{{{}}}", shown.join(", "))
        }
        Value::Boolean(is) => is.to_string(),
        Value::Data(bytes) => {
            let mut hash = DefaultHasher::new();
            bytes.hash(&mut hash);
            format!("<{} bytes, {:08x}>", bytes.len(), hash.finish() >> 32)
        }
        Value::Date(_) => "a date".to_owned(),
        Value::Real(number) => format!("{number:?}"),
        Value::Integer(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        other => format!("{other:?}"),
    }
}

/// An entry of a listing.
fn of_a_listing(value: &Value) -> Option<&Dictionary> {
    value.as_dictionary().filter(|entry| entry.contains_key("DLFileType"))
}

fn show_entry(name: &str, entry: &Value) -> String {
    let mut entry = entry.clone();
    let fields = entry.as_dictionary_mut().unwrap();
    let is_folder = fields["DLFileType"].as_string() == Some("DLFileTypeDirectory");
    if is_folder || name == "Info.plist" {
        let size = &mut fields["DLFileSize"];
        assert!(size.as_unsigned_integer().is_some(), "{size:?}");
        *size = "as it is".into();
    }
    format!("{name}: {}", show(&entry))
}
