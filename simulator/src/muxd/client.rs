//! One client of usbmuxd: its requests, until it listens, or is led to a port.
use super::Daemon;
use super::attachments::Attachment;
use super::frame::{self, receive};
use super::live::Place;
use crate::connection::Connection;
use crate::lockdown::Door;
use crate::random::Random;
use crate::services::Link;
use crate::transcript::{Call, Overheard};
use crate::wire::{Conditions, Wire};
use plist::{Dictionary, Value};
use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a listener is looked after.
const PASS: Duration = Duration::from_millis(20);

const OK: u64 = 0;
const BAD_COMMAND: u64 = 1;
const BAD_DEVICE: u64 = 2;
const REFUSED: u64 = 3;
const BAD_VERSION: u64 = 6;
/// errno values are handed on as they are: no such file, and bad arguments (protocol.md 1.2).
const ENOENT: u64 = 2;
const EINVAL: u64 = 22;

/// What becomes of the client after an answer.
enum Then {
    GoOn,
    Listen,
    Lead(Arc<Attachment>, Door),
}

/// Serves a client, and whatever it is led to, to the end.
pub(super) fn serve(daemon: &Daemon, stream: TcpStream) -> io::Result<()> {
    let Some(place) = daemon.live.enter(&stream)? else { return Ok(()) };
    let mut wire = wire(daemon, stream)?;
    let call = Call::begin(daemon.transcript.as_ref(), super::SERVICE);
    while let Some(request) = receive(&mut Overheard::new(&mut wire, &call))? {
        let (answer, then) = match &request.body {
            Some(body) => answer(daemon, body),
            None if request.version_fits => (result(BAD_COMMAND), Then::GoOn),
            None => (result(BAD_VERSION), Then::GoOn),
        };
        frame::send(&mut Overheard::new(&mut wire, &call), request.tag, answer)?;
        match then {
            Then::GoOn => {}
            Then::Listen => return listen(daemon, &mut wire),
            Then::Lead(attachment, door) => return lead(daemon, wire, &place, &attachment, door),
        }
    }
    Ok(())
}

fn result(number: u64) -> Dictionary {
    Dictionary::from_iter([
        ("MessageType".to_owned(), Value::from("Result")),
        ("Number".to_owned(), number.into()),
    ])
}

fn answer(daemon: &Daemon, request: &Dictionary) -> (Dictionary, Then) {
    let text = |key: &str| request.get(key).and_then(Value::as_string);
    let only = |key: &str, value: Value| Dictionary::from_iter([(key.to_owned(), value)]);
    let answer = match text("MessageType") {
        Some("ReadBUID") => only("BUID", daemon.records.buid().into()),
        // No MessageType here: libusbmuxd takes an answer that has one for an error.
        Some("ListDevices") => only("DeviceList", Value::Array(daemon.attachments.list())),
        Some("ListListeners") => only("ListenerList", Value::Array(vec![])),
        Some("Listen") => return (result(OK), Then::Listen),
        Some("Connect") => return connect(daemon, request),
        Some("ReadPairRecord") => match daemon.records.read(text("PairRecordID").unwrap_or("")) {
            Ok(record) => only("PairRecordData", Value::Data(record)),
            Err(error) => result(errno(&error)),
        },
        Some("SavePairRecord") => save_pair_record(daemon, request),
        Some("DeletePairRecord") => {
            let deleted = daemon.records.delete(text("PairRecordID").unwrap_or(""));
            result(deleted.map_or_else(|error| errno(&error), |()| OK))
        }
        _ => result(BAD_COMMAND),
    };
    (answer, Then::GoOn)
}

fn errno(error: &io::Error) -> u64 {
    match error.kind() {
        ErrorKind::NotFound => ENOENT,
        _ => EINVAL,
    }
}

fn save_pair_record(daemon: &Daemon, request: &Dictionary) -> Dictionary {
    let udid = request.get("PairRecordID").and_then(Value::as_string);
    let record = request.get("PairRecordData").and_then(Value::as_data);
    let (Some(udid), Some(record)) = (udid, record) else { return result(EINVAL) };
    match daemon.records.save(udid, record) {
        Ok(()) => {
            daemon.attachments.paired(udid);
            result(OK)
        }
        Err(error) => result(errno(&error)),
    }
}

fn connect(daemon: &Daemon, request: &Dictionary) -> (Dictionary, Then) {
    let number = |key: &str| request.get(key).and_then(Value::as_unsigned_integer);
    let attachment = number("DeviceID").and_then(|id| daemon.attachments.find(id));
    let Some(attachment) = attachment else { return (result(BAD_DEVICE), Then::GoOn) };
    // The two bytes of the port come swapped (protocol.md 1.2).
    let port = number("PortNumber").and_then(|port| u16::try_from(port).ok()).map(u16::swap_bytes);
    match port.and_then(|port| attachment.lockdown.knock(port)) {
        Some(door) => (result(OK), Then::Lead(attachment, door)),
        None => (result(REFUSED), Then::GoOn),
    }
}

/// Hands the connection to the phone; from here on it is the service's.
pub(super) fn lead(
    daemon: &Daemon,
    wire: Wire,
    place: &Place<'_>,
    attachment: &Attachment,
    door: Door,
) -> io::Result<()> {
    if let Link::Network(network) = &attachment.link
        && daemon.live.count(attachment.id) == 0
    {
        // Whoever comes after all have gone has its whole time to show a heartbeat.
        network.pulse.beat();
    }
    place.leads_to(attachment.id);
    if daemon.attachments.find(attachment.id).is_none() {
        // It was detached just now, and whoever did so did not see this connection.
        return Ok(());
    }
    let phone = attachment.lockdown.phone();
    let service = door.service().to_owned();
    let wire = wire.under(Conditions {
        weather: daemon.weather,
        cut: phone.take_byte_cut(&service),
        bytes_per_second: phone.faults().bytes_per_second,
    });
    match attachment.lockdown.serve(door, wire, &attachment.link) {
        // Many hosts leave without a word.
        Err(error)
            if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
        {
            Ok(())
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("{service}: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// A connection that has just begun, in the daemon's weather.
pub(super) fn wire(daemon: &Daemon, stream: TcpStream) -> io::Result<Wire> {
    stream.set_nodelay(true)?;
    let number = daemon.connections.fetch_add(1, Ordering::Relaxed);
    let random = Random::split(daemon.seed, &format!("connection {number}"));
    let conditions = Conditions { weather: daemon.weather, ..Conditions::default() };
    Ok(Wire::new(stream, random, conditions))
}

/// Tells the client what comes and goes, until it leaves.
fn listen(daemon: &Daemon, wire: &mut Wire) -> io::Result<()> {
    let listener = daemon.attachments.listen();
    wire.set_read_timeout(Some(PASS))?;
    while !daemon.is_ending() {
        while let Some(event) = listener.take() {
            frame::send(wire, 0, event)?;
        }
        wire.flush()?;
        if frame::has_left(wire)? {
            break;
        }
    }
    Ok(())
}
