//! Everything that a phone can be told to do wrong, one thing after the other.
use crate::play::{BOUND, Ends, case, cut, ends, play, refused, silence, small, well_again};
use devsnap_device::DeviceErrorKind as Kind;
use devsnap_device::watch::Stage;
use devsnap_simulator::phone::Stage as At;
use devsnap_simulator::phone::{CutAt, Faults, Passcode, SyncLock, Trust};
use std::sync::mpsc::channel;
use std::time::Duration;

const BACKUP: &str = "com.apple.mobilebackup2";
const LOCKDOWN: &str = "com.apple.mobile.lockdown";
const AFC: &str = "com.apple.afc";
const NOTICES: &str = "com.apple.mobile.notification_proxy";
const APPS: &str = "com.apple.mobile.installation_proxy";
const ICONS: &str = "com.apple.springboardservices";
const HEARTBEAT: &str = "com.apple.mobile.heartbeat";

#[test]
fn a_backup_that_is_cut_off_anywhere() {
    let mut cases = Vec::new();
    for at in At::ALL {
        let ends = match at {
            At::Finishing => Ends::Unanswered,
            _ => Ends::Fails(Kind::ConnectionLost, ""),
        };
        cases.push(case(format!("{at:?}"), cut(BACKUP, CutAt::Stage(at), 1), ends));
    }
    for number in [0, 2, 40, 600] {
        let faults = cut(BACKUP, CutAt::Message(number), 1);
        cases.push(case(format!("message {number}"), faults, Ends::WellOrLost));
    }
    play(&small(30, Faults::default(), (true, false)), 1, &cases);
}

#[test]
fn a_backup_that_is_cut_off_at_any_byte() {
    let mut cases = Vec::new();
    for number in [0, 900, 9000, 60_000] {
        let faults = cut(BACKUP, CutAt::SentByte(number), 1);
        cases.push(case(format!("sent {number}"), faults, Ends::WellOrLost));
        let faults = cut(BACKUP, CutAt::ReceivedByte(number), 1);
        cases.push(case(format!("received {number}"), faults, Ends::WellOrLost));
    }
    play(&small(31, Faults::default(), (true, false)), 1, &cases);
}

#[test]
fn the_services_beside_it_are_cut_off() {
    let mut cases = Vec::new();
    let places =
        [CutAt::SentByte(0), CutAt::SentByte(2500), CutAt::ReceivedByte(0), CutAt::Message(2)];
    for service in [LOCKDOWN, NOTICES, AFC] {
        for at in places {
            let what = format!("{service} at {at:?}");
            cases.push(case(what, cut(service, at, 1), Ends::WellOrLost));
        }
    }
    // Lists of apps and icons can be done without.
    for service in [APPS, ICONS] {
        for at in [CutAt::ReceivedByte(1500), CutAt::Message(0)] {
            let what = format!("{service} at {at:?}");
            cases.push(case(what, cut(service, at, 1), Ends::Well));
        }
    }
    play(&small(32, Faults::default(), (true, false)), 1, &cases);
}

#[test]
fn a_handshake_that_is_cut_off_costs_no_trust() {
    let table = small(33, Faults::default(), (true, false));
    let mut last = well_again(&table, None, "nothing").named;
    table.seen.stages.lock().unwrap().clear();
    // Somewhere here lockdown's first handshake of a run begins and ends.
    for byte in [1400, 1700, 2000, 2300] {
        table.phone().set_faults(cut(LOCKDOWN, CutAt::SentByte(byte), 1));
        let what = format!("lockdown at byte {byte}");
        if let Some(kept) = ends(&table, &case(&*what, Faults::default(), Ends::WellOrLost)) {
            last = kept.named;
        }
        last = well_again(&table, Some(&last), &what).named;
        assert!(!table.seen.saw(Stage::WaitingForTrust), "{what}");
    }
}

