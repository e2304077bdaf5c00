//! What lockdown tells of the phone, by domain and key.
use crate::phone::{Battery, Identity, Phone};
use crate::random::Random;
use plist::{Dictionary, Value};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Values that hosts may set, and bytes of one of them as XML.
const SET_MAX: usize = 256;
const SET_BYTES_MAX: usize = 64 * 1024;
/// From 1970 to 2001, where Apple's clocks begin, in seconds.
const APPLE_EPOCH: u64 = 978_307_200;
const GB: u64 = 1_000_000_000;

/// What anyone may read before a session (protocol.md 3.2).
const PUBLIC: &[&str] = &[
    "BuildVersion",
    "CPUArchitecture",
    "DeviceClass",
    "DeviceName",
    "DevicePublicKey",
    "HardwareModel",
    "ProductName",
    "ProductType",
    "ProductVersion",
    "ProtocolVersion",
    "TelephonyCapability",
    "UniqueChipID",
    "UniqueDeviceID",
    "WiFiAddress",
];
/// What no host may set.
const FIXED: &[&str] = &["UniqueDeviceID", "ProductVersion", "ProductType", "DevicePublicKey"];

/// What hosts have set, over what the phone says by itself.
#[derive(Default)]
pub(super) struct Settings {
    set: Mutex<BTreeMap<(String, String), Value>>,
}

impl Settings {
    /// Sets a value; the error is lockdown's name for it.
    pub(super) fn set(&self, domain: &str, key: &str, value: Value) -> Result<(), &'static str> {
        if domain.is_empty() && FIXED.contains(&key) {
            return Err("ImmutableValue");
        }
        let too_long = match crate::plist_stream::encode(&value, crate::plist_stream::Encoding::Xml)
        {
            Ok(bytes) => bytes.len() > SET_BYTES_MAX,
            Err(_) => true,
        };
        let mut set = self.set.lock().expect("because no holder panics");
        if too_long || set.len() >= SET_MAX || domain.len() + key.len() > SET_BYTES_MAX {
            return Err("SetProhibited");
        }
        set.insert((domain.to_owned(), key.to_owned()), value);
        Ok(())
    }

    /// Removes a value that was set; false when none was.
    pub(super) fn remove(&self, domain: &str, key: &str) -> bool {
        let mut set = self.set.lock().expect("because no holder panics");
        set.remove(&(domain.to_owned(), key.to_owned())).is_some()
    }

    /// All of a domain, the default one being `""`. `public_key` is PEM.
    pub(super) fn domain(&self, domain: &str, phone: &Phone, public_key: &str) -> Dictionary {
        let mut values = match domain {
            "" => default_domain(phone, public_key),
            "com.apple.mobile.backup" => backup(phone),
            "com.apple.disk_usage" | "com.apple.disk_usage.factory" => disk_usage(),
            "com.apple.fmip" => find_my(),
            "com.apple.mobile.battery" => battery(phone.battery()),
            "com.apple.international" => international(),
            "com.apple.iTunes" => itunes(),
            "com.apple.mobile.iTunes" => minimal_itunes(),
            "com.apple.mobile.wireless_lockdown" => wireless(),
            "com.apple.mobile.data_sync" => data_sync(),
            "com.apple.xcode.developerdomain" => developer(),
            _ => Dictionary::new(),
        };
        let set = self.set.lock().expect("because no holder panics");
        for ((of, key), value) in set.iter() {
            if of == domain {
                values.insert(key.clone(), value.clone());
            }
        }
        for other in phone.faults().lockdown_values.iter().filter(|v| v.domain == domain) {
            match &other.value {
                Some(value) => values.insert(other.key.clone(), value.clone()),
                None => values.remove(&other.key),
            };
        }
        values
    }
}

/// What of the default domain anyone may read.
pub(super) fn public(mut values: Dictionary) -> Dictionary {
    values.retain(|key, _| PUBLIC.contains(&key.as_str()));
    values
}

