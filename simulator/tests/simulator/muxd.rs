//! usbmuxd, where no client shows a thing.
use crate::host::{LOCKDOWN, Mux, ask, devices, dictionary, receive, request, stream_to, xml};
use crate::tools::{options_of, simulator_of};
use devsnap_simulator::wire::Weather;
use devsnap_simulator::{Options, Simulator};
use plist::{Dictionary, Value};
use std::io::Write;

fn message(kind: &str) -> Dictionary {
    dictionary([("MessageType", kind.into())])
}

fn save_record(udid: &str) -> Dictionary {
    dictionary([
        ("MessageType", "SavePairRecord".into()),
        ("PairRecordID", udid.into()),
        ("PairRecordData", Value::Data(b"a record".to_vec())),
    ])
}

fn read_record(udid: &str) -> Dictionary {
    dictionary([("MessageType", "ReadPairRecord".into()), ("PairRecordID", udid.into())])
}

#[test]
fn bytes_sent_ahead_of_the_answer_to_connect_reach_the_service() {
    let options = Options { weather: Weather::Cruel, ..options_of(1) };
    let simulator = Simulator::start(options).unwrap();
    let (id, _) = devices(&simulator)[0];
    let question = xml(request("QueryType"));

    for _ in 0..20 {
        let mut bytes = Mux::connect_request(id, LOCKDOWN);
        bytes.extend(u32::try_from(question.len()).unwrap().to_be_bytes());
        bytes.extend(&question);
        let mut mux = Mux::connect(simulator.address());
        mux.0.write_all(&bytes).unwrap();

        assert_eq!(Mux::number(&mux.receive().1), Some(0));
        let answer = receive(&mut mux.0).unwrap();
        assert_eq!(answer.get("Type"), Some(&"com.apple.mobile.lockdown".into()));
    }
}

#[test]
fn listeners_hear_what_is_there_what_goes_comes_and_is_paired() {
    let simulator = simulator_of(2);
    let udid = simulator.phones()[1].identity().udid.clone();
    let mut mux = Mux::connect(simulator.address());
    let heard = |mux: &mut Mux| {
        let (tag, event) = mux.receive();
        assert_eq!(tag, 0);
        let kind = event.get("MessageType").unwrap().as_string().unwrap().to_owned();
        (kind, event.get("DeviceID").unwrap().as_unsigned_integer().unwrap())
    };

    assert_eq!(Mux::number(&mux.ask(message("Listen"))), Some(0));
    let (first, second) = (heard(&mut mux), heard(&mut mux));
    simulator.unplug(&udid);
    let gone = heard(&mut mux);
    simulator.plug_in(&udid);
    let back = heard(&mut mux);
    Mux::connect(simulator.address()).ask(save_record(&udid));
    let paired = heard(&mut mux);

    assert_eq!((first.0.as_str(), second.0.as_str()), ("Attached", "Attached"));
    assert_eq!(gone, ("Detached".into(), second.1));
    assert_eq!(back.0, "Attached");
    assert!(back.1 > second.1, "a number is not used again");
    assert_eq!(paired, ("Paired".into(), back.1));
}

#[test]
fn a_connection_to_a_phone_that_is_unplugged_breaks_off() {
    let simulator = simulator_of(1);
    let (id, _) = devices(&simulator)[0];
    let mut lockdown = stream_to(&simulator, id, LOCKDOWN);
    ask(&mut lockdown, request("QueryType"));

    simulator.unplug(&simulator.phones()[0].identity().udid);

    assert!(receive(&mut lockdown).is_err());
    assert!(devices(&simulator).is_empty());
}

#[test]
fn what_cannot_be_is_answered_with_its_number_and_the_client_goes_on() {
    let simulator = simulator_of(1);
    let (id, _) = devices(&simulator)[0];
    let mut mux = Mux::connect(simulator.address());

    for (bytes, number) in [
        (Mux::connect_request(id + 100, LOCKDOWN), 2),
        (Mux::connect_request(id, 1), 3),
        (Mux::request(message("MakeCoffee")), 1),
        (Mux::frame(1, 8, 7, b"<plist><array><array></plist>"), 1),
        (Mux::frame(0, 3, 7, b""), 6),
        (Mux::request(read_record("00008120-0000000000000000")), 2),
        (Mux::request(read_record("../../etc/passwd")), 22),
        (Mux::request(message("SavePairRecord")), 22),
    ] {
        mux.0.write_all(&bytes).unwrap();
        assert_eq!(
            Mux::number(&mux.receive().1),
            Some(number),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }
    assert!(mux.ask(message("ReadBUID")).get("BUID").unwrap().as_string().unwrap().len() > 20);
}

#[test]
fn the_list_of_devices_has_no_message_type() {
    let simulator = simulator_of(1);

    let list = Mux::connect(simulator.address()).ask(message("ListDevices"));

    assert!(list.get("MessageType").is_none() && list.get("DeviceList").is_some());
}

#[test]
fn records_are_saved_read_and_deleted_and_survive_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let start = || {
        let state = Some(state.path().to_owned());
        Simulator::start(Options { state, ..options_of(1) }).unwrap()
    };
    let udid = "00008120-000000000000000A";
    let delete =
        dictionary([("MessageType", "DeletePairRecord".into()), ("PairRecordID", udid.into())]);

    let first = start();
    let buid = Mux::connect(first.address()).ask(message("ReadBUID"));
    assert_eq!(Mux::number(&Mux::connect(first.address()).ask(save_record(udid))), Some(0));
    drop(first);

    let second = start();
    let mut mux = Mux::connect(second.address());
    let record = mux.ask(read_record(udid));
    assert_eq!(record.get("PairRecordData"), Some(&Value::Data(b"a record".to_vec())));
    assert_eq!(mux.ask(message("ReadBUID")), buid);
    assert_eq!(Mux::number(&mux.ask(delete.clone())), Some(0));
    assert_eq!(Mux::number(&mux.ask(delete)), Some(2));
}

#[test]
fn the_end_of_the_simulator_ends_its_connections() {
    let simulator = simulator_of(1);
    let (id, _) = devices(&simulator)[0];
    let address = simulator.address();
    let mut lockdown = stream_to(&simulator, id, LOCKDOWN);
    ask(&mut lockdown, request("QueryType"));

    drop(simulator);

    assert!(receive(&mut lockdown).is_err());
    assert!(std::net::TcpStream::connect(address).is_err());
}
