//! What was stored comes back: contents, kinds, links, modes and times.
use devsnap_engine::error::ErrorKind;
use devsnap_engine::folder::{FolderTarget, TargetOptions};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{FaultKind, Silent};
use devsnap_engine::restore::{Overwrite, RestoreOptions, RestoreReport, restore};
use devsnap_engine::snapshot::{Completeness, Snapshot};
use devsnap_testkit::TestRepository;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::held_by_disk;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn bring_back(
    here: &TestRepository,
    snapshot: &Snapshot,
    target: &Path,
    options: &RestoreOptions,
) -> RestoreReport {
    let repository = here.open().expect("because the repository is whole");
    let target =
        FolderTarget::open(target, &TargetOptions { create: true }).expect("because there is room");
    restore(&repository, snapshot, &target, options, &Silent, &Interrupt::new())
        .expect("because nothing is damaged")
}

#[test]
fn the_first_state_comes_back_over_the_last_one_exactly() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    let phone = PhoneLike { seed: 9, files: 80, total_bytes: 3 << 20 };
    phone.write(folder.path()).unwrap();
    let first = here.snapshot(folder.path()).unwrap().named.snapshot;
    let truth = held_by_disk(folder.path());
    phone.mutate(folder.path(), 1).unwrap();
    fs::write(folder.path().join("extra"), "gone again").unwrap();
    here.snapshot(folder.path()).unwrap();
    let options = RestoreOptions { delete: true, ..RestoreOptions::default() };
    let report = bring_back(&here, &first, folder.path(), &options);
    assert_eq!(report.faults_total, 0, "{:?}", report.faults);
    assert!(report.removed >= 1);
    assert_eq!(held_by_disk(folder.path()), truth);
    let again = bring_back(&here, &first, folder.path(), &options);
    assert_eq!((again.written_files, again.removed), (0, 0), "only what differs is written");
    let empty = tempfile::tempdir().unwrap();
    bring_back(&here, &first, &empty.path().join("new"), &RestoreOptions::default());
    assert_eq!(held_by_disk(&empty.path().join("new")), truth);
}

#[test]
fn links_modes_and_times_come_back() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("sub")).unwrap();
    fs::write(at("sub/one"), "linked".repeat(100)).unwrap();
    fs::hard_link(at("sub/one"), at("two")).unwrap();
    std::os::unix::fs::symlink("sub/one", at("soft")).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    fs::File::options().write(true).open(at("sub/one")).unwrap().set_modified(long_ago).unwrap();
    let made = here.snapshot(folder.path()).unwrap().named.snapshot;
    let target = tempfile::tempdir().unwrap();
    let report = bring_back(&here, &made, target.path(), &RestoreOptions::default());
    assert_eq!(report.faults_total, 0, "{:?}", report.faults);
    let look = |name: &str| fs::symlink_metadata(target.path().join(name)).unwrap();
    assert_eq!(look("sub/one").ino(), look("two").ino());
    assert_eq!((look("two").mtime(), look("two").mtime_nsec()), (1_000_000_000, 123_456_789));
    assert_eq!(fs::read_link(target.path().join("soft")).unwrap(), Path::new("sub/one"));
    for name in ["sub", "sub/one", "two"] {
        let there = fs::symlink_metadata(at(name)).unwrap();
        assert_eq!(
            (look(name).mode(), look(name).mtime()),
            (there.mode(), there.mtime()),
            "{name}"
        );
    }
}

#[test]
fn a_dry_run_touches_nothing_and_a_part_is_brought_back_alone() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::write(folder.path().join("a/b/wanted"), "1".repeat(1000)).unwrap();
    fs::write(folder.path().join("other"), "2".repeat(1000)).unwrap();
    let made = here.snapshot(folder.path()).unwrap().named.snapshot;
    let target = tempfile::tempdir().unwrap();
    let dry = RestoreOptions { dry_run: true, ..RestoreOptions::default() };
    assert_eq!(bring_back(&here, &made, target.path(), &dry).written_files, 2);
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
    let subtree = TreePath::from_slashed(b"a/b").unwrap();
    let part = RestoreOptions { subtree, ..RestoreOptions::default() };
    bring_back(&here, &made, target.path(), &part);
    let found = held_by_disk(target.path());
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["", "wanted"]);
}

#[test]
fn what_is_there_is_left_or_replaced_as_asked() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "stored".repeat(50)).unwrap();
    let made = here.snapshot(folder.path()).unwrap().named.snapshot;
    let target = tempfile::tempdir().unwrap();
    let file = target.path().join("file");
    for (overwrite, kept) in
        [(Overwrite::Never, true), (Overwrite::IfChanged, false), (Overwrite::Always, false)]
    {
        fs::write(&file, "mine").unwrap();
        let options = RestoreOptions { overwrite, ..RestoreOptions::default() };
        bring_back(&here, &made, target.path(), &options);
        assert_eq!(fs::read_to_string(&file).unwrap() == "mine", kept, "{overwrite:?}");
    }
}

#[test]
fn a_restore_that_was_asked_to_stop_leaves_no_half_written_file() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    PhoneLike { seed: 2, files: 30, total_bytes: 1 << 20 }.write(folder.path()).unwrap();
    let made = here.snapshot(folder.path()).unwrap().named.snapshot;
    let target = tempfile::tempdir().unwrap();
    let place = FolderTarget::open(target.path(), &TargetOptions { create: false }).unwrap();
    let interrupt = Interrupt::new();
    interrupt.raise();
    let repository = here.open().unwrap();
    let options = RestoreOptions::default();
    let stopped = restore(&repository, &made, &place, &options, &Silent, &interrupt).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    drop(place);
    assert!(held_by_disk(target.path()).values().all(|(_, bytes)| bytes.is_empty()));
}

#[test]
fn delete_leaves_what_the_snapshot_says_it_could_not_read() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("locked")).unwrap();
    let mut made = here.snapshot(folder.path()).unwrap().named.snapshot;
    let first = vec![(TreePath::from_slashed(b"locked").unwrap(), FaultKind::Unreadable)];
    made.completeness = Completeness::Incomplete { total: 1, first };
    for name in ["locked/mine", "stray"] {
        fs::write(folder.path().join(name), "mine").unwrap();
    }
    let options = RestoreOptions { delete: true, ..RestoreOptions::default() };
    let report = bring_back(&here, &made, folder.path(), &options);
    assert_eq!((report.removed, report.remarks.len()), (1, 1), "{report:?}");
    assert!(folder.path().join("locked/mine").exists());
    assert!(!folder.path().join("stray").exists());
}
