//! Sweeps that meet: another computer forgets and deletes while this one looks.
use crate::prune::{Days, options, run};
use devsnap_engine::backend::{Backend, ObjectKey, ObjectKind};
use devsnap_engine::check::{CheckOptions, check};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::prune::MaxUnused;
use devsnap_engine::repository::Repository;
use devsnap_testkit::{HookedBackend, MemoryBackend, TestRepository};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Another computer forgets the oldest snapshot that is there, and sweeps.
fn forget_and_sweep(memory: &Arc<MemoryBackend>) {
    let other = TestRepository::existing(memory.clone());
    let repository = other.open().expect("because memory is healthy");
    let oldest = repository.snapshots().expect("because memory is healthy").named;
    if let Some(oldest) = oldest.first() {
        repository.forget(&[oldest.id], &Interrupt::new()).expect("because memory is healthy");
    }
    run(&repository, &options(MaxUnused::Bytes(0))).expect("because nothing is damaged");
}

/// Has `look` look through copies of one scene, each met by another computer at another of its reads,
/// until nobody meets it any more. It is told when that was, or `None` when it was not met.
pub(super) fn met_at_each_read(
    mut look: impl FnMut(&Days, &Repository, &dyn Fn() -> Option<usize>),
) {
    let scene = Days::new();
    for at in (0..).step_by(2) {
        let days = scene.copy();
        let (memory, gets) = (days.memory.clone(), AtomicUsize::new(0));
        let has_met = Arc::new(AtomicBool::new(false));
        let meets = has_met.clone();
        let slow = HookedBackend::new(days.memory.clone()).before_get(move |_| {
            if gets.fetch_add(1, Ordering::SeqCst) == at {
                meets.store(true, Ordering::SeqCst);
                forget_and_sweep(&memory);
            }
        });
        let computer = TestRepository::existing(Arc::new(slow));
        let repository = computer.open().expect("because nothing is damaged");
        let met = || has_met.load(Ordering::SeqCst).then_some(at);
        look(&days, &repository, &met);
        if met().is_none() {
            assert!(at > 10, "they did meet");
            return;
        }
    }
}

#[test]
fn a_snapshot_that_is_swept_while_prune_walks_it_is_gone_and_no_damage() {
    met_at_each_read(|days, repository, met| {
        let swept = run(repository, &options(MaxUnused::Bytes(0)));
        swept.unwrap_or_else(|e| panic!("{:?}: {e:?}", met()));
        match met() {
            None => days.assert_whole(&[0, 1, 2, 3, 4], "nobody met it"),
            Some(at) => {
                days.assert_whole(&[1, 2, 3, 4], &format!("the other came before get {at}"));
            }
        }
    });
}

#[test]
fn a_snapshot_that_is_swept_between_mark_and_second_look_is_no_damage() {
    let days = Days::new();
    days.keep(&[1, 2, 3, 4]);
    let (memory, times) = (days.memory.clone(), AtomicUsize::new(0));
    let slow = HookedBackend::new(days.memory.clone()).after_put(move |key| {
        if key.kind() == ObjectKind::Gc && times.fetch_add(1, Ordering::SeqCst) == 0 {
            forget_and_sweep(&memory);
        }
    });
    let computer = TestRepository::existing(Arc::new(slow));
    run(&computer.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    days.assert_whole(&[2, 3, 4], "the other finished the mark");
}

#[test]
fn what_is_lost_and_still_needed_is_damage_though_others_forget_meanwhile() {
    let days = Days::new();
    for pack in days.memory.list(ObjectKind::DataPack, "") {
        days.memory.remove(&pack.unwrap().key).unwrap();
    }
    let forgotten = days.memory.list(ObjectKind::Snapshot, "").next().unwrap().unwrap().key;
    let (memory, snapshot) = (days.memory.clone(), forgotten.clone());
    let slow = HookedBackend::new(days.memory.clone()).before_get(move |key| {
        if key.kind() == ObjectKind::MetaPack {
            memory.remove(&snapshot).expect("because memory is healthy");
        }
    });
    let computer = TestRepository::existing(Arc::new(slow));
    let refused = run(&computer.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Damaged, "{refused:?}");
    let keys: Vec<ObjectKey> = days.memory.contents().into_keys().collect();
    assert!(!keys.contains(&forgotten) && keys.iter().any(|k| k.kind() == ObjectKind::MetaPack));
}

#[test]
fn what_is_forgotten_and_swept_while_a_check_looks_is_no_damage() {
    met_at_each_read(|_, repository, met| {
        let found = check(repository, &CheckOptions::default(), &Silent, &Interrupt::new());
        let found = found.unwrap_or_else(|e| panic!("{:?}: {e:?}", met()));
        assert!(!found.is_damaged(), "{:?}: {:?}", met(), found.findings);
    });
}
