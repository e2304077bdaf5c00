//! What goes wrong when it is asked to.
use crate::host::{Host, LOCKDOWN, Mux, ask, devices, error, receive, request, send, stream_to};
use crate::tools::{options_of, simulator_of};
use devsnap_simulator::Simulator;
use devsnap_simulator::phone::{Cut, CutAt, Faults, LockdownRefusal, Silence};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const SERVICE: &str = "com.apple.mobile.lockdown";

fn lockdown(simulator: &Simulator) -> TcpStream {
    stream_to(simulator, devices(simulator)[0].0, LOCKDOWN)
}

fn with(faults: Faults) -> Simulator {
    let mut options = options_of(1);
    options.phones[0].faults = faults;
    Simulator::start(options).unwrap()
}

fn cut(at: CutAt, times: u32) -> Simulator {
    let cut = Cut { service: SERVICE.into(), at, times };
    with(Faults { cut: Some(cut), ..Faults::default() })
}

#[test]
fn a_request_is_refused_as_often_as_was_asked_for() {
    let refusal = LockdownRefusal {
        request: "QueryType".into(),
        error: "ServiceLimit".into(),
        times: Some(2),
    };
    let simulator = with(Faults { lockdown_refusals: vec![refusal], ..Faults::default() });
    let mut stream = lockdown(&simulator);

    let answers: Vec<_> = (0..3).map(|_| ask(&mut stream, request("QueryType"))).collect();

    let errors: Vec<_> = answers.iter().map(error).collect();
    assert_eq!(errors, [Some("ServiceLimit"), Some("ServiceLimit"), None]);
}

#[test]
fn a_connection_is_cut_in_place_of_a_message_and_the_next_one_is_not() {
    let simulator = cut(CutAt::Message(2), 1);
    let mut stream = lockdown(&simulator);

    for _ in 0..2 {
        ask(&mut stream, request("QueryType"));
    }
    send(&mut stream, request("QueryType"));
    assert!(receive(&mut stream).is_err());

    let mut next = lockdown(&simulator);
    for _ in 0..5 {
        ask(&mut next, request("QueryType"));
    }
}

#[test]
fn a_connection_is_cut_after_the_byte_that_was_asked_for() {
    for count in [0, 1, 4, 5, 100] {
        let simulator = cut(CutAt::SentByte(count), 1);
        let mut mux = Mux::connect(simulator.address());
        mux.0.write_all(&Mux::connect_request(devices(&simulator)[0].0, LOCKDOWN)).unwrap();
        assert_eq!(
            Mux::number(&mux.receive().1),
            Some(0),
            "the cut counts the service's bytes only"
        );
        send(&mut mux.0, request("QueryType"));

        let mut read = Vec::new();
        // The end may be a reset.
        let _ = mux.0.read_to_end(&mut read);

        assert_eq!(read.len() as u64, count);
    }
}

#[test]
fn a_connection_is_cut_once_the_phone_has_heard_enough() {
    let simulator = cut(CutAt::ReceivedByte(7), 1);
    let mut stream = lockdown(&simulator);

    // It may be reset while this is written.
    let _ = stream.write_all(&[0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1]);

    assert!(receive(&mut stream).is_err());
    ask(&mut lockdown(&simulator), request("QueryType"));
}

#[test]
fn a_silent_phone_answers_in_the_end_and_is_turned_off_at_once() {
    let silence = |lasts| Silence { service: SERVICE.into(), before: CutAt::Message(0), lasts };
    let simulator =
        with(Faults { silence: Some(silence(Duration::from_millis(50))), ..Faults::default() });
    ask(&mut lockdown(&simulator), request("QueryType"));

    let hour = Some(silence(Duration::from_secs(3600)));
    simulator.phones()[0].set_faults(Faults { silence: hour, ..Faults::default() });
    let mut stream = lockdown(&simulator);
    send(&mut stream, request("QueryType"));
    drop(simulator);

    assert!(receive(&mut stream).is_err());
}

#[test]
fn a_slow_connection_loses_nothing() {
    let simulator = with(Faults { bytes_per_second: Some(20_000), ..Faults::default() });
    let mut stream = lockdown(&simulator);

    for _ in 0..3 {
        let answer = ask(&mut stream, request("GetValue"));
        assert!(answer.get("Value").unwrap().as_dictionary().unwrap().len() > 5);
    }
}

#[test]
fn the_same_seed_makes_the_same_phones() {
    let (one, other) = (simulator_of(3), simulator_of(3));

    for (one, other) in one.phones().iter().zip(other.phones()) {
        assert_eq!(one.identity(), other.identity());
    }
    // And a host of one is none of the other's.
    Host::shared().pair(&mut lockdown(&one)).unwrap();
    let answer = ask(&mut lockdown(&other), Host::shared().start_session());
    assert_eq!(error(&answer), Some("InvalidHostID"));
}
