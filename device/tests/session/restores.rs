//! Snapshots go back onto the phone: which options count, what is found before anything is asked, and
//! what becomes of a restore in which something goes wrong.
use crate::compare::newest;
use crate::table::Table;
use devsnap_device::lockdown::{PairRecords, PairingPatience};
use devsnap_device::restore::{
    Extent, FindingKind, Offer, RestoreChoices, RestoreOutcome, RestoreRun,
};
use devsnap_device::transport::{Usbmuxd, UsbmuxdAddress};
use devsnap_device::watch::Stage;
use devsnap_device::{DeviceError, DeviceErrorKind as Kind, DeviceRestore, DeviceRestoreOptions};
use devsnap_engine::check;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::snapshot::{Named, Origin};
use devsnap_simulator::contents::{Contents, Item, Kind as ItemKind, Truth};
use devsnap_simulator::mobilebackup2::RestoreReport;
use devsnap_simulator::phone::{
    Cut, CutAt, Faults, LockdownValue, OddRestore, Passcode, Stage as At,
};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

const CAPACITY: (&str, &str) = ("com.apple.disk_usage", "TotalDataCapacity");

/// What takes everything of the phone's with it.
const REPLACE: RestoreChoices = RestoreChoices {
    system_files: true,
    preserve_settings: false,
    remove_not_restored: true,
    reboot: true,
};

/// How one goes about it.
pub(crate) struct How {
    pub(crate) choices: RestoreChoices,
    pub(crate) with_apps: bool,
    pub(crate) password: Option<&'static str>,
    pub(crate) storage_patience: Duration,
}

impl Default for How {
    fn default() -> How {
        How {
            choices: REPLACE,
            with_apps: true,
            password: None,
            storage_patience: Duration::from_secs(120),
        }
    }
}

fn connect(table: &Table, how: &How) -> Result<DeviceRestore, DeviceError> {
    let address = UsbmuxdAddress::parse(&table.simulator.address().to_string()).unwrap();
    let options = DeviceRestoreOptions {
        pairing: PairingPatience {
            for_usbmuxd: Duration::ZERO,
            for_person: Duration::from_secs(60),
            ask_every: Duration::from_millis(20),
        },
        lock_patience: Duration::from_millis(900),
        idle_max: Duration::from_secs(120),
        storage_patience: how.storage_patience,
        ..DeviceRestoreOptions::new(PairRecords::in_folder(table.records()))
    };
    let transport = Arc::new(Usbmuxd::at(address));
    DeviceRestore::connect(transport, None, options, table.seen.clone(), &table.interrupt)
}

/// Restores a snapshot, if nothing that is found before stands in the way.
pub(crate) fn restore(
    table: &Table,
    named: &Named,
    how: &How,
) -> Result<RestoreOutcome, DeviceError> {
    restore_after(table, named, how, &|| ())
}

/// As [`restore`]; `before` is called when nothing stands in the way, before the phone is asked.
pub(crate) fn restore_after(
    table: &Table,
    named: &Named,
    how: &How,
    before: &dyn Fn(),
) -> Result<RestoreOutcome, DeviceError> {
    let device = connect(table, how)?;
    let repository = table.repository.open().unwrap();
    let view = repository.view(&named.snapshot);
    let Origin::Device(identity) = &named.snapshot.origin else { panic!("of a device") };
    let nobody = Interrupt::new();
    let needs = check::preflight(&repository, &named.snapshot, &Silent, &nobody).unwrap();
    if !needs.is_whole() {
        return Err(DeviceError::new(Kind::StorageFailed, "not whole"));
    }
    let offer = Offer::read(&view, identity, extent(&needs, named))?;
    if let Some(password) = how.password {
        offer.require_opens_with(password, &table.interrupt)?;
    }
    if let Some(refusal) = device.preflight(&offer, how.choices).refusal() {
        return Err(refusal);
    }
    before();
    device.run(&RestoreRun {
        reader: &view,
        offer: &offer,
        choices: how.choices,
        with_apps: how.with_apps,
        password: how.password.map(|password| Zeroizing::new(password.to_owned())),
        progress: &Silent,
        interrupt: &table.interrupt,
    })
}

