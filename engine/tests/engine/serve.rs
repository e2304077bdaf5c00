//! A restore that is pulled: files in an order of their own, through one reader, from a store far away.
use devsnap_engine::backend::{Backend, BackendErrorKind, ObjectKey, ObjectKind};
use devsnap_engine::check::{Needs, preflight};
use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Silent;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::{Repository, StagePolicy, Staged};
use devsnap_engine::snapshot::Snapshot;
use devsnap_testkit::test_repository::{held, held_by_disk};
use devsnap_testkit::{DistantBackend, MemoryBackend, TestRepository};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Draws that are the same each time.
struct Draw(blake3::OutputReader);

impl Draw {
    fn of(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        Draw(hasher.finalize_xof())
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % limit.max(1) as u64).expect("below the limit")
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

type Files = BTreeMap<TreePath, Vec<u8>>;

/// A store far away with snapshots of a folder that grew; the files of the newest.
struct Scene {
    memory: Arc<MemoryBackend>,
    distant: Arc<DistantBackend>,
    here: TestRepository,
    folder: tempfile::TempDir,
    files: Files,
}

/// A day brings `files` files of all sizes, the last one with many chunks.
fn scene(days: u64, files: usize) -> Scene {
    let memory = Arc::new(MemoryBackend::new());
    let distant = Arc::new(DistantBackend::new(memory.clone()));
    let writer = TestRepository::over(memory.clone());
    let folder = tempfile::tempdir().expect("because there is room");
    let mut held = Files::new();
    for day in 0..days {
        let mut draw = Draw::of(day);
        for n in 0..files {
            let len = match n % 8 {
                0 => 0,
                7 if n + 1 == files => 3_000_000 + draw.below(1_000_000),
                7 => 70_000 + draw.below(200_000),
                _ => 1 + draw.below(6000),
            };
            let bytes = draw.bytes(len);
            let name = format!("{:02x}-{day}/file {n}", draw.below(16));
            let path: PathBuf = folder.path().join(&name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("because there is room");
            fs::write(&path, &bytes).expect("because there is room");
            held.insert(tree_path(&name), bytes);
        }
        writer.snapshot(folder.path()).expect("because nothing is wrong");
    }
    let here = TestRepository::existing(distant.clone());
    Scene { memory, distant, here, folder, files: held }
}

fn tree_path(name: &str) -> TreePath {
    TreePath::from_slashed(name.as_bytes()).expect("because it is a path")
}

impl Scene {
    fn open(&self) -> (Repository, Snapshot) {
        let repository = self.here.open().expect("because nothing is wrong");
        let newest = repository.snapshots().expect("because they are there").named.pop();
        (repository, newest.expect("because there is one").snapshot)
    }

    fn packs(&self) -> Vec<ObjectKey> {
        let listed = self.memory.list(ObjectKind::DataPack, "");
        let mut packs: Vec<_> = listed.map(|found| found.expect("memory lists").key).collect();
        packs.sort();
        packs
    }

    /// All files in batches of a shuffled order, every tenth once more.
    fn asked(&self, seed: u64, batch: usize) -> Vec<Vec<TreePath>> {
        let mut paths: Vec<TreePath> = self.files.keys().cloned().collect();
        paths.extend(self.files.keys().step_by(10).cloned().collect::<Vec<_>>());
        Draw::of(seed).shuffle(&mut paths);
        paths.chunks(batch).map(<[TreePath]>::to_vec).collect()
    }

    /// Pulls everything as a phone does; how many files were as they should be.
    fn pull(&self, reader: &dyn SnapshotReader, seed: u64, batch: usize) -> usize {
        let mut right = 0;
        for batch in self.asked(seed, batch) {
            reader.prefetch(&batch);
            for path in &batch {
                assert_eq!(read(reader, path).expect("because it is stored"), self.files[path]);
                right += 1;
            }
        }
        right
    }
}

fn read(reader: &dyn SnapshotReader, path: &TreePath) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    match reader.open(path)?.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(engine_error(error)),
    }
}

fn engine_error(error: io::Error) -> Error {
    error.downcast::<Error>().expect("because a reader wraps the engine's own")
}

fn needs(repository: &Repository, snapshot: &Snapshot) -> Needs {
    preflight(repository, snapshot, &Silent, &Interrupt::new()).expect("because the store answers")
}

fn stage(repository: &Repository, needs: &Needs, policy: StagePolicy) -> Result<Staged, Error> {
    repository.stage(&needs.packs, policy, &Silent, &Interrupt::new())
}

