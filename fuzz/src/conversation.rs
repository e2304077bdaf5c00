//! What a device, or whoever passes for one, says over the wire.
use devsnap_device::devicelink::file_stream::{self, FileEnd, Receiver, Wire};
use devsnap_device::devicelink::message::Message;
use devsnap_device::lockdown::PairRecord;
use devsnap_device::plist_guard::PlistLimits;
use devsnap_device::plist_stream::decode_body;
use devsnap_device::services::afc::packet;
use devsnap_device::transport::usbmuxd::message as muxd;
use devsnap_device::virtual_dir::path::BackupPath;
use devsnap_device::{DeviceError, DeviceErrorKind, Udid};
use plist::{Dictionary, Value};

const UDID: &str = "00008030-001A2B3C4D5E6F78";
const BLOB: &str = "3d0d7e5fb2ce288813306e4d4636395e047a3d28";

fn udid() -> Udid {
    Udid::parse(UDID).expect("because it is one")
}

/// A path that is accepted lies in the device's own set, is spelt in one way, and is not deep.
pub fn backup_path(data: &[u8]) {
    let Ok(path) = BackupPath::parse_bytes(data, &udid()) else {
        return;
    };
    let spelt = path.tree_path().to_slashed();
    let again = BackupPath::parse_bytes(&spelt, &udid());
    assert_eq!(again.as_ref(), Ok(&path));
    assert!(spelt.starts_with(UDID.as_bytes()) && path.names().len() <= 4);
    assert!(!spelt.iter().any(|byte| matches!(byte, b'\\' | b':' | 0..=0x20 | 0x7f..)));
}

pub(crate) fn backup_path_seeds() -> Vec<Vec<u8>> {
    let inner = ["", "/Snapshot", "/Status.plist", "/3d", "-20261127-101500"];
    let mut seeds: Vec<_> =
        inner.iter().map(|inner| format!("{UDID}{inner}").into_bytes()).collect();
    seeds.push(format!("{UDID}/Snapshot/3d/{BLOB}").into_bytes());
    seeds
}

/// Messages that are understood have a name that cannot move a terminal's cursor, and paths of
/// theirs are as many as were sent.
pub fn devicelink_message(data: &[u8]) {
    let Ok(value) = decode_body(data.to_vec(), &PlistLimits::DEVICELINK) else {
        return;
    };
    let words = value.as_array().map_or(0, Vec::len);
    let Ok(message) = Message::decode(value) else {
        return;
    };
    assert!(words > 0 && !message.name().chars().any(char::is_control));
    assert!(message.progress().is_none_or(|percent| (0.0..=100.0).contains(&percent)));
}

pub(crate) fn devicelink_message_seeds() -> Vec<Vec<u8>> {
    let empty = || Value::Dictionary(Dictionary::new());
    let moves = Dictionary::from_iter([("U/Snapshot/ab/x", Value::from("U/ab/x"))]);
    let messages: Vec<Vec<Value>> = vec![
        vec!["DLMessageVersionExchange".into(), 400_u64.into(), 0_u64.into()],
        vec!["DLMessageUploadFiles".into(), empty(), 0.5.into(), 1_000_u64.into()],
        vec!["DLMessageMoveItems".into(), Value::Dictionary(moves), empty(), 99.0.into()],
        vec!["DLMessageRemoveItems".into(), Value::Array(vec!["U/Snapshot".into()])],
        vec!["DLContentsOfDirectory".into(), "U".into()],
        vec!["DLMessageProcessMessage".into(), empty()],
    ];
    let mut seeds = Vec::new();
    for words in messages {
        let message = Value::Array(words);
        let mut bytes = Vec::new();
        message.to_writer_binary(&mut bytes).expect("because a Vec takes every write");
        seeds.push(std::mem::take(&mut bytes));
        message.to_writer_xml(&mut bytes).expect("because a Vec takes every write");
        seeds.push(bytes);
    }
    seeds
}

/// Bytes that run out.
struct Tape<'t>(&'t [u8]);

impl Wire for Tape<'_> {
    fn read_exact(&mut self, into: &mut [u8]) -> Result<(), DeviceError> {
        let Some((part, rest)) = self.0.split_at_checked(into.len()) else {
            return Err(DeviceError::new(DeviceErrorKind::ConnectionLost, "the tape has ended"));
        };
        into.copy_from_slice(part);
        self.0 = rest;
        Ok(())
    }
    fn write_all(&mut self, _: &[u8]) -> Result<(), DeviceError> {
        unreachable!("a stream is only read")
    }
}

/// Counts what comes, and that files follow one another.
#[derive(Default)]
struct Counted {
    is_open: bool,
    bytes: usize,
}

