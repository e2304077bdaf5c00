//! lockdownd, where no client shows a thing.
use crate::host::{
    Host, LOCKDOWN, ask, devices, dictionary, error, pair_request, public_key, receive, request,
    secret, send, start_service, stream_to,
};
use crate::tools::{options_of, simulator_of};
use devsnap_simulator::phone::{Faults, Trust};
use devsnap_simulator::{Options, Simulator};
use plist::{Dictionary, Value};
use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

fn lockdown(simulator: &Simulator) -> TcpStream {
    stream_to(simulator, devices(simulator)[0].0, LOCKDOWN)
}

fn get(domain: Option<&str>, key: &str) -> Dictionary {
    let mut message = request("GetValue");
    message.insert("Key".into(), key.into());
    if let Some(domain) = domain {
        message.insert("Domain".into(), domain.into());
    }
    message
}

#[test]
fn before_a_session_only_what_is_public_is_told() {
    let simulator = simulator_of(1);
    let mut stream = lockdown(&simulator);

    let all = ask(&mut stream, request("GetValue"));
    let all = all.get("Value").unwrap().as_dictionary().unwrap();
    assert!(all.contains_key("ProductVersion") && all.contains_key("WiFiAddress"));
    assert!(!all.contains_key("SerialNumber"));
    let private = ask(&mut stream, get(None, "SerialNumber"));
    assert_eq!(error(&private), Some("GetProhibited"));
    let domain = ask(&mut stream, get(Some("com.apple.mobile.backup"), "WillEncrypt"));
    assert_eq!(error(&domain), Some("GetProhibited"));
    assert_eq!(error(&ask(&mut stream, get(None, "NoSuchKey"))), Some("MissingValue"));
    let service = ask(&mut stream, start_service("com.apple.afc", None));
    assert_eq!(error(&service), Some("SessionInactive"));
}

#[test]
fn a_session_goes_into_tls_and_back_on_one_connection() {
    let simulator = simulator_of(1);
    let mut stream = lockdown(&simulator);
    Host::shared().pair(&mut stream).unwrap();

    for _ in 0..3 {
        let (id, mut session) = Host::shared().session(stream);
        let serial = ask(&mut session, get(None, "SerialNumber"));
        assert_eq!(
            serial.get("Value").unwrap().as_string(),
            Some(simulator.phones()[0].identity().serial_number.as_str())
        );
        let mut wrong = request("StopSession");
        wrong.insert("SessionID".into(), "another".into());
        assert_eq!(error(&ask(&mut session, wrong)), Some("InvalidSessionID"));
        let mut stop = request("StopSession");
        stop.insert("SessionID".into(), id.into());
        assert_eq!(ask(&mut session, stop).get("Result"), Some(&"Success".into()));
        session.conn.send_close_notify();
        session.conn.write_tls(&mut session.sock).unwrap();
        // Plaintext right behind TLS, before the phone's goodbye is read.
        send(&mut session.sock, request("QueryType"));
        assert_eq!(session.read(&mut [0; 16]).unwrap(), 0);
        stream = session.sock.0;
        let answer = receive(&mut stream).unwrap();
        assert_eq!(answer.get("Type"), Some(&"com.apple.mobile.lockdown".into()));
        assert_eq!(error(&ask(&mut stream, get(None, "SerialNumber"))), Some("GetProhibited"));
    }
}

#[test]
fn a_session_takes_the_certificate_of_the_host_or_of_its_root_and_no_other() {
    let simulator = simulator_of(1);
    let host = Host::shared();
    host.pair(&mut lockdown(&simulator)).unwrap();
    let handshake = |own| {
        let mut stream = lockdown(&simulator);
        ask(&mut stream, host.start_session());
        let mut session = secret(stream, own)?;
        send(&mut session, request("QueryType"));
        receive(&mut session)
    };

    assert!(handshake(Some(&host.host)).is_ok());
    assert!(handshake(Some(&host.root)).is_ok());
    assert!(handshake(Some(&Host::stranger().host)).is_err());
    assert!(handshake(None).is_err());
}

