//! Property lists, backup sets, and the names of devices.
use devsnap_device::plist_guard::{PlistLimits, TEXT_LEN_MAX, read_keys, read_value};
use devsnap_device::{BackupSet, DeviceErrorKind, Udid};
use plist::{Date, Dictionary, Value};
use std::time::{Duration, UNIX_EPOCH};

/// Limits that a short input reaches.
const TIGHT: PlistLimits =
    PlistLimits { bytes_max: 8 << 10, depth_max: 8, values_max: 300, content_bytes_max: 4 << 10 };

const KEYS: &[&str] = &["Target Identifier", "IsEncrypted", "Date", "Lockdown"];

/// A list that is read keeps within the limits, is the same after it was written again, and says
/// under each key what it says when only that key is read.
pub fn plist(data: &[u8]) {
    let _ = read_keys(data, &PlistLimits::BACKUP_SET, KEYS);
    let Ok(value) = read_value(data, &TIGHT) else {
        return;
    };
    let mut size = Size::default();
    size.add(&value, 0);
    assert!(data.len() <= TIGHT.bytes_max && size.values <= TIGHT.values_max);
    assert!(size.depth <= TIGHT.depth_max && size.content_bytes <= TIGHT.content_bytes_max);
    if let Value::Dictionary(whole) = &value {
        let fields = read_keys(data, &TIGHT, KEYS).expect("because the whole was read");
        for key in KEYS {
            let text = whole.get(key).and_then(Value::as_string);
            let text = text.filter(|text| (1..=TEXT_LEN_MAX).contains(&text.len()));
            assert_eq!(fields.text(key).ok().flatten().as_deref(), text);
            let flag = whole.get(key).and_then(Value::as_boolean);
            assert_eq!(fields.flag(key).ok().flatten(), flag);
            let is_dictionary = whole.get(key).is_none_or(|value| value.as_dictionary().is_some());
            assert_eq!(fields.dictionary(key).is_ok(), is_dictionary);
            let _ = (fields.date(key), fields.udid(key));
        }
    }
    let again = read_value(&binary(&value), &PlistLimits::BACKUP_SET);
    let again = again.expect("because it was just written");
    // What is no number is not even equal to itself.
    assert!(again == value || size.has_nan);
}

/// How much a value holds.
#[derive(Default)]
struct Size {
    values: usize,
    depth: usize,
    content_bytes: usize,
    has_nan: bool,
}

impl Size {
    fn add(&mut self, value: &Value, depth: usize) {
        self.values += 1;
        match value {
            Value::Array(items) => {
                self.depth = self.depth.max(depth + 1);
                items.iter().for_each(|item| self.add(item, depth + 1));
            }
            Value::Dictionary(entries) => {
                self.depth = self.depth.max(depth + 1);
                for (key, value) in entries {
                    self.values += 1;
                    self.content_bytes += key.len();
                    self.add(value, depth + 1);
                }
            }
            Value::String(text) => self.content_bytes += text.len(),
            Value::Data(data) => self.content_bytes += data.len(),
            Value::Real(number) => self.has_nan |= number.is_nan(),
            _ => {}
        }
    }
}

pub(crate) fn plist_seeds() -> Vec<Vec<u8>> {
    let lists = [info(), manifest(), status()].map(Value::Dictionary);
    let mut seeds: Vec<Vec<u8>> = lists.iter().flat_map(|list| [binary(list), xml(list)]).collect();
    seeds.push(shared_references());
    seeds
}

fn binary(list: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    list.to_writer_binary(&mut bytes).expect("because a Vec takes every write");
    bytes
}

fn xml(list: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    list.to_writer_xml(&mut bytes).expect("because a Vec takes every write");
    bytes
}

/// Seven arrays inside each other, each the next one twice: 30 bytes become 255 values.
fn shared_references() -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let levels = 7u8;
    (1..=levels).for_each(|next| bytes.extend_from_slice(&[0xa2, next, next]));
    bytes.extend_from_slice(b"\x51x");
    let table = bytes.len() as u64;
    (0..=levels).for_each(|object| bytes.push(8 + 3 * object));
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 1, 1]);
    for number in [u64::from(levels) + 1, 0, table] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes
}

fn date() -> Value {
    Value::Date(Date::from(UNIX_EPOCH + Duration::from_secs(1_793_563_440)))
}

fn info() -> Dictionary {
    Dictionary::from_iter([
        ("Target Identifier", Value::from(UDID)),
        ("Unique Identifier", Value::from(UDID.to_lowercase())),
        ("Device Name", Value::from("Ann\u{2019}s iPhone")),
        ("Product Type", Value::from("iPhone12,1")),
        ("Product Version", Value::from("17.5.1")),
        ("Build Version", Value::from("21F90")),
        ("Last Backup Date", date()),
        ("Installed Applications", Value::Array(vec![Value::from("com.example.app0")])),
    ])
}

