//! `springboardservices`, as far as a backup needs it: the icons of apps.
use super::icon;
use crate::connection::Connection;
use crate::phone::{Mishaps, Phone};
use crate::plist_stream::{Encoding, Incoming, send, send_value};
use crate::random::Random;
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
        let text = |key: &str| request.get(key).and_then(Value::as_string).unwrap_or_default();
        mishaps.strike()?;
        match text("command") {
            "getIconPNGData" => {
                let reply = picture(phone, text("bundleId"));
                send(connection, reply, Encoding::Binary)?;
            }
            "getIconState" => {
                send_value(connection, &home_screen(phone), Encoding::Binary)?;
            }
            command => {
                let mut reply = Dictionary::new();
                reply.insert("error".into(), format!("{command}: unknown command").into());
                send(connection, reply, Encoding::Binary)?;
            }
        }
    }
    Ok(())
}

/// An app's icon; none for an app that is not there.
fn picture(phone: &Phone, bundle_id: &str) -> Dictionary {
    let mut reply = Dictionary::new();
    if phone.apps().iter().any(|app| app.bundle_id == bundle_id) {
        let [red, green, blue, ..] = Random::split(0, bundle_id).next().to_le_bytes();
        reply.insert("pngData".into(), Value::Data(icon::png([red, green, blue])));
    }
    reply
}

/// The dock, empty, and one page of all apps.
fn home_screen(phone: &Phone) -> Value {
    let icon = |bundle_id: &str, name: &str| {
        Value::Dictionary(Dictionary::from_iter([
            ("bundleIdentifier".to_owned(), Value::from(bundle_id)),
            ("displayIdentifier".to_owned(), Value::from(bundle_id)),
            ("displayName".to_owned(), Value::from(name)),
        ]))
    };
    let page = phone.apps().iter().map(|app| icon(&app.bundle_id, &app.name)).collect();
    Value::Array(vec![Value::Array(vec![]), Value::Array(page)])
}
