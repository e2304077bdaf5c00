//! A phone's backup password: set, changed, taken away, and everything that keeps it as it is.
use crate::compare::{compare, newest};
use crate::table::Table;
use devsnap_device::keybag::EncryptedSet;
use devsnap_device::mobilebackup2::password::PasswordChange;
use devsnap_device::watch::Stage;
use devsnap_device::{DeviceError, DeviceErrorKind as Kind, EncryptionState};
use devsnap_engine::interrupt::Interrupt;
use devsnap_simulator::phone::Stage as At;
use devsnap_simulator::phone::{Cut, CutAt, Faults, Passcode, Silence};
use std::thread;
use std::time::{Duration, Instant};

const SERVICE: &str = "com.apple.mobilebackup2";

/// Nothing here takes nearly so long, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(60);

fn text(password: &str) -> devsnap_device::mobilebackup2::password::Password {
    password.to_owned().into()
}

fn on(new: &str) -> PasswordChange {
    PasswordChange::On { new: text(new) }
}

fn off(old: &str) -> PasswordChange {
    PasswordChange::Off { old: text(old) }
}

fn to(old: &str, new: &str) -> PasswordChange {
    PasswordChange::Change { old: text(old), new: text(new) }
}

fn change(table: &Table, change: &PasswordChange) -> Result<EncryptionState, DeviceError> {
    table.encryption()?.change(change, &table.interrupt)
}

fn password_of(table: &Table) -> Option<String> {
    table.phone().backup_password()
}

#[test]
fn a_password_is_set_changed_and_taken_away_and_the_phone_says_so() {
    let table = Table::new(60);
    assert_eq!(table.encryption().unwrap().state().will_encrypt, Some(false));

    let state = change(&table, &on("Füße 🦶")).unwrap();
    assert_eq!(state, EncryptionState { will_encrypt: Some(true), is_required: false });
    assert_eq!(password_of(&table).as_deref(), Some("Füße 🦶"));

    let state = change(&table, &to("Füße 🦶", " b\n")).unwrap();
    assert_eq!(state.will_encrypt, Some(true));
    assert_eq!(password_of(&table).as_deref(), Some(" b\n"));

    let state = change(&table, &off(" b\n")).unwrap();
    assert_eq!(state.will_encrypt, Some(false));
    assert_eq!(password_of(&table), None);
}

#[test]
fn what_is_backed_up_next_opens_with_the_new_password_only() {
    let table = Table::faulty(61, Faults::default());
    table.back_up().unwrap();
    change(&table, &on("secret")).unwrap();

    let kept = table.back_up().unwrap();

    assert!(kept.outcome.full, "new keys, so everything comes anew");
    let (_folder, set) = table.export(&kept);
    compare(&set, Some("secret"), &newest(&table.phone_folder()));
    let manifest = std::fs::read(set.join("Manifest.plist")).unwrap();
    let set = EncryptedSet::of_manifest_plist(&manifest).unwrap().unwrap();
    let keys = set.keybag.unlock(b"secret", &Interrupt::new()).unwrap();
    assert!(keys.unwrap(&set.manifest_key).is_some());
    assert!(set.keybag.unlock(b"Secret", &Interrupt::new()).is_err());
}

#[test]
fn a_wrong_old_password_changes_nothing() {
    let table = Table::faulty(62, Faults::default());
    table.phone().set_backup_password(Some("right".to_owned()));
    for attempt in [off("wrong"), to("wrong", "new"), on("new"), to("right ", "new")] {
        let error = change(&table, &attempt).unwrap_err();
        assert_eq!(error.kind(), Kind::WrongPassword, "{attempt:?}: {error:?}");
        assert!(!error.kind().may_pass());
        assert_eq!(password_of(&table).as_deref(), Some("right"));
    }
    table.phone().set_backup_password(None);
    for attempt in [off("right"), to("right", "new")] {
        assert_eq!(change(&table, &attempt).unwrap_err().kind(), Kind::WrongPassword);
        assert_eq!(password_of(&table), None);
    }
}

#[test]
fn a_managed_phone_says_that_it_must_encrypt_and_refuses_not_to() {
    let table = Table::faulty(63, Faults { requires_encryption: true, ..Faults::default() });
    table.phone().set_backup_password(Some("old".to_owned()));
    let state = table.encryption().unwrap().state();
    assert_eq!(state, EncryptionState { will_encrypt: Some(true), is_required: true });

    let error = change(&table, &off("old")).unwrap_err();

    assert_eq!(error.kind(), Kind::Managed, "{error:?}");
    assert_eq!(password_of(&table).as_deref(), Some("old"));
    assert_eq!(change(&table, &to("old", "new")).unwrap().will_encrypt, Some(true));
    table.phone().set_faults(Faults { refusal: Some(22), ..Faults::default() });
    assert_eq!(change(&table, &to("new", "newer")).unwrap_err().kind(), Kind::Managed);
}

