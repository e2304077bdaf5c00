//! `Info.plist`, `Status.plist` and `Manifest.plist`.
use std::time::{Duration, UNIX_EPOCH};

use plist::{Date, Dictionary, Value};

use super::files::hex;
use super::{BackupSetFixture, Host, noise};

const PRODUCT_TYPE: &str = "iPhone12,1";
const PRODUCT_VERSION: &str = "17.5.1";
const BUILD_VERSION: &str = "21F90";
const SERIAL_NUMBER: &str = "F4G000000001";

/// The host's list: keys as the three programs write them.
pub(super) fn info(set: &BackupSetFixture) -> Vec<u8> {
    let guid = noise(&format!("guid {}", set.seed), 16);
    let apps = ["com.example.app0", "net.whatsapp.WhatsApp"];
    let applications = apps.map(|app| {
        let parts = ["ApplicationSINF", "iTunesMetadata", "PlaceholderIcon"]
            .map(|part| (part, Value::Data(noise(&format!("{app} {part}"), 2_000))));
        (app, dictionary(parts))
    });
    let text = |text: &str| Value::from(text);
    let mut list = Dictionary::from_iter([
        ("Applications", dictionary(applications)),
        ("Build Version", text(BUILD_VERSION)),
        ("Device Name", text(&set.device_name)),
        ("Display Name", text(&set.device_name)),
        ("GUID", text(&hex(&guid).to_uppercase())),
        ("ICCID", text("8900000000000000000")),
        ("IMEI", text("350000000000000")),
        ("Installed Applications", Value::Array(apps.map(Value::from).to_vec())),
        ("Last Backup Date", date(set)),
        ("Phone Number", text("+1 (555) 010-0000")),
        ("Product Type", text(PRODUCT_TYPE)),
        ("Product Version", text(PRODUCT_VERSION)),
        ("Serial Number", text(SERIAL_NUMBER)),
        ("Target Identifier", text(&set.udid)),
        ("Target Type", text("Device")),
        ("Unique Identifier", text(&set.udid.to_uppercase())),
        ("iTunes Files", dictionary([("VoiceMemos.plist", Value::Data(noise("memos", 300)))])),
        ("iTunes Settings", dictionary::<0>([])),
        ("iTunes Version", text("10.0.1")),
    ]);
    match set.host {
        Host::Idevicebackup2 => xml(list),
        Host::Finder => {
            list.insert("Product Name".into(), text("iPhone 11"));
            binary(list)
        }
        Host::Pymobiledevice3 => {
            list.insert("GUID".into(), Value::Data(guid));
            list.remove("Last Backup Date");
            xml(list)
        }
    }
}

/// The device's list about its session.
pub(super) fn status(set: &BackupSetFixture) -> Vec<u8> {
    binary(Dictionary::from_iter([
        ("BackupState", Value::from("new")),
        ("Date", date(set)),
        ("IsFullBackup", Value::Boolean(set.day == 0)),
        ("SnapshotState", Value::from(set.snapshot_state.as_str())),
        ("UUID", Value::from("4A1E7B4C-6F0D-4E5B-9A57-0C2E0D9A7F11")),
        ("Version", Value::from("3.3")),
    ]))
}

/// The device's list about the set and itself.
pub(super) fn manifest(set: &BackupSetFixture) -> Vec<u8> {
    let lockdown = dictionary([
        ("BuildVersion", Value::from(BUILD_VERSION)),
        ("DeviceName", Value::from(set.device_name.as_str())),
        ("ProductType", Value::from(PRODUCT_TYPE)),
        ("ProductVersion", Value::from(PRODUCT_VERSION)),
        ("SerialNumber", Value::from(SERIAL_NUMBER)),
        ("UniqueDeviceID", Value::from(set.udid.as_str())),
        ("com.apple.mobile.wireless_lockdown", dictionary::<0>([])),
    ]);
    let app = dictionary([
        ("CFBundleIdentifier", Value::from("com.example.app0")),
        ("CFBundleVersion", Value::from("1.0")),
        ("ContainerContentClass", Value::from("Data/Application")),
        ("Path", Value::from("/var/mobile/Containers/Data/Application/0")),
    ]);
    let mut list = Dictionary::from_iter([
        ("Applications", dictionary([("com.example.app0", app)])),
        ("BackupKeyBag", Value::Data(keybag(set))),
        ("Date", date(set)),
        ("IsEncrypted", Value::Boolean(set.encrypted)),
        ("Lockdown", lockdown),
        ("SystemDomainsVersion", Value::from("24.0")),
        ("Version", Value::from("10.0")),
        ("WasPasscodeSet", Value::Boolean(true)),
    ]);
    if set.encrypted {
        let mut key = 4u32.to_le_bytes().to_vec();
        key.extend(noise(&format!("manifest key {} {}", set.seed, set.day), 40));
        list.insert("ManifestKey".into(), Value::Data(key));
    }
    binary(list)
}

/// A keybag in Apple's tag-length-value form, the ten file and keychain classes in it. The wrapped
/// keys are noise.
fn keybag(set: &BackupSetFixture) -> Vec<u8> {
    let mut bag = Vec::new();
    let mut put = |tag: &str, value: &[u8]| {
        bag.extend_from_slice(tag.as_bytes());
        bag.extend_from_slice(&u32::try_from(value.len()).expect("values are short").to_be_bytes());
        bag.extend_from_slice(value);
    };
    let secret = |what: &str, len| noise(&format!("keybag {} {what}", set.seed), len);
    put("VERS", &5u32.to_be_bytes());
    put("TYPE", &1u32.to_be_bytes());
    put("UUID", &secret("uuid", 16));
    put("HMCK", &secret("hmck", 40));
    put("WRAP", &0u32.to_be_bytes());
    put("SALT", &secret("salt", 20));
    put("ITER", &10_000u32.to_be_bytes());
    put("DPWT", &1u32.to_be_bytes());
    put("DPIC", &10_000_000u32.to_be_bytes());
    put("DPSL", &secret("dpsl", 20));
    for class in [11u32, 10, 9, 8, 7, 6, 5, 3, 2, 1, 4] {
        let wrapped_by = if matches!(class, 5 | 9..=11) { 3u32 } else { 2 };
        put("UUID", &secret(&format!("uuid {class}"), 16));
        put("CLAS", &class.to_be_bytes());
        put("WRAP", &wrapped_by.to_be_bytes());
        put("KTYP", &0u32.to_be_bytes());
        put("WPKY", &secret(&format!("key {class}"), 40));
    }
    bag
}

fn date(set: &BackupSetFixture) -> Value {
    Value::Date(Date::from(UNIX_EPOCH + Duration::from_secs(set.taken_at_secs())))
}

fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Dictionary(Dictionary::from_iter(entries))
}

fn xml(list: Dictionary) -> Vec<u8> {
    let mut bytes = Vec::new();
    Value::Dictionary(list).to_writer_xml(&mut bytes).expect("a Vec takes every write");
    bytes
}

fn binary(list: Dictionary) -> Vec<u8> {
    let mut bytes = Vec::new();
    Value::Dictionary(list).to_writer_binary(&mut bytes).expect("a Vec takes every write");
    bytes
}
