//! The socket of usbmuxd, the daemon that shares a device's cable among programs.
//!
//! Each operation opens a socket of its own, says one thing, and hears one answer; after `Connect`
//! the socket *is* the stream to the device, after `Listen` it only brings events.
mod address;
pub mod message;

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use plist::{Dictionary, Value};

use super::link::{AtMost, Link, Polled, Wait};
use super::{DeviceAddress, DeviceStream, Events, Transport, TransportEvent};
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::udid::Udid;
pub use address::UsbmuxdAddress;
use message::{HEADER_LEN, Header};

/// How long the daemon may take to answer; what other clients give it.
const ANSWER_WAIT: AtMost = AtMost(Duration::from_secs(5));

/// How long a TCP socket may take to open.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// The longest pair record accepted, in bytes.
const PAIR_RECORD_LEN_MAX: usize = 256 << 10;

/// Numbers of a `Result`.
mod number {
    pub(super) const OK: u64 = 0;
    /// No such device; from `ReadPairRecord` also "no such record", by the system's own number.
    pub(super) const BAD_DEVICE: u64 = 2;
    pub(super) const REFUSED: u64 = 3;
}

/// A usbmuxd on this computer, or wherever its socket leads.
#[derive(Debug, Clone)]
pub struct Usbmuxd {
    address: UsbmuxdAddress,
}

impl Usbmuxd {
    /// The daemon at `address`; nothing is opened yet.
    pub fn at(address: UsbmuxdAddress) -> Self {
        Usbmuxd { address }
    }

    fn open(&self) -> Result<Link> {
        let stream = open_socket(&self.address).map_err(|e| {
            let sentence = format!("usbmuxd cannot be reached at {}", self.address);
            DeviceError::new(DeviceErrorKind::NoUsbmuxd, sentence).because(e)
        })?;
        Link::exact(stream)
    }

    /// Says one thing on a new socket and hears the answer.
    fn ask(&self, request: Dictionary) -> Result<(Link, Dictionary)> {
        const TAG: u32 = 1;
        let mut link = self.open()?;
        let mut wait = ANSWER_WAIT;
        link.write_all(&message::encode(request, TAG), &mut wait)?;
        loop {
            let Some((tag, answer)) = receive(&mut link, &mut wait)? else {
                return Err(DeviceError::new(
                    DeviceErrorKind::NoUsbmuxd,
                    "usbmuxd closed the connection without an answer",
                ));
            };
            // What is about something else is passed over.
            if tag == TAG {
                return Ok((link, answer));
            }
        }
    }
}

