//! Every write is cut once: nothing confirmed is lost, nothing half-done counts.
use devsnap_engine::backend::{Backend, BackendErrorKind};
use devsnap_engine::error::ErrorKind;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{held, held_by_disk};
use devsnap_testkit::{
    Call, CrashBackend, Effect, FaultBackend, InFlight, MemoryBackend, TestRepository, When,
};
use std::path::Path;
use std::sync::Arc;

/// A folder, and a repository that already holds one snapshot of an earlier state.
struct Scene {
    folder: tempfile::TempDir,
    before: MemoryBackend,
    first: devsnap_testkit::test_repository::Held,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("because there is room");
        let phone = PhoneLike { seed: 11, files: 12, total_bytes: 200 << 10 };
        phone.write(folder.path()).expect("because there is room");
        let memory = Arc::new(MemoryBackend::new());
        let here = TestRepository::over(memory.clone());
        here.snapshot(folder.path()).expect("because nothing fails yet");
        let first = held_by_disk(folder.path());
        phone.mutate(folder.path(), 1).expect("because there is room");
        Scene { folder, before: MemoryBackend::with_contents(memory.contents()), first }
    }

    fn copy(&self) -> MemoryBackend {
        MemoryBackend::with_contents(self.before.contents())
    }

    /// Whatever happened to `survivors`: the first snapshot is whole, those that count are what
    /// their folder was, and the next run makes a whole one.
    fn check_aftermath(&self, survivors: MemoryBackend, confirmed: bool, what: &str) {
        let torn = what.starts_with("Torn");
        let after = TestRepository::existing(Arc::new(survivors));
        let repository = after.open().expect("because the config is whole");
        let listed = repository.snapshots().expect("because snapshots can be listed");
        assert!(torn || listed.unreadable.is_empty(), "{what}");
        let counted = listed.named.len();
        assert!((1..=2).contains(&counted), "{what}: {counted} snapshots");
        if confirmed {
            assert_eq!(counted, 2, "{what}: the run said it was done");
        }
        let whole = |named: &devsnap_engine::snapshot::Named| {
            held(&repository, &named.snapshot).expect("because what counts can be read")
        };
        assert_eq!(whole(&listed.named[0]), self.first, "{what}");
        let now = held_by_disk(self.folder.path());
        if let Some(second) = listed.named.get(1) {
            assert_eq!(whole(second), now, "{what}");
        }
        drop(repository);
        let next = after.snapshot(self.folder.path()).expect("because the medium is healthy");
        let repository = after.open().expect("because the config is whole");
        assert_eq!(held(&repository, &next.named.snapshot).expect("because it is new"), now);
    }
}

fn run(backend: Arc<dyn Backend>, folder: &Path) -> bool {
    TestRepository::existing(backend).snapshot(folder).is_ok()
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_confirmed() {
    let scene = Scene::new();
    for in_flight in [InFlight::Dropped, InFlight::Kept] {
        for writes in 0.. {
            let cut = Arc::new(CrashBackend::new(scene.copy(), writes, in_flight));
            let confirmed = run(cut.clone(), scene.folder.path());
            let crashed = cut.has_crashed();
            let survivors = wait_alone(cut).into_survivors();
            scene.check_aftermath(
                survivors,
                confirmed,
                &format!("{in_flight:?} at write {writes}"),
            );
            if !crashed {
                assert!(writes > 5, "a run writes more than {writes} objects");
                break;
            }
        }
    }
}

#[test]
fn an_error_at_any_call_is_reported_or_does_not_matter() {
    let scene = Scene::new();
    let refused = Effect::Refused(BackendErrorKind::Unreachable);
    // A read that fails has no effect to lose.
    let of_writes = [refused, Effect::ReplyLost, Effect::Torn];
    for (kind, effects) in [
        (Call::Put, of_writes.as_slice()),
        (Call::Remove, &of_writes[..2]),
        (Call::Get, &of_writes[..1]),
        (Call::List, &of_writes[..1]),
    ] {
        for effect in effects.iter().copied() {
            for nth in 1.. {
                let memory = Arc::new(scene.copy());
                let faulty = FaultBackend::new(memory.clone(), 5);
                faulty.fail(kind, When::Nth(nth), effect);
                let faulty = Arc::new(faulty);
                let confirmed = run(faulty.clone(), scene.folder.path());
                let met = faulty.faults_met() > 0;
                let what = format!("{effect:?} at {kind:?} {nth}");
                wait_alone(faulty);
                let survivors = MemoryBackend::with_contents(memory.contents());
                scene.check_aftermath(survivors, confirmed, &what);
                if !met {
                    break;
                }
            }
        }
    }
}

/// What a full disk does where none can be mounted: `cli/tests/cli/full_disk.rs` fills real ones.
#[test]
fn a_storage_that_is_full_from_any_write_on_is_said_to_be_and_loses_nothing() {
    let scene = Scene::new();
    for from in 1.. {
        let memory = Arc::new(scene.copy());
        let faulty = Arc::new(FaultBackend::new(memory.clone(), 5));
        faulty.fail(Call::Put, When::From(from), Effect::Refused(BackendErrorKind::NoSpace));
        let outcome =
            TestRepository::existing(faulty.clone()).snapshot(scene.folder.path()).map(drop);
        let met = faulty.faults_met() > 0;
        wait_alone(faulty);
        let what = format!("no room from put {from} on");
        if let Err(error) = &outcome {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{what}: {error:?}");
        }
        let survivors = MemoryBackend::with_contents(memory.contents());
        scene.check_aftermath(survivors, outcome.is_ok(), &what);
        if !met {
            assert!(from > 5, "a run puts more than {from} objects");
            break;
        }
    }
}

/// Threads that a failed run left behind let go of the backend when they end.
pub(super) fn wait_alone<T>(shared: Arc<T>) -> T {
    let mut shared = shared;
    loop {
        match Arc::try_unwrap(shared) {
            Ok(alone) => return alone,
            Err(held) => {
                shared = held;
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
}
