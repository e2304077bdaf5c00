//! Forgetting removes snapshots, and nothing else.
use devsnap_engine::backend::{Backend, BackendErrorKind, Body, ObjectKey, ObjectKind};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::id::SnapshotId;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::Time;
use devsnap_engine::repository::Repository;
use devsnap_engine::retention::{RetentionPolicy, judge};
use devsnap_testkit::test_repository::{held, held_by_disk};
use devsnap_testkit::{Call, Effect, FaultBackend, MemoryBackend, TestRepository, When};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

/// Makes `count` snapshots of a folder, each with a file more.
fn history(here: &TestRepository, count: usize) -> Vec<SnapshotId> {
    let folder = tempfile::tempdir().expect("because there is room");
    let make = |number: usize| {
        let content = number.to_string().repeat(10_000);
        fs::write(folder.path().join(format!("file-{number}")), content)
            .expect("because there is room");
        here.snapshot(folder.path()).expect("because the backend is healthy").named.id
    };
    (0..count).map(make).collect()
}

fn ids(repository: &Repository) -> Vec<SnapshotId> {
    let listed = repository.snapshots().expect("because they can be listed");
    listed.named.iter().map(|named| named.id).collect()
}

fn stored(backend: &dyn Backend) -> BTreeSet<ObjectKey> {
    let kinds = ObjectKind::ALL.into_iter();
    kinds.flat_map(|kind| backend.list(kind, "").map(|info| info.expect("in memory").key)).collect()
}

#[test]
fn a_forgotten_snapshot_is_gone_for_everybody_and_nothing_else_is() {
    let here = TestRepository::new();
    let made = history(&here, 4);
    let (repository, before) = (here.open().unwrap(), stored(&*here.backend));

    repository.forget(&[made[2], made[0]], &Interrupt::new()).unwrap();

    let gone = [made[0], made[2]].map(|id| ObjectKey::new(ObjectKind::Snapshot, id.to_hex()));
    let left: BTreeSet<ObjectKey> = before.into_iter().filter(|key| !gone.contains(key)).collect();
    assert_eq!(stored(&*here.backend), left);
    for computer in [&here, &TestRepository::existing(here.backend.clone())] {
        assert_eq!(ids(&computer.open().unwrap()), [made[1], made[3]]);
    }
}

#[test]
fn what_the_others_hold_is_still_read_and_the_next_snapshot_is_made() {
    let here = TestRepository::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "a".repeat(50_000)).unwrap();
    let first = here.snapshot(folder.path()).unwrap().named;
    fs::write(folder.path().join("b"), "b".repeat(50_000)).unwrap();
    let second = here.snapshot(folder.path()).unwrap().named;
    let repository = here.open().unwrap();

    repository.forget(&[first.id], &Interrupt::new()).unwrap();

    assert_eq!(held(&repository, &second.snapshot).unwrap(), held_by_disk(folder.path()));
    let third = here.snapshot(folder.path()).unwrap().named.snapshot;
    assert_eq!((third.parent, third.totals.stored_bytes), (Some(second.id), 0));
    repository.forget(&[second.id], &Interrupt::new()).unwrap();
    assert_eq!(held(&repository, &third).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn forgetting_twice_or_nothing_changes_nothing() {
    let here = TestRepository::new();
    let made = history(&here, 2);
    let repository = here.open().unwrap();
    repository.forget(&[], &Interrupt::new()).unwrap();
    for _ in 0..2 {
        repository.forget(&[made[0]], &Interrupt::new()).unwrap();
        assert_eq!(ids(&repository), [made[1]]);
    }
}

#[test]
fn a_removal_that_fails_is_told_and_the_snapshot_stays() {
    let faulty = Arc::new(FaultBackend::new(Arc::new(MemoryBackend::new()), 1));
    let here = TestRepository::over(faulty.clone());
    let made = history(&here, 3);
    let repository = here.open().unwrap();
    faulty.fail(Call::Remove, When::From(1), Effect::Refused(BackendErrorKind::Denied));

    let refused = repository.forget(&made[..2], &Interrupt::new()).unwrap_err();

    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert_eq!(ids(&repository), made);
}

#[test]
fn a_person_who_asks_to_stop_is_heard() {
    let here = TestRepository::new();
    let made = history(&here, 2);
    let (repository, interrupt) = (here.open().unwrap(), Interrupt::new());
    interrupt.raise();
    let stopped = repository.forget(&made, &interrupt).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    assert_eq!(ids(&repository), made);
}

#[test]
fn an_unfinished_snapshot_is_judged_once_its_session_is_over() {
    let here = TestRepository::new();
    let made = history(&here, 2);
    let listed = here.open().unwrap().snapshots().unwrap();
    let session = listed.named[1].snapshot.session.to_hex();
    let mark = |mark: &str| ObjectKey::new(ObjectKind::Session, format!("{session}.{mark}"));
    let put = |key: &ObjectKey| here.backend.put(key, Body::Bytes("a mark".into())).unwrap();
    // As the run left things just before its end: nobody may judge it.
    here.backend.remove(&mark("end")).unwrap();
    put(&mark("open"));
    let candidates = || {
        let listed = here.open().unwrap().snapshots().unwrap();
        listed.candidates().map(|c| (c.named.id, c.counts)).collect::<Vec<_>>()
    };
    assert_eq!(candidates(), [(made[0], true)]);
    // Somebody gave it up, and later its marks were cleaned up.
    put(&mark("fence"));
    assert_eq!(candidates(), [(made[0], true), (made[1], false)]);
    here.backend.remove(&mark("open")).unwrap();
    here.backend.remove(&mark("fence")).unwrap();
    assert_eq!(candidates(), [(made[0], true), (made[1], false)]);
}

#[test]
fn a_policy_is_judged_and_carried_out() {
    let here = TestRepository::new();
    let made = history(&here, 5);
    let repository = here.open().unwrap();
    let listed = repository.snapshots().unwrap();
    let candidates: Vec<_> = listed.candidates().collect();
    let policy =
        RetentionPolicy { within: Some("1h".parse().unwrap()), ..RetentionPolicy::default() };
    let now = Time { secs: 1_795_521_600, nanos: 0 };
    assert!(judge(&policy, &candidates, now).iter().all(|verdict| verdict.keeps()));

    let policy = RetentionPolicy {
        last: Some(devsnap_engine::retention::Count::UpTo(2.try_into().unwrap())),
        ..RetentionPolicy::default()
    };
    let verdicts = judge(&policy, &candidates, now);
    let forgotten: Vec<SnapshotId> = candidates
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| !verdict.keeps())
        .map(|(candidate, _)| candidate.named.id)
        .collect();
    repository.forget(&forgotten, &Interrupt::new()).unwrap();
    assert_eq!(ids(&repository), made[3..]);
}
