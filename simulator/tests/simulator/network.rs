//! A phone by Wi-Fi: there by USB too, and alive only as long as a heartbeat is.
use crate::host::{
    Host, LOCKDOWN, Mux, ask, devices, dictionary, error, receive, request, secret, send,
    start_service, stream_to,
};
use crate::tools::{client, idevice, options_of, run};
use devsnap_simulator::Simulator;
use plist::Value;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// A phone by USB and by the network, that bears a silent host for so long.
fn both_ways(patience: Duration) -> (Simulator, u64, u64) {
    let mut options = options_of(1);
    options.phones[0].by_network = true;
    options.phones[0].faults.heartbeat_patience = Some(patience);
    let simulator = Simulator::start(options).unwrap();
    let devices = devices(&simulator);
    let id = |kind: &str| devices.iter().find(|(_, other)| other == kind).unwrap().0;
    let (usb, network) = (id("USB"), id("Network"));
    (simulator, usb, network)
}

#[test]
fn one_phone_is_there_by_usb_and_by_the_network_under_one_udid() {
    let (simulator, usb, network) = both_ways(Duration::from_secs(60));

    let list =
        Mux::connect(simulator.address()).ask(dictionary([("MessageType", "ListDevices".into())]));

    let list = list.get("DeviceList").unwrap().as_array().unwrap();
    let properties: Vec<_> = list
        .iter()
        .map(|device| {
            device.as_dictionary().unwrap().get("Properties").unwrap().as_dictionary().unwrap()
        })
        .collect();
    assert_ne!(usb, network);
    assert_eq!(properties[0].get("SerialNumber"), properties[1].get("SerialNumber"));
    let address = properties[1].get("NetworkAddress").unwrap().as_data().unwrap();
    // Length and family as BSD has them, then the port, and an address of this machine's.
    assert_eq!(address[..5], [16, 2, 0xF2, 0x7E, 127]);
    assert!(properties[1].contains_key("EscapedFullServiceName"));
}

#[test]
fn nobody_is_trusted_for_the_first_time_by_the_network() {
    let (simulator, usb, network) = both_ways(Duration::from_secs(60));
    let host = Host::shared();

    let refused = host.pair(&mut stream_to(&simulator, network, LOCKDOWN)).unwrap_err();
    assert_eq!(error(&refused), Some("PairingProhibitedOverThisConnection"));

    host.pair(&mut stream_to(&simulator, usb, LOCKDOWN)).unwrap();
    let (_, mut session) = host.session(stream_to(&simulator, network, LOCKDOWN));
    ask(&mut session, request("QueryType"));
}

#[test]
fn a_network_connection_without_a_heartbeat_breaks_off_and_one_by_usb_does_not() {
    let (simulator, usb, network) = both_ways(Duration::from_millis(300));
    let host = Host::shared();
    let mut by_usb = stream_to(&simulator, usb, LOCKDOWN);
    host.pair(&mut by_usb).unwrap();
    let mut by_network = stream_to(&simulator, network, LOCKDOWN);

    // Nothing is asked for: what ends this is the phone.
    assert!(receive(&mut by_network).is_err());
    ask(&mut by_usb, request("QueryType"));
}

#[test]
fn a_network_connection_lives_as_long_as_its_heartbeat() {
    let patience = Duration::from_secs(2);
    let (simulator, usb, network) = both_ways(patience);
    let host = Host::shared();
    host.pair(&mut stream_to(&simulator, usb, LOCKDOWN)).unwrap();
    let mut heartbeat = host.service(&simulator, network, "com.apple.mobile.heartbeat");
    let (_, mut session) = host.session(stream_to(&simulator, network, LOCKDOWN));

    // The phone calls twice in the time it would bear without an answer: this outlasts that.
    for _ in 0..4 {
        let call = receive(&mut heartbeat).unwrap();
        assert_eq!(call.get("Command"), Some(&"Marco".into()));
        send(&mut heartbeat, dictionary([("Command", Value::from("Polo"))]));
    }

    ask(&mut session, request("QueryType"));
}

#[test]
fn ideviceinfo_reaches_a_phone_by_the_network_at_its_own_address() {
    let (simulator, _, _) = both_ways(Duration::from_secs(60));
    let home = tempfile::tempdir().unwrap();
    let tool = |name: &str, arguments: &[&str]| {
        let mut command = client(&idevice(name), &simulator, home.path());
        let ran = run(command.args(arguments), home.path());
        assert!(ran.succeeded, "{name} {arguments:?}: {ran:?}");
        ran.output
    };
    let identity = simulator.phones()[0].identity();

    tool("idevicepair", &["pair"]);

    assert!(tool("idevice_id", &["-n"]).contains(&identity.udid));
    let arguments = ["-n", "-u", &identity.udid, "-k", "SerialNumber"];
    assert_eq!(tool("ideviceinfo", &arguments).trim(), identity.serial_number);
}

#[test]
fn a_service_is_reached_at_the_phones_own_address() {
    let (simulator, usb, network) = both_ways(Duration::from_secs(60));
    let host = Host::shared();
    host.pair(&mut stream_to(&simulator, usb, LOCKDOWN)).unwrap();
    let list =
        Mux::connect(simulator.address()).ask(dictionary([("MessageType", "ListDevices".into())]));
    let properties =
        list.get("DeviceList").unwrap().as_array().unwrap()[1].as_dictionary().unwrap();
    let properties = properties.get("Properties").unwrap().as_dictionary().unwrap();
    assert_eq!(properties.get("DeviceID").unwrap().as_unsigned_integer(), Some(network));
    let address = properties.get("NetworkAddress").unwrap().as_data().unwrap();
    let ip: [u8; 4] = address[4..8].try_into().unwrap();
    let connect = |port: u16| {
        let stream = TcpStream::connect((Ipv4Addr::from(ip), port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    };

    let (_, mut session) = host.session(connect(LOCKDOWN));
    let name = "com.apple.mobile.heartbeat";
    let started = ask(&mut session, start_service(name, None));
    let port = started.get("Port").unwrap().as_unsigned_integer().unwrap();
    let mut heartbeat = secret(connect(u16::try_from(port).unwrap()), Some(&host.host)).unwrap();

    assert_eq!(receive(&mut heartbeat).unwrap().get("Command"), Some(&"Marco".into()));
}
