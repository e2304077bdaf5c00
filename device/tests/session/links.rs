//! Sessions over other links than a good cable, and with others' pairings.
use crate::compare::{compare, newest};
use crate::table::Table;
use devsnap_device::DeviceErrorKind as Kind;
use devsnap_device::lockdown::{PairRecords, Pairing, PairingPatience};
use devsnap_device::transport::{AtMost, Transport, Usbmuxd, UsbmuxdAddress};
use devsnap_device::watch::{Stage, Unwatched};
use devsnap_simulator::phone::Stage as At;
use devsnap_simulator::phone::{CutAt, Faults, Silence};
use std::thread;
use std::time::{Duration, Instant};

const SERVICE: &str = "com.apple.mobilebackup2";

/// Nothing here takes nearly so long, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(60);

fn silent_before(stage: At, lasts: Duration) -> Option<Silence> {
    Some(Silence { service: SERVICE.to_owned(), before: CutAt::Stage(stage), lasts })
}

fn kept_after(table: &Table) {
    let kept = table.back_up().unwrap();
    let (_folder, set) = table.export(&kept);
    compare(&set, None, &newest(&table.phone_folder()));
}

/// Waits until a person has seen that `stage` has come.
fn until_seen(table: &Table, stage: Stage) {
    let since = Instant::now();
    while !table.seen.saw(stage) {
        assert!(since.elapsed() < PATIENCE, "{stage} does not come");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_phone_on_the_network_only_is_kept_awake_through_a_silence() {
    let table = Table::faulty(30, Faults::default());
    table.connect().unwrap();
    let table = table.reached(false, true);
    // It breaks off all connections of a host that shows no heartbeat for so long.
    let heartbeat_patience = Some(Duration::from_secs(3));
    let silence = silent_before(At::Preparing, Duration::from_secs(5));
    table.phone().set_faults(Faults { heartbeat_patience, silence, ..Faults::default() });
    kept_after(&table);
}

#[test]
fn a_phone_on_the_network_only_is_not_paired_over_it() {
    let table = Table::faulty(31, Faults::default()).reached(false, true);
    let error = table.back_up().unwrap_err();
    assert_eq!(error.kind(), Kind::NotTrusted);
    assert!(error.to_string().contains("by cable only"), "{error}");
}

#[test]
fn a_cable_that_is_pulled_ends_the_session_at_once_and_the_next_one_is_well() {
    let forever = Duration::from_secs(600);
    for (at, silence) in [
        (Stage::Preparing, silent_before(At::Passcode, forever)),
        (Stage::Receiving, silent_before(At::Moving, forever)),
    ] {
        let table = Table::faulty(32, Faults { silence, ..Faults::default() });
        let udid = table.phone().identity().udid.clone();
        let error = thread::scope(|scope| {
            scope.spawn(|| {
                until_seen(&table, at);
                table.simulator.unplug(&udid);
            });
            table.back_up().unwrap_err()
        });
        assert_eq!(error.kind(), Kind::ConnectionLost, "{at}: {error}");
        // Not that it has said nothing for long.
        assert!(error.to_string().contains("unplugged"), "{at}: {error}");
        assert!(error.kind().may_pass());
        // Another simulator: the silent session of this one may be at it still.
        let table = table.reached(true, false);
        table.phone().set_faults(Faults::default());
        kept_after(&table);
    }
}

#[test]
fn a_pairing_that_usbmuxd_makes_meanwhile_is_taken() {
    let mut table = Table::faulty(33, Faults::default());
    table.patience.for_usbmuxd = PATIENCE;
    thread::scope(|scope| {
        scope.spawn(|| {
            until_seen(&table, Stage::WaitingForTrust);
            pair_as_usbmuxd(&table);
        });
        kept_after(&table);
    });
    let ours = std::fs::read_dir(table.records()).map_or(0, Iterator::count);
    assert_eq!(ours, 0, "we have paired ourselves");
}

/// As usbmuxd does when a phone is attached: pairs, keeps the record, and tells who listens.
fn pair_as_usbmuxd(table: &Table) {
    let address = UsbmuxdAddress::parse(&table.simulator.address().to_string()).unwrap();
    let transport = Usbmuxd::at(address);
    let elsewhere = tempfile::tempdir().unwrap();
    let address = transport.devices().unwrap().remove(0);
    let patience = PairingPatience { for_usbmuxd: Duration::ZERO, ..PairingPatience::default() };
    let pairing = Pairing {
        transport: &transport,
        address: &address,
        records: &PairRecords::in_folder(elsewhere.path().join("records")),
        watch: &Unwatched,
        patience,
    };
    pairing.trusted_record(&mut AtMost(PATIENCE)).unwrap();
}