/// What kind of device a product is.
fn device_class(product_type: &str) -> &'static str {
    ["iPad", "iPod", "Watch"]
        .into_iter()
        .find(|class| product_type.starts_with(class))
        .unwrap_or("iPhone")
}

fn dictionary<const N: usize>(entries: [(&str, Value); N]) -> Dictionary {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A MAC address that is the phone's own: `what` is Wi-Fi or Bluetooth.
fn address(identity: &Identity, what: &str) -> String {
    let bytes = Random::split(0, &format!("{what} {}", identity.udid)).next().to_le_bytes();
    // Locally administered, so that it is nobody's.
    format!(
        "0a:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]
    )
}

fn chip_id(identity: &Identity) -> u64 {
    let hex = identity.udid.split_once('-').map_or("", |(_, id)| id);
    u64::from_str_radix(hex, 16).unwrap_or_else(|_| Random::split(1, &identity.udid).next() >> 12)
}

fn default_domain(phone: &Phone, public_key: &str) -> Dictionary {
    let identity = phone.identity();
    let class = device_class(&identity.product_type);
    let mut values = dictionary([
        ("ActivationState", "Activated".into()),
        ("ActivationStateAcknowledged", true.into()),
        ("BasebandStatus", "BBInfoAvailable".into()),
        ("BluetoothAddress", address(identity, "Bluetooth").into()),
        ("BrickState", false.into()),
        ("BuildVersion", identity.build_version.as_str().into()),
        ("CPUArchitecture", "arm64e".into()),
        ("DeviceClass", class.into()),
        ("DeviceColor", "1".into()),
        ("DeviceName", identity.name.as_str().into()),
        ("DevicePublicKey", Value::Data(public_key.as_bytes().to_vec())),
        ("EthernetAddress", address(identity, "Ethernet").into()),
        ("FirmwareVersion", "iBoot-10151.122.1".into()),
        ("HardwareModel", "D73AP".into()),
        ("HardwarePlatform", "t8120".into()),
        ("HasSiDP", true.into()),
        ("HostAttached", true.into()),
        ("ModelNumber", "MQ0G3".into()),
        ("PasswordProtected", phone.faults().locked.into()),
        ("ProductName", "iPhone OS".into()),
        ("ProductType", identity.product_type.as_str().into()),
        ("ProductVersion", identity.product_version.as_str().into()),
        ("ProductionSOC", true.into()),
        ("ProtocolVersion", "2".into()),
        ("RegionInfo", "ZD/A".into()),
        ("SerialNumber", identity.serial_number.as_str().into()),
        ("SoftwareBehavior", Value::Data(vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("SupportedDeviceFamilies", Value::Array(vec![1.into()])),
        ("TelephonyCapability", (class == "iPhone").into()),
        ("TimeIntervalSince1970", Value::Real(seconds_since_1970())),
        ("TimeZone", "Europe/Vienna".into()),
        ("TimeZoneOffsetFromUTC", Value::Real(3600.0)),
        ("TrustedHostAttached", true.into()),
        ("UniqueChipID", chip_id(identity).into()),
        ("UniqueDeviceID", identity.udid.as_str().into()),
        ("UseRaptorCerts", true.into()),
        ("Uses24HourClock", true.into()),
        ("WiFiAddress", address(identity, "Wi-Fi").into()),
    ]);
    if class == "iPhone" {
        let number = Random::split(2, &identity.udid).below(1_000_000_000);
        values.extend(dictionary([
            ("IntegratedCircuitCardIdentity", format!("8943012345{number:010}").into()),
            ("InternationalMobileEquipmentIdentity", format!("356789{number:09}").into()),
            ("InternationalMobileEquipmentIdentity2", format!("356788{number:09}").into()),
            ("InternationalMobileSubscriberIdentity", format!("232011{number:09}").into()),
            ("MobileEquipmentIdentifier", format!("35678{number:09}").into()),
            ("PhoneNumber", format!("+43 000 {number:09}").into()),
        ]));
    }
    values
}

fn backup(phone: &Phone) -> Dictionary {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    dictionary([
        ("CloudBackupEnabled", false.into()),
        ("LastiTunesBackupDate", now.saturating_sub(APPLE_EPOCH + 86_400).into()),
        ("LastiTunesBackupTZ", "Europe/Vienna".into()),
        ("RequiresEncryption", false.into()),
        ("Version", "2.0".into()),
        ("WillEncrypt", phone.backup_password().is_some().into()),
    ])
}

fn disk_usage() -> Dictionary {
    dictionary([
        ("AmountDataAvailable", (61 * GB).into()),
        ("AmountDataReserved", (GB / 5).into()),
        ("TotalDataAvailable", (61 * GB + GB / 5).into()),
        ("TotalDataCapacity", (118 * GB).into()),
        ("TotalDiskCapacity", (128 * GB).into()),
        ("TotalSystemAvailable", 0.into()),
        ("TotalSystemCapacity", (10 * GB).into()),
    ])
}

fn find_my() -> Dictionary {
    dictionary([("IsAssociated", false.into())])
}

fn battery(battery: Battery) -> Dictionary {
    dictionary([
        ("BatteryCurrentCapacity", u64::from(battery.percent).into()),
        ("BatteryIsCharging", battery.is_charging.into()),
        ("ExternalChargeCapable", battery.is_powered.into()),
        ("ExternalConnected", battery.is_powered.into()),
        ("FullyCharged", (battery.percent >= 100).into()),
        ("GasGaugeCapability", true.into()),
        ("HasBattery", true.into()),
    ])
}

fn international() -> Dictionary {
    let list = |names: &[&str]| Value::Array(names.iter().map(|name| (*name).into()).collect());
    dictionary([
        ("Keyboard", "de_AT".into()),
        ("Language", "de-AT".into()),
        ("Locale", "de_AT".into()),
        ("SupportedKeyboards", list(&["de_AT", "en_GB", "emoji"])),
        ("SupportedLanguages", list(&["de-AT", "en-GB", "fr"])),
        ("SupportedLocales", list(&["de_AT", "en_GB", "fr_FR"])),
    ])
}

fn itunes() -> Dictionary {
    dictionary([
        ("DBVersion", 5.into()),
        ("FamilyID", 10_083.into()),
        ("ShadowDBVersion", 13.into()),
        ("SQLiteDB", true.into()),
        ("iTunesSetupComplete", true.into()),
        ("LibraryApplications", Value::Array(vec![])),
    ])
}

fn minimal_itunes() -> Dictionary {
    dictionary([("MinITunesVersion", "12.13.0".into())])
}

fn wireless() -> Dictionary {
    dictionary([
        ("EnableWifiConnections", false.into()),
        ("EnableWifiDebugging", false.into()),
        ("EnableWifiPairing", false.into()),
        ("SupportsWifi", true.into()),
        ("SupportsWifiSyncing", true.into()),
    ])
}

fn data_sync() -> Dictionary {
    let none = Value::Dictionary(dictionary([
        ("AccountNames", Value::Array(vec![])),
        ("Sources", Value::Array(vec![])),
    ]));
    dictionary([("Calendars", none.clone()), ("Contacts", none.clone()), ("Notes", none)])
}

fn developer() -> Dictionary {
    dictionary([("DeveloperStatus", "Development".into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_device_follows_from_the_product() {
        assert_eq!(device_class("iPad14,1"), "iPad");
        assert_eq!(device_class("iPhone15,2"), "iPhone");
    }

    #[test]
    fn what_a_host_sets_is_bounded_and_what_is_fixed_stays() {
        let settings = Settings::default();

        assert_eq!(settings.set("", "UniqueDeviceID", "x".into()), Err("ImmutableValue"));
        assert_eq!(settings.set("a", "b", "x".repeat(70_000).into()), Err("SetProhibited"));
        let set: Vec<bool> =
            (0..300).map(|n| settings.set("a", &n.to_string(), 1.into()).is_ok()).collect();
        assert_eq!(set.iter().filter(|was_set| **was_set).count(), SET_MAX);
    }
}
