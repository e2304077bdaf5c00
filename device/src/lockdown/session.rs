//! A trusted stay with lockdownd: under TLS, short, and for starting services.
use plist::{Dictionary, Value};

use super::client::{Lockdown, PORT, Refusal};
use super::pair_record::PairRecord;
use super::tls::Tls;
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::transport::{AtMost, DeviceAddress, DeviceStream, Transport, Wait};

/// Why a session did not begin.
pub enum NoSession {
    /// The device said no, in its own word; `InvalidHostID` when it does not know us.
    Refused(Refusal),
    /// Anything else.
    Failed(DeviceError),
}

impl From<DeviceError> for NoSession {
    fn from(error: DeviceError) -> Self {
        NoSession::Failed(error)
    }
}

/// A session. lockdownd closes idle ones after about a minute, so none is kept for later.
pub struct Session<'d> {
    lockdown: Lockdown,
    id: String,
    transport: &'d dyn Transport,
    address: &'d DeviceAddress,
    record: &'d PairRecord,
    is_secured: bool,
}

/// Whether the device is asked for its version and its kind before a session begins, as
/// idevicebackup2 does once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Introduction {
    /// It is.
    Asked,
    /// Not this time.
    Left,
}

/// A service that the device has started: it waits for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    port: u16,
    is_secured: bool,
}

impl Started {
    /// Connects to it, over the trust of `record`.
    ///
    /// # Errors
    ///
    /// The device refuses, or the connection broke.
    pub(super) fn connect(
        self,
        transport: &dyn Transport,
        address: &DeviceAddress,
        record: &PairRecord,
        wait: &mut dyn Wait,
    ) -> Result<Box<dyn DeviceStream>> {
        let stream = transport.connect(address, self.port)?;
        if self.is_secured { Tls::of(record)?.connect(stream, wait) } else { Ok(stream) }
    }
}

impl<'d> Session<'d> {
    /// Connects to lockdownd and shows it `record`; waits `answer_wait` for each answer.
    ///
    /// # Errors
    ///
    /// The device does not take it, or the connection broke.
    pub fn begin(
        transport: &'d dyn Transport,
        address: &'d DeviceAddress,
        record: &'d PairRecord,
        introduction: Introduction,
        answer_wait: AtMost,
        wait: &mut dyn Wait,
    ) -> Result<Self, NoSession> {
        let tls = Tls::of(record)?;
        let mut lockdown = Lockdown::over(transport.connect(address, PORT)?, answer_wait)?;
        // The questions, their order and when they are asked are idevicebackup2's.
        lockdown.query_type()?;
        if introduction == Introduction::Asked {
            lockdown.text("ProductVersion")?;
            lockdown.text("DeviceClass")?;
        }
        let mut with = Dictionary::new();
        with.insert("HostID".to_owned(), record.host_id.as_str().into());
        with.insert("SystemBUID".to_owned(), record.system_buid.as_str().into());
        let answer = lockdown.ask("StartSession", with)?.map_err(NoSession::Refused)?;
        let id = answer.get("SessionID").and_then(Value::as_string).unwrap_or_default().to_owned();
        let is_secured =
            answer.get("EnableSessionSSL").and_then(Value::as_boolean).unwrap_or(false);
        if is_secured {
            lockdown = lockdown.secured(&tls, wait)?;
        }
        Ok(Session { lockdown, id, transport, address, record, is_secured })
    }

    /// For values.
    pub fn lockdown(&mut self) -> &mut Lockdown {
        &mut self.lockdown
    }

    /// Starts a service and connects to it within the session; as [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// The device refuses, or the connection broke.
    pub fn start_service(
        &mut self,
        service: &str,
        escrow: Escrow,
        wait: &mut dyn Wait,
    ) -> Result<Box<dyn DeviceStream>> {
        let started = self.start(service, escrow)?;
        started.connect(self.transport, self.address, self.record, wait)
    }

    /// Starts a service; with the escrow bag when it must work while the device is locked.
    ///
    /// # Errors
    ///
    /// The device refuses, or the connection broke.
    pub fn start(&mut self, service: &str, escrow: Escrow) -> Result<Started> {
        let mut with = Dictionary::new();
        with.insert("Service".to_owned(), service.into());
        if escrow == Escrow::Sent {
            let bag = self.record.escrow_bag.as_ref().ok_or_else(|| {
                DeviceError::new(
                    DeviceErrorKind::NotTrusted,
                    "the pair record has no escrow bag: the device must be paired anew",
                )
            })?;
            with.insert("EscrowBag".to_owned(), Value::Data(bag.to_vec()));
        }
        let answer = self.lockdown.ask("StartService", with)?;
        let answer =
            answer.map_err(|refusal| refusal.into_error(&format!("starting {service}")))?;
        let port = answer.get("Port").and_then(Value::as_unsigned_integer);
        let port = port.and_then(|port| u16::try_from(port).ok()).ok_or_else(|| {
            DeviceError::new(
                DeviceErrorKind::Protocol,
                format!("the device started {service} on no port"),
            )
        })?;
        let is_secured = answer.get("EnableServiceSSL").and_then(Value::as_boolean);
        Ok(Started { port, is_secured: is_secured.unwrap_or(false) })
    }

    /// Ends the session, as idevicebackup2 does each time.
    ///
    /// A device that does not answer has ended it too.
    pub fn end(mut self) {
        if !self.id.is_empty() {
            let mut with = Dictionary::new();
            with.insert("SessionID".to_owned(), self.id.as_str().into());
            let _ = self.lockdown.ask("StopSession", with);
        }
    }

    /// Whether what is said in it is encrypted.
    pub fn is_secured(&self) -> bool {
        self.is_secured
    }
}

/// Whether a service is started with the escrow bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escrow {
    /// So that it may read what is protected while the device is locked.
    Sent,
    /// Not needed.
    Left,
}
