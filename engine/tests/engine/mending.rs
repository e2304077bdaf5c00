//! What the store has lost is stored again by the next run, while the source still has it.
use devsnap_engine::backend::{Backend, BackendErrorKind, ObjectKey, ObjectKind};
use devsnap_engine::check::{CheckOptions, check};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::folder::{FolderTarget, TargetOptions};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{InitOptions, Repository, Unlock};
use devsnap_engine::restore::{Overwrite, RestoreOptions, restore};
use devsnap_engine::seal::KdfCost;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{held, held_by_disk};
use devsnap_testkit::{Call, Effect, FaultBackend, MemoryBackend, TestRepository, When};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn packs(memory: &MemoryBackend) -> Vec<ObjectKey> {
    [ObjectKind::DataPack, ObjectKind::MetaPack]
        .into_iter()
        .flat_map(|kind| memory.list(kind, "").collect::<Vec<_>>())
        .map(|info| info.expect("because memory can be listed").key)
        .collect()
}

fn phone(folder: &Path) {
    let phone = PhoneLike { seed: 5, files: 40, total_bytes: 1 << 20 };
    phone.write(folder).expect("because there is room");
}

/// A folder, and a store with one snapshot of it.
fn scene() -> (tempfile::TempDir, Arc<MemoryBackend>) {
    let folder = tempfile::tempdir().expect("because there is room");
    phone(folder.path());
    let memory = Arc::new(MemoryBackend::new());
    let here = TestRepository::over(memory.clone());
    here.snapshot(folder.path()).expect("because nothing is damaged");
    (folder, memory)
}

/// The newest snapshot, read on a computer that knows nothing, holds all that is in `folder`.
fn assert_newest_is_whole(memory: &Arc<MemoryBackend>, folder: &Path, why: &str) {
    let repository = TestRepository::existing(memory.clone()).open().expect("because it opens");
    let newest = repository.snapshots().expect("because they can be listed").named.pop();
    let newest = newest.expect("because there is one");
    assert_eq!(held(&repository, &newest.snapshot).expect(why), held_by_disk(folder), "{why}");
}

#[test]
fn a_pack_that_is_lost_or_cut_short_is_stored_again_by_the_next_snapshot() {
    let (folder, memory) = scene();
    let whole = memory.contents();
    let all = packs(&memory);
    assert!(all.len() >= 2);
    for pack in &all {
        for cut in [None, Some(whole[pack].len() - 1)] {
            for knows in [true, false] {
                let why = format!("{pack}, cut to {cut:?}, known here: {knows}");
                let store = Arc::new(MemoryBackend::with_contents(whole.clone()));
                let computer = TestRepository::existing(store.clone());
                if knows {
                    computer.open().unwrap();
                }
                match cut {
                    None => store.remove(pack).unwrap(),
                    Some(len) => store.replace(pack, whole[pack].slice(..len)),
                }
                computer.snapshot(folder.path()).expect(&why);
                assert_newest_is_whole(&store, folder.path(), &why);
            }
        }
    }
}

