//! Sessions in which something goes wrong, and what a person sees of it. All else that can go wrong
//! is played in `matrix`.
use crate::compare::{compare, newest};
use crate::table::Table;
use devsnap_device::DeviceErrorKind as Kind;
use devsnap_device::watch::Stage;
use devsnap_simulator::phone::{Cut, CutAt, Faults, LockdownRefusal, Passcode, SyncLock, Trust};
use std::time::Duration;

const SERVICE: &str = "com.apple.mobilebackup2";

fn kept_after(table: &Table) {
    let kept = table.back_up().unwrap();
    let (_folder, set) = table.export(&kept);
    compare(&set, None, &newest(&table.phone_folder()));
}

#[test]
fn a_connection_that_breaks_off_within_a_message_or_a_file_keeps_nothing() {
    for byte in [10, 1000, 20_000, 300_000] {
        let cut = Cut { service: SERVICE.to_owned(), at: CutAt::SentByte(byte), times: 1 };
        let table = Table::faulty(11, Faults { cut: Some(cut), ..Faults::default() });
        let error = table.back_up().unwrap_err();
        assert_eq!(error.kind(), Kind::ConnectionLost, "{byte}: {error}");
        kept_after(&table);
    }
}

#[test]
fn the_passcode_is_waited_for_and_one_that_is_not_entered_is_told() {
    let entered = Passcode::Entered(Duration::from_millis(700));
    let table = Table::faulty(12, Faults { passcode: entered, ..Faults::default() });
    kept_after(&table);
    assert!(table.seen.saw(Stage::WaitingForPasscode));
    table.phone().set_faults(Faults { passcode: Passcode::Denied, ..Faults::default() });
    let error = table.back_up().unwrap_err();
    assert_eq!(error.kind(), Kind::PasscodeNeeded, "{error}");
    assert!(!error.kind().may_pass());
}

#[test]
fn trust_is_waited_for_kept_and_can_be_refused() {
    let table = Table::faulty(13, Faults { trust: Trust::After(3), ..Faults::default() });
    kept_after(&table);
    assert!(table.seen.saw(Stage::WaitingForTrust));
    table.seen.stages.lock().unwrap().clear();
    kept_after(&table);
    assert!(!table.seen.saw(Stage::WaitingForTrust), "it is trusted already");
    let table = Table::faulty(13, Faults { trust: Trust::Denied, ..Faults::default() });
    assert_eq!(table.back_up().unwrap_err().kind(), Kind::TrustRefused);
}

#[test]
fn a_phone_that_has_forgotten_this_computer_is_paired_anew() {
    let table = Table::faulty(14, Faults::default());
    table.connect().unwrap();
    let refusal = LockdownRefusal {
        request: "StartSession".to_owned(),
        error: "InvalidHostID".to_owned(),
        // Once for usbmuxd's record and once for ours.
        times: Some(2),
    };
    let faults = Faults { lockdown_refusals: vec![refusal], ..Faults::default() };
    table.phone().set_faults(faults);
    kept_after(&table);
}

#[test]
fn another_programs_sync_is_waited_for_a_while() {
    let table = Table::faulty(17, Faults { sync_lock: SyncLock::Blocks(2), ..Faults::default() });
    kept_after(&table);
    assert!(table.seen.saw(Stage::WaitingForOtherSync));
    let table = Table::faulty(17, Faults { sync_lock: SyncLock::Held, ..Faults::default() });
    assert_eq!(table.back_up().unwrap_err().kind(), Kind::SyncBusy);
}

#[test]
fn a_session_that_somebody_stops_keeps_nothing_and_the_next_one_is_well() {
    for stage in [Stage::Connecting, Stage::Preparing, Stage::Receiving, Stage::Moving] {
        let mut table = Table::faulty(18, Faults::default());
        *table.seen.stop_at.lock().unwrap() = Some((stage, table.interrupt.clone()));
        assert!(table.back_up_stopped(), "{stage}");
        *table.seen.stop_at.lock().unwrap() = None;
        table.interrupt = devsnap_engine::interrupt::Interrupt::new();
        kept_after(&table);
    }
}

#[test]
fn a_locked_phone_is_backed_up_with_the_escrow_bag() {
    let table = Table::faulty(19, Faults { locked: true, ..Faults::default() });
    table.phone().set_faults(Faults::default());
    table.connect().unwrap();
    table.phone().set_faults(Faults { locked: true, ..Faults::default() });
    kept_after(&table);
}
