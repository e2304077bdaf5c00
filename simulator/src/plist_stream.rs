//! `u32` length, big-endian, then a plist: how lockdown and most services talk.
//!
//! What hosts send is hostile. A length is compared with a cap before memory is allocated for it,
//! and a plist is counted event by event before a value is built from it: 360 bytes of binary
//! plist can stand for 888 MB, and a deep one overflows the stack of whoever builds it.
use crate::connection::Connection;
use plist::stream::{Event, Reader};
use plist::{Dictionary, Value};
use std::io::{self, Cursor, ErrorKind};

/// Longest message of a host, in bytes. A Pair request is about 10 KiB, a long SetValue less.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a host's plist.
const DEPTH_MAX: usize = 24;
/// Most values in a host's plist.
const VALUES_MAX: usize = 20_000;
/// Most bytes that a plist's strings and data may come to, shared ones counted each time.
const CONTENT_BYTES_MAX: usize = 4 << 20;

/// How a message is written. Readers take either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// An XML document.
    Xml,
    /// Beginning with `bplist00`.
    Binary,
}

/// The plist in `bytes`, XML or binary.
///
/// # Errors
///
/// `InvalidData`: it is none, or it is deeper or larger than any that a host needs.
pub fn parse(bytes: &[u8]) -> io::Result<Value> {
    let text = bytes.trim_ascii_start();
    if !(bytes.starts_with(b"bplist00") || text.starts_with(b"<")) {
        return Err(invalid("neither an XML nor a binary plist"));
    }
    measure(bytes)?;
    Value::from_reader(Cursor::new(bytes)).map_err(|error| invalid(&error.to_string()))
}

/// Counts what the plist in `bytes` would come to.
fn measure(bytes: &[u8]) -> io::Result<()> {
    let (mut depth, mut values, mut content) = (0_usize, 0_usize, 0_usize);
    for event in Reader::new(Cursor::new(bytes)) {
        match event.map_err(|error| invalid(&error.to_string()))? {
            Event::StartArray(_) | Event::StartDictionary(_) => depth += 1,
            Event::EndCollection => depth = depth.saturating_sub(1),
            Event::Data(data) => content += data.len(),
            Event::String(text) => content += text.len(),
            _ => {}
        }
        values += 1;
        if depth > DEPTH_MAX || values > VALUES_MAX || content > CONTENT_BYTES_MAX {
            return Err(invalid("a plist out of all proportion"));
        }
    }
    Ok(())
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason.to_owned())
}

/// `value` in its encoding, without a length before it.
///
/// # Errors
///
/// `InvalidData`: it holds what a plist cannot.
pub fn encode(value: &Value, encoding: Encoding) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match encoding {
        Encoding::Xml => value.to_writer_xml(&mut bytes),
        Encoding::Binary => value.to_writer_binary(&mut bytes),
    }
    .map_err(|error| invalid(&error.to_string()))?;
    Ok(bytes)
}

/// Sends one message.
///
/// # Errors
///
/// The connection is gone.
pub fn send(
    connection: &mut dyn Connection,
    message: Dictionary,
    encoding: Encoding,
) -> io::Result<()> {
    send_value(connection, &Value::Dictionary(message), encoding)
}

/// Sends one message that need not be a dictionary.
///
/// # Errors
///
/// The connection is gone.
pub fn send_value(
    connection: &mut dyn Connection,
    message: &Value,
    encoding: Encoding,
) -> io::Result<()> {
    let body = encode(message, encoding)?;
    let length = u32::try_from(body.len()).map_err(|_| invalid("a message of 4 GiB"))?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(body);
    connection.write_all(&bytes)
}

/// Receives messages. A read that timed out in the middle of one is taken up where it stopped.
#[derive(Debug, Default)]
pub struct Incoming {
    /// What has come of the message, length included.
    partial: Vec<u8>,
}

impl Incoming {
    /// The next message; `None` when the host closed the connection between two.
    ///
    /// # Errors
    ///
    /// - `WouldBlock`, `TimedOut`: nothing came in time; call again.
    /// - `InvalidData`: no message, or one too long or too deep. The stream is lost.
    /// - Others: the connection is gone.
    pub fn receive(&mut self, connection: &mut dyn Connection) -> io::Result<Option<Value>> {
        if !self.fill(connection, 4)? {
            return Ok(None);
        }
        let length =
            self.partial[..4].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if length > MESSAGE_BYTES_MAX {
            return Err(invalid("a message too long"));
        }
        if !self.fill(connection, 4 + length)? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let message = parse(&self.partial[4..]);
        self.partial.clear();
        message.map(Some)
    }

    /// Reads until `wanted` bytes are there; false when the connection ended before the first.
    fn fill(&mut self, connection: &mut dyn Connection, wanted: usize) -> io::Result<bool> {
        let mut buffer = [0; 8192];
        while self.partial.len() < wanted {
            let most = (wanted - self.partial.len()).min(buffer.len());
            match connection.read(&mut buffer[..most]) {
                Ok(0) if self.partial.is_empty() => return Ok(false),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.partial.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_are_read_back() {
        let mut dictionary = Dictionary::new();
        dictionary.insert("Name".into(), "Ada\u{2019}s 📱".into());
        let value = Value::Dictionary(dictionary);

        for encoding in [Encoding::Xml, Encoding::Binary] {
            assert_eq!(parse(&encode(&value, encoding).unwrap()).unwrap(), value);
        }
    }

    #[test]
    fn a_small_plist_that_stands_for_a_huge_one_is_refused() {
        // Forty arrays, each holding the next one twice: 2^40 values.
        let mut bytes = b"bplist00".to_vec();
        let mut offsets = Vec::new();
        for index in 0..40_u8 {
            offsets.push(u8::try_from(bytes.len()).unwrap());
            bytes.extend([0xA2, index + 1, index + 1]);
        }
        offsets.push(u8::try_from(bytes.len()).unwrap());
        bytes.push(0x09);
        let table = bytes.len() as u64;
        bytes.extend(&offsets);
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
        bytes.extend(41_u64.to_be_bytes());
        bytes.extend(0_u64.to_be_bytes());
        bytes.extend(table.to_be_bytes());

        assert_eq!(parse(&bytes).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn a_deep_plist_is_refused_without_building_it() {
        let bytes =
            format!("<plist>{}{}</plist>", "<array>".repeat(30_000), "</array>".repeat(30_000));

        assert_eq!(parse(bytes.as_bytes()).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_neither_xml_nor_binary_is_refused() {
        assert_eq!(parse(b"{ a = b; }").unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(parse(b"").unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
