//! A phone by Wi-Fi: there by USB too, and alive only as long as a heartbeat is.
use crate::host::{
    Host, LOCKDOWN, Mux, ask, devices, dictionary, error, receive, request, send, stream_to,
};
use crate::tools::options_of;
use devsnap_simulator::Simulator;
use plist::Value;
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
    // Length and family as BSD has them, then the port and 127.0.0.1.
    assert_eq!(address[..8], [16, 2, 0xF2, 0x7E, 127, 0, 0, 1]);
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
