//! Tiny property lists: preferences as XML, archived objects as binary plists.
//!
//! Between them lies what matters for a backup: the same class names and keys in tens of thousands
//! of files of some 600 bytes, which compress well together and hardly alone.
use super::{rng::Rng, text::word};

/// Starts of preference and archive keys; a key is two or three of these.
const KEY_PARTS: &[&str] = &[
    "last",
    "Sync",
    "Date",
    "Identifier",
    "account",
    "Enabled",
    "has",
    "Shown",
    "version",
    "Count",
    "user",
    "Settings",
    "push",
    "Token",
    "Cache",
    "Migration",
    "default",
    "Notification",
    "Theme",
    "Language",
    "session",
    "Launch",
    "Analytics",
    "Policy",
    "Refresh",
    "Interval",
    "Badge",
    "State",
];

const CLASSES: &[&str] = &[
    "NSMutableDictionary",
    "NSDictionary",
    "NSObject",
    "NSURLRequest",
    "UIImageAsset",
    "CLBeaconRegion",
    "NSUUID",
    "BKSApplicationState",
    "WFTrigger",
    "PKPass",
    "HKSource",
];

/// One value of a plist.
enum Value {
    Text(String),
    Integer(u64),
    Flag(bool),
}

/// Makes a plist of about `size` bytes.
///
/// `seed` decides the keys and most values; `revision` the values that change when the file is
/// written again (dates, counters, tokens), as a day of use changes them.
pub(super) fn plist(size: u64, seed: u64, revision: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let xml = rng.chance(40);
    // What the frame costs, and what one entry costs on average, in bytes; so sizes come out close.
    let (frame, per_entry) = if xml { (230, 72) } else { (260, 38) };
    let entries = (size.saturating_sub(frame) / per_entry).max(1);
    let mut changing = Rng::of_part(seed, revision);
    let pairs: Vec<(String, Value)> =
        (0..entries).map(|n| (key(&mut rng), value(n, &mut rng, &mut changing))).collect();
    if xml { to_xml(&pairs) } else { to_archive(rng.pick(CLASSES), &pairs) }
}

fn key(rng: &mut Rng) -> String {
    (0..2 + rng.index(2)).map(|_| rng.pick(KEY_PARTS)).collect()
}

/// Value `n`: one in four changes with each revision, the first always.
fn value(n: u64, rng: &mut Rng, changing: &mut Rng) -> Value {
    let source = if n.is_multiple_of(4) { changing } else { &mut *rng };
    match source.below(10) {
        0..=2 => Value::Integer(700_000_000 + source.below(90_000_000)),
        3..=4 => Value::Flag(source.chance(50)),
        5 => Value::Text(source.hex(16)),
        6 => Value::Text(format!("com.example.{}{}", word(source), source.below(40))),
        _ => Value::Text(format!("{} {}", word(source), word(source))),
    }
}

fn to_xml(pairs: &[(String, Value)]) -> Vec<u8> {
    let mut out = String::from(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" ",
        "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n",
        "<plist version=\"1.0\">\n<dict>\n",
    ));
    for (key, value) in pairs {
        out.push_str(&format!("\t<key>{key}</key>\n\t"));
        out.push_str(&match value {
            Value::Text(text) => format!("<string>{text}</string>\n"),
            Value::Integer(number) => format!("<integer>{number}</integer>\n"),
            Value::Flag(flag) => format!("<{flag}/>\n"),
        });
    }
    out.push_str("</dict>\n</plist>\n");
    out.into_bytes()
}

/// A keyed archive as `NSKeyedArchiver` writes it: `$archiver`, `$objects`, `$top`, `$version`,
/// with a root object that holds `pairs` and names its class.
fn to_archive(class: &str, pairs: &[(String, Value)]) -> Vec<u8> {
    let mut list = BinaryPlist::default();
    let null = list.text("$null");
    let keys: Vec<u16> = pairs.iter().map(|(key, _)| list.text(key)).collect();
    let values: Vec<u16> = pairs
        .iter()
        .map(|(_, value)| match value {
            Value::Text(text) => list.text(text),
            Value::Integer(number) => list.integer(*number),
            Value::Flag(flag) => list.object(&[if *flag { 0x09 } else { 0x08 }]),
        })
        .collect();
    let class_name = list.text(class);
    let class_key = list.text("$classname");
    let class_object = list.dictionary(&[class_key], &[class_name]);
    let class_uid = list.object(&[0x80, 2]);
    let class_uid_key = list.text("$class");
    let root = list.dictionary(
        &[keys.as_slice(), &[class_uid_key]].concat(),
        &[values.as_slice(), &[class_uid]].concat(),
    );
    let objects = list.array(&[null, root, class_object]);
    let root_uid = list.object(&[0x80, 1]);
    let root_key = list.text("root");
    let top = list.dictionary(&[root_key], &[root_uid]);
    let archiver = list.text("NSKeyedArchiver");
    let version = list.integer(100_000);
    let names = ["$archiver", "$objects", "$top", "$version"].map(|name| list.text(name));
    let whole = list.dictionary(&names, &[archiver, objects, top, version]);
    list.finish(whole)
}

/// Writes `bplist00`, with references of two bytes.
#[derive(Default)]
struct BinaryPlist {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
}

impl BinaryPlist {
    /// Adds an object as encoded; answers its number.
    fn object(&mut self, encoded: &[u8]) -> u16 {
        let number = u16::try_from(self.offsets.len()).expect("because plists here are tiny");
        self.offsets.push(8 + u32::try_from(self.bytes.len()).expect("because plists are tiny"));
        self.bytes.extend_from_slice(encoded);
        number
    }

    fn text(&mut self, text: &str) -> u16 {
        let mut encoded = marker(0x50, text.len());
        encoded.extend_from_slice(text.as_bytes());
        self.object(&encoded)
    }

    fn integer(&mut self, number: u64) -> u16 {
        let mut encoded = vec![0x13];
        encoded.extend_from_slice(&number.to_be_bytes());
        self.object(&encoded)
    }

    fn array(&mut self, items: &[u16]) -> u16 {
        let mut encoded = marker(0xa0, items.len());
        items.iter().for_each(|item| encoded.extend_from_slice(&item.to_be_bytes()));
        self.object(&encoded)
    }

    fn dictionary(&mut self, keys: &[u16], values: &[u16]) -> u16 {
        let mut encoded = marker(0xd0, keys.len());
        keys.iter().chain(values).for_each(|item| encoded.extend_from_slice(&item.to_be_bytes()));
        self.object(&encoded)
    }

    /// The file: magic, objects, their offsets, and the trailer that says where `top` is.
    fn finish(self, top: u16) -> Vec<u8> {
        let mut file = b"bplist00".to_vec();
        file.extend_from_slice(&self.bytes);
        let table = file.len() as u64;
        self.offsets.iter().for_each(|offset| file.extend_from_slice(&offset.to_be_bytes()));
        file.extend_from_slice(&[0, 0, 0, 0, 0, 0, 4, 2]);
        file.extend_from_slice(&(self.offsets.len() as u64).to_be_bytes());
        file.extend_from_slice(&u64::from(top).to_be_bytes());
        file.extend_from_slice(&table.to_be_bytes());
        file
    }
}

/// An object's first byte with its length; lengths from 15 follow as an integer of two bytes.
fn marker(kind: u8, len: usize) -> Vec<u8> {
    match u8::try_from(len) {
        Ok(short @ 0..=14) => vec![kind | short],
        _ => {
            let len = u16::try_from(len).expect("because plists here are tiny").to_be_bytes();
            vec![kind | 0x0f, 0x11, len[0], len[1]]
        }
    }
}
