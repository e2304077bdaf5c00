//! `Info.plist`, which the host writes before it asks for a backup.
//!
//! # Source
//!
//! `docs/device-protocol.md`, "Info.plist": the keys, and where other hosts have them from.
use std::time::SystemTime;

use plist::{Dictionary, Value};

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::lockdown::{DeviceInfo, TrustedDevice};
use crate::plist_guard::PlistLimits;
use crate::services::afc::Afc;
use crate::services::installation_proxy::{self, App};
use crate::services::springboard::{self, SpringBoard};
use crate::transport::Wait;
use crate::watch::DeviceWatch;

/// The files of the device's iTunes that go into it, in the folder `/iTunes_Control/iTunes`.
const ITUNES_FILES: [&str; 11] = [
    "ApertureAlbumPrefs",
    "IC-Info.sidb",
    "IC-Info.sidv",
    "PhotosFolderAlbums",
    "PhotosFolderName",
    "PhotosFolderPrefs",
    "VoiceMemos.plist",
    "iPhotoAlbumPrefs",
    "iTunesApplicationIDs",
    "iTunesPrefs",
    "iTunesPrefs.plist",
];

/// The device's books.
const BOOKS: &str = "/Books/iBooksData2.plist";

/// A longer file is left out, in bytes.
const FILE_LEN_MAX: usize = 1 << 20;

/// Icons, licences and the like come to no more than this, in bytes: a third more in XML stays
/// within what a reader of backup sets accepts.
const DATA_LEN_MAX: usize = PlistLimits::BACKUP_SET.bytes_max / 2;

/// The version that is written when the device names none.
const ITUNES_VERSION: &str = "10.0.1";

/// What a device says for `Info.plist`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collected {
    /// `com.apple.iTunes`, whole.
    pub itunes_settings: Dictionary,
    /// The oldest iTunes that suits the device.
    pub itunes_version: Option<String>,
    /// The person's apps.
    pub apps: Vec<App>,
    /// Icons of those that have both licence and description.
    pub icons: Dictionary,
    /// Files of the device's iTunes, by name.
    pub itunes_files: Dictionary,
    /// The device's books.
    pub books: Option<Vec<u8>>,
}

impl Collected {
    /// Asks the device for everything, each service in a session of its own, in the order of
    /// idevicebackup2. What cannot be had is left out: none of it is needed to restore files.
    ///
    /// # Errors
    ///
    /// No session with the device, or the connection broke.
    pub fn of(
        device: &TrustedDevice,
        afc: Option<&mut Afc>,
        watch: &dyn DeviceWatch,
        wait: &mut dyn Wait,
    ) -> Result<(DeviceInfo, Collected)> {
        let mut session = device.session(wait)?;
        let info = DeviceInfo::of_values(session.lockdown().value(None, None)?)?;
        let settings = session.lockdown().value(Some("com.apple.iTunes"), None)?;
        let version =
            session.lockdown().value(Some("com.apple.mobile.iTunes"), Some("MinITunesVersion"))?;
        session.end();
        let mut collected = Collected {
            itunes_settings: settings.and_then(Value::into_dictionary).unwrap_or_default(),
            itunes_version: version.and_then(Value::into_string),
            ..Collected::default()
        };
        let apps = device
            .start_service(installation_proxy::SERVICE, wait)
            .and_then(installation_proxy::user_apps);
        match apps {
            Ok(apps) => collected.apps = apps,
            Err(error) => watch.warn(&format!("the list of apps is left out: {error}")),
        }
        if let Err(error) = collected.fetch_icons(device, wait) {
            watch.warn(&format!("icons of apps are left out: {error}"));
        }
        if let Some(afc) = afc {
            collected.fetch_files(afc)?;
        }
        Ok((info, collected))
    }

    fn fetch_icons(&mut self, device: &TrustedDevice, wait: &mut dyn Wait) -> Result<()> {
        let mut springboard = SpringBoard::over(device.start_service(springboard::SERVICE, wait)?)?;
        for app in self.apps.iter().filter(|app| is_restorable(app)) {
            wait.waited(std::time::Duration::ZERO)?;
            if let Some(icon) = springboard.icon(&app.bundle_id)? {
                self.icons.insert(app.bundle_id.clone(), Value::Data(icon));
            }
        }
        Ok(())
    }

    fn fetch_files(&mut self, afc: &mut Afc) -> Result<()> {
        self.books = afc.read_file(BOOKS, FILE_LEN_MAX)?;
        for name in ITUNES_FILES {
            let path = format!("/iTunes_Control/iTunes/{name}");
            if let Some(bytes) = afc.read_file(&path, FILE_LEN_MAX)? {
                self.itunes_files.insert(name.to_owned(), Value::Data(bytes));
            }
        }
        Ok(())
    }