fn manifest() -> Dictionary {
    let lockdown = Dictionary::from_iter([
        ("BuildVersion", Value::from("21F90")),
        ("DeviceName", Value::from("Ann\u{2019}s iPhone")),
        ("UniqueDeviceID", Value::from(UDID)),
        ("com.apple.mobile.wireless_lockdown", Value::Dictionary(Dictionary::new())),
    ]);
    Dictionary::from_iter([
        ("BackupKeyBag", Value::Data(vec![0x56; 40])),
        ("Date", date()),
        ("IsEncrypted", Value::Boolean(false)),
        ("Lockdown", Value::Dictionary(lockdown)),
        ("Share", Value::Real(0.25)),
        ("Version", Value::from("10.0")),
    ])
}

fn status() -> Dictionary {
    Dictionary::from_iter([
        ("Date", date()),
        ("IsFullBackup", Value::Boolean(true)),
        ("SnapshotState", Value::from("finished")),
        ("Tries", Value::from(3)),
        ("Version", Value::from("3.3")),
    ])
}

const UDID: &str = "00008030-001A2B3C4D5E6F78";

/// A set that is recognised is of a device, twice the same, and says nothing that could move a
/// terminal's cursor. Input: whether the folder is named like the device (1 byte), then
/// `Info.plist`, `Manifest.plist` and `Status.plist`, each behind its length (2), and `Manifest.db`.
pub fn backup_set(data: &[u8]) {
    let Some((named, mut rest)) = data.split_first() else {
        return;
    };
    let root = tempfile::tempdir().expect("because temporary files can be written");
    let folder = root.path().join(if named & 1 == 0 { UDID } else { "copy" });
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("because temporary files can be written");
    };
    std::fs::create_dir(&folder).expect("because temporary files can be written");
    for name in ["Info.plist", "Manifest.plist", "Status.plist"] {
        let Some((len, after)) = rest.split_first_chunk::<2>() else {
            return;
        };
        let (list, after) = after.split_at(usize::from(u16::from_le_bytes(*len)).min(after.len()));
        put(name, list);
        rest = after;
    }
    put("Manifest.db", rest);
    match BackupSet::recognise(&folder) {
        Ok(set) => {
            let set = set.expect("because all four files are there");
            check_set(&set);
            let again = BackupSet::recognise(&folder);
            assert_eq!(again.ok().flatten(), Some(set));
        }
        Err(e) => {
            assert_eq!(e.kind(), DeviceErrorKind::BadBackupSet);
            assert!(!e.to_string().chars().any(char::is_control));
        }
    }
}

fn check_set(set: &BackupSet) {
    assert_eq!(Udid::parse(set.udid.as_str()).as_ref(), Some(&set.udid));
    let texts = [&set.device_name, &set.product_type, &set.product_version, &set.build_version];
    assert!(texts.into_iter().flatten().all(|text| (1..=TEXT_LEN_MAX).contains(&text.len())));
    let shown = set.oddities.iter().map(ToString::to_string).chain([set.state.to_string()]);
    shown.for_each(|words| assert!(!words.chars().any(char::is_control)));
    assert_eq!(set.require_finished().is_ok(), set.is_finished());
}

pub(crate) fn backup_set_seeds() -> Vec<Vec<u8>> {
    let seed = |named: u8, write: fn(&Value) -> Vec<u8>, database: &[u8]| {
        let mut seed = vec![named];
        for list in [info(), manifest(), status()] {
            let list = write(&Value::Dictionary(list));
            seed.extend_from_slice(&(list.len() as u16).to_le_bytes());
            seed.extend_from_slice(&list);
        }
        seed.extend_from_slice(database);
        seed
    };
    vec![seed(0, binary, b"SQLite format 3\0 and so on"), seed(1, xml, &[0x9c; 32])]
}

/// A device's name is a safe component of a path, spelt in one way.
pub fn udid(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(udid) = Udid::parse(&text) else {
        return;
    };
    let spelt = udid.as_str();
    assert!((24..=40).contains(&spelt.len()));
    assert!(spelt.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
    for again in [spelt.to_owned(), spelt.to_lowercase(), spelt.to_uppercase()] {
        assert_eq!(Udid::parse(&again).as_ref(), Some(&udid));
    }
}

pub(crate) fn udid_seeds() -> Vec<Vec<u8>> {
    let texts = [UDID, "0123456789abcdef0123456789abcdef01234567", "00008030001A2B3C4D5E6F78"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
