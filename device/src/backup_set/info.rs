//! `Info.plist`: what the host wrote about the device before the session.
use super::AboutDevice;
use crate::plist_guard::{BadPlist, PlistLimits, read_keys};
use crate::udid::Udid;

/// What a snapshot needs of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) udid: Option<Udid>,
    pub(super) about: AboutDevice,
}

impl Info {
    /// `Target Identifier` counts; `Unique Identifier` says the same in upper case, and serves
    /// where the first is missing.
    pub(super) fn parse(bytes: &[u8], limits: &PlistLimits) -> Result<Self, BadPlist> {
        const KEYS: &[&str] = &[
            "Target Identifier",
            "Unique Identifier",
            "Device Name",
            "Product Type",
            "Product Version",
            "Build Version",
        ];
        let fields = read_keys(bytes, limits, KEYS)?;
        let udid = match fields.udid("Target Identifier")? {
            Some(udid) => Some(udid),
            None => fields.udid("Unique Identifier")?,
        };
        Ok(Info {
            udid,
            about: AboutDevice {
                device_name: fields.text("Device Name")?,
                product_type: fields.text("Product Type")?,
                product_version: fields.text("Product Version")?,
                build_version: fields.text("Build Version")?,
            },
        })
    }
}