fn extent(needs: &check::Needs, named: &Named) -> Extent {
    Extent {
        is_complete: named.snapshot.is_complete(),
        files: needs.files,
        bytes: needs.bytes,
        without_bytes: needs.never_stored.count,
    }
}

pub(crate) fn report(table: &Table) -> RestoreReport {
    RestoreReport::newest(&table.phone_folder()).unwrap()
}

/// Whether the phone has been asked for a restore at all.
pub(crate) fn was_asked(table: &Table) -> bool {
    RestoreReport::newest(&table.phone_folder()).is_ok()
}

fn sums<'i>(items: impl Iterator<Item = &'i Item>) -> Vec<(String, Option<String>)> {
    let files = items.filter(|item| item.kind == ItemKind::File);
    files.map(|item| (item.file_id(), item.sha256.clone())).collect()
}

fn on_phone(table: &Table) -> Contents {
    Contents::open(&table.phone_folder()).unwrap()
}

#[track_caller]
pub(crate) fn holds(table: &Table, truth: &Truth) {
    let contents = on_phone(table);
    assert_eq!(sums(contents.items()), sums(truth.items.iter()));
}

/// Backs the phone up on so many days; each with its truth. Another day has passed since.
pub(crate) fn days(table: &Table, count: u64) -> Vec<(Named, Truth)> {
    let days = (0..count).map(|day| {
        let kept = table.back_up().unwrap();
        let truth = newest(&table.phone_folder());
        table.day(day + 1);
        (kept.named, truth)
    });
    days.collect()
}

#[test]
fn the_first_of_five_days_goes_back_onto_the_phone_and_equals_its_truth() {
    let table = Table::new(61);
    let days = days(&table, 5);
    let (first, truth) = &days[0];
    let before = sums(on_phone(&table).items());
    assert_ne!(before, sums(truth.items.iter()), "five days make no difference");

    let outcome = restore(&table, first, &How::default()).unwrap();

    let report = report(&table);
    assert!(report.known && report.error.is_none(), "{report:?}");
    assert!(report.asked > 200 && report.asked_again > 3, "{report:?}");
    assert_eq!(report.same, report.asked, "{report:?}");
    assert!(report.different.is_empty() && report.rows_different.is_empty(), "{report:?}");
    assert!(report.options.unknown.is_empty(), "{report:?}");
    holds(&table, truth);
    assert!(outcome.sent.0 >= report.asked as u64);
    assert_eq!(outcome.apps, report.applications.map(|apps| apps.len()));
    assert!(outcome.apps > Some(1));
    assert!(table.seen.saw(Stage::Sending) && table.seen.saw(Stage::Finishing));
    // And it is backed up again, after the snapshot that was there last.
    let kept = table.back_up().unwrap();
    let (_folder, set) = table.export(&kept);
    crate::compare::compare(&set, None, &newest(&table.phone_folder()));
}

#[test]
fn every_option_is_heard_as_it_was_meant() {
    let table = Table::faulty(62, Faults::default());
    let kept = days(&table, 1).remove(0).0;
    for number in 0..16 {
        let is = |bit: u32| number >> bit & 1 == 1;
        let choices = RestoreChoices {
            system_files: is(0),
            preserve_settings: is(1),
            remove_not_restored: is(2),
            reboot: is(3),
        };
        restore(&table, &kept, &How { choices, ..How::default() }).unwrap();
        let heard = report(&table).options;
        assert_eq!(
            (heard.system_files, heard.preserve_settings, heard.remove_not_restored),
            (is(0), is(1), is(2)),
        );
        assert_eq!((heard.should_reboot, heard.dont_copy), (is(3), true));
    }
}

