//! lockdownd, the device's doorkeeper: values, trust, TLS, and the way to every other service.
//!
//! [`TrustedDevice`] is what the rooms above hold: a device that has agreed to talk to us. It
//! keeps no connection; each visit is a short [`Session`] of its own, since lockdownd closes idle
//! ones.
mod battery;
mod certificates;
mod client;
mod info;
mod pair_record;
mod pairing;
mod session;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Result;
use crate::transport::{AtMost, DeviceAddress, DeviceStream, Transport, Wait};

pub use battery::Battery;
pub use client::{Lockdown, PORT, Refusal};
pub use info::{DeviceInfo, Glimpse, TELLING_NOTHING};
pub use pair_record::{PairRecord, PairRecords};
pub use pairing::{Pairing, PairingPatience, known_records, unpair};
pub use session::{Escrow, Introduction, NoSession, Session, Started};
pub use tls::{HandshakeLost, Tls};

/// A device that takes our pair record.
#[derive(Clone)]
pub struct TrustedDevice {
    transport: Arc<dyn Transport>,
    address: DeviceAddress,
    record: Arc<PairRecord>,
    answer_wait: AtMost,
    is_known: Arc<AtomicBool>,
}

impl TrustedDevice {
    /// The device at `address`, which takes `record`.
    pub fn new(
        transport: Arc<dyn Transport>,
        address: DeviceAddress,
        record: PairRecord,
    ) -> TrustedDevice {
        let record = Arc::new(record);
        let is_known = Arc::default();
        TrustedDevice { transport, address, record, answer_wait: client::ANSWER_WAIT, is_known }
    }

    /// The same device, of which only quick answers are wanted: for a session that ends anyway.
    #[must_use]
    pub fn hurried(&self, answer_wait: AtMost) -> TrustedDevice {
        TrustedDevice { answer_wait, ..self.clone() }
    }

    /// Where it is.
    pub fn address(&self) -> &DeviceAddress {
        &self.address
    }

    /// How it is reached.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Begins a session.
    ///
    /// # Errors
    ///
    /// The device refuses, or the connection broke.
    pub fn session(&self, wait: &mut dyn Wait) -> Result<Session<'_>> {
        let intro = match self.is_known.load(Ordering::Relaxed) {
            true => Introduction::Left,
            false => Introduction::Asked,
        };
        let (transport, answer_wait) = (&*self.transport, self.answer_wait);
        let begun =
            Session::begin(transport, &self.address, &self.record, intro, answer_wait, wait);
        let begun = begun.map_err(|no| match no {
            NoSession::Refused(refusal) => refusal.into_error("starting a session"),
            NoSession::Failed(error) => error,
        })?;
        self.is_known.store(true, Ordering::Relaxed);
        Ok(begun)
    }

    /// Connects to a service that was started in a session.
    ///
    /// # Errors
    ///
    /// The device refuses, or the connection broke.
    pub fn connect(&self, started: Started, wait: &mut dyn Wait) -> Result<Box<dyn DeviceStream>> {
        started.connect(&*self.transport, &self.address, &self.record, wait)
    }

    /// Starts one service in a session of its own, and connects to it when that is over.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub fn start_service(
        &self,
        service: &str,
        wait: &mut dyn Wait,
    ) -> Result<Box<dyn DeviceStream>> {
        let mut session = self.session(wait)?;
        let started = session.start(service, Escrow::Left);
        session.end();
        self.connect(started?, wait)
    }
}