fn open_socket(address: &UsbmuxdAddress) -> io::Result<Box<dyn DeviceStream>> {
    match address {
        UsbmuxdAddress::Unix(path) => Ok(Box::new(UnixStream::connect(path)?)),
        UsbmuxdAddress::Tcp(host, port) => {
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for address in (host.as_str(), *port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, CONNECT_WAIT) {
                    Ok(stream) => {
                        stream.set_nodelay(true)?;
                        return Ok(Box::new(stream));
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

/// One message, with its tag; `None` when the daemon closed the socket.
fn receive(link: &mut Link, wait: &mut dyn Wait) -> Result<Option<(u32, Dictionary)>> {
    let mut header = [0; HEADER_LEN];
    if !link.read_exact(&mut header, wait)? {
        return Ok(None);
    }
    let header = Header::decode(&header).map_err(not_understood)?;
    let mut body = vec![0; header.body_len as usize];
    if !link.read_exact(&mut body, wait)? && !body.is_empty() {
        return Err(super::link::lost());
    }
    let body = message::decode_body(&body).map_err(not_understood)?;
    Ok(Some((header.tag, body)))
}

fn not_understood(bad: message::BadMessage) -> DeviceError {
    DeviceError::new(DeviceErrorKind::NoUsbmuxd, "usbmuxd was not understood").because(bad)
}

fn refused(what: &str, number: u64) -> DeviceError {
    DeviceError::new(
        DeviceErrorKind::NoUsbmuxd,
        format!("usbmuxd refused to {what} (result {number})"),
    )
}

impl Transport for Usbmuxd {
    fn devices(&self) -> Result<Vec<DeviceAddress>> {
        let (_, answer) = self.ask(message::request("ListDevices"))?;
        if let Some(number) = message::result_of(&answer) {
            return Err(refused("list devices", number));
        }
        message::device_list(&answer).map_err(not_understood)
    }

    fn watch(&self) -> Result<Box<dyn Events>> {
        let (link, answer) = self.ask(message::request("Listen"))?;
        match message::result_of(&answer) {
            Some(number::OK) => Ok(Box::new(Listening { link: link.read_ahead() })),
            number => Err(refused("report devices", number.unwrap_or(u64::MAX))),
        }
    }

    fn connect(&self, address: &DeviceAddress, port: u16) -> Result<Box<dyn DeviceStream>> {
        let mut request = message::request("Connect");
        request.insert("DeviceID".to_owned(), address.handle.into());
        request.insert("PortNumber".to_owned(), message::wire_port(port).into());
        let (link, answer) = self.ask(request)?;
        match message::result_of(&answer) {
            Some(number::OK) => Ok(link.into_stream()),
            Some(number::BAD_DEVICE) => Err(DeviceError::new(
                DeviceErrorKind::NotConnected,
                format!("device {} is not connected any more", address.udid),
            )),
            Some(number::REFUSED) => Err(DeviceError::new(
                DeviceErrorKind::ConnectionLost,
                format!("device {} refused a connection to its port {port}", address.udid),
            )),
            number => Err(refused("connect to the device", number.unwrap_or(u64::MAX))),
        }
    }

    fn pair_record(&self, udid: &Udid) -> Result<Option<Vec<u8>>> {
        let mut request = message::request("ReadPairRecord");
        request.insert("PairRecordID".to_owned(), udid.as_str().into());
        let (_, mut answer) = self.ask(request)?;
        // Whatever number it gives, it has none for us; some daemons forward the system's errors.
        let record = answer.remove("PairRecordData").and_then(Value::into_data);
        Ok(record.filter(|record| record.len() <= PAIR_RECORD_LEN_MAX))
    }

    fn save_pair_record(&self, address: &DeviceAddress, record: &[u8]) -> Result<()> {
        let mut request = message::request("SavePairRecord");
        request.insert("PairRecordID".to_owned(), address.udid.as_str().into());
        request.insert("PairRecordData".to_owned(), Value::Data(record.to_vec()));
        request.insert("DeviceID".to_owned(), address.handle.into());
        match message::result_of(&self.ask(request)?.1) {
            Some(number::OK) => Ok(()),
            number => Err(refused("keep the pair record", number.unwrap_or(u64::MAX))),
        }
    }

    fn delete_pair_record(&self, udid: &Udid) -> Result<()> {
        let mut request = message::request("DeletePairRecord");
        request.insert("PairRecordID".to_owned(), udid.as_str().into());
        match message::result_of(&self.ask(request)?.1) {
            Some(number::OK | number::BAD_DEVICE) => Ok(()),
            number => Err(refused("forget the pair record", number.unwrap_or(u64::MAX))),
        }
    }

    fn system_buid(&self) -> Result<Option<String>> {
        let (_, answer) = self.ask(message::request("ReadBUID"))?;
        let buid = answer.get("BUID").and_then(Value::as_string);
        Ok(buid.filter(|buid| !buid.is_empty() && buid.len() <= 128).map(str::to_owned))
    }
}

/// A socket that brings events.
struct Listening {
    link: Link,
}

impl Events for Listening {
    fn next(&mut self, at_most: Duration) -> Result<Option<TransportEvent>> {
        let gone = || DeviceError::new(DeviceErrorKind::NoUsbmuxd, "usbmuxd has gone away");
        match self.link.poll(at_most)? {
            Polled::Nothing => return Ok(None),
            Polled::Closed => return Err(gone()),
            Polled::Ready => {}
        }
        let heard = receive(&mut self.link, &mut ANSWER_WAIT.clone())?;
        let (_, event) = heard.ok_or_else(gone)?;
        Ok(message::event(&event))
    }
}

#[cfg(test)]
mod tests;