#[test]
fn what_the_defaults_leave_alone_stays_as_it_is_on_the_phone() {
    let table = Table::faulty(63, Faults::default());
    let kept = days(&table, 3).remove(0).0;
    let extra = on_phone(&table).items().find(|item| item.kind == ItemKind::File).unwrap().clone();
    let mut contents = on_phone(&table);
    let domain = "AppDomain-com.example.odd".to_owned();
    contents.put(Item { domain: domain.clone(), relative_path: "new".to_owned(), ..extra });
    contents.save(&table.phone_folder()).unwrap();
    let of_home = |contents: &Contents| sums(contents.items().filter(|i| i.domain == "HomeDomain"));
    let before = of_home(&contents);
    let choices = RestoreChoices::default();
    restore(&table, &kept, &How { choices, ..How::default() }).unwrap();
    let after = on_phone(&table);
    assert_eq!(of_home(&after), before);
    assert!(after.get(&domain, "new").is_some());
}

#[test]
fn apps_are_left_word_of_unless_that_is_not_wanted_and_not_after_a_failure() {
    let table = Table::faulty(64, Faults::default());
    let kept = days(&table, 1).remove(0).0;
    let lies_there = |table: &Table| {
        table.phone().media().file("/iTunesRestore/RestoreApplications.plist").is_ok()
    };
    let without = How { with_apps: false, ..How::default() };
    assert_eq!(restore(&table, &kept, &without).unwrap().apps, None);
    assert!(report(&table).applications.is_none() && !lies_there(&table));
    table.phone().set_faults(Faults { refusal: Some(14), ..Faults::default() });
    restore(&table, &kept, &How::default()).unwrap_err();
    assert!(!lies_there(&table), "a failed restore leaves no word of apps");
    table.phone().set_faults(Faults::default());
    restore(&table, &kept, &How::default()).unwrap();
    assert!(lies_there(&table));
}

#[test]
fn an_encrypted_snapshot_goes_back_with_its_password() {
    let table = Table::faulty(65, Faults::default());
    table.phone().set_backup_password(Some("secret".into()));
    let (kept, truth) = days(&table, 2).remove(0);
    let how = How { password: Some("secret"), ..How::default() };
    restore(&table, &kept, &how).unwrap();
    let report = report(&table);
    assert!(report.encrypted && report.same == report.asked, "{report:?}");
    holds(&table, &truth);
}

