//! Sessions that died: whose they were, and who gives them up.
use crate::crash::wait_alone;
use crate::prune::{Days, options, run};
use devsnap_engine::backend::{Backend, ObjectKey, ObjectKind};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::prune::MaxUnused;
use devsnap_engine::repository::Session;
use devsnap_testkit::test_repository::{held, held_by_disk};
use devsnap_testkit::{CrashBackend, InFlight, MemoryBackend, TestRepository};
use std::sync::Arc;

fn fences(memory: &MemoryBackend) -> usize {
    let marks = memory.list(ObjectKind::Session, "");
    marks.filter(|mark| mark.as_ref().is_ok_and(|m| m.key.name().ends_with(".fence"))).count()
}

#[test]
fn the_next_run_of_a_computer_gives_up_what_a_dead_process_of_it_left_open() {
    let memory = Arc::new(MemoryBackend::new());
    let here = TestRepository::over(memory.clone());
    let elsewhere = TestRepository::existing(memory.clone());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "text".repeat(1000)).unwrap();
    let repository = here.open().unwrap();
    let alive = Session::open(&repository, "alive").unwrap();
    let dead = Session::open(&repository, "dead").unwrap();
    let dead_id = dead.id();
    drop(dead);

    elsewhere.snapshot(folder.path()).unwrap();
    assert_eq!(fences(&memory), 0, "another computer cannot know");
    drop(repository);
    here.snapshot(folder.path()).unwrap();
    let fence = ObjectKey::new(ObjectKind::Session, format!("{dead_id}.fence"));
    assert!(memory.get(&fence, 0..1).is_ok());
    assert_eq!(fences(&memory), 1, "and not what is alive");
    alive.check_unfenced().unwrap();
    alive.end_without_snapshot().unwrap();
    here.snapshot(folder.path()).unwrap();
    assert_eq!(fences(&memory), 1, "nor what has ended");
}

#[test]
fn a_prune_does_not_wait_for_a_dead_process_of_its_own_computer() {
    let days = Days::new();
    days.keep(&[4]);
    let repository = days.here.open().unwrap();
    let dead = Session::open(&repository, "dead").unwrap();
    let (session, copy) = (dead.id(), days.copy());
    drop((dead, repository));
    let waits = run(&copy.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert_eq!((waits.fenced.len(), waits.waits_for.len()), (0, 1), "on another computer it does");
    let went = run(&days.here.open().unwrap(), &options(MaxUnused::Bytes(0))).unwrap();
    assert_eq!(went.fenced.iter().map(|open| open.id).collect::<Vec<_>>(), [session]);
    assert!(went.waits_for.is_empty() && went.removed_packs > 0);
    days.assert_whole(&[4], "the dead session is no more");
}

/// Wherever a run is killed, the next prune on the same computer waits for nobody, and nothing that
/// was saved is lost.
#[test]
fn wherever_a_run_is_killed_the_next_prune_of_its_computer_waits_for_nobody() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(first.path().join("file"), "one".repeat(5000)).unwrap();
    std::fs::write(second.path().join("file"), "two".repeat(5000)).unwrap();
    let mut cut_off = 0;
    for in_flight in [InFlight::Dropped, InFlight::Kept] {
        for writes in 0.. {
            let memory = Arc::new(MemoryBackend::new());
            let here = TestRepository::over(memory.clone());
            here.snapshot(first.path()).unwrap();
            let objects = MemoryBackend::with_contents(memory.contents());
            let cut = Arc::new(CrashBackend::new(objects, writes, in_flight));
            let killed = TestRepository { backend: cut.clone(), cache: here.cache };
            let told = killed.snapshot(second.path());
            let has_crashed = cut.has_crashed();
            let TestRepository { backend, cache } = killed;
            drop(backend);
            let memory = Arc::new(wait_alone(cut).into_survivors());
            let next = TestRepository { backend: memory.clone(), cache };
            let why = format!("{writes} writes, {in_flight:?}");
            let swept = run(&next.open().unwrap(), &options(MaxUnused::Bytes(0))).expect(&why);
            assert!(swept.waits_for.is_empty(), "{why}: {:?}", swept.waits_for);
            let repository = next.open().unwrap();
            let saved = repository.snapshots().unwrap().named;
            assert_eq!(held(&repository, &saved[0].snapshot).unwrap(), held_by_disk(first.path()));
            assert!(saved.len() == 2 || told.is_err(), "{why}");
            if let Some(newest) = saved.get(1) {
                assert_eq!(
                    held(&repository, &newest.snapshot).unwrap(),
                    held_by_disk(second.path())
                );
            }
            if !has_crashed {
                break;
            }
            assert!(told.err().is_none_or(|e| e.kind() != ErrorKind::Damaged), "{why}");
            cut_off += 1;
        }
    }
    assert!(cut_off > 8, "{cut_off}");
}
