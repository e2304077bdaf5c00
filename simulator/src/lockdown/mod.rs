//! lockdownd: trust, values, and the door to every other service.
pub(crate) mod certificates;
pub(crate) mod key;
mod pairing;
mod ports;
mod session;
mod values;

use crate::connection::Connection;
use crate::phone::{Faults, Phone, Trust};
use crate::services::{self, Link};
use crate::tls::Trusted;
use crate::transcript::Overheard;
use key::DeviceKey;
use pairing::{Pairing, Pairings};
use plist::Dictionary;
use ports::{Ports, Waiting};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use values::Settings;

/// Its port on every device.
pub const PORT: u16 = 62_078;
/// Its name in faults and logs; no StartService knows it.
pub const SERVICE: &str = "com.apple.mobile.lockdown";
/// What the person's tap on "Trust" tells hosts that do not ask over and over.
const TRUST_GIVEN: &str = "com.apple.mobile.lockdown.request_pair";

/// How lockdown is to behave, beyond the phone's faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A connection on which nothing is asked for so long is closed.
    pub idle: Duration,
    /// Services speak TLS, as on every phone of these years. Off, they show what a client reads
    /// ahead when a service speaks first.
    pub service_tls: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { idle: Duration::from_secs(60), service_tls: true }
    }
}

/// One phone's lockdownd.
pub struct Lockdown {
    phone: Arc<Phone>,
    options: Options,
    key: Mutex<Option<Arc<DeviceKey>>>,
    pairings: Mutex<Pairings>,
    settings: Settings,
    ports: Ports,
    /// How often the person has left the trust dialog alone.
    dialogs: Mutex<u32>,
    refused: Mutex<Refused>,
}

/// How often each refusal of some faults has been made.
#[derive(Default)]
struct Refused {
    of: Option<Arc<Faults>>,
    times: Vec<u32>,
}

/// What a connection to a port turned out to be for.
pub struct Door(Behind);

enum Behind {
    Lockdown,
    Service(Waiting),
}

impl Door {
    /// The service's name, as faults have it.
    pub fn service(&self) -> &str {
        match &self.0 {
            Behind::Lockdown => SERVICE,
            Behind::Service(waiting) => &waiting.service,
        }
    }
}