#[test]
fn lockdown_refuses() {
    let mut cases = Vec::new();
    for (error, kind, words) in [
        ("PasswordProtected", Kind::Locked, "the device is locked"),
        ("EscrowLocked", Kind::Locked, "was not unlocked since it was switched on"),
        ("InvalidService", Kind::DeviceFailed, "the device says InvalidService"),
        ("ServiceProhibited", Kind::Managed, "a management profile"),
        ("MCProtected", Kind::Managed, "a management profile"),
        ("FMiPProtected", Kind::FindMyOn, "\"Find My\" is on"),
        ("InvalidActivationRecord", Kind::SetupUnfinished, "is not activated"),
        ("NobodyKnows", Kind::DeviceFailed, "the device says NobodyKnows"),
    ] {
        let faults = refused("StartService", error, None);
        cases.push(case(format!("service: {error}"), faults, Ends::Fails(kind, words)));
    }
    for (error, kind, words) in [
        ("PasswordProtected", Kind::Locked, "the device is locked"),
        ("MCChallengeRequired", Kind::Managed, "a management profile"),
        ("MissingActivationRecord", Kind::SetupUnfinished, "is not activated"),
    ] {
        let faults = refused("StartSession", error, None);
        cases.push(case(format!("session: {error}"), faults, Ends::Fails(kind, words)));
    }
    let unlocked = refused("StartSession", "PasswordProtected", Some(2));
    cases.push(case("unlocked in time", unlocked, Ends::Well));
    let forgotten = refused("StartSession", "InvalidHostID", Some(2));
    cases.push(case("forgotten, and trusted anew", forgotten, Ends::Well));
    let who = Ends::Fails(Kind::DeviceFailed, "asking who answers");
    cases.push(case("QueryType", refused("QueryType", "InvalidRequest", None), who));
    let who = Ends::Fails(Kind::Protocol, "does not say who it is");
    cases.push(case("GetValue", refused("GetValue", "GetProhibited", None), who));
    cases.push(case("StopSession", refused("StopSession", "InvalidSessionID", None), Ends::Well));
    play(&small(34, Faults::default(), (true, false)), 4, &cases);
}

#[test]
fn the_phone_ends_it_with_a_code() {
    let cases = [
        (1, Kind::Managed, "a management profile"),
        (3, Kind::RestartDevice, "restart it"),
        (9, Kind::DeviceFailed, "kept changing"),
        (13, Kind::Locked, "unlock it"),
        (14, Kind::DeviceFailed, "busy"),
        (22, Kind::Managed, "a management profile"),
        (25, Kind::CloudRestore, "from iCloud"),
        (100, Kind::DeviceFailed, "on the device"),
        (103, Kind::DeviceFailed, "what it was given"),
        (104, Kind::DeviceFailed, "hand its files over"),
        (105, Kind::NoSpaceHere, "too little room"),
        (106, Kind::NoSpaceOnDevice, "too little room"),
        (202, Kind::Cancelled, "cancelled on the device"),
        (203, Kind::PreviousUnusable, "another version"),
        (204, Kind::PreviousUnusable, "never finished"),
        (205, Kind::PreviousUnusable, "--full"),
        (207, Kind::WrongPassword, "the backup password is wrong or missing"),
        (208, Kind::PasscodeNeeded, "nobody entered its passcode"),
        (211, Kind::FindMyOn, "\"Find My\" is on"),
        (212, Kind::SetupUnfinished, "not set up"),
        (217, Kind::Cancelled, "put the backup off"),
        (999, Kind::DeviceFailed, "the device says 999"),
    ];
    let cases = cases.map(|(code, kind, words)| {
        let faults = Faults { refusal: Some(code), ..Faults::default() };
        case(format!("code {code}"), faults, Ends::Fails(kind, words))
    });
    play(&small(35, Faults::default(), (true, false)), 8, &cases);
}

#[test]
fn somebody_must_do_something_or_something_is_slow() {
    let soon = Duration::from_millis(600);
    let entered = Faults { passcode: Passcode::Entered(soon), ..Faults::default() };
    let denied = Faults { passcode: Passcode::Denied, ..Faults::default() };
    let never = Faults { passcode: Passcode::Never, ..Faults::default() };
    let locked = Faults { locked: true, ..Faults::default() };
    let slow = Faults { bytes_per_second: Some(400_000), ..Faults::default() };
    let blocks = Faults { sync_lock: SyncLock::Blocks(2), ..Faults::default() };
    let held = Faults { sync_lock: SyncLock::Held, ..Faults::default() };
    let mut cases = vec![
        case("passcode in time", entered, Ends::Well),
        case("passcode denied", denied, Ends::Fails(Kind::PasscodeNeeded, "passcode in time")),
        case("no passcode", never, Ends::Fails(Kind::PasscodeNeeded, "nobody has entered")),
        case("locked", locked, Ends::Well),
        case("slow", slow, Ends::Well),
        case("another syncs for a while", blocks, Ends::Well),
        case("another syncs", held, Ends::Fails(Kind::SyncBusy, "sync lock")),
    ];
    for at in [At::Greeting, At::Preparing, At::Moving, At::Verifying] {
        let faults = silence(BACKUP, CutAt::Stage(at), soon);
        cases.push(case(format!("silent before {at:?}"), faults, Ends::Well));
    }
    for service in [LOCKDOWN, NOTICES, AFC, APPS, ICONS] {
        let faults = silence(service, CutAt::Message(0), soon / 3);
        cases.push(case(format!("{service} is silent for a while"), faults, Ends::Well));
    }
    play(&small(36, Faults::default(), (true, false)), 1, &cases);
}

