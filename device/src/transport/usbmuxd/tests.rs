//! A daemon of a few lines on a loopback socket, that says what a test tells it to.
use super::*;
use crate::transport::{ConnectionKind, distinct};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

const UDID: &str = "00008030-001D35093EF2402E";

/// Answers each connection's one request with the next of `answers`, then sends `more`.
fn daemon(answers: Vec<(String, Vec<u8>)>) -> (Usbmuxd, JoinHandle<Vec<Dictionary>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let mut heard = Vec::new();
        for (answer, more) in answers {
            let (mut socket, _) = listener.accept().unwrap();
            let mut header = [0; HEADER_LEN];
            socket.read_exact(&mut header).unwrap();
            let mut body = vec![0; Header::decode(&header).unwrap().body_len as usize];
            socket.read_exact(&mut body).unwrap();
            heard.push(message::decode_body(&body).unwrap());
            socket.write_all(&framed(&answer, 1)).unwrap();
            socket.write_all(&more).unwrap();
        }
        heard
    });
    (Usbmuxd::at(UsbmuxdAddress::Tcp("127.0.0.1".to_owned(), port)), serving)
}

fn framed(inner: &str, tag: u32) -> Vec<u8> {
    let body = format!("<plist version=\"1.0\"><dict>{inner}</dict></plist>");
    let len = u32::try_from(body.len() + 16).unwrap();
    let mut bytes: Vec<u8> = [len, 1, 8, tag].iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

fn result(number: u32) -> String {
    format!(
        "<key>MessageType</key><string>Result</string><key>Number</key><integer>{number}</integer>"
    )
}

fn attached(handle: u32) -> String {
    format!(
        "<key>MessageType</key><string>Attached</string><key>DeviceID</key><integer>{handle}\
         </integer><key>Properties</key><dict><key>ConnectionType</key><string>USB</string>\
         <key>SerialNumber</key><string>{UDID}</string></dict>"
    )
}

fn address() -> DeviceAddress {
    let udid = Udid::parse(UDID).unwrap();
    DeviceAddress { udid, kind: ConnectionKind::Usb, handle: 5 }
}

#[test]
fn devices_are_listed() {
    let list = format!("<key>DeviceList</key><array><dict>{}</dict></array>", attached(5));
    let (mux, serving) = daemon(vec![(list, vec![])]);
    assert_eq!(distinct(mux.devices().unwrap()), [address()]);
    let asked = serving.join().unwrap();
    assert_eq!(asked[0].get("MessageType").unwrap().as_string(), Some("ListDevices"));
}

#[test]
fn after_connect_the_socket_is_the_stream() {
    let (mux, serving) = daemon(vec![(result(0), vec![])]);
    let mut stream = mux.connect(&address(), 62078).unwrap();
    serving
        .join()
        .map(|asked| {
            assert_eq!(asked[0].get("PortNumber"), Some(&32498_u64.into()));
            assert_eq!(asked[0].get("DeviceID"), Some(&5_u64.into()));
        })
        .unwrap();
    assert_eq!(stream.read(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn a_refusal_says_what_is_the_matter() {
    let (mux, _serving) = daemon(vec![(result(2), vec![]), (result(3), vec![])]);
    let kind = |port| mux.connect(&address(), port).err().unwrap().kind();
    assert_eq!(kind(1), DeviceErrorKind::NotConnected);
    assert_eq!(kind(2), DeviceErrorKind::ConnectionLost);
}

#[test]
fn a_daemon_that_is_not_there_is_told_from_a_device_that_is_not() {
    let nowhere = Usbmuxd::at(UsbmuxdAddress::Unix("/nowhere/at/all".into()));
    assert_eq!(nowhere.devices().unwrap_err().kind(), DeviceErrorKind::NoUsbmuxd);
}

#[test]
fn events_come_one_by_one_and_silence_is_no_error() {
    let mut events = framed(&attached(6), 0);
    for word in ["Paired", "Moved", "Detached"] {
        let event = format!(
            "<key>MessageType</key><string>{word}</string><key>DeviceID</key><integer>6</integer>"
        );
        events.extend(framed(&event, 0));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = [0; 64];
        let _ = socket.read(&mut request).unwrap();
        socket.write_all(&framed(&result(0), 1)).unwrap();
        socket.write_all(&events).unwrap();
        socket
    });
    let mux = Usbmuxd::at(UsbmuxdAddress::Tcp("127.0.0.1".to_owned(), port));
    let mut watching = mux.watch().unwrap();
    let _socket = serving.join().unwrap();
    let mut next = || watching.next(Duration::from_millis(300)).unwrap();
    assert_eq!(next(), Some(TransportEvent::Attached(DeviceAddress { handle: 6, ..address() })));
    assert_eq!(next(), Some(TransportEvent::Paired { handle: 6 }));
    assert_eq!(next(), None, "an unknown event is passed over");
    assert_eq!(next(), Some(TransportEvent::Detached { handle: 6 }));
    assert_eq!(next(), None);
}

#[test]
fn pair_records_are_read_and_kept() {
    let record = "<key>PairRecordData</key><data>YWJj</data>".to_owned();
    let (mux, serving) = daemon(vec![
        (record, vec![]),
        (result(2), vec![]),
        (result(22), vec![]),
        ("<key>BUID</key><string>B-U-I-D</string>".to_owned(), vec![]),
    ]);
    assert_eq!(mux.pair_record(&address().udid).unwrap().as_deref(), Some(&b"abc"[..]));
    assert_eq!(mux.pair_record(&address().udid).unwrap(), None);
    assert!(mux.save_pair_record(&address(), b"xyz").is_err());
    assert_eq!(mux.system_buid().unwrap().as_deref(), Some("B-U-I-D"));
    let asked = serving.join().unwrap();
    assert_eq!(asked[2].get("PairRecordData").unwrap().as_data(), Some(&b"xyz"[..]));
}
