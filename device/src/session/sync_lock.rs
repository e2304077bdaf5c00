//! The lock by which programs that sync with a device keep out of each other's way.
//!
//! # Source
//!
//! `docs/device-protocol.md`, "The sync lock": its file, the notifications around it, their order.
use std::time::{Duration, Instant};

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::lockdown::{Escrow, TrustedDevice};
use crate::services::afc::{self, Afc, Handle, LockOperation, Mode};
use crate::services::notification_proxy::{
    self, NotificationProxy, SYNC_DID_FINISH, SYNC_DID_START, SYNC_LOCK_REQUEST, SYNC_WILL_START,
};
use crate::transport::{AtMost, Wait};
use crate::watch::{DeviceWatch, Stage};

/// The file whose lock it is.
const FILE: &str = "/com.apple.itunes.lock_sync";

/// How often a lock that another holds is tried again.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// The lock, while it is held; the device forgets it with the connection.
pub(super) struct SyncLock {
    afc: Afc,
    file: Option<Handle>,
}

impl SyncLock {
    /// Takes the lock, waiting at most `patience` for another program to give it back.
    ///
    /// A device that has no such file lets everybody sync; then there is nothing to hold.
    ///
    /// # Errors
    ///
    /// [`SyncBusy`](DeviceErrorKind::SyncBusy): another program holds it; the device refuses; the
    /// connection broke; what `wait` says.
    pub(super) fn take(
        mut afc: Afc,
        device: &TrustedDevice,
        watch: &dyn DeviceWatch,
        patience: Duration,
        wait: &mut dyn Wait,
    ) -> Result<Self> {
        post(device, SYNC_WILL_START, wait)?;
        let file = match afc.open(FILE, Mode::ReadWrite)? {
            Ok(file) => file,
            Err(status) => {
                watch.warn(&format!("the device's sync lock cannot be opened ({status})"));
                return Ok(SyncLock { afc, file: None });
            }
        };
        post(device, SYNC_LOCK_REQUEST, wait)?;
        let since = Instant::now();
        loop {
            match afc.lock(&file, LockOperation::Exclusive)? {
                Ok(()) => break,
                Err(afc::Status::WOULD_BLOCK) if since.elapsed() < patience => {}
                Err(status) => {
                    let kind = match status {
                        afc::Status::WOULD_BLOCK => DeviceErrorKind::SyncBusy,
                        _ => DeviceErrorKind::DeviceFailed,
                    };
                    let sentence = "the device's sync lock was not to be had";
                    return Err(DeviceError::new(kind, sentence).because(status));
                }
            }
            watch.stage(Stage::WaitingForOtherSync);
            wait.waited(Duration::ZERO)?;
            std::thread::sleep(TRY_EVERY);
        }
        post(device, SYNC_DID_START, wait)?;
        Ok(SyncLock { afc, file: Some(file) })
    }

    /// The connection that holds it, for reading files.
    pub(super) fn afc(&mut self) -> &mut Afc {
        &mut self.afc
    }

    /// Gives the lock back and says so. The device may have gone: then it has it back already.
    pub(super) fn release(mut self, device: &TrustedDevice, mut wait: AtMost) {
        self.afc.hurry(wait);
        if let Some(file) = self.file.take() {
            let _ = self.afc.lock(&file, LockOperation::Unlock);
            let _ = self.afc.close(file);
        }
        let _ = post(&device.hurried(wait), SYNC_DID_FINISH, &mut wait);
    }
}

/// Tells the device's other programs, over a session and a connection of its own, as
/// idevicebackup2 does each time; the session lasts until it is told.
fn post(device: &TrustedDevice, name: &str, wait: &mut dyn Wait) -> Result<()> {
    let mut session = device.session(wait)?;
    let stream = session.start_service(notification_proxy::SERVICE, Escrow::Left, wait)?;
    let mut proxy = NotificationProxy::over(stream)?;
    proxy.post(name)?;
    proxy.end();
    session.end();
    Ok(())
}