#[test]
fn a_phone_that_says_nothing_at_all_is_left() {
    let mut table = small(37, Faults::default(), (true, false));
    let last = well_again(&table, None, "nothing").named;
    table.patience.for_silence = Duration::from_secs(2);
    let faults = silence(BACKUP, CutAt::Stage(At::Passcode), Duration::from_secs(600));
    table.phone().set_faults(faults.clone());
    let lost = Ends::Fails(Kind::ConnectionLost, "has said nothing for 2 s");
    assert!(ends(&table, &case("silence", faults, lost)).is_none());
    table.patience.for_silence = BOUND;
    well_again(&table, Some(&last), "silence");
}

#[test]
fn a_phone_on_the_network_without_a_heartbeat() {
    // It is paired by cable first: no phone pairs over the air.
    let table = small(38, Faults::default(), (true, true));
    table.connect().unwrap();
    table.simulator.pull_cable(&table.phone().identity().udid);
    let last = well_again(&table, None, "nothing").named;
    let faults = Faults {
        heartbeat_patience: Some(Duration::from_secs(6)),
        ..silence(BACKUP, CutAt::Stage(At::Preparing), Duration::from_secs(9))
    };
    table.phone().set_faults(faults.clone());
    let kept = ends(&table, &case("a heartbeat", faults.clone(), Ends::Well)).unwrap();
    let faults = Faults { cut: cut(HEARTBEAT, CutAt::Message(0), 1).cut, ..faults };
    table.phone().set_faults(faults.clone());
    let lost = Ends::Fails(Kind::ConnectionLost, "");
    assert!(ends(&table, &case("no heartbeat", faults, lost)).is_none());
    assert_eq!(kept.named.snapshot.parent, Some(last.id));
    well_again(&table, Some(&kept.named), "no heartbeat");
}

#[test]
fn too_little_room_with_and_without_a_number() {
    let mut table = small(39, Faults::default(), (true, false));
    let last = well_again(&table, None, "nothing").named;
    table.free_bytes = 1 << 30;
    let faults = Faults { low_space: Some(9 << 30), ..Faults::default() };
    table.phone().set_faults(faults.clone());
    let full = Ends::Fails(Kind::NoSpaceHere, "the device wants 9797894144 bytes of room");
    assert!(ends(&table, &case("no room", faults, full)).is_none());
    well_again(&table, Some(&last), "no room");
}

#[test]
fn a_cable_that_is_pulled() {
    let table = small(40, Faults::default(), (true, false));
    let udid = table.phone().identity().udid.clone();
    let mut last = well_again(&table, None, "nothing").named;
    for stage in [Stage::Connecting, Stage::Preparing, Stage::Receiving, Stage::Moving] {
        table.day(stage as u64);
        let (tell, told) = channel();
        *table.seen.tell_at.lock().unwrap() = Some((stage, tell));
        // Time for the cable to be pulled in.
        let wait = silence(BACKUP, CutAt::Stage(At::Moving), Duration::from_secs(2));
        table.phone().set_faults(wait.clone());
        let ended = std::thread::scope(|scope| {
            let (table, udid) = (&table, &udid);
            scope.spawn(move || {
                told.recv().unwrap();
                table.simulator.unplug(udid);
            });
            ends(table, &case(format!("unplugged while {stage}"), wait, Ends::Gone))
        });
        assert!(ended.is_none(), "{stage}");
        table.simulator.plug_in(&udid);
        last = well_again(&table, Some(&last), "a pulled cable").named;
    }
}

#[test]
fn nobody_trusts_and_trust_is_given_later() {
    let never = Faults { trust: Trust::After(u32::MAX), ..Faults::default() };
    let denied = Faults { trust: Trust::Denied, ..Faults::default() };
    let locked = Faults { locked: true, ..Faults::default() };
    let by_rule = refused("Pair", "PairingProhibitedOverThisConnection", None);
    let managed = refused("Pair", "MCProtected", None);
    let table = small(41, Faults::default(), (true, false));
    for (what, faults, kind, words) in [
        ("nobody taps", never, Kind::NotTrusted, "nobody has tapped"),
        ("Don't Trust", denied, Kind::TrustRefused, "Don't Trust"),
        ("locked", locked, Kind::Locked, "the device is locked"),
        ("by cable only", by_rule, Kind::NotTrusted, "by cable only"),
        ("managed", managed, Kind::Managed, "a management profile"),
    ] {
        table.phone().set_faults(faults.clone());
        assert!(ends(&table, &case(what, faults, Ends::Fails(kind, words))).is_none());
    }
    well_again(&table, None, "all of it");
}
