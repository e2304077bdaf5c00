//! Days of backups of a phone that is well.
use crate::compare::{blobs_of, compare, newest};
use crate::table::{Kept, Table};
use devsnap_device::watch::Stage;
use devsnap_device::{BackupSet, SnapshotState};
use devsnap_engine::snapshot::Origin;
use devsnap_engine::source::Verification;
use devsnap_simulator::phone::Faults;
use devsnap_simulator::wire::Weather;

#[test]
fn a_full_backup_and_days_of_incremental_ones_hold_the_truth() {
    let table = Table::new(1);
    let first = table.back_up().unwrap();
    let truth = newest(&table.phone_folder());
    let (_folder, set) = table.export(&first);
    compare(&set, None, &truth);
    assert!(first.outcome.full && first.outcome.answered);
    assert_eq!(first.outcome.verification, Verification::Rows);
    assert_eq!(verification_of(&first), Some(Verification::Rows));
    assert!(truth.items.len() > 100);
    assert!(first.named.snapshot.is_complete() && first.named.snapshot.parent.is_none());
    for stage in [Stage::Preparing, Stage::Receiving, Stage::Moving, Stage::Finishing] {
        assert!(table.seen.saw(stage), "{stage}");
    }
    let recognised = BackupSet::recognise(&set).unwrap().unwrap();
    assert_eq!(recognised.state, SnapshotState::Finished);
    assert_eq!(recognised.oddities, []);
    for day in 1..4 {
        table.day(day);
        let kept = table.back_up().unwrap();
        let truth = newest(&table.phone_folder());
        let backup = truth.backup.clone().unwrap();
        assert!(!backup.full && !kept.outcome.full, "day {day}");
        assert!(kept.named.snapshot.parent.is_some());
        assert!(kept.outcome.received.0 < first.outcome.received.0 / 2);
        let (_folder, set) = table.export(&kept);
        compare(&set, None, &truth);
    }
}

fn verification_of(kept: &Kept) -> Option<Verification> {
    match &kept.named.snapshot.origin {
        Origin::Device(device) => device.verification,
        Origin::Folder { .. } => None,
    }
}

#[test]
fn encrypted_backups_hold_the_truth_and_are_verified_by_name() {
    let table = Table::new(2);
    table.phone().set_backup_password(Some("secret".into()));
    for day in 0..2 {
        table.day(day);
        let kept = table.back_up().unwrap();
        assert_eq!(kept.outcome.verification, Verification::Names);
        assert_eq!(kept.outcome.full, day == 0);
        let (_folder, set) = table.export(&kept);
        compare(&set, Some("secret"), &newest(&table.phone_folder()));
    }
}

#[test]
fn a_full_backup_replaces_everything_in_the_tree() {
    let mut table = Table::new(3);
    table.back_up().unwrap();
    table.day(1);
    table.full = true;
    let kept = table.back_up().unwrap();
    assert!(kept.outcome.full && newest(&table.phone_folder()).backup.unwrap().full);
    let (_folder, set) = table.export(&kept);
    compare(&set, None, &newest(&table.phone_folder()));
    // And the next one goes on from it.
    table.full = false;
    table.day(2);
    let kept = table.back_up().unwrap();
    assert!(!kept.outcome.full);
    let (_folder, set) = table.export(&kept);
    compare(&set, None, &newest(&table.phone_folder()));
    assert!(!blobs_of(&set).is_empty());
}

#[test]
fn cruel_weather_changes_nothing() {
    let table = Table::with(4, Weather::Cruel, Faults::default(), (true, false));
    let kept = table.back_up().unwrap();
    let (_folder, set) = table.export(&kept);
    compare(&set, None, &newest(&table.phone_folder()));
}

#[test]
fn a_phone_on_the_network_is_kept_awake() {
    let patience = Some(std::time::Duration::from_secs(5));
    let faults = Faults { heartbeat_patience: patience, ..Faults::default() };
    // It is paired by cable first: no phone pairs over the air.
    let table = Table::with(5, Weather::Fair, faults, (true, true));
    table.connect().unwrap();
    table.simulator.pull_cable(&table.phone().identity().udid);
    let kept = table.back_up().unwrap();
    let (_folder, set) = table.export(&kept);
    compare(&set, None, &newest(&table.phone_folder()));
}
