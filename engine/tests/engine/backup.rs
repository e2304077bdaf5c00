//! A snapshot holds what its folder held, and costs only what changed.
use devsnap_engine::backend::{Backend, ObjectKind};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::interrupt::Interrupt;
use devsnap_testkit::TestRepository;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{held, held_by_disk, snapshot};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Dates every file back, so that it is old enough to be remembered.
fn settle(folder: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for entry in fs::read_dir(folder).expect("because it is a folder") {
        let path = entry.expect("because it can be listed").path();
        if path.is_dir() {
            settle(&path);
        } else {
            let file = fs::File::options().write(true).open(&path).expect("because it is ours");
            file.set_modified(long_ago).expect("because it is ours");
        }
    }
}

fn stored_bytes(backend: &dyn Backend) -> u64 {
    [ObjectKind::DataPack, ObjectKind::MetaPack]
        .into_iter()
        .flat_map(|kind| backend.list(kind, ""))
        .map(|info| info.expect("because memory can be listed").size_bytes)
        .sum()
}

#[test]
fn every_date_holds_exactly_what_the_folder_held() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    let phone = PhoneLike { seed: 7, files: 120, total_bytes: 6 << 20 };
    phone.write(folder.path()).unwrap();
    let mut truth = Vec::new();
    for day in 0..4 {
        if day > 0 {
            phone.mutate(folder.path(), day).unwrap();
        }
        let made = here.snapshot(folder.path()).unwrap();
        assert_eq!(made.faults.total(), 0);
        truth.push((made.named, held_by_disk(folder.path())));
    }
    // As this computer sees it, and as another one with an empty cache does.
    for computer in [&here, &TestRepository::existing(here.backend.clone())] {
        let repository = computer.open().unwrap();
        let listed = repository.snapshots().unwrap();
        assert_eq!(listed.named.len(), 4);
        for (named, expected) in &truth {
            assert_eq!(&held(&repository, &named.snapshot).unwrap(), expected);
        }
    }
}

#[test]
fn an_unchanged_folder_gives_the_same_root_and_stores_nothing() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    PhoneLike { seed: 1, files: 60, total_bytes: 2 << 20 }.write(folder.path()).unwrap();
    let first = here.snapshot(folder.path()).unwrap().named.snapshot;
    let before = stored_bytes(&*here.backend);
    let second = here.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!(second.root, first.root);
    assert_eq!((second.totals.new, second.totals.changed, second.totals.removed), (0, 0, 0));
    assert_eq!((second.totals.added_bytes, second.totals.stored_bytes), (0, 0));
    assert_eq!(stored_bytes(&*here.backend), before);
    // Another computer has no memory of the files: it reads them all and stores none.
    let there = TestRepository::existing(here.backend.clone());
    let third = there.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!((third.root, third.totals.stored_bytes), (first.root, 0));
    assert!(third.totals.read_bytes > 0);
}

#[test]
fn files_that_look_as_they_did_are_not_read() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(name), name.repeat(50_000)).unwrap();
    }
    settle(folder.path());
    // The change time cannot be set back, and what changed just now is not remembered.
    std::thread::sleep(Duration::from_millis(2100));
    here.snapshot(folder.path()).unwrap();
    fs::write(folder.path().join("b"), "changed".repeat(100)).unwrap();
    let second = here.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!(second.totals.read_bytes, 700);
    assert_eq!((second.totals.new, second.totals.changed, second.totals.removed), (0, 1, 0));
}

#[test]
fn equal_files_are_stored_once_in_one_run_and_over_runs() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    let mut noise = vec![0; 300_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    for copy in 0..5 {
        fs::write(folder.path().join(format!("copy-{copy}")), &noise).unwrap();
    }
    let first = here.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!(first.totals.added_bytes, 300_000);
    fs::write(folder.path().join("another"), &noise).unwrap();
    let second = here.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!((second.totals.new, second.totals.added_bytes), (1, 0));
}

