//! Interleavings that the models of the deletion protocol (`tests/src/deletion`) found to lose data, on
//! the real engine.
use crate::prune::{options, run};
use devsnap_engine::backend::{Backend, ObjectKey, ObjectKind};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::prune::MaxUnused;
use devsnap_engine::repository::Session;
use devsnap_testkit::test_repository::{held, held_by_disk};
use devsnap_testkit::{HookedBackend, MemoryBackend, TestRepository};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn keys(memory: &MemoryBackend, kind: ObjectKind) -> BTreeSet<ObjectKey> {
    memory.list(kind, "").map(|info| info.expect("because memory can be listed").key).collect()
}

#[test]
fn a_fence_that_comes_and_goes_while_marks_are_listed_is_noticed() {
    let memory = Arc::new(MemoryBackend::new());
    TestRepository::over(memory.clone());
    let store = memory.clone();
    // A sweeper gives the session up and sweeps; clean-up removes `open`, then the fence.
    let is_open = |key: &ObjectKey| key.name().ends_with(".open");
    let torn = HookedBackend::new(memory).torn_lists(ObjectKind::Session, is_open, move |own| {
        let open = ObjectKey::new(ObjectKind::Session, format!("{own}.open"));
        store.remove(&open).expect("because memory is healthy");
    });
    let repository = TestRepository::existing(Arc::new(torn)).open().unwrap();
    let session = Session::open(&repository, "test").unwrap();
    let error = session.check_unfenced().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
}

/// One content lies in two packs; the first prune gives one of them up. The second prune gives up the
/// other, and just before its last look another computer heals the index of a segment that went bad: the
/// tombstone of the first.
#[test]
fn a_tombstone_that_is_lost_and_healed_between_two_looks_brings_no_pack_back_to_life() {
    let text = |name: &str| name.repeat(40_000);
    let folder = |names: &[&str]| {
        let folder = tempfile::tempdir().expect("because there is room");
        for name in names {
            fs::write(folder.path().join(name), text(name)).expect("because there is room");
        }
        folder
    };
    let memory = Arc::new(MemoryBackend::new());
    TestRepository::over(memory.clone());
    // Two computers store `common` at once.
    let (one, other) = (folder(&["common", "one"]), folder(&["common", "other"]));
    let (store, once) = (memory.clone(), AtomicBool::new(true));
    let at_once = HookedBackend::new(memory.clone()).before_put(move |key| {
        if key.kind() == ObjectKind::DataPack && once.swap(false, Ordering::SeqCst) {
            TestRepository::existing(store.clone()).snapshot(other.path()).expect("healthy");
        }
    });
    TestRepository::existing(Arc::new(at_once)).snapshot(one.path()).unwrap();
    let common = folder(&["common"]);
    let here = TestRepository::existing(memory.clone());
    let kept = here.snapshot(common.path()).unwrap().named;
    for key in keys(&memory, ObjectKind::Snapshot) {
        if key.name() != kept.id.to_hex() {
            memory.remove(&key).unwrap();
        }
    }
    let (packs, segments) =
        (keys(&memory, ObjectKind::DataPack), keys(&memory, ObjectKind::IndexSegment));
    assert_eq!(packs.len(), 2);
    run(&here.open().unwrap(), &options(MaxUnused::Unlimited)).unwrap();
    assert_eq!(keys(&memory, ObjectKind::DataPack).len(), 1, "one place of `common` is spare");
    let tombstones = &keys(&memory, ObjectKind::IndexSegment) - &segments;
    assert_eq!(tombstones.len(), 1);

    let store = memory.clone();
    let healed = HookedBackend::new(memory.clone()).after_put(move |key| {
        if key.kind() == ObjectKind::Gc && key.name().ends_with(".mark") {
            tombstones.iter().for_each(|key| store.remove(key).expect("because memory is healthy"));
        }
    });
    let sweeper = TestRepository::existing(Arc::new(healed));
    let report = run(&sweeper.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert!(report.removed_packs > 0 && report.stored_bytes > 0, "{report:?}");
    let repository = TestRepository::existing(memory).open().unwrap();
    assert!(held(&repository, &kept.snapshot).unwrap() == held_by_disk(common.path()));
}