#[test]
fn certificates_that_do_not_belong_together_make_no_pair() {
    let simulator = simulator_of(1);
    let mut stream = lockdown(&simulator);
    let (host, stranger) = (Host::shared(), Host::stranger());
    let key = public_key(&mut stream);
    let (own, other) = (host.record(&key), stranger.record(&key));

    for name in ["DeviceCertificate", "HostCertificate", "RootCertificate"] {
        let mut mixed = own.clone();
        mixed.insert(name.into(), other.get(name).unwrap().clone());
        assert_eq!(error(&ask(&mut stream, pair_request(mixed))), Some("InvalidPairRecord"));
        let mut damaged = own.clone();
        damaged.insert(name.into(), Value::Data(b"-----BEGIN CERTIFICATE-----\n".to_vec()));
        assert_eq!(error(&ask(&mut stream, pair_request(damaged))), Some("InvalidPairRecord"));
    }
    let mut another_phone = own.clone();
    another_phone.insert("DeviceCertificate".into(), own.get("HostCertificate").unwrap().clone());
    assert_eq!(error(&ask(&mut stream, pair_request(another_phone))), Some("InvalidPairRecord"));
    assert_eq!(error(&ask(&mut stream, host.start_session())), Some("InvalidHostID"));
    assert_eq!(error(&ask(&mut stream, pair_request(own))), None);
}

#[test]
fn a_host_that_is_unpaired_gets_no_session() {
    let simulator = simulator_of(1);
    let mut stream = lockdown(&simulator);
    let host = Host::shared();
    host.pair(&mut stream).unwrap();
    let mut unpair = request("Unpair");
    let record = dictionary([("HostID", host.id.as_str().into())]);
    unpair.insert("PairRecord".into(), Value::Dictionary(record));

    assert_eq!(error(&ask(&mut stream, unpair.clone())), None);
    assert_eq!(error(&ask(&mut stream, host.start_session())), Some("InvalidHostID"));
    assert_eq!(error(&ask(&mut stream, unpair)), Some("InvalidHostID"));
}

#[test]
fn whoever_waits_for_trust_is_told_when_it_is_given() {
    let mut options = options_of(1);
    options.phones[0].faults.trust = Trust::After(1);
    let simulator = Simulator::start(options).unwrap();
    let mut stream = lockdown(&simulator);
    let name = "com.apple.mobile.insecure_notification_proxy";
    let started = ask(&mut stream, start_service(name, None));
    assert_eq!(started.get("EnableServiceSSL"), Some(&Value::Boolean(false)));
    let port = started.get("Port").unwrap().as_unsigned_integer().unwrap();
    let mut proxy = stream_to(&simulator, devices(&simulator)[0].0, u16::try_from(port).unwrap());
    let observe =
        |name: &str| dictionary([("Command", "ObserveNotification".into()), ("Name", name.into())]);
    send(&mut proxy, observe("com.apple.mobile.lockdown.request_pair"));
    // What is posted is relayed only once it is observed, and observing is not answered.
    send(&mut proxy, observe("org.example.ready"));
    let ready =
        dictionary([("Command", "PostNotification".into()), ("Name", "org.example.ready".into())]);
    send(&mut proxy, ready);
    assert_eq!(receive(&mut proxy).unwrap().get("Name"), Some(&"org.example.ready".into()));

    let pending = Host::shared().pair(&mut stream).unwrap_err();

    assert_eq!(error(&pending), Some("PairingDialogResponsePending"));
    let told = receive(&mut proxy).unwrap();
    assert_eq!(told.get("Name"), Some(&"com.apple.mobile.lockdown.request_pair".into()));
    Host::shared().pair(&mut stream).unwrap();
}