#[test]
fn a_file_of_many_chunks_is_kept_as_a_list_and_read_back() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    let mut noise = vec![0; 3 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    fs::write(folder.path().join("large"), &noise).unwrap();
    let made = here.snapshot(folder.path()).unwrap().named.snapshot;
    let repository = here.open().unwrap();
    assert_eq!(held(&repository, &made).unwrap()["large"].1, noise);
}

#[test]
fn removed_paths_are_gone_with_all_below_them() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("a/b/c")).unwrap();
    fs::write(folder.path().join("a/b/c/deep"), "1").unwrap();
    fs::write(folder.path().join("keep"), "2").unwrap();
    here.snapshot(folder.path()).unwrap();
    fs::remove_dir_all(folder.path().join("a")).unwrap();
    let second = here.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!(second.totals.removed, 4);
    let repository = here.open().unwrap();
    assert_eq!(held(&repository, &second).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn a_run_that_was_asked_to_stop_leaves_no_snapshot_and_the_next_one_goes_on() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    PhoneLike { seed: 3, files: 40, total_bytes: 2 << 20 }.write(folder.path()).unwrap();
    let interrupt = Interrupt::new();
    interrupt.raise();
    let repository = here.open().unwrap();
    let stopped = snapshot(&repository, folder.path(), &interrupt).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    assert!(repository.snapshots().unwrap().named.is_empty());
    assert_eq!(here.backend.list(ObjectKind::Session, "").count(), 0, "the session is over");
    drop(repository);
    let made = here.snapshot(folder.path()).unwrap().named.snapshot;
    let repository = here.open().unwrap();
    assert_eq!(held(&repository, &made).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn a_repository_is_not_made_where_one_is_and_not_opened_with_a_wrong_password() {
    use devsnap_engine::progress::Silent;
    use devsnap_engine::repository::{InitOptions, Repository, Unlock};
    let here = TestRepository::new();
    let again = Repository::init(&*here.backend, b"x", &InitOptions::default()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    let backend = Box::new(here.backend.clone());
    let unlock = Unlock::Password(b"wrong");
    let wrong = Repository::open(backend, &unlock, here.cache.path(), &Silent).err().unwrap();
    assert_eq!(wrong.kind(), ErrorKind::WrongPassword);
    let empty = Box::new(devsnap_testkit::MemoryBackend::new());
    let none = Repository::open(empty, &unlock, here.cache.path(), &Silent).err().unwrap();
    assert_eq!(none.kind(), ErrorKind::NoRepository);
}

#[test]
fn a_rehearsal_counts_and_stores_nothing() {
    use devsnap_engine::backup::{BackupOptions, create_snapshot};
    use devsnap_engine::folder::{FolderOptions, FolderSource};
    use devsnap_engine::progress::{Progress, Silent};
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    PhoneLike { seed: 4, files: 40, total_bytes: 1 << 20 }.write(folder.path()).unwrap();
    let objects = |kind| here.backend.list(kind, "").count();
    let before = ObjectKind::ALL.map(objects);
    let repository = here.open().unwrap();
    let options = BackupOptions {
        origin: devsnap_engine::snapshot::Origin::Folder { host: "h".into(), path: b"/f".to_vec() },
        tags: Vec::new(),
        taken_at: devsnap_engine::node::Time::default(),
        utc_offset_secs: 0,
        program: "test".into(),
        dry_run: true,
    };
    let mut source = FolderSource::new(folder.path().to_owned(), FolderOptions::default());
    let silent: std::sync::Arc<dyn Progress> = std::sync::Arc::new(Silent);
    let made =
        create_snapshot(&repository, &mut source, &options, &silent, &Interrupt::new()).unwrap();
    assert!(made.named.snapshot.totals.added_bytes > 0);
    assert_eq!(made.named.snapshot.totals.stored_bytes, 0);
    assert_eq!(ObjectKind::ALL.map(objects), before);
    let real = snapshot(&repository, folder.path(), &Interrupt::new()).unwrap().named.snapshot;
    assert_eq!(real.root, made.named.snapshot.root, "it is the snapshot that would be made");
    assert_eq!(held(&repository, &real).unwrap(), held_by_disk(folder.path()));
}
