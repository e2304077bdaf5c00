//! usbmuxd's messages: 16 bytes of header, little-endian, then an XML plist (protocol.md 1.1).
use crate::connection::Connection;
use crate::plist_stream::{Encoding, encode, parse};
use plist::{Dictionary, Value};
use std::io::{self, ErrorKind, Read};

const HEADER_BYTES: usize = 16;
/// Longest message of a client, header included; usbmuxd drops a client that sends more.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
const PLIST_VERSION: u32 = 1;
const PLIST_MESSAGE: u32 = 8;

/// What a client asks.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) tag: u32,
    /// `None`: it is no plist message, or no dictionary.
    pub(crate) body: Option<Dictionary>,
    /// It speaks the plist protocol.
    pub(crate) version_fits: bool,
}

/// The next request; `None` when the client closed the connection between two.
///
/// Reads not one byte beyond the request: after Connect, the next is the service's.
pub(crate) fn receive(connection: &mut dyn Connection) -> io::Result<Option<Request>> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    if Read::take(&mut *connection, HEADER_BYTES as u64).read_to_end(&mut header)? == 0 {
        return Ok(None);
    }
    let [length, version, kind, tag] = numbers(&header)?;
    let length = usize::try_from(length).map_err(|_| ErrorKind::InvalidData)?;
    if !(HEADER_BYTES..=MESSAGE_BYTES_MAX).contains(&length) {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut payload = vec![0; length - HEADER_BYTES];
    connection.read_exact(&mut payload)?;
    let version_fits = version == PLIST_VERSION;
    let is_plist = version_fits && kind == PLIST_MESSAGE;
    let body = if is_plist { parse(&payload).ok().and_then(Value::into_dictionary) } else { None };
    Ok(Some(Request { tag, body, version_fits }))
}

fn numbers(header: &[u8]) -> io::Result<[u32; 4]> {
    if header.len() < HEADER_BYTES {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let mut numbers = [0; 4];
    for (number, bytes) in numbers.iter_mut().zip(header.chunks_exact(4)) {
        *number = bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
    }
    Ok(numbers)
}

/// Sends `body` as the answer to the request tagged `tag`, or, with tag 0, as an event.
pub(crate) fn send(connection: &mut dyn Connection, tag: u32, body: Dictionary) -> io::Result<()> {
    let payload = encode(&Value::Dictionary(body), Encoding::Xml)?;
    let length = u32::try_from(HEADER_BYTES + payload.len()).map_err(|_| ErrorKind::InvalidData)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    for field in [length, PLIST_VERSION, PLIST_MESSAGE, tag] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(payload);
    connection.write_all(&bytes)
}

/// Whether a client that listens has left; waits for as long as the connection's reads do. It takes no
/// more requests, so what it says is let fall.
pub(crate) fn has_left(connection: &mut dyn Connection) -> io::Result<bool> {
    let mut ignored = [0; 1024];
    match connection.read(&mut ignored) {
        Ok(read) => Ok(read == 0),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