impl Receiver for Counted {
    fn begin(&mut self, device_path: &[u8], host_path: &[u8]) {
        assert!(!self.is_open);
        let lens = 1..=file_stream::PATH_LEN_MAX;
        assert!(lens.contains(&device_path.len()) && lens.contains(&host_path.len()));
        self.is_open = true;
        self.bytes += device_path.len() + host_path.len();
    }
    fn data(&mut self, bytes: &[u8]) {
        assert!(self.is_open);
        self.bytes += bytes.len();
    }
    fn end(&mut self, _: FileEnd) {
        assert!(self.is_open);
        self.is_open = false;
    }
}

/// A stream is whole files and an end, or an error; nothing is handed on that did not come.
pub fn file_stream(data: &[u8]) {
    let (mut tape, mut counted) = (Tape(data), Counted::default());
    let received = file_stream::receive(&mut tape, &mut counted);
    assert!(counted.bytes <= data.len());
    match received {
        Ok(()) => assert!(!counted.is_open),
        Err(error) => {
            let kinds = [DeviceErrorKind::ConnectionLost, DeviceErrorKind::Protocol];
            assert!(kinds.contains(&error.kind()));
        }
    }
}

pub(crate) fn file_stream_seeds() -> Vec<Vec<u8>> {
    vec![
        b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x06\x0chello\0\0\0\x01\0\0\0\0\0".to_vec(),
        b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x05\x0bgone\0\0\0\0".to_vec(),
        b"\0\0\0\0".to_vec(),
    ]
}

/// A message of usbmuxd, with its header: no length leads past the longest, and devices in it
/// have names.
pub fn usbmuxd_message(data: &[u8]) {
    let Some((header, body)) = data.split_first_chunk() else {
        return;
    };
    let Ok(header) = muxd::Header::decode(header) else {
        return;
    };
    assert!(header.body_len < muxd::MESSAGE_LEN_MAX);
    if let Ok(message) = muxd::decode_body(body) {
        let _ = (muxd::event(&message), muxd::result_of(&message));
        for device in muxd::device_list(&message).unwrap_or_default() {
            assert_eq!(Udid::parse(device.udid.as_str()).as_ref(), Some(&device.udid));
        }
    }
}

pub(crate) fn usbmuxd_message_seeds() -> Vec<Vec<u8>> {
    let properties = Dictionary::from_iter([
        ("ConnectionType", Value::from("USB")),
        ("SerialNumber", Value::from(UDID)),
    ]);
    let attached = Dictionary::from_iter([
        ("MessageType", Value::from("Attached")),
        ("DeviceID", Value::from(5)),
        ("Properties", Value::Dictionary(properties)),
    ]);
    let list = Value::Array(vec![Value::Dictionary(attached.clone())]);
    let list = Dictionary::from_iter([("DeviceList", list)]);
    let result =
        Dictionary::from_iter([("MessageType", Value::from("Result")), ("Number", Value::from(2))]);
    [attached, list, result].map(|message| muxd::encode(message, 1)).to_vec()
}

/// The header of an answer of AFC: no length leads past the longest.
pub fn afc_answer(data: &[u8]) {
    if let Some(header) = data.first_chunk()
        && let Ok(answer) = packet::decode_header(header)
    {
        assert!(u64::from(answer.body_len) <= packet::ANSWER_LEN_MAX);
    }
}

pub(crate) fn afc_answer_seeds() -> Vec<Vec<u8>> {
    let mut answer = packet::encode(packet::Operation::Read, 3, &[0; 8], &[]);
    answer[32] = 2;
    vec![answer]
}

/// A pair record that is read is the same after it was written again, and is never printed.
pub fn pair_record(data: &[u8]) {
    let Ok(record) = PairRecord::decode(data) else {
        return;
    };
    let again = PairRecord::decode(&record.encode());
    // XML holds no control characters, which a text of a binary list may have.
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    if is_plain(&record.host_id) && is_plain(&record.system_buid) && record.wifi_mac.is_none() {
        assert_eq!(again.ok().as_ref(), Some(&record));
    }
    let shown = format!("{record:?}");
    assert!(shown.len() < 60, "{shown}");
}

pub(crate) fn pair_record_seeds() -> Vec<Vec<u8>> {
    let mut record = Dictionary::new();
    for key in ["DeviceCertificate", "HostCertificate", "HostPrivateKey", "RootCertificate"] {
        record.insert(key.to_owned(), Value::Data(key.as_bytes().to_vec()));
    }
    record.insert("EscrowBag".to_owned(), Value::Data(vec![7; 32]));
    record.insert("HostID".to_owned(), "A-B-C".into());
    record.insert("SystemBUID".to_owned(), "D-E-F".into());
    let mut bytes = Vec::new();
    Value::Dictionary(record).to_writer_binary(&mut bytes).expect("because a Vec takes all");
    vec![bytes]
}
