//! Who a device is, by its own word.
use plist::{Dictionary, Value};

use super::client::{Lockdown, PORT};
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::TEXT_LEN_MAX;
use crate::transport::{AtMost, DeviceAddress, Transport};
use crate::udid::Udid;

/// Values of the default domain that say nothing of whose device it is. Whoever must not tell that
/// leaves out everything else: a key that a later system adds is not told by mistake.
pub const TELLING_NOTHING: [&str; 28] = [
    "ActivationState",
    "BasebandStatus",
    "BuildVersion",
    "CPUArchitecture",
    "ChipID",
    "DeviceClass",
    "DeviceColor",
    "FirmwareVersion",
    "HardwareModel",
    "HardwarePlatform",
    "HasSiDP",
    "HumanReadableProductVersionString",
    "ModelNumber",
    "PartitionType",
    "PasswordProtected",
    "ProductName",
    "ProductType",
    "ProductVersion",
    "ProductionSOC",
    "ProtocolVersion",
    "ReleaseType",
    "SIMStatus",
    "SupportedDeviceFamilies",
    "TelephonyCapability",
    "TimeIntervalSince1970",
    "TrustedHostAttached",
    "Uses24HourClock",
    "UseRaptorCerts",
];

/// What a device says of itself. Texts are as the device has them: escape them before printing.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceInfo {
    /// Its name for ever.
    pub udid: Udid,
    /// The same, as the device spells it: what it wants to be called in requests.
    pub udid_on_the_wire: String,
    /// What its owner calls it.
    pub name: String,
    /// E.g. `iPhone14,5`.
    pub product_type: String,
    /// E.g. `17.5.1`.
    pub product_version: String,
    /// E.g. `21F90`.
    pub build_version: String,
    /// Every value of the default domain, for `Info.plist`.
    pub values: Dictionary,
}

impl DeviceInfo {
    /// What a full answer to `GetValue` says.
    ///
    /// # Errors
    ///
    /// [`Protocol`](DeviceErrorKind::Protocol): it is no dictionary, or names no UDID.
    pub fn of_values(values: Option<Value>) -> Result<Self> {
        let bad =
            || DeviceError::new(DeviceErrorKind::Protocol, "the device does not say who it is");
        let values = values.and_then(Value::into_dictionary).ok_or_else(bad)?;
        let text = |key: &str| match values.get(key).and_then(Value::as_string) {
            Some(text) if text.len() <= TEXT_LEN_MAX => text.to_owned(),
            _ => String::new(),
        };
        let udid_on_the_wire = text("UniqueDeviceID");
        Ok(DeviceInfo {
            udid: Udid::parse(&udid_on_the_wire).ok_or_else(bad)?,
            udid_on_the_wire,
            name: text("DeviceName"),
            product_type: text("ProductType"),
            product_version: text("ProductVersion"),
            build_version: text("BuildVersion"),
            values,
        })
    }
}

/// What a device tells everybody, trusted or not. Texts are as the device has them: escape them
/// before printing. One that it does not tell is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glimpse {
    /// What its owner calls it.
    pub name: String,
    /// E.g. `iPhone14,5`.
    pub product_type: String,
    /// E.g. `17.5.1`.
    pub product_version: String,
    /// E.g. `21F90`.
    pub build_version: String,
}

impl Glimpse {
    /// Asks the device; waits `answer_wait` for each answer.
    ///
    /// # Errors
    ///
    /// The connection broke, or it is in recovery.
    pub fn of(
        transport: &dyn Transport,
        address: &DeviceAddress,
        answer_wait: AtMost,
    ) -> Result<Self> {
        let mut lockdown = Lockdown::over(transport.connect(address, PORT)?, answer_wait)?;
        lockdown.query_type()?;
        let mut text = |key: &str| {
            let text = lockdown.text(key)?.filter(|text| text.len() <= TEXT_LEN_MAX);
            Ok::<_, DeviceError>(text.unwrap_or_default())
        };
        Ok(Glimpse {
            name: text("DeviceName")?,
            product_type: text("ProductType")?,
            product_version: text("ProductVersion")?,
            build_version: text("BuildVersion")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_a_udid_is_nobody() {
        let mut values = Dictionary::new();
        values.insert("DeviceName".to_owned(), "Anna’s iPhone".into());
        assert!(DeviceInfo::of_values(Some(Value::Dictionary(values.clone()))).is_err());
        values.insert("UniqueDeviceID".to_owned(), "../../../../../../etc/passwd".into());
        assert!(DeviceInfo::of_values(Some(Value::Dictionary(values.clone()))).is_err());
        values.insert("UniqueDeviceID".to_owned(), "00008030-001A2B3C4D5E6F78".into());
        let info = DeviceInfo::of_values(Some(Value::Dictionary(values))).unwrap();
        assert_eq!(info.name, "Anna’s iPhone");
        assert!(DeviceInfo::of_values(None).is_err());
    }
}