#[test]
fn staged_packs_cost_one_request_each_in_whatever_order_a_phone_asks() {
    let scene = scene(20, 40);
    let (repository, snapshot) = scene.open();
    let packs = scene.packs().len() as u64;
    assert!(packs >= 20, "{packs}");
    scene.distant.take_requests();

    let needs = needs(&repository, &snapshot);
    assert!(needs.is_whole());
    assert_eq!((needs.files, needs.packs.len() as u64), (scene.files.len() as u64, packs));
    assert_eq!(needs.bytes, scene.files.values().map(|bytes| bytes.len() as u64).sum::<u64>());
    let staged = stage(&repository, &needs, StagePolicy::Auto).unwrap();
    assert_eq!((staged.packs(), staged.bytes()), (packs, needs.stored_bytes()));
    let view = repository.view(&snapshot);
    assert_eq!(scene.pull(&view, 1, 128), scene.files.len() + scene.files.len() / 10);

    // All requests for contents, those of the preflight and its two listings among them; pages of the
    // tree come from metadata packs, each of which is fetched once.
    let requests = scene.distant.take_requests();
    let all = requests.data_gets() + requests.lists.values().sum::<u64>();
    assert!(all * 10 <= packs * 12, "{requests:?} for {packs} packs");
    assert!(requests.gets[&ObjectKind::MetaPack] <= 20, "{requests:?}");

    let folder = fs::read_dir(repository.cache_folder().join("scratch")).unwrap().count();
    assert_eq!(folder, 2, "a folder and its lock");
    drop(staged);
    assert_eq!(fs::read_dir(repository.cache_folder().join("scratch")).unwrap().count(), 0);
    assert_eq!(read(&view, scene.files.keys().next().unwrap()).unwrap().len(), {
        scene.files.values().next().unwrap().len()
    });
}

#[test]
fn what_a_batch_needs_is_fetched_with_few_requests_and_no_staging() {
    let scene = scene(4, 80);
    let (repository, snapshot) = scene.open();
    let counted = |batch: usize, told: bool| {
        let view = repository.view(&snapshot);
        scene.distant.take_requests();
        for batch in scene.asked(2, batch) {
            if told {
                view.prefetch(&batch);
            }
            for path in &batch {
                assert_eq!(read(&view, path).unwrap(), scene.files[path]);
            }
        }
        drop(view);
        scene.distant.take_requests().data_gets()
    };
    // All of it is less than is held in memory.
    assert!(counted(1000, true) <= 2 * scene.packs().len() as u64);
    // Eleven batches, each from all packs.
    let told = counted(32, true);
    assert!(told <= 11 * 2 * scene.packs().len() as u64, "{told}");
}

#[test]
fn a_large_file_reads_ahead_of_itself_and_one_that_is_left_is_read_no_further() {
    let scene = scene(1, 8);
    let (repository, snapshot) = scene.open();
    let (path, bytes) = scene.files.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let chunks = bytes.len() as u64 / (16 << 10);
    let view = repository.view(&snapshot);
    scene.distant.take_requests();
    assert_eq!(read(&view, path).unwrap(), *bytes);
    let requests = scene.distant.take_requests();
    assert!(requests.data_gets() * 10 < chunks, "{requests:?} for about {chunks} chunks");

    drop((view, repository));
    let (repository, snapshot) = scene.open();
    let view = repository.view(&snapshot);
    scene.distant.take_requests();
    let mut beginning = [0; 16];
    view.open(path).unwrap().read_exact(&mut beginning).unwrap();
    assert_eq!(beginning, bytes[..16]);
    drop(view);
    let got = scene.distant.take_requests().got_bytes[&ObjectKind::DataPack];
    assert!(got < 1_600_000, "{got} bytes for 16");
}

#[test]
fn a_read_that_failed_for_a_while_goes_on_where_it_was() {
    let scene = scene(3, 16);
    let (repository, snapshot) = scene.open();
    let view = repository.view(&snapshot);
    for (n, path) in scene.files.keys().enumerate() {
        view.prefetch(std::slice::from_ref(path));
        let mut file = view.open(path).unwrap();
        let (mut bytes, mut piece, mut failures) = (Vec::new(), [0; 10_000], 0);
        for step in 0.. {
            // Away for every third read, told ahead or not.
            match (step + n) % 3 {
                0 => {
                    for pack in scene.packs() {
                        scene.distant.refuse(&pack, BackendErrorKind::Unreachable);
                    }
                }
                _ => scene.distant.heal(),
            }
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => bytes.extend_from_slice(&piece[..read]),
                Err(error) => {
                    assert_eq!(engine_error(error).kind(), ErrorKind::Unreachable);
                    failures += 1;
                    assert!(failures < 1000);
                }
            }
        }
        assert_eq!(bytes, scene.files[path]);
        scene.distant.heal();
    }
}

