//! usbmuxd's part of a recording: what is attached, records, and the way to the recorded
//! connections.
use super::compare::OfDevice;
use super::progress::{Divergence, Progress};
use super::recording::{Attached, Daemon, Recording};
use super::trust::Trust;
use super::{conversation, place_in_words};
use crate::connection::Connection as _;
use crate::muxd::frame;
use crate::random::Random;
use crate::wire::{Conditions, Weather, Wire};
use plist::{Dictionary, Value};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const OK: u64 = 0;
const BAD_COMMAND: u64 = 1;
const NOT_THERE: u64 = 2;
const REFUSED: u64 = 3;

/// How often a listener is looked after.
const PASS: Duration = Duration::from_millis(20);

/// What all connections of a play share.
pub(super) struct Play {
    pub(super) recording: Recording,
    pub(super) progress: Progress,
    pub(super) trust: Trust,
    pub(super) of_device: OfDevice,
    /// Connections that have not been opened yet.
    unopened: Mutex<BTreeSet<usize>>,
    /// How many pair records were asked for.
    records_read: AtomicUsize,
}

impl Play {
    pub(super) fn new(
        recording: Recording,
        progress: Progress,
        trust: Trust,
        of_device: OfDevice,
    ) -> Play {
        let unopened = Mutex::new((0..recording.connections.len()).collect());
        let records_read = AtomicUsize::new(0);
        Play { recording, progress, trust, of_device, unopened, records_read }
    }

    /// What is attached by now.
    fn attached(&self) -> Vec<Attached> {
        let lists = self.recording.daemon.iter().filter_map(|(place, what)| match what {
            Daemon::Devices(devices) => Some((*place, devices)),
            _ => None,
        });
        let mut now: Option<&Vec<Attached>> = None;
        for (place, devices) in lists {
            // The first list is what the host saw first, whenever it asked.
            if now.is_none() || self.progress.has_come_to(place) {
                now = Some(devices);
            }
        }
        now.cloned().unwrap_or_default()
    }

    /// What usbmuxd answered the time of this number that it was asked for a pair record.
    fn has_record(&self) -> bool {
        let mut answers = self.recording.daemon.iter().filter_map(|(_, what)| match what {
            Daemon::Answered(what, found) if what == "pair_record" => Some(*found),
            _ => None,
        });
        let number = self.records_read.fetch_add(1, Ordering::Relaxed);
        answers.nth(number).unwrap_or(true)
    }

    /// The next recorded connection to this port.
    fn open(&self, handle: u64, port: u16) -> Option<usize> {
        let mut unopened = self.unopened.lock().expect("because no holder panics");
        let connections = &self.recording.connections;
        let fits = |number: &&usize| {
            let connection = &connections[**number].1;
            connection.port == port && connection.handle == handle
        };
        let number = *unopened.iter().find(fits)?;
        unopened.remove(&number);
        Some(number)
    }
}

/// Serves a client of usbmuxd to its end.
pub(super) fn serve(play: &Play, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let conditions = Conditions { weather: Weather::Fair, ..Conditions::default() };
    let mut wire = Wire::new(stream, Random::new(0), conditions);
    while let Some(request) = frame::receive(&mut wire)? {
        let body = request.body.unwrap_or_default();
        let kind = body.get("MessageType").and_then(Value::as_string).unwrap_or_default();
        let number = |key: &str| body.get(key).and_then(Value::as_unsigned_integer);
        let answer = match kind {
            "ListDevices" => {
                let attached = play.attached();
                let list = attached.iter().map(|device| Value::Dictionary(event_of(device)));
                only("DeviceList", Value::Array(list.collect()))
            }
            "ReadBUID" => only("BUID", play.trust.system_buid().into()),
            "ReadPairRecord" if play.has_record() => {
                only("PairRecordData", Value::Data(play.trust.record()))
            }
            "ReadPairRecord" => result(NOT_THERE),
            "SavePairRecord" => {
                if let Some(record) = body.get("PairRecordData").and_then(Value::as_data) {
                    play.trust.save(record);
                }
                result(OK)
            }
            "DeletePairRecord" => result(OK),
            "Listen" => {
                frame::send(&mut wire, request.tag, result(OK))?;
                return listen(play, &mut wire);
            }
            "Connect" => {
                let handle = number("DeviceID").unwrap_or_default();
                let port = number("PortNumber").and_then(|port| u16::try_from(port).ok());
                let port = port.map(u16::swap_bytes).unwrap_or_default();
                match connect(play, handle, port) {
                    Some(number) => {
                        frame::send(&mut wire, request.tag, result(OK))?;
                        wire.flush()?;
                        conversation::play(play, number, wire);
                        return Ok(());
                    }
                    None => result(REFUSED),
                }
            }
            _ => result(BAD_COMMAND),
        };
        frame::send(&mut wire, request.tag, answer)?;
    }
    Ok(())
}

