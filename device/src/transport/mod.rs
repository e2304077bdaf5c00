//! How bytes reach a device: the port that usbmuxd's socket, and later our own USB multiplexer and
//! Wi-Fi, plug into.
//!
//! A transport lists devices, opens streams to their TCP ports and, where a daemon keeps them,
//! holds pair records. It knows nothing of what is said on a stream.
mod link;
mod stream;
mod tap;
pub mod usbmuxd;

use std::time::Duration;

use crate::error::Result;
use crate::udid::Udid;

pub(crate) use link::lost;
pub use link::{AtMost, Link, Polled, Wait};
pub use stream::{DeviceStream, TICK};
pub use tap::{Tap, Tapped};
pub use usbmuxd::{Usbmuxd, UsbmuxdAddress};

/// How a device hangs on this computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConnectionKind {
    /// By cable. Sorts first: where a device can be reached both ways, the cable is taken.
    Usb,
    /// By Wi-Fi or another network; needs a heartbeat.
    Network,
}

/// Where a device is, for as long as it stays attached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceAddress {
    /// Whose.
    pub udid: Udid,
    /// By cable or by network.
    pub kind: ConnectionKind,
    /// The transport's own number for this attachment; another one after the next plugging in.
    pub handle: u64,
}

/// What a transport notices while it watches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportEvent {
    /// A device came.
    Attached(DeviceAddress),
    /// The attachment of this handle ended.
    Detached {
        /// Its handle.
        handle: u64,
    },
    /// The device of this handle now trusts this computer.
    Paired {
        /// Its handle.
        handle: u64,
    },
}

/// A stream of events.
pub trait Events: Send {
    /// The next event, or `None` when none came within `at_most`.
    ///
    /// # Errors
    ///
    /// Whoever reports the events is gone.
    fn next(&mut self, at_most: Duration) -> Result<Option<TransportEvent>>;
}

/// A way to reach devices.
pub trait Transport: Send + Sync {
    /// The devices that are attached now; one that can be reached in two ways is named twice.
    ///
    /// # Errors
    ///
    /// The daemon or the bus does not answer.
    fn devices(&self) -> Result<Vec<DeviceAddress>>;

    /// Reports what is attached now, then every change.
    ///
    /// # Errors
    ///
    /// As [`devices`](Self::devices).
    fn watch(&self) -> Result<Box<dyn Events>>;

    /// Opens a stream to `port` of the device.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](crate::DeviceErrorKind::NotConnected) when it is gone;
    /// [`ConnectionLost`](crate::DeviceErrorKind::ConnectionLost) when nobody listens there.
    fn connect(&self, address: &DeviceAddress, port: u16) -> Result<Box<dyn DeviceStream>>;

    /// The encoded pair record that the transport's daemon keeps of a device.
    ///
    /// # Errors
    ///
    /// The daemon does not answer; never that there is none.
    fn pair_record(&self, udid: &Udid) -> Result<Option<Vec<u8>>>;

    /// Gives the daemon a pair record to keep.
    ///
    /// # Errors
    ///
    /// It refuses, or does not answer.
    fn save_pair_record(&self, address: &DeviceAddress, record: &[u8]) -> Result<()>;

    /// Has the daemon forget the pair record it keeps of a device.
    ///
    /// # Errors
    ///
    /// It refuses, or does not answer; never that there was none.
    fn delete_pair_record(&self, udid: &Udid) -> Result<()>;

    /// What the daemon calls this computer in pairings.
    ///
    /// # Errors
    ///
    /// The daemon does not answer; never that it has no name for it.
    fn system_buid(&self) -> Result<Option<String>>;
}

const _: fn(&dyn Transport) = |_| {};

/// One address a device: the cable where there are two ways, in the order of UDIDs.
pub fn distinct(mut devices: Vec<DeviceAddress>) -> Vec<DeviceAddress> {
    devices.sort_by(|a, b| (&a.udid, a.kind, a.handle).cmp(&(&b.udid, b.kind, b.handle)));
    devices.dedup_by(|later, first| later.udid == first.udid);
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_on_cable_and_network_counts_once_and_by_its_cable() {
        let at = |digit: char, kind, handle| {
            let udid = Udid::parse(&format!("00008030-001A2B3C4D5E6F7{digit}")).unwrap();
            DeviceAddress { udid, kind, handle }
        };
        let (usb, network) = (ConnectionKind::Usb, ConnectionKind::Network);
        let seen = vec![at('8', network, 1), at('9', network, 2), at('8', usb, 3)];
        assert_eq!(distinct(seen), [at('8', usb, 3), at('9', network, 2)]);
    }
}