#[test]
fn a_staged_copy_that_the_disk_spoilt_is_dropped_and_the_store_is_asked() {
    let scene = scene(3, 16);
    let (repository, snapshot) = scene.open();
    let needs = needs(&repository, &snapshot);
    for spoil in ["flip", "cut", "remove"] {
        let staged = stage(&repository, &needs, StagePolicy::Always).unwrap();
        let scratch = repository.cache_folder().join("scratch");
        let mut spoilt = 0;
        for folder in fs::read_dir(&scratch).unwrap().map(|entry| entry.unwrap().path()) {
            for file in
                fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path())
            {
                let mut bytes = fs::read(&file).unwrap();
                let half = bytes.len() / 2;
                match spoil {
                    "flip" => bytes.iter_mut().step_by(500).for_each(|byte| *byte ^= 1),
                    "cut" => bytes.truncate(half),
                    _ => {}
                }
                match spoil {
                    "remove" => fs::remove_file(&file).unwrap(),
                    _ => fs::write(&file, bytes).unwrap(),
                }
                spoilt += 1;
            }
        }
        assert_eq!(spoilt, staged.packs());
        scene.pull(&repository.view(&snapshot), 3, 20);
        assert!(staged.packs() < needs.packs.len() as u64, "{spoil}: copies were dropped");
    }
    assert!(self::needs(&repository, &snapshot).is_whole(), "no pack is taken for damaged");
}

#[test]
fn a_pack_that_goes_after_the_preflight_is_served_from_its_staged_copy_or_told() {
    let scene = scene(3, 16);
    let (repository, snapshot) = scene.open();
    let needs = needs(&repository, &snapshot);
    let gone = scene.packs()[0].clone();
    let staged = stage(&repository, &needs, StagePolicy::Auto).unwrap();
    scene.memory.remove(&gone).unwrap();
    scene.pull(&repository.view(&snapshot), 4, 20);
    drop((staged, repository));

    let (repository, snapshot) = scene.open();
    let view = repository.view(&snapshot);
    let paths: Vec<TreePath> = scene.files.keys().cloned().collect();
    view.prefetch(&paths);
    let mut lost = 0;
    for path in &paths {
        match read(&view, path) {
            Ok(bytes) => assert_eq!(bytes, scene.files[path]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{path}: {error:?}");
                lost += 1;
            }
        }
    }
    assert!(lost > 0 && lost < paths.len());
    let missing = self::needs(&repository, &snapshot).missing;
    assert_eq!((missing.count, missing.first.len()), (lost as u64, lost));
}

#[test]
fn what_another_computer_has_stored_again_is_found_in_the_middle_of_a_restore() {
    let scene = scene(3, 16);
    let (repository, snapshot) = scene.open();
    let gone = scene.packs()[1].clone();
    let view = repository.view(&snapshot);
    scene.memory.remove(&gone).unwrap();
    TestRepository::existing(scene.memory.clone()).snapshot(scene.folder.path()).unwrap();
    assert_eq!(scene.pull(&view, 5, 30), scene.files.len() + scene.files.len().div_ceil(10));
}

#[test]
fn a_preflight_names_what_is_lost_and_never_calls_that_whole() {
    let scene = scene(4, 16);
    let whole = scene.memory.contents();
    let pack = scene.packs()[2].clone();
    let of_pack = |why: &str| {
        let here = TestRepository::existing(scene.memory.clone());
        let repository = here.open().unwrap();
        let newest = repository.snapshots().unwrap().named.pop().unwrap().snapshot;
        let needs = needs(&repository, &newest);
        assert!(!needs.is_whole(), "{why}");
        let lost = scene.files.keys().filter(|path| read(&repository.view(&newest), path).is_err());
        let lost: Vec<TreePath> = lost.cloned().collect();
        (needs, lost)
    };
    scene.memory.remove(&pack).unwrap();
    let (needs, lost) = of_pack("a pack is missing");
    assert_eq!(needs.missing.first, lost);
    assert!(needs.packs.iter().all(|needed| needed.id.to_hex() != pack.name()));

    scene.memory.replace(&pack, whole[&pack].slice(..whole[&pack].len() - 1));
    let (needs, _) = of_pack("a pack is short");
    assert!(needs.missing.count > 0);

    scene.memory.replace(&pack, whole[&pack].clone());
    let meta = scene.memory.list(ObjectKind::MetaPack, "").map(|found| found.unwrap().key);
    for meta in meta.collect::<Vec<_>>() {
        scene.memory.remove(&meta).unwrap();
    }
    let (needs, lost) = of_pack("the tree is lost");
    assert!(needs.unreadable_pages > 0 && needs.first_unreadable.is_some());
    assert_eq!(lost.len(), scene.files.len());
}

