//! `installation_proxy`, as far as a backup needs it: which apps there are.
use crate::connection::Connection;
use crate::phone::{App, Mishaps, Phone};
use crate::plist_stream::{Encoding, Incoming, encode, send};
use plist::{Dictionary, Value};
use std::io;
use std::sync::Arc;

/// Apps per piece of a list, as iOS sends them.
const APPS_PER_PIECE: usize = 10;

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
        let pieces = match request.get("Command").and_then(Value::as_string) {
            Some("Browse") => browse(phone, &request)?,
            Some("Lookup") => lookup(phone, &request)?,
            _ => {
                vec![Dictionary::from_iter([("Error".to_owned(), Value::from("APIInternalError"))])]
            }
        };
        for piece in pieces {
            mishaps.strike()?;
            send(connection, piece, Encoding::Xml)?;
        }
    }
    Ok(())
}

fn complete() -> Dictionary {
    Dictionary::from_iter([("Status".to_owned(), Value::from("Complete"))])
}

/// The list in pieces, then the word that it is complete.
fn browse(phone: &Phone, request: &Dictionary) -> io::Result<Vec<Dictionary>> {
    let apps = wanted(phone, request);
    let mut pieces = Vec::new();
    for (number, piece) in apps.chunks(APPS_PER_PIECE).enumerate() {
        let list: io::Result<Vec<Value>> =
            piece.iter().map(|app| Ok(Value::Dictionary(described(app, request)?))).collect();
        let mut message = Dictionary::new();
        message.insert("Status".into(), "BrowsingApplications".into());
        message.insert("CurrentIndex".into(), ((number * APPS_PER_PIECE) as u64).into());
        message.insert("CurrentAmount".into(), (piece.len() as u64).into());
        message.insert("Total".into(), (apps.len() as u64).into());
        message.insert("CurrentList".into(), Value::Array(list?));
        pieces.push(message);
    }
    pieces.push(complete());
    Ok(pieces)
}

/// All at once, by their identifiers.
fn lookup(phone: &Phone, request: &Dictionary) -> io::Result<Vec<Dictionary>> {
    let mut result = Dictionary::new();
    for app in wanted(phone, request) {
        result.insert(app.bundle_id.clone(), Value::Dictionary(described(app, request)?));
    }
    let mut message = complete();
    message.insert("LookupResult".into(), Value::Dictionary(result));
    Ok(vec![message])
}

fn option<'a>(request: &'a Dictionary, key: &str) -> Option<&'a Value> {
    request.get("ClientOptions").and_then(Value::as_dictionary)?.get(key)
}

fn words<'a>(request: &'a Dictionary, key: &str) -> Option<Vec<&'a str>> {
    let list = option(request, key)?.as_array()?;
    Some(list.iter().filter_map(Value::as_string).collect())
}

/// The apps that the request is about. All of a person's are of the type `User`.
fn wanted<'a>(phone: &'a Phone, request: &Dictionary) -> Vec<&'a App> {
    let kind = option(request, "ApplicationType").and_then(Value::as_string).unwrap_or("Any");
    let named = words(request, "BundleIDs");
    let is_named =
        |app: &App| named.as_ref().is_none_or(|named| named.contains(&app.bundle_id.as_str()));
    let is_of_kind = matches!(kind, "Any" | "User");
    phone.apps().iter().filter(|app| is_of_kind && is_named(app)).collect()
}

/// What is told of an app: what `ReturnAttributes` names, or all.
fn described(app: &App, request: &Dictionary) -> io::Result<Dictionary> {
    let id = app.bundle_id.as_str();
    let mut all = Dictionary::new();
    let mut tell = |key: &str, value: Value| drop(all.insert(key.to_owned(), value));
    tell("ApplicationType", "User".into());
    tell("CFBundleDisplayName", app.name.as_str().into());
    tell("CFBundleExecutable", "App".into());
    tell("CFBundleIdentifier", id.into());
    tell("CFBundleName", app.name.as_str().into());
    tell("CFBundleShortVersionString", app.version.as_str().into());
    tell("CFBundleVersion", app.version.as_str().into());
    tell("Container", format!("/private/var/mobile/Containers/Data/Application/{id}").into());
    tell("Path", format!("/private/var/containers/Bundle/Application/{id}/App.app").into());
    if app.from_store {
        tell("ApplicationSINF", Value::Data(format!("sinf of {id}").into_bytes()));
        tell("iTunesMetadata", Value::Data(store_metadata(app)?));
    }
    if let Some(names) = words(request, "ReturnAttributes") {
        all.retain(|key, _| names.contains(&key.as_str()));
    }
    Ok(all)
}

fn store_metadata(app: &App) -> io::Result<Vec<u8>> {
    let mut metadata = Dictionary::new();
    metadata.insert("bundleShortVersionString".into(), app.version.as_str().into());
    metadata.insert("itemName".into(), app.name.as_str().into());
    metadata.insert("softwareVersionBundleId".into(), app.bundle_id.as_str().into());
    encode(&Value::Dictionary(metadata), Encoding::Binary)
}