#[test]
fn a_segment_that_only_older_snapshots_need_is_written_again_by_a_computer_that_never_saw_it() {
    let (folder, memory) = scene();
    let first = memory.list(ObjectKind::IndexSegment, "").next().unwrap().unwrap().key;
    // The second snapshot shares nothing with the first.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("note"), "another folder".repeat(1000)).unwrap();
    TestRepository::existing(memory.clone()).snapshot(other.path()).unwrap();
    memory.remove(&first).unwrap();

    TestRepository::existing(memory.clone()).snapshot(other.path()).unwrap();
    let fresh = TestRepository::existing(memory.clone()).open().unwrap();
    assert_eq!(fresh.find_unlisted_packs().unwrap(), []);
    let oldest = fresh.snapshots().unwrap().named.remove(0);
    assert_eq!(held(&fresh, &oldest.snapshot).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn a_pack_in_which_a_check_finds_damage_is_stored_again_by_the_next_snapshot() {
    let (folder, memory) = scene();
    let whole = memory.contents();
    for pack in packs(&memory) {
        let store = Arc::new(MemoryBackend::with_contents(whole.clone()));
        let mut bytes = whole[&pack].to_vec();
        bytes[200] ^= 1;
        store.replace(&pack, bytes);
        let computer = TestRepository::existing(store.clone());
        let options = CheckOptions { read_data_percent: Some(100) };
        let report =
            check(&computer.open().unwrap(), &options, &Silent, &Interrupt::new()).unwrap();
        assert!(report.is_damaged(), "{pack}");
        computer.snapshot(folder.path()).unwrap();
        let repository = computer.open().unwrap();
        let newest = repository.snapshots().unwrap().named.pop().unwrap();
        let held = held(&repository, &newest.snapshot).unwrap();
        assert_eq!(held, held_by_disk(folder.path()), "{pack}");
        // Found whole again (somebody brought the pack back), it is relied on again.
        store.replace(&pack, whole[&pack].clone());
        check(&computer.open().unwrap(), &options, &Silent, &Interrupt::new()).unwrap();
        let before = packs(&store).len();
        computer.snapshot(folder.path()).unwrap();
        assert_eq!(packs(&store).len(), before, "{pack}: nothing is stored a third time");
    }
}

#[test]
fn a_spoilt_copy_on_this_computer_is_fetched_again() {
    let (folder, memory) = scene();
    let here = TestRepository::existing(memory);
    let read = || {
        let repository = here.open().unwrap();
        let newest = repository.snapshots().unwrap().named.pop().unwrap();
        (held(&repository, &newest.snapshot), repository.cache_folder().to_owned())
    };
    let (first, cache) = read();
    assert_eq!(first.unwrap(), held_by_disk(folder.path()));
    let copies: Vec<_> = fs::read_dir(cache.join("meta")).unwrap().map(Result::unwrap).collect();
    assert!(!copies.is_empty(), "metadata packs of a distant store are kept here");
    for copy in copies {
        let mut bytes = fs::read(copy.path()).unwrap();
        for at in (150..bytes.len()).step_by(97) {
            bytes[at] ^= 1;
        }
        fs::write(copy.path(), bytes).unwrap();
    }
    assert_eq!(read().0.unwrap(), held_by_disk(folder.path()));
}

#[test]
fn a_repository_whose_making_failed_can_be_made_again() {
    for nth in [1, 2] {
        for effect in [Effect::ReplyLost, Effect::Refused(BackendErrorKind::Unreachable)] {
            let memory = Arc::new(MemoryBackend::new());
            let faulty = FaultBackend::new(memory.clone(), 5);
            faulty.fail(Call::Put, When::Nth(nth), effect);
            let options = InitOptions { kdf: KdfCost::CHEAP, ..InitOptions::default() };
            let made = Repository::init(&faulty, b"password", &options);
            assert!(made.is_err(), "its recovery key was never shown");
            assert!(memory.is_empty(), "put {nth}, {effect:?}");
            Repository::init(&memory, b"password", &options).unwrap();
            let again = Repository::init(&memory, b"password", &options);
            assert_eq!(again.err().unwrap().kind(), ErrorKind::AlreadyExists);
            let cache = tempfile::tempdir().unwrap();
            let unlock = Unlock::Password(b"password");
            Repository::open(Box::new(memory.clone()), &unlock, cache.path(), &Silent).unwrap();
        }
    }
}

#[test]
fn a_run_that_fails_early_leaves_no_session_open() {
    let folder = tempfile::tempdir().unwrap();
    phone(folder.path());
    let memory = Arc::new(MemoryBackend::new());
    TestRepository::over(memory.clone());
    let faulty = Arc::new(FaultBackend::new(memory.clone(), 5));
    let here = TestRepository::existing(faulty.clone());
    let repository = here.open().unwrap();
    // The first listing after the session's own look at marks is that of snapshots.
    for nth in 1..=4 {
        faulty.fail(Call::List, When::Nth(nth), Effect::Refused(BackendErrorKind::Unreachable));
        let made = devsnap_testkit::test_repository::snapshot(
            &repository,
            folder.path(),
            &Interrupt::new(),
        );
        faulty.heal();
        if made.is_err() {
            let open = memory
                .list(ObjectKind::Session, "")
                .filter(|mark| mark.as_ref().is_ok_and(|mark| mark.key.name().ends_with(".open")));
            assert_eq!(open.count(), 0, "listing {nth}");
        }
    }
}

#[test]
fn after_a_restore_that_was_cut_off_bytes_are_compared_and_not_only_times() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    phone(folder.path());
    let snapshot = here.snapshot(folder.path()).unwrap().named.snapshot;
    let target = tempfile::tempdir().unwrap();
    let bring_back = |options: &RestoreOptions| {
        let target = FolderTarget::open(target.path(), &TargetOptions::default()).unwrap();
        let repository = here.open().unwrap();
        restore(&repository, &snapshot, &target, options, &Silent, &Interrupt::new()).unwrap()
    };
    bring_back(&RestoreOptions::default());
    let note = target.path().join(".devsnap-unfinished");
    assert!(!note.exists(), "the restore has ended");
    assert_eq!(held_by_disk(target.path()), held_by_disk(folder.path()));

    // What a power cut leaves: the right length and time, and zeros.
    let spoilt = largest_file(target.path());
    let found = fs::metadata(&spoilt).unwrap();
    fs::write(&spoilt, vec![0; usize::try_from(found.len()).unwrap()]).unwrap();
    let file = fs::File::options().write(true).open(&spoilt).unwrap();
    file.set_modified(found.modified().unwrap()).unwrap();
    fs::write(&note, b"").unwrap();
    // A restore that leaves alone what stands there has not looked at it.
    let never = RestoreOptions { overwrite: Overwrite::Never, ..RestoreOptions::default() };
    bring_back(&never);
    assert!(note.exists());
    let report = bring_back(&RestoreOptions::default());
    assert_eq!(report.written_files, 1);
    assert!(!note.exists());
    assert_eq!(held_by_disk(target.path()), held_by_disk(folder.path()));
}

fn largest_file(folder: &Path) -> std::path::PathBuf {
    let mut folders = vec![folder.to_owned()];
    let mut largest = (0, folder.to_owned());
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("because it is there") {
            let entry = entry.expect("because it can be listed");
            let found = entry.metadata().expect("because it stays");
            if found.is_dir() {
                folders.push(entry.path());
            } else if found.len() > largest.0 {
                largest = (found.len(), entry.path());
            }
        }
    }
    largest.1
}