impl Lockdown {
    /// The one of `phone`, with the pairings that its folder remembers.
    ///
    /// # Errors
    ///
    /// The folder cannot be read, or holds something else.
    pub fn new(phone: Arc<Phone>, options: Options) -> io::Result<Lockdown> {
        let pairings = Mutex::new(Pairings::kept_in(phone.folder())?);
        Ok(Lockdown {
            phone,
            options,
            pairings,
            key: Mutex::default(),
            settings: Settings::default(),
            ports: Ports::default(),
            dialogs: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// Whose it is.
    pub fn phone(&self) -> &Arc<Phone> {
        &self.phone
    }

    /// Who listens on `port`; a service listens for one connection.
    pub fn knock(&self, port: u16) -> Option<Door> {
        if port == PORT {
            return Some(Door(Behind::Lockdown));
        }
        self.ports.take(port).map(|waiting| Door(Behind::Service(waiting)))
    }

    /// Serves one connection to its end.
    ///
    /// # Errors
    ///
    /// The connection broke, or the host said something that no host may say.
    pub fn serve<C: Connection>(
        &self,
        door: Door,
        mut connection: C,
        link: &Link,
    ) -> io::Result<()> {
        let call = self.phone.call(door.service());
        match door.0 {
            Behind::Lockdown => session::serve(self, connection, link, &call),
            Behind::Service(Waiting { service, trusted: Some(trusted) }) => {
                let mut secret = trusted.accept(connection)?;
                let mut overheard = Overheard::new(&mut secret, &call);
                services::serve(&service, &mut overheard, &self.phone, link)
            }
            Behind::Service(Waiting { service, trusted: None }) => {
                let mut overheard = Overheard::new(&mut connection, &call);
                services::serve(&service, &mut overheard, &self.phone, link)
            }
        }
    }

    /// The key pair. Made when it is first needed, since that takes a second or two.
    fn key(&self) -> io::Result<Arc<DeviceKey>> {
        let mut key = self.key.lock().expect("because no holder panics");
        if let Some(key) = &*key {
            return Ok(Arc::clone(key));
        }
        let made = Arc::new(DeviceKey::kept_in(self.phone.folder())?);
        *key = Some(Arc::clone(&made));
        Ok(made)
    }

    fn domain(&self, domain: &str) -> io::Result<Dictionary> {
        // Only the default domain tells of the key.
        let key = if domain.is_empty() { Some(self.key()?) } else { None };
        let public_key = key.as_ref().map_or("", |key| key.public_pem());
        Ok(self.settings.domain(domain, &self.phone, public_key))
    }

    /// Puts the trust dialog before the person. The error is lockdown's name for it.
    fn pair(
        &self,
        record: Option<&Dictionary>,
        link: &Link,
    ) -> io::Result<Result<Vec<u8>, &'static str>> {
        if matches!(link, Link::Network(_)) {
            return Ok(Err("PairingProhibitedOverThisConnection"));
        }
        let faults = self.phone.faults();
        if faults.locked {
            return Ok(Err("PasswordProtected"));
        }
        let Some(record) = record else { return Ok(Err("MissingPairRecord")) };
        let key = self.key()?;
        let Some(pairing) = Pairing::offered(record, &key) else {
            return Ok(Err("InvalidPairRecord"));
        };
        match faults.trust {
            Trust::Denied => return Ok(Err("UserDeniedPairing")),
            Trust::After(dialogs) => {
                let mut left_alone = self.dialogs.lock().expect("because no holder panics");
                if *left_alone < dialogs {
                    *left_alone += 1;
                    if *left_alone == dialogs {
                        self.phone.post(TRUST_GIVEN);
                    }
                    return Ok(Err("PairingDialogResponsePending"));
                }
                *left_alone = 0;
            }
        }
        let escrow_bag = pairing.escrow_bag.clone();
        self.pairings.lock().expect("because no holder panics").add(pairing)?;
        Ok(Ok(escrow_bag))
    }

    fn unpair(&self, host_id: &str) -> io::Result<bool> {
        self.pairings.lock().expect("because no holder panics").remove(host_id)
    }

    /// How to speak TLS with a host; `None` when it is not trusted.
    fn trusted(&self, host_id: &str) -> io::Result<Option<Trusted>> {
        let pairings = self.pairings.lock().expect("because no holder panics");
        let Some(pairing) = pairings.find(host_id) else { return Ok(None) };
        let certificates = pairing.certificates.clone();
        drop(pairings);
        let hosts = vec![certificates.host, certificates.root];
        Trusted::new(certificates.device, self.key()?.private(), hosts).map(Some)
    }

    fn knows_escrow_bag(&self, escrow_bag: &[u8]) -> bool {
        self.pairings.lock().expect("because no holder panics").knows_escrow_bag(escrow_bag)
    }

    /// The error with which the phone's faults have `request` refused.
    fn refusal(&self, request: &str) -> Option<String> {
        let faults = self.phone.faults();
        let mut refused = self.refused.lock().expect("because no holder panics");
        if !refused.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &faults)) {
            // Other faults: they have not struck yet.
            let times = vec![0; faults.lockdown_refusals.len()];
            *refused = Refused { of: Some(Arc::clone(&faults)), times };
        }
        let (refusal, times) = faults.lockdown_refusals.iter().zip(refused.times.iter_mut()).find(
            |(refusal, times)| {
                refusal.request == request && refusal.times.is_none_or(|most| **times < most)
            },
        )?;
        *times = times.saturating_add(1);
        Some(refusal.error.clone())
    }
}