#[test]
fn a_locked_phone_backs_up_only_for_who_shows_an_escrow_bag() {
    let simulator = simulator_of(1);
    let mut stream = lockdown(&simulator);
    let bag = Host::shared().pair(&mut stream).unwrap();
    simulator.phones()[0].set_faults(Faults { locked: true, ..Faults::default() });
    let (_, mut session) = Host::shared().session(stream);
    let name = "com.apple.mobilebackup2";

    let without = ask(&mut session, start_service(name, None));
    let wrong = ask(&mut session, start_service(name, Some(vec![0; 32])));
    let right = ask(&mut session, start_service(name, Some(bag)));

    assert_eq!(error(&without), Some("PasswordProtected"));
    assert_eq!(error(&wrong), Some("PasswordProtected"));
    assert!(right.get("Port").is_some());
    let locked = ask(&mut session, get(None, "PasswordProtected"));
    assert_eq!(locked.get("Value"), Some(&Value::Boolean(true)));
}

#[test]
fn an_unknown_request_is_refused_and_the_connection_goes_on() {
    let simulator = simulator_of(1);
    let mut stream = lockdown(&simulator);

    assert_eq!(error(&ask(&mut stream, request("MakeCoffee"))), Some("UnknownRequest"));
    send(&mut stream, Dictionary::new());
    assert!(error(&receive(&mut stream).unwrap()).is_some());
    assert_eq!(error(&ask(&mut stream, request("QueryType"))), None);
}

#[test]
fn a_connection_on_which_nothing_is_asked_is_closed() {
    let mut options = options_of(1);
    options.lockdown.idle = Duration::from_millis(100);
    let simulator = Simulator::start(options).unwrap();
    let mut stream = lockdown(&simulator);

    ask(&mut stream, request("QueryType"));

    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn what_a_host_sets_is_told_to_all_and_what_it_removes_is_gone() {
    let simulator = simulator_of(1);
    let mut stream = lockdown(&simulator);
    Host::shared().pair(&mut stream).unwrap();
    let domain = "com.apple.mobile.wireless_lockdown";
    let mut set = request("SetValue");
    set.insert("Domain".into(), domain.into());
    set.insert("Key".into(), "EnableWifiConnections".into());
    set.insert("Value".into(), true.into());
    assert_eq!(error(&ask(&mut stream, set.clone())), Some("SetProhibited"));

    let (_, mut session) = Host::shared().session(stream);
    assert_eq!(error(&ask(&mut session, set)), None);
    let (_, mut other) = Host::shared().session(lockdown(&simulator));

    let told = ask(&mut other, get(Some(domain), "EnableWifiConnections"));
    assert_eq!(told.get("Value"), Some(&Value::Boolean(true)));
    let mut remove = request("RemoveValue");
    remove.insert("Domain".into(), domain.into());
    remove.insert("Key".into(), "EnableWifiConnections".into());
    assert_eq!(error(&ask(&mut other, remove)), None);
    let told = ask(&mut session, get(Some(domain), "EnableWifiConnections"));
    assert_eq!(told.get("Value"), Some(&Value::Boolean(false)));
}

#[test]
fn a_service_that_speaks_first_is_heard_behind_the_answer_to_connect() {
    let mut options = options_of(1);
    options.lockdown.service_tls = false;
    let simulator = Simulator::start(Options { seed: 3, ..options }).unwrap();
    let mut stream = lockdown(&simulator);
    Host::shared().pair(&mut stream).unwrap();
    let (_, mut session) = Host::shared().session(stream);

    for _ in 0..20 {
        let started = ask(&mut session, start_service("com.apple.mobile.heartbeat", None));
        let port = started.get("Port").unwrap().as_unsigned_integer().unwrap();
        let id = devices(&simulator)[0].0;
        let mut heartbeat = stream_to(&simulator, id, u16::try_from(port).unwrap());
        let call = receive(&mut heartbeat).unwrap();
        assert_eq!(call.get("Command"), Some(&"Marco".into()));
    }
}
