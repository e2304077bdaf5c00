//! `Manifest.plist`: what the device wrote about the set and itself.
use super::AboutDevice;
use crate::plist_guard::{BadPlist, PlistLimits, read_keys};
use crate::udid::Udid;

/// What a snapshot needs of it. The keybag stays in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) udid: Option<Udid>,
    pub(super) encrypted: Option<bool>,
    pub(super) about: AboutDevice,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8], limits: &PlistLimits) -> Result<Self, BadPlist> {
        let fields = read_keys(bytes, limits, &["IsEncrypted", "Lockdown"])?;
        let lockdown = fields.dictionary("Lockdown")?;
        Ok(Manifest {
            udid: lockdown.udid("UniqueDeviceID")?,
            encrypted: fields.flag("IsEncrypted")?,
            about: AboutDevice {
                device_name: lockdown.text("DeviceName")?,
                product_type: lockdown.text("ProductType")?,
                product_version: lockdown.text("ProductVersion")?,
                build_version: lockdown.text("BuildVersion")?,
            },
        })
    }
}
