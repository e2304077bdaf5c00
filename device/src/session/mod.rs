//! What every session with a device's backup agent has in common: which device, its trust, who it is,
//! and its connections, made in the order of idevicebackup2 (`docs/device-protocol.md`, "Order of
//! connections"): it is the host that devices are known to accept.
pub(crate) mod connections;
pub(crate) mod signals;
mod sync_lock;

use std::sync::Arc;
use std::time::Duration;

use plist::Value;

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::lockdown::{
    Battery, DeviceInfo, PairRecords, Pairing, PairingPatience, Session, TrustedDevice,
};
use crate::transport::{DeviceAddress, Transport, Wait, distinct};
use crate::udid::Udid;
use crate::watch::{DeviceWatch, Stage};

/// How long usbmuxd may take to tell that a device has gone whose connections have broken off.
pub(crate) const DETACHED_WAIT: Duration = Duration::from_millis(300);

/// A device that trusts this computer and has said who it is.
pub(crate) struct Met {
    pub(crate) device: TrustedDevice,
    pub(crate) info: DeviceInfo,
    pub(crate) encrypted: bool,
    pub(crate) battery: Option<Battery>,
}

/// How a device is met.
pub(crate) struct Meeting<'m> {
    pub(crate) transport: Arc<dyn Transport>,
    /// Which; `None`: the only one.
    pub(crate) udid: Option<&'m Udid>,
    pub(crate) records: &'m PairRecords,
    pub(crate) patience: PairingPatience,
    pub(crate) watch: &'m dyn DeviceWatch,
}

impl Meeting<'_> {
    /// Finds the device, pairs with it if need be, and asks who it is, and with `ask` what else.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](DeviceErrorKind::NotConnected),
    /// [`SeveralDevices`](DeviceErrorKind::SeveralDevices); as
    /// [`Pairing::trusted_record`]; what `wait` and `ask` say.
    pub(crate) fn meet<T>(
        self,
        wait: &mut dyn Wait,
        ask: impl FnOnce(&mut Session<'_>) -> Result<T>,
    ) -> Result<(Met, T)> {
        let Meeting { transport, udid, records, patience, watch } = self;
        let address = choose(distinct(transport.devices()?), udid)?;
        let pairing =
            Pairing { transport: &*transport, address: &address, records, watch, patience };
        let record = pairing.trusted_record(wait)?;
        let device = TrustedDevice::new(transport, address, record);
        watch.stage(Stage::Connecting);
        let mut session = device.session(wait)?;
        let info = DeviceInfo::of_values(session.lockdown().value(None, None)?)?;
        let encrypted = will_encrypt(&mut session)?;
        let battery = Battery::of(&mut session)?;
        let asked = ask(&mut session)?;
        session.end();
        if info.udid != device.address().udid {
            return Err(DeviceError::new(
                DeviceErrorKind::Protocol,
                "the device names itself otherwise than usbmuxd names it",
            ));
        }
        Ok((Met { device, info, encrypted, battery }, asked))
    }
}

/// The one device that is meant.
fn choose(devices: Vec<DeviceAddress>, udid: Option<&Udid>) -> Result<DeviceAddress> {
    let fitting = |device: &DeviceAddress| udid.is_none_or(|udid| device.udid == *udid);
    let mut fitting: Vec<_> = devices.into_iter().filter(fitting).collect();
    if fitting.len() > 1 {
        let udids: Vec<_> = fitting.iter().map(|device| device.udid.as_str()).collect();
        return Err(DeviceError::new(
            DeviceErrorKind::SeveralDevices,
            format!("several devices are connected: {}", udids.join(", ")),
        ));
    }
    fitting.pop().ok_or_else(|| {
        let sentence = match udid {
            Some(udid) => format!("device {udid} is not connected"),
            None => "no device is connected".to_owned(),
        };
        DeviceError::new(DeviceErrorKind::NotConnected, sentence)
    })
}

/// Whether the device encrypts what it hands over in a backup.
pub(crate) fn will_encrypt(session: &mut Session<'_>) -> Result<bool> {
    let value = session.lockdown().value(Some("com.apple.mobile.backup"), Some("WillEncrypt"))?;
    Ok(value.and_then(|value| Value::as_boolean(&value)).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ConnectionKind;

    fn address(digit: char, kind: ConnectionKind) -> DeviceAddress {
        let udid = Udid::parse(&format!("00008030-001A2B3C4D5E6F7{digit}")).unwrap();
        DeviceAddress { udid, kind, handle: 1 }
    }

    #[test]
    fn the_only_device_is_meant_or_the_one_that_is_named() {
        let (one, two) = (address('1', ConnectionKind::Usb), address('2', ConnectionKind::Network));
        assert_eq!(choose(vec![one.clone()], None).unwrap(), one);
        let both = || vec![one.clone(), two.clone()];
        assert_eq!(choose(both(), Some(&two.udid)).unwrap(), two);
        assert_eq!(choose(both(), None).unwrap_err().kind(), DeviceErrorKind::SeveralDevices);
        assert_eq!(choose(vec![], None).unwrap_err().kind(), DeviceErrorKind::NotConnected);
        let absent = choose(vec![one], Some(&two.udid)).unwrap_err();
        assert_eq!(absent.kind(), DeviceErrorKind::NotConnected);
    }
}
