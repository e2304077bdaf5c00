//! `com.apple.mobilebackup2`, the device's side.
//!
//! ```text
//!   serve ─ greets, reads a request ─▶ backup · restore · password · other
//!                                          │        └── session: passcode sheet, files from the host
//!                                          └── host: one call for each DeviceLink message ── wire: lengths, plists, cuts
//! ```
//!
//! After the greeting the host says one thing, its request; then the phone drives. It asks the host
//! for files, sends some, has others moved and removed, and ends with a response. What a phone knows
//! of earlier backups it learns from the files the host hands back, so it goes on with the backup
//! set of any host, and never trusts its memory over the host's bytes.
//!
//! A full backup, in order: the request; the passcode sheet; Status.plist is asked for and missing;
//! the long silence of the scan; free space; folders; Status.plist (`uploading`); files in batches of at
//! most 128 into `Snapshot`, those that changed meanwhile once more; Manifest.plist and Manifest.db
//! there; Status.plist (`moving`); moves to the final places; the manifests; Status.plist (`removing`);
//! removals; Status.plist (`finished`); then Status.plist, Manifest.plist and Manifest.db are read back and all
//! folders listed; the response. An incremental one also reads the manifests and listings first, and
//! sends only what has another modification time.
//!
//! # Source
//!
//! The order is what logs of idevicebackup2 in public issues show, and what the sources of
//! idevicebackup2 and pymobiledevice3 need; texts and codes are those they print.
mod backup;
mod habits;
mod host;
mod other;
mod password;
mod restore;
mod session;
mod stop;
mod wire;

pub use habits::Habits;
pub use restore::{Options as RestoreOptions, RestoreReport};

use crate::backup_files::plist_bytes;
use crate::connection::Connection;
use crate::phone::{Phone, Stage};
use host::Host;
use plist::{Dictionary, Value};
use session::Session;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use stop::{MbError, Step, Stop};
use wire::Wire;

/// The version of MobileBackup2 that is spoken.
const PROTOCOL: f64 = 2.1;

/// How a request ends.
enum Ending {
    /// With a response, perhaps with text for the host to print.
    Done(Option<String>),
    /// With a response; then the phone reboots.
    Reboot,
    /// The connection drops without a word.
    Drops,
}

/// Serves one connection to its end.
///
/// # Errors
///
/// The connection broke, or the host said something that no host may say.
pub fn serve(connection: &mut dyn Connection, phone: &Arc<Phone>) -> io::Result<()> {
    let habits = Habits::load(phone.folder())?;
    let patience = Duration::from_secs(habits.patience_seconds);
    let mut host = Host::new(Wire::new(connection, phone, patience)?);
    if !greet(&mut host, &habits)? {
        return Ok(());
    }
    while let Some(request) = next_request(&mut host)? {
        host.progress = 0.0;
        let mut session = Session::new(&mut host, phone, &habits);
        let ending = match perform(&mut session, &request) {
            Err(Stop::Broken(error)) => return Err(error),
            Err(Stop::Refused(error)) => Err(error),
            Ok(Ending::Drops) => return Ok(()),
            Ok(ending) => Ok(ending),
        };
        host.wire.stage(Stage::Finishing)?;
        respond(&mut host, &ending)?;
        if matches!(ending, Ok(Ending::Reboot)) {
            return Ok(());
        }
    }
    Ok(())
}

/// Version exchange and Hello; whether the two understand each other.
fn greet(host: &mut Host<'_>, habits: &Habits) -> io::Result<bool> {
    let wrong = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    host.wire.stage(Stage::Greeting)?;
    let exchange = Value::from("DLMessageVersionExchange");
    let version = Value::from(u64::from(habits.device_link_version));
    host.wire.send(vec![exchange, version, Value::from(0u64)])?;
    let (name, fields) = host.wire.receive()?;
    if name != "DLMessageVersionExchange"
        || fields.first().and_then(Value::as_string) != Some("DLVersionsOk")
        || fields.get(1).and_then(plist_bytes::integer).is_none()
    {
        return Err(wrong("the host does not accept the version"));
    }
    host.wire.send(vec![Value::from("DLMessageDeviceReady")])?;
    let Some(hello) = next_request(host)? else { return Ok(false) };
    if text(&hello, "MessageName") != Some("Hello") {
        return Err(wrong("the host does not say Hello"));
    }
    let versions = hello.get("SupportedProtocolVersions").and_then(Value::as_array);
    let versions = versions.ok_or_else(|| wrong("a Hello without versions"))?;
    let known = versions.iter().any(|version| version.as_real() == Some(PROTOCOL));
    let mut answer = Dictionary::new();
    answer.insert("MessageName".into(), Value::from("Response"));
    answer.insert("ErrorCode".into(), Value::from(u64::from(!known)));
    answer.insert("ProtocolVersion".into(), Value::Real(PROTOCOL));
    host.wire.send(vec![Value::from("DLMessageProcessMessage"), Value::Dictionary(answer)])?;
    Ok(known)
}

/// What the host wants next; `None` when it has gone.
fn next_request(host: &mut Host<'_>) -> io::Result<Option<Dictionary>> {
    loop {
        let (name, fields) = match host.wire.receive() {
            Ok(message) => message,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        match (name.as_str(), <[Value; 1]>::try_from(fields)) {
            ("DLMessagePing", _) => {}
            ("DLMessageDisconnect", _) => return Ok(None),
            ("DLMessageProcessMessage", Ok([Value::Dictionary(request)])) => {
                return Ok(Some(request));
            }
            _ => {
                let text = format!("{name} where a request was due");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
    }
}

fn perform(session: &mut Session<'_, '_>, request: &Dictionary) -> Step<Ending> {
    // Backup agents die of a request that is meant for another device, and of unknown ones.
    if text(request, "TargetIdentifier") != Some(session.udid.as_str()) {
        return Ok(Ending::Drops);
    }
    match text(request, "MessageName").unwrap_or_default() {
        "Backup" => backup::run(session).map(|()| Ending::Done(None)),
        "Restore" => restore::run(session, request),
        "ChangePassword" => password::change(session, request).map(|()| Ending::Done(None)),
        "Info" => other::info(session),
        "List" => other::list(session),
        "EnableCloudBackup" => Err(Stop::refused(MbError::NO_ACCOUNT, "No iCloud account")),
        "Remove" => Err(Stop::refused(MbError::INTERNAL, "Not supported")),
        "EraseDevice" => other::erase(session),
        // Unback and Extract have crashed the agent since manifests are databases.
        _ => Ok(Ending::Drops),
    }
}

fn respond(host: &mut Host<'_>, ending: &Result<Ending, MbError>) -> io::Result<()> {
    let mut response = Dictionary::new();
    response.insert("MessageName".into(), Value::from("Response"));
    match ending {
        Err(error) => {
            response.insert("ErrorCode".into(), Value::from(u64::from(error.code)));
            response.insert("ErrorDescription".into(), Value::from(error.to_string()));
        }
        Ok(ending) => {
            response.insert("ErrorCode".into(), Value::from(0u64));
            if let Ending::Done(Some(content)) = ending {
                response.insert("Content".into(), Value::from(content.as_str()));
            }
        }
    }
    host.wire.send(vec![Value::from("DLMessageProcessMessage"), Value::Dictionary(response)])
}

/// The string under `key`.
fn text<'a>(request: &'a Dictionary, key: &str) -> Option<&'a str> {
    request.get(key).and_then(Value::as_string)
}
