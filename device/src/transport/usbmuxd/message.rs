//! What is said to usbmuxd and heard from it, as bytes.
use plist::{Dictionary, Value};

use crate::plist_guard::{BadPlist, PlistLimits, read_value};
use crate::transport::{ConnectionKind, DeviceAddress, TransportEvent};
use crate::udid::Udid;

/// Length of the header before every message, in bytes.
pub const HEADER_LEN: usize = 16;

/// The longest message believed, in bytes: a pair record is about 11 KB of XML, a list of a hundred
/// devices about 60 KB.
pub const MESSAGE_LEN_MAX: u32 = 1 << 20;

/// Of a message: no device sends more than a few dozen values.
const LIMITS: PlistLimits = PlistLimits {
    bytes_max: MESSAGE_LEN_MAX as usize,
    depth_max: 16,
    values_max: 1 << 14,
    content_bytes_max: 1 << 20,
};

/// Version 1 is the protocol of property lists.
const VERSION: u32 = 1;
/// The one kind of message it has.
const PLIST: u32 = 8;

/// The header of a message that may be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of property list that follow.
    pub body_len: u32,
    /// Chosen by who asks; an answer repeats it, an event has 0.
    pub tag: u32,
}

/// Why a message of usbmuxd cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// A length that no message has.
    #[error("a message claims to be {0} bytes long")]
    Length(u32),
    /// The binary protocol of before 2009, or something else entirely.
    #[error("it speaks version {version} and message kind {kind}, not 1 and 8")]
    Kind {
        /// The version it speaks.
        version: u32,
        /// The kind of message it sent.
        kind: u32,
    },
    /// The list in it is none.
    #[error("a message of it cannot be read")]
    Plist(#[from] BadPlist),
    /// A list of another shape.
    #[error("a message of it has no `{0}` as it should be")]
    Shape(&'static str),
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    ///
    /// Another protocol, or a length beyond [`MESSAGE_LEN_MAX`].
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Header, BadMessage> {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let (len, version, kind, tag) = (word(0), word(4), word(8), word(12));
        if (version, kind) != (VERSION, PLIST) {
            return Err(BadMessage::Kind { version, kind });
        }
        let body_len = len.checked_sub(16).filter(|_| len <= MESSAGE_LEN_MAX);
        Ok(Header { body_len: body_len.ok_or(BadMessage::Length(len))?, tag })
    }
}

/// A request with its header, in XML: the only encoding every daemon reads.
pub fn encode(request: Dictionary, tag: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    Value::Dictionary(request)
        .to_writer_xml(&mut bytes)
        .expect("because a vector takes everything and our own lists can be written");
    bytes.push(b'\n');
    let len = u32::try_from(bytes.len()).expect("because requests are short");
    for (at, word) in [(0, len), (4, VERSION), (8, PLIST), (12, tag)] {
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// A request by its name, with the words every client says of itself.
pub fn request(kind: &str) -> Dictionary {
    let mut request = Dictionary::new();
    let mut say = |key: &str, value: Value| request.insert(key.to_owned(), value);
    say("ClientVersionString", concat!("devsnap ", env!("CARGO_PKG_VERSION")).into());
    say("MessageType", kind.into());
    say("ProgName", "devsnap".into());
    say("kLibUSBMuxVersion", 3_u64.into());
    request
}

/// The dictionary of a message.
///
/// # Errors
///
/// It is none.
pub fn decode_body(bytes: &[u8]) -> Result<Dictionary, BadMessage> {
    read_value(bytes, &LIMITS)?.into_dictionary().ok_or(BadMessage::Shape("dictionary"))
}

/// The number of a `Result`; `None` for an answer that is something else.
pub fn result_of(answer: &Dictionary) -> Option<u64> {
    (text(answer, "MessageType")? == "Result")
        .then(|| answer.get("Number").and_then(Value::as_unsigned_integer).unwrap_or(u64::MAX))
}

/// The devices of a `DeviceList`; those that make no sense are left out.
///
/// # Errors
///
/// There is no list.
pub fn device_list(answer: &Dictionary) -> Result<Vec<DeviceAddress>, BadMessage> {
    let list = answer.get("DeviceList").and_then(Value::as_array);
    let list = list.ok_or(BadMessage::Shape("DeviceList"))?;
    Ok(list.iter().filter_map(|item| attached(item.as_dictionary()?)).collect())
}

/// The event that a message of a listening socket tells; `None` for what does not matter.
pub fn event(message: &Dictionary) -> Option<TransportEvent> {
    let handle = || message.get("DeviceID").and_then(Value::as_unsigned_integer);
    match text(message, "MessageType")? {
        "Attached" => attached(message).map(TransportEvent::Attached),
        "Detached" => Some(TransportEvent::Detached { handle: handle()? }),
        "Paired" => Some(TransportEvent::Paired { handle: handle()? }),
        _ => None,
    }
}

/// The address in an `Attached` dictionary.
fn attached(message: &Dictionary) -> Option<DeviceAddress> {
    let properties = message.get("Properties")?.as_dictionary()?;
    let handle = message.get("DeviceID").or_else(|| properties.get("DeviceID"));
    let kind = match text(properties, "ConnectionType") {
        Some("USB") | None => ConnectionKind::Usb,
        Some("Network") => ConnectionKind::Network,
        Some(_) => return None,
    };
    let udid = udid_of_serial(text(properties, "SerialNumber")?)?;
    Some(DeviceAddress { udid, kind, handle: handle?.as_unsigned_integer()? })
}

/// The UDID that a USB serial number is: newer devices leave its hyphen out there.
fn udid_of_serial(serial: &str) -> Option<Udid> {
    if serial.len() == 24 && serial.is_ascii() && !serial.contains('-') {
        return Udid::parse(&format!("{}-{}", &serial[..8], &serial[8..]));
    }
    Udid::parse(serial)
}

fn text<'d>(dictionary: &'d Dictionary, key: &str) -> Option<&'d str> {
    dictionary.get(key)?.as_string()
}

/// A port as the daemon wants it: its two bytes in the order of the network.
pub fn wire_port(port: u16) -> u64 {
    u64::from(port.swap_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attached_list(serial: &str, kind: &str) -> Vec<u8> {
        format!(
            "<plist version=\"1.0\"><dict><key>DeviceList</key><array><dict>\
             <key>DeviceID</key><integer>5</integer>\
             <key>MessageType</key><string>Attached</string>\
             <key>Properties</key><dict>\
             <key>ConnectionType</key><string>{kind}</string>\
             <key>DeviceID</key><integer>5</integer>\
             <key>SerialNumber</key><string>{serial}</string>\
             </dict></dict></array></dict></plist>"
        )
        .into_bytes()
    }

    #[test]
    fn a_listed_device_is_named_with_the_hyphen_its_cable_leaves_out() {
        for serial in ["00008030-001D35093EF2402E", "00008030001D35093EF2402E"] {
            let list = decode_body(&attached_list(serial, "USB")).unwrap();
            let [device] = &device_list(&list).unwrap()[..] else { panic!("one device") };
            assert_eq!(device.udid.as_str(), "00008030-001D35093EF2402E");
            assert_eq!((device.kind, device.handle), (ConnectionKind::Usb, 5));
        }
        let list = decode_body(&attached_list("../../etc", "USB")).unwrap();
        assert_eq!(device_list(&list).unwrap(), []);
        let list = decode_body(&attached_list("00008030-001D35093EF2402E", "Pigeon")).unwrap();
        assert_eq!(device_list(&list).unwrap(), []);
    }

    #[test]
    fn the_port_of_lockdown_has_its_bytes_swapped() {
        assert_eq!(wire_port(62078), 32498);
    }

    #[test]
    fn a_request_carries_its_length_and_tag() {
        let bytes = encode(request("ListDevices"), 7);
        let header: [u8; HEADER_LEN] = bytes[..16].try_into().unwrap();
        let header = Header::decode(&header).unwrap();
        assert_eq!((header.body_len as usize, header.tag), (bytes.len() - 16, 7));
        let body = decode_body(&bytes[16..]).unwrap();
        assert_eq!(text(&body, "MessageType"), Some("ListDevices"));
        assert_eq!(body.get("kLibUSBMuxVersion"), Some(&3_u64.into()));
    }

    proptest! {
        #[test]
        fn no_header_leads_to_more_than_the_longest_message(bytes: [u8; HEADER_LEN]) {
            if let Ok(header) = Header::decode(&bytes) {
                prop_assert!(header.body_len <= MESSAGE_LEN_MAX - 16);
            }
        }

        #[test]
        fn the_old_protocol_and_short_lengths_are_refused(len in 0u32..16) {
            let mut bytes = [0; HEADER_LEN];
            bytes[..4].copy_from_slice(&len.to_le_bytes());
            bytes[8] = 8;
            prop_assert!(Header::decode(&bytes).is_err());
            bytes[4] = 1;
            prop_assert!(Header::decode(&bytes).is_err());
        }
    }
}
