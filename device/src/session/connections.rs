//! The connections of one session, made in the order of idevicebackup2 and ended in good order.
use std::sync::Arc;
use std::time::Duration;

use super::signals::{Observer, Signals};
use super::sync_lock::SyncLock;
use super::will_encrypt;
use crate::devicelink::DeviceLink;
use crate::error::Result;
use crate::lockdown::{Escrow, TrustedDevice};
use crate::mobilebackup2;
use crate::services::afc::{self, Afc};
use crate::services::heartbeat::{self, Heartbeat};
use crate::services::notification_proxy::{self, NotificationProxy, OBSERVED};
use crate::transport::{AtMost, ConnectionKind, Wait};
use crate::watch::DeviceWatch;

/// How long each step of ending a session may take, whatever the device does: that it closes the
/// connection is waited for so long, and less for answers on the way there.
const PARTING_WAIT: AtMost = AtMost(Duration::from_secs(5));
const PARTING_ANSWER_WAIT: AtMost = AtMost(Duration::from_secs(2));

/// The connections of a session.
pub(crate) struct Open {
    pub(crate) link: DeviceLink,
    afc: Option<Afc>,
    lock: Option<SyncLock>,
    /// They observe and answer until they are dropped.
    _observers: Vec<Observer>,
    _heartbeat: Option<Heartbeat>,
}

impl Open {
    pub(crate) fn new(
        device: &TrustedDevice,
        signals: &Arc<Signals>,
        watch: &Arc<dyn DeviceWatch>,
        wait: &mut dyn Wait,
    ) -> Result<Self> {
        let heartbeat = match device.address().kind {
            ConnectionKind::Network => {
                Some(Heartbeat::start(device.start_service(heartbeat::SERVICE, wait)?)?)
            }
            ConnectionKind::Usb => None,
        };
        let cable = device.transport().watch()?;
        let cable = Observer::of_cable(cable, device.address().handle, signals.clone())?;
        let mut session = device.session(wait)?;
        will_encrypt(&mut session)?;
        // Asked here, once more, by idevicebackup2; the answer is known.
        session.lockdown().text("ProductVersion")?;
        let stream = session.start_service(notification_proxy::SERVICE, Escrow::Left, wait)?;
        let mut proxy = NotificationProxy::over(stream)?;
        OBSERVED.into_iter().try_for_each(|name| proxy.observe(name))?;
        let notices = Observer::of_notices(proxy, signals.clone(), watch.clone())?;
        let afc = Afc::over(session.start_service(afc::SERVICE, Escrow::Left, wait)?)?;
        let started = session.start(mobilebackup2::SERVICE, Escrow::Sent)?;
        session.end();
        let mut link = DeviceLink::greet(device.connect(started, wait)?)?;
        link.hello()?;
        Ok(Open {
            link,
            afc: Some(afc),
            lock: None,
            _observers: vec![cable, notices],
            _heartbeat: heartbeat,
        })
    }

    /// Takes the sync lock; the connection that holds it.
    pub(crate) fn lock(
        &mut self,
        device: &TrustedDevice,
        watch: &dyn DeviceWatch,
        patience: Duration,
        wait: &mut dyn Wait,
    ) -> Result<Option<&mut Afc>> {
        if let Some(afc) = self.afc.take() {
            self.lock = Some(SyncLock::take(afc, device, watch, patience, wait)?);
        }
        Ok(self.afc())
    }

    /// The connection that holds the sync lock, once it was taken.
    pub(crate) fn afc(&mut self) -> Option<&mut Afc> {
        self.lock.as_mut().map(SyncLock::afc)
    }

    /// Ends the session in good order, within a few seconds. One that broke off says goodbye
    /// first, so that the device stops what it is at.
    pub(crate) fn close(self, device: &TrustedDevice, went_well: bool) {
        let Open { mut link, lock, _observers, _heartbeat, .. } = self;
        let mut wait = PARTING_WAIT;
        if !went_well {
            link.say_goodbye(&mut wait);
        }
        if let Some(lock) = lock {
            lock.release(device, PARTING_ANSWER_WAIT);
        }
        if went_well {
            link.say_goodbye(&mut wait);
        }
        link.wait_for_close(&mut wait);
    }
}