#[test]
fn the_passcode_is_waited_for_and_without_it_nothing_changes() {
    let entered = Passcode::Entered(Duration::from_millis(300));
    let table = Table::faulty(64, Faults { passcode: entered, ..Faults::default() });
    change(&table, &on("secret")).unwrap();
    assert!(table.seen.saw(Stage::WaitingForPasscode));

    table.phone().set_faults(Faults { passcode: Passcode::Denied, ..Faults::default() });
    let error = change(&table, &off("secret")).unwrap_err();
    assert_eq!(error.kind(), Kind::PasscodeNeeded, "{error:?}");

    let mut table = table;
    table.patience.for_passcode = Some(Duration::from_millis(200));
    table.phone().set_faults(Faults { passcode: Passcode::Never, ..Faults::default() });
    let error = change(&table, &off("secret")).unwrap_err();
    assert_eq!(error.kind(), Kind::PasscodeNeeded, "{error:?}");
    assert_eq!(password_of(&table).as_deref(), Some("secret"));
}

#[test]
fn a_link_that_breaks_is_told_as_one_and_the_next_try_is_well() {
    // Its greeting and hello, its answer, the middle of a message.
    for at in
        [CutAt::Message(1), CutAt::Message(3), CutAt::SentByte(900), CutAt::Stage(At::Passcode)]
    {
        let cut = Cut { service: SERVICE.to_owned(), at, times: 1 };
        let table = Table::faulty(65, Faults { cut: Some(cut), ..Faults::default() });
        let error = change(&table, &on("secret")).unwrap_err();
        assert_eq!(error.kind(), Kind::ConnectionLost, "{at:?}: {error:?}");
        // Whether it had happened is for the phone to say.
        let wish = match table.encryption().unwrap().state().will_encrypt {
            Some(true) => to("secret", "other"),
            _ => on("other"),
        };
        assert_eq!(change(&table, &wish).unwrap().will_encrypt, Some(true), "{at:?}");
        assert_eq!(password_of(&table).as_deref(), Some("other"), "{at:?}");
    }
}

#[test]
fn a_cable_that_is_pulled_while_the_passcode_is_waited_for_ends_it_at_once() {
    let before = CutAt::Stage(At::Passcode);
    let lasts = Duration::from_secs(600);
    let silence = Some(Silence { service: SERVICE.to_owned(), before, lasts });
    // It has a passcode, so that a person sees it being waited for.
    let passcode = Passcode::Entered(Duration::ZERO);
    let table = Table::faulty(66, Faults { silence, passcode, ..Faults::default() });
    let udid = table.phone().identity().udid.clone();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            let since = Instant::now();
            while !table.seen.saw(Stage::WaitingForPasscode) {
                assert!(since.elapsed() < PATIENCE, "nobody waits for the passcode");
                thread::sleep(Duration::from_millis(5));
            }
            table.simulator.unplug(&udid);
        });
        change(&table, &on("secret")).unwrap_err()
    });
    assert_eq!(error.kind(), Kind::ConnectionLost, "{error:?}");
    assert!(error.to_string().contains("unplugged"), "{error}");
    assert_eq!(password_of(&table), None);
}

#[test]
fn a_silent_phone_and_a_person_who_stops_end_it() {
    let before = CutAt::Stage(At::Passcode);
    let lasts = Duration::from_secs(600);
    let silence = Some(Silence { service: SERVICE.to_owned(), before, lasts });
    let passcode = Passcode::Entered(Duration::ZERO);
    let mut table = Table::faulty(67, Faults { silence, passcode, ..Faults::default() });
    table.patience.for_silence = Duration::from_millis(600);
    let error = change(&table, &on("secret")).unwrap_err();
    assert_eq!(error.kind(), Kind::ConnectionLost, "{error:?}");

    table.patience.for_silence = PATIENCE;
    *table.seen.stop_at.lock().unwrap() =
        Some((Stage::WaitingForPasscode, table.interrupt.clone()));
    let error = change(&table, &on("secret")).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled, "{error:?}");
    assert_eq!(password_of(&table), None);
}
