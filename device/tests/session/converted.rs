//! Encrypted phones whose files are stored as plaintext.
use crate::compare::{compare, newest};
use crate::table::{Kept, Table};
use devsnap_device::ConversionOptions;
use devsnap_device::stored_set::StoredSet;
use devsnap_device::watch::Stage;
use devsnap_engine::backup::{BackupOptions, BackupReport, create_snapshot};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{Encoding, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::snapshot::Snapshot;
use devsnap_engine::source::Verification;
use devsnap_simulator::mobilebackup2::Habits;
use devsnap_testkit::test_repository::held;
use std::sync::Arc;
use zeroize::Zeroizing;

fn conversion(password: &str, spool_max_bytes: u64) -> Option<ConversionOptions> {
    Some(ConversionOptions {
        password: Arc::new(Zeroizing::new(password.as_bytes().to_vec())),
        spool_max_bytes: Some(spool_max_bytes),
        converts_media: false,
    })
}

fn encrypted(seed: u64) -> Table {
    let table = Table::new(seed);
    table.phone().set_backup_password(Some("secret".into()));
    table
}

/// How many files of a snapshot are stored as plaintext, and how many as they came.
fn encodings(table: &Table, snapshot: &Snapshot) -> (usize, usize) {
    let repository = table.repository.open().unwrap();
    let view = repository.view(snapshot);
    let nodes: Vec<_> = view.walk(&TreePath::root()).map(|entry| entry.unwrap()).collect();
    let files = nodes.iter().filter(|(_, node)| node.kind == NodeKind::File);
    let (plain, sealed): (Vec<_>, Vec<_>) =
        files.partition(|(_, node)| node.encoding != Encoding::AsStored);
    (plain.len(), sealed.len())
}

fn holds_the_truth(table: &Table, kept: &Kept) {
    let (_folder, set) = table.export(kept);
    compare(&set, Some("secret"), &newest(&table.phone_folder()));
}

#[test]
fn files_are_stored_as_plaintext_and_come_back_as_the_phone_encrypted_them() {
    let mut table = encrypted(40);
    table.conversion = conversion("secret", 1 << 30);
    for day in 0..3 {
        table.day(day);
        let kept = table.back_up().unwrap();
        assert_eq!(kept.outcome.full, day == 0);
        // The manifest could be opened, so every file of it was looked for.
        assert_eq!(kept.outcome.verification, Verification::Rows, "day {day}");
        let converted = kept.outcome.converted.clone().unwrap();
        assert!(converted.files > 1 && converted.locked.is_none(), "{converted:?}");
        assert_eq!((converted.overflowed, converted.refused), (0, 0));
        let (plain, sealed) = encodings(&table, &kept.named.snapshot);
        assert!(plain > 50, "day {day}: {plain} as plaintext, {sealed} as they came");
        holds_the_truth(&table, &kept);
    }
    assert!(table.seen.saw(Stage::Converting));
    assert_eq!(*table.seen.warnings.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn media_stays_as_it_came_unless_it_was_asked_for() {
    let mut table = encrypted(41);
    // Real manifests have rows without a record; their files have no key that anybody could find.
    let folder = table.phone_folder();
    Habits { odd_records: 0, ..Habits::load(&folder).unwrap() }.save(&folder).unwrap();
    table.conversion = conversion("secret", 1 << 30);
    let kept = table.back_up().unwrap();
    let (_, media) = encodings(&table, &kept.named.snapshot);
    assert!(media > 3, "besides the three lists: {media}");
    if let Some(conversion) = &mut table.conversion {
        conversion.converts_media = true;
    }
    table.full = true;
    let kept = table.back_up().unwrap();
    // `Info.plist`, `Status.plist` and `Manifest.plist` are not encrypted.
    assert_eq!(encodings(&table, &kept.named.snapshot).1, 3);
    holds_the_truth(&table, &kept);
}

#[test]
fn with_a_wrong_password_all_is_stored_as_it_came_and_a_person_hears_of_it() {
    let mut table = encrypted(42);
    table.conversion = conversion("another", 1 << 30);
    let kept = table.back_up().unwrap();
    let converted = kept.outcome.converted.clone().unwrap();
    assert_eq!(converted.locked.as_deref(), Some("the backup password is wrong"));
    assert_eq!(converted.files, 0, "{converted:?}");
    assert_eq!(kept.outcome.verification, Verification::Names);
    assert_eq!(encodings(&table, &kept.named.snapshot).0, 0);
    holds_the_truth(&table, &kept);
    // The next time the last set tells before the phone is asked.
    table.day(1);
    holds_the_truth(&table, &table.back_up().unwrap());
    let warnings = table.seen.warnings.lock().unwrap().join("\n");
    assert!(warnings.contains("does not open the last snapshot"), "{warnings}");
    // And with the right one what is sent from now on becomes plaintext.
    table.conversion = conversion("secret", 1 << 30);
    table.day(2);
    let kept = table.back_up().unwrap();
    assert!(encodings(&table, &kept.named.snapshot).0 > 0);
    holds_the_truth(&table, &kept);
}

#[test]
fn a_phone_that_is_not_encrypted_is_none_of_a_passwords_business() {
    let mut table = Table::new(43);
    table.conversion = conversion("secret", 1 << 30);
    let kept = table.back_up().unwrap();
    assert_eq!(kept.outcome.converted, None);
    assert_eq!(encodings(&table, &kept.named.snapshot).0, 0);
}

#[test]
fn what_finds_no_room_to_wait_is_stored_as_it_came() {
    let mut table = encrypted(44);
    table.conversion = conversion("secret", 400 << 10);
    let kept = table.back_up().unwrap();
    let converted = kept.outcome.converted.clone().unwrap();
    assert!(converted.overflowed > 0 && converted.refused == 0, "{converted:?}");
    holds_the_truth(&table, &kept);
    let before = encodings(&table, &kept.named.snapshot);
    let (made, count) = convert_stored(&table, &kept.named.snapshot, "secret").unwrap();
    let after = encodings(&table, &made.named.snapshot);
    assert!(after.0 > before.0 && after.0 - before.0 == usize::try_from(count).unwrap());
    same_bytes(&table, &kept.named.snapshot, &made.named.snapshot);
}

#[test]
fn an_older_snapshot_becomes_plaintext_and_reads_the_same() {
    let table = encrypted(45);
    let kept = table.back_up().unwrap();
    let (made, count) = convert_stored(&table, &kept.named.snapshot, "secret").unwrap();
    assert!(count > 50, "{count}");
    same_bytes(&table, &kept.named.snapshot, &made.named.snapshot);
    // Again there is nothing left to do.
    assert_eq!(convert_stored(&table, &made.named.snapshot, "secret").unwrap().1, 0);
    // The phone goes on from what was converted.
    table.day(1);
    let kept = table.back_up().unwrap();
    assert!(!kept.outcome.full);
    holds_the_truth(&table, &kept);
    let refused = convert_stored(&table, &kept.named.snapshot, "another").unwrap_err();
    assert!(format!("{refused:?}").contains("password is wrong"), "{refused:?}");
}

#[test]
fn a_run_stopped_while_it_converts_keeps_nothing() {
    let mut table = encrypted(46);
    table.conversion = conversion("secret", 1 << 30);
    *table.seen.stop_at.lock().unwrap() = Some((Stage::Converting, table.interrupt.clone()));
    assert!(table.back_up_stopped());
    *table.seen.stop_at.lock().unwrap() = None;
    table.interrupt = Interrupt::new();
    holds_the_truth(&table, &table.back_up().unwrap());
}

fn same_bytes(table: &Table, one: &Snapshot, other: &Snapshot) {
    let repository = table.repository.open().unwrap();
    assert!(held(&repository, one).unwrap() == held(&repository, other).unwrap());
    let size = |snapshot: &Snapshot| snapshot.root.map(|root| (root.entries, root.size_bytes));
    assert_eq!(size(one), size(other));
}

fn convert_stored(
    table: &Table,
    snapshot: &Snapshot,
    password: &str,
) -> Result<(BackupReport, u64), devsnap_engine::error::Error> {
    let repository = table.repository.open().unwrap();
    let found = repository.snapshots().unwrap().named;
    let named = found.into_iter().rfind(|named| named.snapshot == *snapshot).unwrap();
    let options = BackupOptions {
        origin: snapshot.origin.clone(),
        tags: Vec::new(),
        taken_at: snapshot.taken_at,
        utc_offset_secs: 0,
        program: "test".to_owned(),
        dry_run: false,
    };
    let password = Arc::new(Zeroizing::new(password.as_bytes().to_vec()));
    let udid = devsnap_device::Udid::parse(&table.phone().identity().udid).unwrap();
    let mut source = StoredSet::new(named.id, udid, password, true);
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let made = create_snapshot(&repository, &mut source, &options, &progress, &Interrupt::new())?;
    Ok((made, source.converted().0))
}