#[test]
fn packs_in_cold_storage_are_found_before_anything_is_served() {
    let scene = scene(4, 16);
    let (repository, snapshot) = scene.open();
    let needs = needs(&repository, &snapshot);
    for policy in [StagePolicy::Never, StagePolicy::Auto, StagePolicy::Always] {
        for pack in scene.packs() {
            scene.distant.refuse(&pack, BackendErrorKind::Archived);
            let error = stage(&repository, &needs, policy).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Archived, "{policy:?}");
            scene.distant.heal();
        }
        assert!(stage(&repository, &needs, policy).is_ok());
    }
    for pack in scene.packs() {
        scene.distant.refuse(&pack, BackendErrorKind::Denied);
    }
    let error = preflight(&repository, &snapshot, &Silent, &Interrupt::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[test]
fn an_interrupt_ends_a_preflight_and_a_staging_and_leaves_nothing() {
    let scene = scene(2, 16);
    let (repository, snapshot) = scene.open();
    let needs = needs(&repository, &snapshot);
    let interrupt = Interrupt::new();
    interrupt.raise();
    let error = preflight(&repository, &snapshot, &Silent, &interrupt).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let staged = repository.stage(&needs.packs, StagePolicy::Always, &Silent, &interrupt);
    assert_eq!(staged.unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(fs::read_dir(repository.cache_folder().join("scratch")).unwrap().count(), 0);
}

#[test]
fn of_packs_that_stay_in_a_distant_store_one_byte_each_is_read() {
    let scene = scene(3, 16);
    let (repository, snapshot) = scene.open();
    let needs = needs(&repository, &snapshot);
    scene.distant.take_requests();
    let staged = stage(&repository, &needs, StagePolicy::Never).unwrap();
    assert_eq!((staged.packs(), staged.left_out().len()), (0, needs.packs.len()));
    let requests = scene.distant.take_requests();
    assert_eq!(requests.got_bytes[&ObjectKind::DataPack], needs.packs.len() as u64);
}

#[test]
fn a_store_on_this_computers_disks_is_staged_only_when_that_is_asked_for() {
    let near = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), vec![1; 100_000]).unwrap();
    let memory = Arc::new(MemoryBackend::staging_in(near.path().to_owned()));
    let here = TestRepository::over(memory);
    here.snapshot(folder.path()).unwrap();
    let repository = here.open().unwrap();
    let snapshot = repository.snapshots().unwrap().named.pop().unwrap().snapshot;
    let needs = needs(&repository, &snapshot);
    assert!(!repository.is_distant() && !needs.packs.is_empty());
    let packs = |policy| stage(&repository, &needs, policy).unwrap().packs();
    assert_eq!(packs(StagePolicy::Auto), 0);
    assert_eq!(packs(StagePolicy::Never), 0);
    assert_eq!(packs(StagePolicy::Always), needs.packs.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is told, opened, left half read or staged, and in what order.
    #[test]
    fn every_byte_is_the_right_one_in_any_order(
        seed: u64,
        staged in 0u8..3,
        steps in proptest::collection::vec((0u8..4, 1usize..60), 1..30),
    ) {
        let scene = scene(2, 24);
        scene.distant.set_delay(Duration::from_micros(200));
        let (repository, snapshot) = scene.open();
        let needs = needs(&repository, &snapshot);
        // Half of the packs, all, or none.
        let packs = match staged { 0 => &needs.packs[..0], 1 => &needs.packs[..1], _ => &needs.packs[..] };
        let _staged = repository.stage(packs, StagePolicy::Auto, &Silent, &Interrupt::new()).unwrap();
        let view = repository.view(&snapshot);
        let mut draw = Draw::of(seed);
        let paths: Vec<&TreePath> = scene.files.keys().collect();
        let mut open: Vec<(&TreePath, usize, Box<dyn Read + Send>)> = Vec::new();
        for (step, count) in steps {
            let chosen: Vec<&TreePath> = (0..count).map(|_| paths[draw.below(paths.len())]).collect();
            match step {
                0 => view.prefetch(&chosen.into_iter().cloned().collect::<Vec<_>>()),
                1 => for path in chosen {
                    prop_assert_eq!(&read(&view, path).unwrap(), &scene.files[path]);
                },
                2 => for path in chosen.into_iter().take(5) {
                    open.push((path, 0, view.open(path).unwrap()));
                },
                _ => for (path, at, file) in &mut open {
                    let mut piece = vec![0; draw.below(40_000)];
                    let read = file.read(&mut piece).unwrap();
                    prop_assert_eq!(&piece[..read], &scene.files[*path][*at..*at + read]);
                    *at += read;
                },
            }
            if open.len() > 10 {
                open.truncate(3);
            }
        }
        drop(open);
        let held = held(&repository, &snapshot).unwrap();
        prop_assert_eq!(held, held_by_disk(scene.folder.path()));
    }
}
