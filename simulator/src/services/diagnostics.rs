//! `diagnostics_relay`, as far as a backup needs it: whether there is a passcode at all.
use crate::connection::Connection;
use crate::phone::{Mishaps, Passcode, Phone};
use crate::plist_stream::{Encoding, Incoming, send};
use plist::{Dictionary, Value};
use std::io;
use std::sync::Arc;

/// Serves one connection to its end.
pub(super) fn serve(
    connection: &mut dyn Connection,
    phone: &Arc<Phone>,
    service: &str,
) -> io::Result<()> {
    let mut mishaps = Mishaps::of(phone, service);
    let mut incoming = Incoming::default();
    while let Some(request) = incoming.receive(connection)? {
        let request = request.into_dictionary().unwrap_or_default();
        let name = request.get("Request").and_then(Value::as_string).unwrap_or_default();
        let reply = match name {
            "MobileGestalt" => gestalt(&request, phone),
            "Goodbye" => status("Success"),
            _ => status("UnknownRequest"),
        };
        mishaps.strike()?;
        send(connection, reply, Encoding::Xml)?;
        if name == "Goodbye" {
            break;
        }
    }
    Ok(())
}

fn status(status: &str) -> Dictionary {
    Dictionary::from_iter([("Status".to_owned(), Value::from(status))])
}

fn gestalt(request: &Dictionary, phone: &Phone) -> Dictionary {
    let mut answers = status("Success");
    let keys = request.get("MobileGestaltKeys").and_then(Value::as_array);
    for key in keys.into_iter().flatten().filter_map(Value::as_string) {
        if key == "PasswordConfigured" {
            let is_there = phone.faults().passcode != Passcode::Absent || phone.faults().locked;
            answers.insert(key.to_owned(), is_there.into());
        }
    }
    let mut reply = status("Success");
    let diagnostics =
        Dictionary::from_iter([("MobileGestalt".to_owned(), Value::Dictionary(answers))]);
    reply.insert("Diagnostics".into(), Value::Dictionary(diagnostics));
    reply
}