#[test]
fn what_the_phone_says_of_itself_is_looked_at_before_anything_is_asked() {
    let told = |place, value| Faults {
        lockdown_values: vec![LockdownValue::of(place, value)],
        ..Faults::default()
    };
    let table = Table::faulty(66, Faults::default());
    let kept = days(&table, 1).remove(0).0;
    for (faults, kind, words) in [
        (told(LockdownValue::FIND_MY, Some(true.into())), Kind::FindMyOn, "Find My"),
        (told(CAPACITY, Some(1000.into())), Kind::NoSpaceOnDevice, "1000"),
        (told(("", "ProductVersion"), Some("17.5".into())), Kind::SnapshotUnfit, "update"),
    ] {
        table.phone().set_faults(faults);
        let refused = restore(&table, &kept, &How::default()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    assert!(!was_asked(&table));
    // What it does not say stands in nobody's way.
    for place in [LockdownValue::FIND_MY, LockdownValue::FREE_BYTES] {
        table.phone().set_faults(told(place, None));
        restore(&table, &kept, &How::default()).unwrap();
    }
    let device = connect(&table, &How::default()).unwrap();
    let repository = table.repository.open().unwrap();
    let Origin::Device(identity) = &kept.snapshot.origin else { panic!("of a device") };
    let view = repository.view(&kept.snapshot);
    let needs = check::preflight(&repository, &kept.snapshot, &Silent, &table.interrupt).unwrap();
    let whole = extent(&needs, &kept);
    let offer = Offer::read(&view, identity, Extent { is_complete: false, ..whole }).unwrap();
    let found = device.preflight(&offer, RestoreChoices::default());
    let kinds: Vec<_> = found.findings.iter().map(|finding| finding.kind).collect();
    assert!(kinds.contains(&FindingKind::Incomplete), "{found:?}");
    assert_eq!(found.refusal().unwrap().kind(), Kind::SnapshotUnfit);
}

#[test]
fn a_phone_that_writes_changes_nothing_and_is_restored_all_the_same() {
    let table = Table::faulty(67, Faults::default());
    let (kept, truth) = days(&table, 2).remove(0);
    for odd in OddRestore::ALL {
        let is_outside = matches!(
            odd,
            OddRestore::AsksOutside | OddRestore::ListsOutside | OddRestore::UploadsOutside
        );
        table.phone().set_faults(Faults { odd_restore: Some(odd), ..Faults::default() });
        let ended = restore(&table, &kept, &How::default());
        match ended {
            // Whatever it says afterwards.
            Err(error) if is_outside => {
                assert_eq!(error.kind(), Kind::Protocol, "{odd:?}: {error}");
                assert!(error.to_string().contains("no backup has"), "{odd:?}: {error}");
            }
            ended => {
                ended.unwrap_or_else(|error| panic!("{odd:?}: {error}"));
                assert!(!is_outside, "{odd:?}");
                holds(&table, &truth);
            }
        }
    }
}

#[test]
fn a_connection_that_breaks_off_is_told_and_the_next_restore_is_well() {
    let table = Table::faulty(68, Faults::default());
    let (kept, truth) = days(&table, 2).remove(0);
    let service = "com.apple.mobilebackup2".to_owned();
    for at in [
        CutAt::Stage(At::Reading),
        CutAt::Stage(At::Uploading),
        CutAt::Stage(At::Finishing),
        CutAt::ReceivedByte(300_000),
        CutAt::Message(6),
    ] {
        let cut = Cut { service: service.clone(), at, times: 1 };
        table.phone().set_faults(Faults { cut: Some(cut), ..Faults::default() });
        let lost = restore(&table, &kept, &How::default()).unwrap_err();
        assert_eq!(lost.kind(), Kind::ConnectionLost, "{at:?}: {lost}");
    }
    table.phone().set_faults(Faults::default());
    well_again(&table, &kept);
    holds(&table, &truth);
}

/// A phone that has not noticed yet that its host is gone is busy.
fn well_again(table: &Table, kept: &Named) {
    for _ in 0..100 {
        match restore(table, kept, &How::default()) {
            Ok(_) => return,
            Err(error) => assert!(error.to_string().contains("busy"), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it stays busy");
}

#[test]
fn what_the_phone_says_last_is_told_in_words_of_a_restore() {
    let table = Table::faulty(69, Faults::default());
    let kept = days(&table, 1).remove(0).0;
    for (code, kind) in [
        (205, Kind::SnapshotUnfit),
        (203, Kind::SnapshotUnfit),
        (207, Kind::WrongPassword),
        (211, Kind::FindMyOn),
        (106, Kind::NoSpaceOnDevice),
        (25, Kind::CloudRestore),
        (202, Kind::Cancelled),
    ] {
        table.phone().set_faults(Faults { refusal: Some(code), ..Faults::default() });
        let refused = restore(&table, &kept, &How::default()).unwrap_err();
        assert_eq!(refused.kind(), kind, "{code}: {refused}");
        assert!(!refused.to_string().contains("back up everything"), "{refused}");
    }
    let denied = Faults { passcode: Passcode::Denied, ..Faults::default() };
    table.phone().set_faults(denied);
    let refused = restore(&table, &kept, &How::default()).unwrap_err();
    assert_eq!(refused.kind(), Kind::PasscodeNeeded);
}

#[test]
fn who_stops_it_is_heard_and_nothing_is_said_to_have_been_restored() {
    for stage in [Stage::Connecting, Stage::Preparing, Stage::Sending] {
        let table = Table::faulty(70, Faults::default());
        let kept = days(&table, 1).remove(0).0;
        *table.seen.stop_at.lock().unwrap() = Some((stage, table.interrupt.clone()));
        let stopped = restore(&table, &kept, &How::default()).unwrap_err();
        assert_eq!(stopped.kind(), Kind::Cancelled, "{stage}: {stopped}");
    }
}
