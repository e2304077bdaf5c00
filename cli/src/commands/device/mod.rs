//! Commands about phones and tablets that are attached.
mod choose;
mod info;
mod list;
mod pair;
mod record;
pub(super) mod restored;
mod retry;
mod snapshot;

pub(super) use choose::{Attached, find_one};
pub(super) use info::run as info;
pub(super) use list::run as list;
pub(super) use pair::{pair, unpair};
pub(super) use record::recorded;
pub(super) use snapshot::run as snapshot;

use super::Session;
use crate::failure::{ExitCode, Failure};
use crate::settings::HomeFolders;
use devsnap_device::lockdown::{PairRecords, PairingPatience};
use devsnap_device::transport::{Transport, Usbmuxd, UsbmuxdAddress, Wait};
use devsnap_device::{DeviceError, DeviceErrorKind};
use devsnap_engine::interrupt::Interrupt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// This computer, as devices meet it.
pub(super) struct Host {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) records: PairRecords,
}

impl Host {
    /// By `USBMUXD_SOCKET_ADDRESS` or the custom of the platform; pair records in the user's data
    /// folder.
    fn of_this_user() -> Result<Host, Failure> {
        let named = std::env::var("USBMUXD_SOCKET_ADDRESS").ok().filter(|named| !named.is_empty());
        let address = match named {
            Some(named) => UsbmuxdAddress::parse(&named)
                .map_err(|bad| Failure::usage(format!("USBMUXD_SOCKET_ADDRESS: {bad}")))?,
            None => UsbmuxdAddress::of_platform(),
        };
        let data = HomeFolders::of_this_user().data.ok_or_else(|| {
            Failure::new(ExitCode::Usage, "there is no home folder for pair records")
                .hint("set HOME or XDG_DATA_HOME")
        })?;
        let records = PairRecords::in_folder(data.join("pair-records"));
        Ok(Host { transport: Arc::new(Usbmuxd::at(address)), records })
    }
}

/// Waits for a device until somebody asks to stop.
struct UntilStopped<'a>(&'a Interrupt);

impl Wait for UntilStopped<'_> {
    fn waited(&mut self, _: Duration) -> Result<(), DeviceError> {
        if self.0.is_raised() {
            return Err(DeviceError::new(DeviceErrorKind::Cancelled, "stopping as asked"));
        }
        Ok(())
    }
}

/// How patient pairing is, when a person said how long to `wait`. usbmuxd's own pairing has a
/// quarter of that, before we ask ourselves.
pub(super) fn patience(wait: Option<Duration>) -> PairingPatience {
    let usual = PairingPatience::default();
    match wait {
        None => usual,
        Some(wait) => PairingPatience {
            for_usbmuxd: usual.for_usbmuxd.min(wait / 4),
            for_person: wait,
            ..usual
        },
    }
}

/// Lets `time` pass, unless somebody asks to stop.
fn pause(session: &Session<'_>, time: Duration) -> Result<(), Failure> {
    let until = Instant::now() + time;
    loop {
        session.interrupt.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
}
