//! Darwin notifications to and from the host (protocol.md 4).
use crate::connection::Connection;
use crate::phone::{Mishaps, Observer, Phone};
use crate::plist_stream::{Encoding, Incoming, send};
use plist::{Dictionary, Value};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// How often it looks for notifications to relay, between looks for what the host says.
const PASS: Duration = Duration::from_millis(30);

/// Serves one connection to its end.
pub(super) fn serve(
    connection: &mut dyn Connection,
    phone: &Arc<Phone>,
    service: &str,
) -> io::Result<()> {
    let observer = phone.observe();
    let mut mishaps = Mishaps::of(phone, service);
    let mut incoming = Incoming::default();
    connection.set_read_timeout(Some(PASS))?;
    loop {
        while let Some(name) = observer.take() {
            mishaps.strike()?;
            let message = [("Command", "RelayNotification"), ("Name", name.as_str())];
            send(connection, dictionary(message), Encoding::Xml)?;
        }
        match incoming.receive(connection) {
            Ok(None) => return Ok(()),
            Ok(Some(message)) => {
                if !obey(message.as_dictionary(), phone, &observer) {
                    mishaps.strike()?;
                    return send(
                        connection,
                        dictionary([("Command", "ProxyDeath")]),
                        Encoding::Xml,
                    );
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        if phone.is_off() {
            return Ok(());
        }
    }
}

/// Does what the host says; false when it wants to leave.
fn obey(message: Option<&Dictionary>, phone: &Phone, observer: &Observer) -> bool {
    let text = |key: &str| message?.get(key).and_then(Value::as_string);
    match (text("Command"), text("Name")) {
        (Some("ObserveNotification"), Some(name)) => observer.watch(name),
        (Some("PostNotification"), Some(name)) => phone.post(name),
        (Some("Shutdown"), _) => return false,
        // No answer is known to anything else.
        _ => {}
    }
    true
}

fn dictionary<const N: usize>(entries: [(&str, &str); N]) -> Dictionary {
    entries.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect()
}
