//! The whole engine over a phone-like folder and a backend in memory.
//!
//! `TMPDIR=/dev/shm cargo bench -p devsnap-benches --bench snapshot`
//!
//! Everything that is on disk lies in the folder for temporary files: the folder that is kept,
//! packs while they are written, the local index, what is restored. A restore syncs what it wrote;
//! in a folder in memory it waits for no disk, and the numbers are those of the processor.
//! Bytes a second are those of the folder, also where hardly any were read.
mod clock;

use std::fs;
use std::path::Path;
use std::time::Duration;

use clock::Clock;
use criterion::{BatchSize, BenchmarkGroup, Throughput};
use devsnap_benches::samples::files_below;
use devsnap_benches::store::Store;
use devsnap_engine::chunker::ChunkerParams;
use devsnap_engine::folder::{FolderTarget, TargetOptions};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::Repository;
use devsnap_engine::restore::{RestoreOptions, restore};
use devsnap_engine::snapshot::Snapshot;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::snapshot;
use tempfile::TempDir;

const SET: PhoneLike = PhoneLike { seed: 1, files: 2000, total_bytes: 96 << 20 };

/// A file that changed a moment ago is not remembered as known: clocks are coarse.
const SETTLING: Duration = Duration::from_millis(2500);

fn main() {
    let mut criterion = clock::criterion(10, 8);
    let folder = tempdir();
    SET.write(folder.path()).expect("because there is room for temporary files");
    std::thread::sleep(SETTLING);
    let mut group = criterion.benchmark_group("snapshot");
    group.throughput(Throughput::Bytes(bytes_below(folder.path())));
    run(&mut group, folder.path());
    group.finish();
    criterion.final_summary();
}

fn run(group: &mut BenchmarkGroup<'_, Clock>, folder: &Path) {
    let empty = Store::new(ChunkerParams::STANDARD).expect("because memory is healthy");
    bench_snapshot(group, "first", &empty, folder);

    let kept = empty.copy().expect("because there is room for temporary files");
    let first = take(&open(&kept), folder);
    bench_snapshot(group, "unchanged", &kept, folder);

    group.bench_function("restore", |bench| {
        let opened = || {
            let store = kept.copy().expect("because there is room for temporary files");
            (open(&store), store, tempdir())
        };
        let bring_back = |(repository, store, target): (Repository, Store, TempDir)| {
            bring_back(&repository, &first, target.path());
            (repository, store, target)
        };
        bench.iter_batched(opened, bring_back, BatchSize::PerIteration);
    });

    SET.mutate(folder, 1).expect("because the folder holds the set");
    bench_snapshot(group, "after_a_day", &kept, folder);
}

/// A snapshot of `folder` into a fresh copy of `store`, opening not counted.
fn bench_snapshot(group: &mut BenchmarkGroup<'_, Clock>, name: &str, store: &Store, folder: &Path) {
    group.bench_function(name, |bench| {
        let opened = || {
            let store = store.copy().expect("because there is room for temporary files");
            (open(&store), store)
        };
        let keep = |(repository, store): (Repository, Store)| {
            take(&repository, folder);
            (repository, store)
        };
        bench.iter_batched(opened, keep, BatchSize::PerIteration);
    });
}

fn open(store: &Store) -> Repository {
    store.open().expect("because memory is healthy")
}

fn take(repository: &Repository, folder: &Path) -> Snapshot {
    let report = snapshot(repository, folder, &Interrupt::new());
    let report = report.expect("because memory is healthy");
    assert_eq!(report.faults.total(), 0, "the folder can be read whole");
    report.named.snapshot
}

fn bring_back(repository: &Repository, snapshot: &Snapshot, folder: &Path) {
    let target = FolderTarget::open(folder, &TargetOptions::default());
    let target = target.expect("because the folder was just made");
    let options = RestoreOptions::default();
    let report = restore(repository, snapshot, &target, &options, &Silent, &Interrupt::new());
    let report = report.expect("because memory is healthy");
    assert_eq!(report.damaged_files, 0, "everything comes back");
}

fn tempdir() -> TempDir {
    tempfile::tempdir().expect("because there is a folder for temporary files")
}

fn bytes_below(folder: &Path) -> u64 {
    let files = files_below(folder).expect("because the folder was just made");
    let len = |file| fs::metadata(file).expect("because it was just listed").len();
    files.into_iter().map(len).sum()
}
