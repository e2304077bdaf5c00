//! What becomes of packs on their way: they end in time, and nobody waits for those that hang.
use devsnap_engine::backend::{Backend, ObjectKey, ObjectKind};
use devsnap_engine::chunker::ChunkerParams;
use devsnap_engine::error::ErrorKind;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{InitOptions, Repository, Unlock};
use devsnap_engine::seal::KdfCost;
use devsnap_engine::tree::TreeParams;
use devsnap_testkit::test_repository::snapshot;
use devsnap_testkit::{HookedBackend, MemoryBackend, TestRepository};
use std::fs;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Puts of data packs hang until they are let go, or for a minute.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    hanging: usize,
    were_left: bool,
}

const AT_MOST: Duration = Duration::from_secs(60);

impl Gate {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until something is so; whether it became so in time.
    fn wait(&self, mut until: impl FnMut(&mut State) -> bool) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, AT_MOST, |state| !until(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn pass(&self, key: &ObjectKey) {
        if key.kind() == ObjectKind::DataPack {
            self.set(|state| state.hanging += 1);
            if !self.wait(|state| !state.is_shut) {
                self.set(|state| state.were_left = true);
            }
        }
    }
}

#[test]
fn a_run_stops_when_asked_though_its_uploads_hang() {
    let gate = Arc::new(Gate::default());
    let passes = gate.clone();
    let backend = HookedBackend::new(Arc::new(MemoryBackend::new()));
    let here = TestRepository::over(Arc::new(backend.before_put(move |key| passes.pass(key))));
    let folder = tempfile::tempdir().unwrap();
    let mut noise = vec![0; 3 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    fs::write(folder.path().join("noise"), noise).unwrap();
    let repository = here.open().unwrap();
    let interrupt = Interrupt::new();
    gate.set(|state| state.is_shut = true);
    let stopped = std::thread::scope(|scope| {
        let asks = scope.spawn(|| {
            let began = gate.wait(|state| state.hanging > 0);
            interrupt.raise();
            began
        });
        let stopped = snapshot(&repository, folder.path(), &interrupt).unwrap_err();
        assert!(asks.join().unwrap(), "an upload began");
        stopped
    });
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);
    gate.set(|state| {
        assert!(!state.were_left, "it waited for an upload");
        state.is_shut = false;
    });
    drop(repository);
    here.snapshot(folder.path()).unwrap();
}

#[test]
fn no_pack_lists_more_blobs_than_a_segment_takes() {
    const LISTED_MAX: usize = 200_000;
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let options = InitOptions {
        kdf: KdfCost::CHEAP,
        chunker: ChunkerParams::new(64, 256, 1024, 512).unwrap(),
        tree: TreeParams::around(4096),
    };
    Repository::init(&backend, b"x", &options).unwrap();
    let (cache, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // A database whose pages compress to a sixteenth: each is a blob of its own, and all would fit
    // a pack.
    let pages = LISTED_MAX + 20_000;
    let mut database = vec![0; pages * 512];
    database[..18].copy_from_slice(b"SQLite format 3\0\x02\x00");
    for (number, page) in database.chunks_mut(512).enumerate() {
        page[100..108].copy_from_slice(&number.to_le_bytes());
    }
    fs::write(folder.path().join("database"), database).unwrap();
    let unlock = Unlock::Password(b"x");
    let repository =
        Repository::open(Box::new(backend.clone()), &unlock, cache.path(), &Silent).unwrap();
    snapshot(&repository, folder.path(), &Interrupt::new()).unwrap();
    let mut listed = Vec::new();
    for pack in backend.list(ObjectKind::DataPack, "") {
        let pack = pack.unwrap();
        listed.push(
            repository.read_pack_list(&pack.key, pack.size_bytes).unwrap().footer.blobs.len(),
        );
    }
    assert_eq!((listed.len(), listed.iter().sum::<usize>()), (2, pages), "{listed:?}");
    assert!(listed.iter().all(|blobs| *blobs <= LISTED_MAX), "{listed:?}");
}
