//! Messages on a stream: a length of four bytes, big-endian, and a property list.
//!
//! Every service of a device speaks so, but for AFC and usbmuxd itself. Devices answer in XML or
//! binary as they like, and both are read whatever was asked in.
use std::time::Duration;

use plist::{Dictionary, Value};

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::{BadPlist, PlistLimits, read_value};
use crate::transport::{AtMost, DeviceStream, Link, Polled, Wait};

/// How much memory is taken for a message before its bytes are there.
const STEP: usize = 1 << 20;

/// How long the rest of a message may take that has begun.
const REST_WAIT: AtMost = AtMost(Duration::from_secs(30));

/// What a short look at a stream of messages brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A message.
    Message(Value),
    /// None in time.
    Nothing,
    /// No more will come.
    Closed,
}

/// How our own lists are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As lockdown and most services are spoken to.
    Xml,
    /// As DeviceLink and SpringBoard are.
    Binary,
}

impl PlistLimits {
    /// For what lockdown and the small services say. The largest is the list of installed apps,
    /// which comes in pieces, with the store's metadata of each.
    pub const SERVICE: PlistLimits = PlistLimits {
        bytes_max: 16 << 20,
        depth_max: 64,
        values_max: 1 << 18,
        content_bytes_max: 32 << 20,
    };

    /// For DeviceLink: a batch names at most 128 files, but nothing promises it.
    pub const DEVICELINK: PlistLimits = PlistLimits {
        bytes_max: 64 << 20,
        depth_max: 32,
        values_max: 1 << 20,
        content_bytes_max: 64 << 20,
    };
}

/// A stream of messages.
pub struct PlistStream {
    link: Link,
    encoding: Encoding,
    limits: PlistLimits,
}

impl PlistStream {
    /// Speaks `encoding` on `link`, and believes nothing beyond `limits`.
    pub fn new(link: Link, encoding: Encoding, limits: PlistLimits) -> Self {
        PlistStream { link, encoding, limits }
    }

    /// Opens one over a fresh stream that stays what it is.
    ///
    /// # Errors
    ///
    /// The stream is gone.
    pub fn over(stream: Box<dyn DeviceStream>, encoding: Encoding) -> Result<Self> {
        Ok(PlistStream::new(Link::reading_ahead(stream)?, encoding, PlistLimits::SERVICE))
    }

    /// The link below, for bytes that are no messages.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// The link itself.
    pub fn into_link(self) -> Link {
        self.link
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// The connection broke, or `wait` has enough.
    pub fn send(&mut self, message: &Value, wait: &mut dyn Wait) -> Result<()> {
        self.link.write_all(&frame(message, self.encoding), wait)
    }

    /// The next message; `None` when the device closed the stream after the last one.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or what came is no message.
    pub fn receive(&mut self, wait: &mut dyn Wait) -> Result<Option<Value>> {
        let mut len = [0; 4];
        if !self.link.read_exact(&mut len, wait)? {
            return Ok(None);
        }
        let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
        if len > self.limits.bytes_max {
            return Err(not_understood(BadPlist::TooLong { max: self.limits.bytes_max }));
        }
        let mut body = Vec::new();
        while body.len() < len {
            let have = body.len();
            body.resize(len.min(have + STEP), 0);
            if !self.link.read_exact(&mut body[have..], wait)? {
                return Err(crate::transport::lost());
            }
        }
        decode_body(body, &self.limits).map(Some).map_err(not_understood)
    }

    /// The next message, if one begins within `at_most`.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn poll(&mut self, at_most: Duration) -> Result<Heard> {
        match self.link.poll(at_most)? {
            Polled::Nothing => Ok(Heard::Nothing),
            Polled::Closed => Ok(Heard::Closed),
            Polled::Ready => {
                Ok(self.receive(&mut REST_WAIT.clone())?.map_or(Heard::Closed, Heard::Message))
            }
        }
    }

    /// The next message, which is a dictionary.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive); the device closed the stream; another kind of list.
    pub fn receive_dictionary(&mut self, wait: &mut dyn Wait) -> Result<Dictionary> {
        let message = self.receive(wait)?.ok_or_else(crate::transport::lost)?;
        message.into_dictionary().ok_or_else(|| not_understood(BadPlist::NotADictionary))
    }

    /// Sends a dictionary and hears one.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send) and [`receive_dictionary`](Self::receive_dictionary).
    pub fn ask(&mut self, request: Dictionary, wait: &mut dyn Wait) -> Result<Dictionary> {
        self.send(&Value::Dictionary(request), wait)?;
        self.receive_dictionary(wait)
    }
}

/// A message with its length.
pub fn frame(message: &Value, encoding: Encoding) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    let written = match encoding {
        Encoding::Xml => message.to_writer_xml(&mut bytes),
        Encoding::Binary => message.to_writer_binary(&mut bytes),
    };
    written.expect("because a vector takes everything and our own lists can be written");
    if encoding == Encoding::Xml {
        // As a text ends, and as other clients' do.
        bytes.push(b'\n');
    }
    let len = u32::try_from(bytes.len() - 4).expect("because our own messages are short");
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

/// The list in a message's body, in whichever encoding it is.
///
/// # Errors
///
/// It is none, or asks for more than `limits` allow.
pub fn decode_body(mut body: Vec<u8>, limits: &PlistLimits) -> Result<Value, BadPlist> {
    if !body.starts_with(b"bplist") {
        // Devices do put control characters into XML, which forbids them; a blank will do.
        for byte in &mut body {
            if *byte < 0x20 && !matches!(*byte, b'\t' | b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    read_value(&body, limits)
}

fn not_understood(bad: BadPlist) -> DeviceError {
    DeviceError::new(DeviceErrorKind::Protocol, "a message of the device cannot be read")
        .because(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn a_version_exchange_is_written_as_other_clients_write_it() {
        let message =
            Value::Array(vec!["DLMessageVersionExchange".into(), 300_u64.into(), 0_u64.into()]);
        let known = hex("00000050 62706c6973743030 a3010203 5f1018
             444c4d65737361676556657273696f6e45786368616e6765 11012c 1000 08 0c 27 2a
             000000000000 01 01 0000000000000004 0000000000000000 000000000000002c");
        assert_eq!(frame(&message, Encoding::Binary), known);
        assert_eq!(decode_body(known[4..].to_vec(), &PlistLimits::DEVICELINK).unwrap(), message);
    }

    #[test]
    fn control_characters_in_xml_are_blanks() {
        let xml = b"<plist version=\"1.0\"><string>a\x01b\x00c</string></plist>".to_vec();
        let read = decode_body(xml, &PlistLimits::SERVICE).unwrap();
        assert_eq!(read.as_string(), Some("a b c"));
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_it_is_waited_for() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(&[0xff; 4]).unwrap();
        let mut stream = PlistStream::over(Box::new(near), Encoding::Xml).unwrap();
        let refused = stream.receive(&mut AtMost(Duration::from_secs(20))).unwrap_err();
        assert_eq!(refused.kind(), DeviceErrorKind::Protocol);
    }

    proptest! {
        #[test]
        fn what_is_framed_is_heard_in_both_encodings(text in "[ -~]{0,40}", number: u64) {
            let message = Value::Array(vec![text.as_str().into(), number.into()]);
            for encoding in [Encoding::Xml, Encoding::Binary] {
                let body = frame(&message, encoding).split_off(4);
                prop_assert_eq!(&decode_body(body, &PlistLimits::SERVICE).unwrap(), &message);
            }
        }
    }
}