/// The recorded connection that a host opens; `None` when nobody listens there.
fn connect(play: &Play, handle: u64, port: u16) -> Option<usize> {
    let Some(number) = play.open(handle, port) else {
        let line = play.progress.look().and_then(Result::ok).map_or(0, |(place, _)| place + 1);
        play.progress.diverges(Divergence {
            line,
            connection: format!("a new one, to port {port} of phone {handle}"),
            at: String::new(),
            recorded: "no such connection, or no more of them".to_owned(),
            now: "the host opens one".to_owned(),
        });
        return None;
    };
    let (place, connection) = &play.recording.connections[number];
    play.progress.done(*place);
    if !connection.refused {
        return Some(number);
    }
    connection.steps.iter().for_each(|(place, _)| play.progress.done(*place));
    None
}

/// Tells the client what is attached, and what comes and goes in its time.
fn listen(play: &Play, wire: &mut Wire) -> io::Result<()> {
    for device in play.attached() {
        frame::send(wire, 0, event_of(&device))?;
    }
    wire.set_read_timeout(Some(PASS))?;
    let mut events = play.recording.daemon.iter().filter_map(|(place, what)| match what {
        Daemon::Detached(handle) => Some((*place, "Detached", *handle)),
        Daemon::Paired(handle) => Some((*place, "Paired", *handle)),
        _ => None,
    });
    let mut next = events.next();
    while !play.progress.is_over() {
        while let Some((place, kind, handle)) = next
            && play.progress.has_come_to(place)
        {
            frame::send(wire, 0, event(kind, handle))?;
            next = events.next();
        }
        wire.flush()?;
        if frame::has_left(wire)? {
            break;
        }
    }
    Ok(())
}

fn event_of(device: &Attached) -> Dictionary {
    let mut properties = Dictionary::new();
    properties.insert("DeviceID".into(), device.handle.into());
    properties.insert("SerialNumber".into(), device.udid.as_str().into());
    let kind = if device.by_usb { "USB" } else { "Network" };
    properties.insert("ConnectionType".into(), kind.into());
    if !device.by_usb {
        // lockdownd at 127.0.0.1, as BSD lays it out (protocol.md 1.2).
        let address = [16, 2, 0xF2, 0x7E, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        properties.insert("NetworkAddress".into(), Value::Data(address.to_vec()));
        properties.insert("EscapedFullServiceName".into(), device.udid.as_str().into());
    }
    let mut event = event("Attached", device.handle);
    event.insert("Properties".into(), Value::Dictionary(properties));
    event
}

fn event(kind: &str, handle: u64) -> Dictionary {
    let mut event = only("MessageType", kind.into());
    event.insert("DeviceID".into(), handle.into());
    event
}

fn result(number: u64) -> Dictionary {
    let mut result = only("MessageType", "Result".into());
    result.insert("Number".into(), number.into());
    result
}

fn only(key: &str, value: Value) -> Dictionary {
    Dictionary::from_iter([(key.to_owned(), value)])
}

/// Where the host is, when it does nothing more: what was recorded next.
pub(super) fn left_at(play: &Play, place: usize, now: String) -> Divergence {
    let connections = play.recording.connections.iter().enumerate();
    let mut fitting = connections.filter(|(_, (opened, connection))| {
        *opened == place || connection.steps.iter().any(|(step, _)| *step == place)
    });
    let connection = match fitting.next() {
        Some((number, _)) => place_in_words(&play.recording, number),
        None => String::new(),
    };
    let recorded = play.recording.line(place);
    Divergence { line: place + 1, connection, at: String::new(), recorded, now }
}