    /// `Info.plist` in XML.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn info_plist(self, info: &DeviceInfo, now: SystemTime) -> Result<Vec<u8>> {
        let mut room = DATA_LEN_MAX;
        let mut list = Dictionary::new();
        let mut put = |key: &str, value: Value| list.insert(key.to_owned(), value);
        put("Applications", Value::Dictionary(applications(&self.apps, self.icons, &mut room)));
        for (key, of) in [
            ("Build Version", "BuildVersion"),
            ("Device Name", "DeviceName"),
            ("Display Name", "DeviceName"),
            ("ICCID", "IntegratedCircuitCardIdentity"),
            ("IMEI", "InternationalMobileEquipmentIdentity"),
            ("MEID", "MobileEquipmentIdentifier"),
            ("Phone Number", "PhoneNumber"),
            ("Product Type", "ProductType"),
            ("Product Version", "ProductVersion"),
            ("Serial Number", "SerialNumber"),
        ] {
            if let Some(Value::String(text)) = info.values.get(of) {
                put(key, text.as_str().into());
            }
        }
        put("GUID", guid()?.into());
        let ids = self.apps.iter().map(|app| app.bundle_id.as_str().into()).collect();
        put("Installed Applications", Value::Array(ids));
        put("Last Backup Date", Value::Date(now.into()));
        put("Target Identifier", info.udid_on_the_wire.as_str().into());
        put("Target Type", "Device".into());
        put("Unique Identifier", info.udid_on_the_wire.to_uppercase().into());
        if let Some(books) = self.books {
            put("iBooks Data 2", Value::Data(books));
        }
        put("iTunes Files", Value::Dictionary(self.itunes_files));
        put("iTunes Settings", Value::Dictionary(self.itunes_settings));
        let version = self.itunes_version.as_deref().unwrap_or(ITUNES_VERSION);
        put("iTunes Version", version.into());
        let mut bytes = Vec::new();
        Value::Dictionary(list).to_writer_xml(&mut bytes).map_err(|e| {
            DeviceError::new(DeviceErrorKind::Protocol, "the device's values make no Info.plist")
                .because(e)
        })?;
        if bytes.len() > PlistLimits::BACKUP_SET.bytes_max {
            let sentence = "the device says more of itself than an Info.plist may hold";
            return Err(DeviceError::new(DeviceErrorKind::Protocol, sentence));
        }
        Ok(bytes)
    }
}

/// Whether the store would know the app again.
fn is_restorable(app: &App) -> bool {
    app.sinf.is_some() && app.metadata.is_some()
}

/// The apps the store would know again, as long as there is room for what is said of them.
fn applications(apps: &[App], mut icons: Dictionary, room: &mut usize) -> Dictionary {
    let mut applications = Dictionary::new();
    for app in apps.iter().filter(|app| is_restorable(app)) {
        let icon = icons.remove(&app.bundle_id).and_then(Value::into_data);
        let parts = [
            ("ApplicationSINF", app.sinf.clone()),
            ("iTunesMetadata", app.metadata.clone()),
            ("PlaceholderIcon", icon),
        ];
        let len: usize = parts.iter().filter_map(|(_, data)| data.as_ref()).map(Vec::len).sum();
        let Some(left) = room.checked_sub(len) else { break };
        *room = left;
        let mut described = Dictionary::new();
        for (key, data) in parts {
            if let Some(data) = data {
                described.insert(key.to_owned(), Value::Data(data));
            }
        }
        applications.insert(app.bundle_id.clone(), Value::Dictionary(described));
    }
    applications
}

/// 32 random hex digits in upper case.
fn guid() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| {
        DeviceError::new(DeviceErrorKind::Unreadable, "the system gives no random bytes").because(e)
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plist_guard::read_value;

    fn info() -> DeviceInfo {
        let mut values = Dictionary::new();
        for (key, text) in [
            ("UniqueDeviceID", "00008030-001A2B3C4D5E6F78"),
            ("DeviceName", "Anna’s iPhone 📱"),
            ("ProductType", "iPhone14,5"),
            ("ProductVersion", "17.5.1"),
            ("BuildVersion", "21F90"),
            ("SerialNumber", "F2LW48KLHG7H"),
        ] {
            values.insert(key.to_owned(), text.into());
        }
        DeviceInfo::of_values(Some(Value::Dictionary(values))).unwrap()
    }

    fn app(id: &str, len: usize) -> App {
        App { bundle_id: id.to_owned(), sinf: Some(vec![1; len]), metadata: Some(vec![2; len]) }
    }

    #[test]
    fn it_holds_what_other_hosts_write() {
        let unlicensed = App { sinf: None, ..app("org.free", 1) };
        let collected =
            Collected { apps: vec![app("org.app", 4), unlicensed], ..Collected::default() };
        let bytes = collected.info_plist(&info(), SystemTime::UNIX_EPOCH).unwrap();
        let list = read_value(&bytes, &PlistLimits::BACKUP_SET).unwrap();
        let list = list.as_dictionary().unwrap();
        let text = |key: &str| list.get(key).unwrap().as_string().unwrap();
        assert_eq!(text("Device Name"), "Anna’s iPhone 📱");
        assert_eq!(text("Display Name"), "Anna’s iPhone 📱");
        assert_eq!(text("Target Identifier"), "00008030-001A2B3C4D5E6F78");
        assert_eq!(text("Target Type"), "Device");
        assert_eq!(text("iTunes Version"), "10.0.1");
        assert_eq!(text("GUID").len(), 32);
        assert!(!list.contains_key("IMEI"), "a device without a modem has none");
        assert_eq!(list.get("Installed Applications").unwrap().as_array().unwrap().len(), 2);
        let apps = list.get("Applications").unwrap().as_dictionary().unwrap();
        assert_eq!(apps.keys().collect::<Vec<_>>(), ["org.app"]);
        assert!(list.get("iTunes Settings").unwrap().as_dictionary().unwrap().is_empty());
    }

    #[test]
    fn a_phone_full_of_apps_makes_no_list_that_nobody_reads() {
        let apps: Vec<_> = (0..40).map(|n| app(&format!("org.{n}"), 1 << 20)).collect();
        let collected = Collected { apps, ..Collected::default() };
        let bytes = collected.info_plist(&info(), SystemTime::UNIX_EPOCH).unwrap();
        assert!(bytes.len() < PlistLimits::BACKUP_SET.bytes_max, "{}", bytes.len());
        assert!(read_value(&bytes, &PlistLimits::BACKUP_SET).is_ok());
    }
}
