//! Many small packs become few, and what they held is read with fewer requests.
use crate::prune::{options, run};
use devsnap_engine::backend::{Backend, ObjectKind};
use devsnap_engine::check::{CheckOptions, check};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::prune::MaxUnused;
use devsnap_testkit::test_repository::{held, held_by_disk};
use devsnap_testkit::{HookedBackend, MemoryBackend, TestRepository};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const DAYS: usize = 100;

fn packs(memory: &MemoryBackend) -> usize {
    [ObjectKind::DataPack, ObjectKind::MetaPack]
        .map(|kind| memory.list(kind, "").count())
        .iter()
        .sum()
}

/// What reading the newest snapshot asks of the storage, on a computer that knows nothing.
fn reads(memory: &Arc<MemoryBackend>, folder: &std::path::Path) -> usize {
    let gets = Arc::new(AtomicUsize::new(0));
    let counts = gets.clone();
    let counted = HookedBackend::new(memory.clone()).before_get(move |key| {
        if matches!(key.kind(), ObjectKind::DataPack | ObjectKind::MetaPack) {
            counts.fetch_add(1, Ordering::SeqCst);
        }
    });
    let repository = TestRepository::existing(Arc::new(counted)).open().expect("because it opens");
    let newest = repository.snapshots().expect("because they can be listed").named.pop();
    let newest = newest.expect("because there is one");
    let found = held(&repository, &newest.snapshot).expect("because it is whole");
    assert!(found == held_by_disk(folder), "and all of it");
    gets.load(Ordering::SeqCst)
}

#[test]
fn a_hundred_daily_snapshots_leave_few_packs_and_a_second_prune_nothing_to_do() {
    let memory = Arc::new(MemoryBackend::new());
    let here = TestRepository::over(memory.clone());
    let folder = tempfile::tempdir().unwrap();
    for day in 0..DAYS {
        let text = format!("day {day} ").repeat(300);
        fs::write(folder.path().join(format!("{day:03}")), text).unwrap();
        here.snapshot(folder.path()).unwrap();
    }
    let (packs_before, reads_before) = (packs(&memory), reads(&memory, folder.path()));
    assert!(packs_before >= 2 * DAYS, "{packs_before}");

    let lazy = run(&here.open().unwrap(), &options(MaxUnused::Unlimited)).unwrap();
    assert_eq!((lazy.plan.gather.len(), packs(&memory)), (0, packs_before));
    let pruned = run(&here.open().unwrap(), &options(MaxUnused::Percent(5.0))).unwrap();
    assert_eq!(pruned.plan.gather.len(), packs_before);
    let (packs_after, reads_after) = (packs(&memory), reads(&memory, folder.path()));
    println!("packs {packs_before} -> {packs_after}, requests {reads_before} -> {reads_after}");
    assert!(packs_after <= 4, "{packs_after}");
    assert!(reads_after * 2 < reads_before, "{reads_before} requests, then {reads_after}");

    let again = run(&here.open().unwrap(), &options(MaxUnused::Percent(5.0))).unwrap();
    assert!(again.plan.is_empty(), "{:?}", again.plan);
    let fresh = TestRepository::existing(memory.clone()).open().unwrap();
    let whole = CheckOptions { read_data_percent: Some(100) };
    let found = check(&fresh, &whole, &Silent, &Interrupt::new()).unwrap();
    assert_eq!((found.findings, found.snapshots), (Vec::new(), DAYS as u64));
}
