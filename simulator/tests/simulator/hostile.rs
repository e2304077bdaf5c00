//! Hosts that mean no good: each loses its connection at worst, and nobody else's suffers.
use crate::host::{Host, LOCKDOWN, Mux, ask, devices, receive, request, stream_to};
use crate::tools::simulator_of;
use devsnap_simulator::Simulator;
use std::io::{Read, Write};
use std::net::TcpStream;

fn lockdown(simulator: &Simulator) -> TcpStream {
    stream_to(simulator, devices(simulator)[0].0, LOCKDOWN)
}

/// Whether the phone ends a connection on which `bytes` were sent.
fn is_ended(stream: &mut (impl Read + Write), bytes: &[u8]) -> bool {
    // It may be reset while this is written.
    let _ = stream.write_all(bytes);
    let _ = stream.flush();
    let mut rest = Vec::new();
    // An error other than a time-out is an end too.
    !stream.read_to_end(&mut rest).is_err_and(|error| {
        matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    })
}

fn prefixed(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

/// Arrays in arrays, 200,000 deep.
fn deep() -> Vec<u8> {
    let depth = 200_000;
    let (open, close) = ("<array>".repeat(depth / 10), "</array>".repeat(depth / 10));
    format!("<?xml version=\"1.0\"?><plist>{open}{close}</plist>").into_bytes()
}

/// Fifty arrays, each holding the next one twice.
fn exploding() -> Vec<u8> {
    let mut bytes = b"bplist00".to_vec();
    let mut offsets = Vec::new();
    for index in 0..50_u8 {
        offsets.push(u8::try_from(bytes.len()).unwrap());
        bytes.extend([0xA2, index + 1, index + 1]);
    }
    offsets.push(u8::try_from(bytes.len()).unwrap());
    bytes.push(0x09);
    let table = bytes.len() as u64;
    bytes.extend(&offsets);
    bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
    for field in [51_u64, 0, table] {
        bytes.extend(field.to_be_bytes());
    }
    bytes
}

#[test]
fn impossible_messages_end_a_lockdown_connection_and_no_other() {
    let simulator = simulator_of(1);
    let mut bystander = lockdown(&simulator);

    for bytes in [
        vec![0xFF; 4],
        vec![0x7F, 0xFF, 0xFF, 0xFF],
        vec![0, 0x10, 0, 1],
        vec![0, 0, 0, 0],
        prefixed(b"not a plist"),
        prefixed(&deep()),
        prefixed(&exploding()),
    ] {
        assert!(is_ended(&mut lockdown(&simulator), &bytes), "{:?}", &bytes[..bytes.len().min(20)]);
        ask(&mut bystander, request("QueryType"));
    }
}

#[test]
fn impossible_messages_end_a_client_of_usbmuxd_and_no_other() {
    let simulator = simulator_of(1);
    let header = |length: u32| {
        [length, 1, 8, 0].iter().flat_map(|field| field.to_le_bytes()).collect::<Vec<u8>>()
    };

    for length in [0, 1, 15, 65_537, 0x7FFF_FFFF, u32::MAX] {
        assert!(is_ended(&mut Mux::connect(simulator.address()).0, &header(length)), "{length}");
        assert_eq!(devices(&simulator).len(), 1);
    }
    // One that fits and is no good is answered.
    let mut mux = Mux::connect(simulator.address());
    mux.0.write_all(&Mux::frame(1, 8, 0, &exploding())).unwrap();
    assert_eq!(Mux::number(&mux.receive().1), Some(1));
}

#[test]
fn impossible_packets_end_an_afc_connection() {
    let simulator = simulator_of(1);
    let host = Host::shared();
    host.pair(&mut lockdown(&simulator)).unwrap();
    let id = devices(&simulator)[0].0;
    let packet = |entire: u64, this: u64| {
        let mut bytes = b"CFA6LPAA".to_vec();
        for field in [entire, this, 1, 3] {
            bytes.extend(field.to_le_bytes());
        }
        bytes
    };

    for bytes in [
        packet(u64::MAX, 40),
        packet(u64::MAX, u64::MAX),
        packet(40, 48),
        packet(0, 0),
        packet(1 << 40, 1 << 40),
        b"GET / HTTP/1.1\r\nHost: phone\r\nAccept: */*\r\n\r\n".to_vec(),
    ] {
        let mut afc = host.service(&simulator, id, "com.apple.afc");
        assert!(is_ended(&mut afc, &bytes), "{bytes:?}");
    }
}

#[test]
fn a_host_that_talks_in_tls_before_a_session_is_turned_away() {
    let simulator = simulator_of(1);
    let hello = [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];

    assert!(is_ended(&mut lockdown(&simulator), &hello));
}

#[test]
fn thousands_of_requests_on_one_connection_are_all_answered() {
    let simulator = simulator_of(1);
    let mut mux = Mux::connect(simulator.address());
    let question = Mux::request(crate::host::dictionary([("MessageType", "ReadBUID".into())]));
    let mut writer = mux.0.try_clone().unwrap();
    let asking = std::thread::spawn(move || {
        for _ in 0..5000 {
            writer.write_all(&question).unwrap();
        }
    });

    for _ in 0..5000 {
        assert!(mux.receive().1.contains_key("BUID"));
    }
    asking.join().unwrap();
}

#[test]
fn more_connections_than_any_host_needs_are_turned_away_and_the_phone_lives() {
    let simulator = simulator_of(1);

    let mut many: Vec<TcpStream> =
        (0..400).map(|_| TcpStream::connect(simulator.address()).unwrap()).collect();
    // The last ones are closed without a word.
    assert!(is_ended(many.last_mut().unwrap(), b""));
    drop(many);

    for _ in 0..500 {
        let mut stream = TcpStream::connect(simulator.address()).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let question = crate::host::dictionary([("MessageType", "ReadBUID".into())]);
        if stream.write_all(&Mux::request(question)).is_ok()
            && stream.read_exact(&mut [0; 16]).is_ok()
        {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("nobody is served any more");
}

#[test]
fn a_host_that_leaves_in_the_middle_of_anything_is_forgotten() {
    let simulator = simulator_of(1);
    let question = prefixed(&crate::host::xml(request("QueryType")));

    for length in 0..question.len().min(60) {
        let mut stream = lockdown(&simulator);
        stream.write_all(&question[..length]).unwrap();
        drop(stream);
    }

    let mut stream = lockdown(&simulator);
    stream.write_all(&question).unwrap();
    assert!(receive(&mut stream).is_ok());
}
