//! A recording of what is said to a device and heard from it, for people who have a phone to send
//! to people who have none: messages, sizes and times, without contents, names or keys.
//!
//! [`Recorder::over`] goes between a [`Transport`] and whoever uses it. It listens where streams are
//! plain, reads them by rules of its own, and writes a line for each thing that is said, with all
//! replaced that is not known to be harmless. The form, what is in it and what is not stand in
//! `docs/recordings.md`; `devsnap-simulator replay` plays the device's side of one.
mod book;
mod conversation;
mod cut;
mod redact;
mod typed;
mod words;

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::error::Result;
use crate::lockdown::PORT;
use crate::transport::{
    ConnectionKind, DeviceAddress, DeviceStream, Events, Tapped, Transport, TransportEvent,
};
use crate::udid::Udid;
use book::Book;
pub use book::Recorded;
use conversation::{Conversation, LOCKDOWN};

/// Writes down what is said over a transport. Never fails what it listens to: when the file cannot
/// be written, the recording ends, and [`finish`](Self::finish) says why.
#[derive(Clone)]
pub struct Recorder {
    book: Arc<Book>,
}

impl Recorder {
    /// Begins a new file that only its owner may read; `program` is who records, with its version.
    ///
    /// # Errors
    ///
    /// There is something at `path`, or it cannot be written; the system gives no random bytes.
    pub fn create(path: &Path, program: &str) -> io::Result<Recorder> {
        Ok(Recorder { book: Arc::new(Book::create(path, program)?) })
    }

    /// Begins a recording that goes to `out`, as it is written.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes.
    pub fn to(out: Box<dyn Write + Send>, program: &str) -> io::Result<Recorder> {
        Ok(Recorder { book: Arc::new(Book::begin(out, None, program)?) })
    }

    /// The same transport, with everything that is said over it written down.
    pub fn over(&self, transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
        Arc::new(Listening { transport, book: self.book.clone(), listed: Mutex::default() })
    }

    /// Ends the recording, and makes it durable.
    ///
    /// # Errors
    ///
    /// It could not be written, then or now: what is there is its beginning.
    pub fn finish(&self) -> io::Result<Recorded> {
        self.book.finish()
    }
}

/// A transport with a recorder listening.
struct Listening {
    transport: Arc<dyn Transport>,
    book: Arc<Book>,
    /// What was attached when it was asked for last.
    listed: Mutex<Option<Vec<DeviceAddress>>>,
}

impl Listening {
    fn says<T>(&self, what: &str, answer: &Result<T>, told: impl FnOnce(&T) -> serde_json::Value) {
        let told = match answer {
            Ok(answer) => told(answer),
            Err(_) => "failed".into(),
        };
        self.book.write(json!({ "usbmuxd": what, "answer": told }));
    }
}

impl Transport for Listening {
    fn devices(&self) -> Result<Vec<DeviceAddress>> {
        let devices = self.transport.devices()?;
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        // A program that waits for a device asks twice a second.
        if listed.as_ref() != Some(&devices) {
            let told: Vec<_> = devices
                .iter()
                .map(|device| {
                    let udid = self.book.with_redactor(|redactor| {
                        redactor.learn_udid(device.udid.as_str());
                        redactor.udid(device.udid.as_str())
                    });
                    let connection = match device.kind {
                        ConnectionKind::Usb => "usb",
                        ConnectionKind::Network => "network",
                    };
                    json!({ "udid": udid, "connection": connection, "handle": device.handle })
                })
                .collect();
            self.book.write(json!({ "usbmuxd": "devices", "answer": told }));
            *listed = Some(devices.clone());
        }
        Ok(devices)
    }

    fn watch(&self) -> Result<Box<dyn Events>> {
        let events = self.transport.watch()?;
        Ok(Box::new(RecordedEvents { events, book: self.book.clone() }))
    }

    fn connect(&self, address: &DeviceAddress, port: u16) -> Result<Box<dyn DeviceStream>> {
        let number = self.book.next_connection();
        let service = match port {
            PORT => Some(LOCKDOWN.to_owned()),
            _ => self.book.service_at(port),
        };
        let stream = self.transport.connect(address, port);
        self.book.write(json!({
            "open": number,
            "handle": address.handle,
            "port": port,
            "service": service,
            "refused": stream.is_err(),
        }));
        let stream = stream?;
        let tap = Conversation::new(self.book.clone(), number, service.as_deref());
        Ok(Box::new(Tapped::over(stream, Box::new(tap))))
    }

    fn pair_record(&self, udid: &Udid) -> Result<Option<Vec<u8>>> {
        let record = self.transport.pair_record(udid);
        self.says("pair_record", &record, |record| record.is_some().into());
        record
    }

    fn save_pair_record(&self, address: &DeviceAddress, record: &[u8]) -> Result<()> {
        let saved = self.transport.save_pair_record(address, record);
        self.says("save_pair_record", &saved, |()| true.into());
        saved
    }

    fn delete_pair_record(&self, udid: &Udid) -> Result<()> {
        let deleted = self.transport.delete_pair_record(udid);
        self.says("delete_pair_record", &deleted, |()| true.into());
        deleted
    }

    fn system_buid(&self) -> Result<Option<String>> {
        let buid = self.transport.system_buid();
        self.says("buid", &buid, |buid| buid.is_some().into());
        buid
    }
}

struct RecordedEvents {
    events: Box<dyn Events>,
    book: Arc<Book>,
}

impl Events for RecordedEvents {
    fn next(&mut self, at_most: Duration) -> Result<Option<TransportEvent>> {
        let event = self.events.next(at_most)?;
        let told = match &event {
            Some(TransportEvent::Detached { handle }) => Some(("detached", handle)),
            Some(TransportEvent::Paired { handle }) => Some(("paired", handle)),
            // What is attached stands in the list of devices.
            Some(TransportEvent::Attached(_)) | None => None,
        };
        if let Some((what, handle)) = told {
            self.book.write(json!({ "usbmuxd": what, "handle": handle }));
        }
        Ok(event)
    }
}
