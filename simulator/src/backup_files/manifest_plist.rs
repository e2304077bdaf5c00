//! Manifest.plist: what the backup is of, and its keybag.
use super::status::{date, seconds};
use super::{Unreadable, plist_bytes};
use crate::phone::Identity;
use plist::{Dictionary, Value};

/// What Manifest.plist says, as far as the phone reads it again.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestPlist {
    /// Seconds since 1970; another in every backup.
    pub date: i64,
    /// Whether blobs and Manifest.db are encrypted.
    pub is_encrypted: bool,
    /// The keybag. An unencrypted backup has one too, of use to the device only.
    pub keybag: Vec<u8>,
    /// Class and wrapped key of Manifest.db; only in an encrypted backup.
    pub manifest_key: Option<Vec<u8>>,
    /// `Lockdown`'s `UniqueDeviceID`.
    pub udid: Option<String>,
    /// `Lockdown`'s `ProductVersion`.
    pub product_version: Option<String>,
}

impl ManifestPlist {
    /// As a binary plist. `bundles` are the apps that have a container in the backup.
    pub fn to_bytes(&self, identity: &Identity, bundles: &[String], passcode: bool) -> Vec<u8> {
        let mut dictionary = Dictionary::new();
        let mut put = |key: &str, value: Value| dictionary.insert(key.into(), value);
        put("Version", Value::from("10.0"));
        put("SystemDomainsVersion", Value::from("24.0"));
        put("Date", date(self.date));
        put("IsEncrypted", Value::from(self.is_encrypted));
        put("BackupKeyBag", Value::Data(self.keybag.clone()));
        if let Some(key) = &self.manifest_key {
            put("ManifestKey", Value::Data(key.clone()));
        }
        put("WasPasscodeSet", Value::from(passcode));
        put("Lockdown", Value::Dictionary(lockdown(identity)));
        put("Applications", Value::Dictionary(applications(bundles)));
        plist_bytes::binary(&Value::Dictionary(dictionary))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) or another phone wrote.
    ///
    /// # Errors
    ///
    /// No plist, or one that does not say whether it is encrypted.
    pub fn parse(bytes: &[u8]) -> Result<ManifestPlist, Unreadable> {
        let value = plist_bytes::read(bytes)?;
        let dictionary = value
            .as_dictionary()
            .ok_or_else(|| Unreadable::new("Manifest.plist is no dictionary"))?;
        let data = |key: &str| dictionary.get(key).and_then(Value::as_data).map(<[u8]>::to_vec);
        let lockdown = dictionary.get("Lockdown");
        let of_lockdown = |key: &str| {
            lockdown.and_then(|value| plist_bytes::string(value, key)).map(str::to_owned)
        };
        Ok(ManifestPlist {
            date: seconds(dictionary.get("Date"))
                .ok_or_else(|| Unreadable::new("Manifest.plist has no Date"))?,
            is_encrypted: plist_bytes::boolean(&value, "IsEncrypted")
                .ok_or_else(|| Unreadable::new("Manifest.plist has no IsEncrypted"))?,
            keybag: data("BackupKeyBag").unwrap_or_default(),
            manifest_key: data("ManifestKey"),
            udid: of_lockdown("UniqueDeviceID"),
            product_version: of_lockdown("ProductVersion"),
        })
    }
}

fn lockdown(identity: &Identity) -> Dictionary {
    let mut lockdown = Dictionary::new();
    for (key, value) in [
        ("BuildVersion", &identity.build_version),
        ("DeviceName", &identity.name),
        ("ProductType", &identity.product_type),
        ("ProductVersion", &identity.product_version),
        ("SerialNumber", &identity.serial_number),
        ("UniqueDeviceID", &identity.udid),
    ] {
        lockdown.insert(key.into(), Value::from(value.as_str()));
    }
    for domain in [
        "com.apple.Accessibility",
        "com.apple.MobileDeviceCrashCopy",
        "com.apple.TerminalFlashr",
        "com.apple.mobile.data_sync",
        "com.apple.mobile.iTunes.accessories",
        "com.apple.mobile.wireless_lockdown",
    ] {
        lockdown.insert(domain.into(), Value::Dictionary(Dictionary::new()));
    }
    lockdown
}

fn applications(bundles: &[String]) -> Dictionary {
    let mut applications = Dictionary::new();
    for bundle in bundles {
        let mut app = Dictionary::new();
        app.insert("CFBundleIdentifier".into(), Value::from(bundle.as_str()));
        app.insert("CFBundleVersion".into(), Value::from("1"));
        app.insert("ContainerContentClass".into(), Value::from("Data/Application"));
        let path = format!("/var/containers/Bundle/Application/{bundle}/App.app");
        app.insert("Path".into(), Value::from(path));
        applications.insert(bundle.clone(), Value::Dictionary(app));
    }
    applications
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let identity = Identity {
            udid: "00008030-001D35093EF2402E".into(),
            name: "Zoë’s iPhone 📱".into(),
            product_type: "iPhone15,2".into(),
            product_version: "17.5.1".into(),
            build_version: "21F90".into(),
            serial_number: "F2LXYZ123456".into(),
        };
        let manifest = ManifestPlist {
            date: 1_700_000_001,
            is_encrypted: true,
            keybag: vec![1, 2, 3],
            manifest_key: Some(vec![3; 44]),
            udid: Some(identity.udid.clone()),
            product_version: Some(identity.product_version.clone()),
        };

        let bytes = manifest.to_bytes(&identity, &["com.example.notes".into()], true);

        assert_eq!(ManifestPlist::parse(&bytes).unwrap(), manifest);
        assert!(ManifestPlist::parse(b"").is_err());
    }
}
