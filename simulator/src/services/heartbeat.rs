//! Marco and Polo: how a phone on Wi-Fi knows that its host is still there (protocol.md 3.7).
use super::Link;
use crate::connection::Connection;
use crate::phone::{Mishaps, Phone};
use crate::plist_stream::{Encoding, Incoming, send};
use plist::{Dictionary, Value};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Seconds between two calls.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long beyond that a host may take, when the phone's faults say nothing else.
const MARGIN: Duration = Duration::from_secs(15);

/// When the host last showed that it is there.
#[derive(Debug)]
pub struct Pulse {
    last: Mutex<Instant>,
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse { last: Mutex::new(Instant::now()) }
    }
}

impl Pulse {
    /// The host is there.
    pub fn beat(&self) {
        *self.last.lock().expect("because no holder panics") = Instant::now();
    }

    /// How long ago it showed.
    pub fn silent_for(&self) -> Duration {
        self.last.lock().expect("because no holder panics").elapsed()
    }
}

/// How long `phone` bears a host on the network that does not answer.
pub fn patience(phone: &Phone) -> Duration {
    phone.faults().heartbeat_patience.unwrap_or(INTERVAL + MARGIN)
}

/// Serves one connection to its end.
pub(super) fn serve(
    connection: &mut dyn Connection,
    phone: &Arc<Phone>,
    service: &str,
    link: &Link,
) -> io::Result<()> {
    let mut mishaps = Mishaps::of(phone, service);
    let mut incoming = Incoming::default();
    let patience = patience(phone);
    let interval = INTERVAL.min(patience / 2);
    loop {
        mishaps.strike()?;
        send(connection, marco(interval), Encoding::Xml)?;
        connection.set_read_timeout(Some(patience))?;
        let Some(answer) = incoming.receive(connection)? else { return Ok(()) };
        let is_polo = answer.as_dictionary().and_then(|answer| answer.get("Command"))
            == Some(&Value::from("Polo"));
        if !is_polo {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if let Link::Network(network) = link {
            network.pulse.beat();
        }
        phone.wait(interval)?;
    }
}

fn marco(interval: Duration) -> Dictionary {
    Dictionary::from_iter([
        ("Command".to_owned(), Value::from("Marco")),
        ("Interval".to_owned(), interval.as_secs().max(1).into()),
        ("SupportsSleepyTime".to_owned(), true.into()),
    ])
}
