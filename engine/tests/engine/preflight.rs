//! Before a device is restored: whether all that a snapshot names is stored, and in which packs.
use crate::prune_meeting::met_at_each_read;
use crate::station_scene::Place;
use devsnap_engine::backend::{Backend, ObjectKey, ObjectKind};
use devsnap_engine::check::{Needs, preflight};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::NodeKind;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Silent;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::Snapshot;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::{DistantBackend, MemoryBackend, TestRepository};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

const PHONE: PhoneLike = PhoneLike { seed: 5, files: 60, total_bytes: 2 << 20 };

struct Scene {
    memory: Arc<MemoryBackend>,
    folder: tempfile::TempDir,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().expect("because there is room");
    PHONE.write(folder.path()).expect("because there is room");
    let memory = Arc::new(MemoryBackend::new());
    let here = TestRepository::over(memory.clone());
    here.snapshot(folder.path()).expect("because nothing is damaged yet");
    Scene { memory, folder }
}

fn newest(repository: &Repository) -> Snapshot {
    let listed = repository.snapshots().expect("because they can be listed");
    listed.named.last().expect("because there is one").snapshot.clone()
}

fn looked_at(repository: &Repository, snapshot: &Snapshot) -> Needs {
    preflight(repository, snapshot, &Silent, &Interrupt::new()).expect("because it is all there")
}

fn packs(memory: &MemoryBackend, kind: ObjectKind) -> BTreeMap<String, u64> {
    let listed = memory.list(kind, "").map(|found| found.expect("because memory answers"));
    listed.map(|found| (found.key.name().to_owned(), found.size_bytes)).collect()
}

fn files_and_bytes(folder: &Path) -> (u64, u64) {
    let (mut files, mut bytes, mut waiting) = (0, 0, vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).expect("because the test made it") {
            let entry = entry.expect("because it can be listed");
            let found = entry.metadata().expect("because it can be listed");
            if found.is_dir() {
                waiting.push(entry.path());
            } else {
                (files, bytes) = (files + 1, bytes + found.len());
            }
        }
    }
    (files, bytes)
}

/// The files that cannot be read to their end, in the order of paths.
fn unreadable(repository: &Repository, snapshot: &Snapshot) -> Vec<TreePath> {
    let view = repository.view(snapshot);
    let walked = view.walk(&TreePath::root()).map(|entry| entry.expect("because pages are whole"));
    let files = walked.filter(|(_, node)| node.kind == NodeKind::File).map(|(path, _)| path);
    let fails = |path: &TreePath| {
        let read = view.open(path).map(|mut file| file.read_to_end(&mut Vec::new()));
        !matches!(read, Ok(Ok(_)))
    };
    files.filter(fails).collect()
}

#[test]
fn what_is_whole_is_said_to_be_with_its_counts_and_its_packs_for_one_listing() {
    let Scene { memory, folder } = scene();
    let distant = Arc::new(DistantBackend::new(memory.clone()));
    let repository = TestRepository::existing(distant.clone()).open().unwrap();
    let snapshot = newest(&repository);
    distant.take_requests();
    let needs = looked_at(&repository, &snapshot);
    assert!(needs.is_whole(), "{needs:?}");
    assert_eq!((needs.files, needs.bytes), files_and_bytes(folder.path()));
    let said: BTreeMap<_, _> =
        needs.packs.iter().map(|pack| (pack.id.to_hex(), pack.pack_len)).collect();
    assert_eq!(said, packs(&memory, ObjectKind::DataPack));
    assert_eq!(needs.stored_bytes(), said.values().sum::<u64>());
    assert!(needs.packs.iter().all(|pack| pack.wanted_bytes > 0));
    let requests = distant.take_requests();
    assert_eq!(requests.lists[&ObjectKind::DataPack], 1, "one listing, however many packs");
    let read = requests.got_bytes.get(&ObjectKind::DataPack).copied();
    assert_eq!(read, Some(1), "of content, to see that it is given out");
}

#[test]
fn a_pack_that_is_gone_or_cut_short_is_told_with_all_paths_that_need_it() {
    let Scene { memory, .. } = scene();
    let whole = memory.contents();
    let mut told = 0;
    for key in whole.keys() {
        let is_data = key.kind() == ObjectKind::DataPack;
        if !is_data && key.kind() != ObjectKind::MetaPack {
            continue;
        }
        for cut in [None, Some(whole[key].len() - 1)] {
            for knows in [true, false] {
                let why = format!("{key}, cut to {cut:?}, known here: {knows}");
                let store = Arc::new(MemoryBackend::with_contents(whole.clone()));
                let computer = TestRepository::existing(store.clone());
                if knows {
                    computer.open().expect(&why);
                }
                match cut {
                    None => store.remove(key).expect(&why),
                    Some(len) => store.replace(key, whole[key].slice(..len)),
                }
                let repository = computer.open().expect(&why);
                let snapshot = newest(&repository);
                let needs = looked_at(&repository, &snapshot);
                assert!(!needs.is_whole(), "{why}: {needs:?}");
                if is_data {
                    assert_eq!(needs.missing.first.len() as u64, needs.missing.count, "{why}");
                    assert_eq!(needs.unreadable_pages, 0, "{why}");
                    if cut.is_none() {
                        assert_eq!(
                            needs.missing.first,
                            unreadable(&repository, &snapshot),
                            "{why}"
                        );
                    }
                    assert!(needs.packs.iter().all(|pack| pack.id.to_hex() != key.name()));
                } else {
                    assert!(needs.unreadable_pages > 0, "{why}: {needs:?}");
                    assert!(needs.first_unreadable.is_some(), "{why}");
                }
                told += 1;
            }
        }
    }
    assert!(told >= 8, "there are packs of both kinds");
}

#[test]
fn what_lies_in_another_pack_too_is_not_missing() {
    let Scene { memory, folder } = scene();
    for name in packs(&memory, ObjectKind::DataPack).into_keys() {
        memory.remove(&ObjectKey::new(ObjectKind::DataPack, name)).unwrap();
    }
    let fresh = TestRepository::existing(memory.clone());
    let oldest = fresh.open().unwrap().snapshots().unwrap().named.remove(0).snapshot;
    assert!(!looked_at(&fresh.open().unwrap(), &oldest).is_whole());
    // The source still has it all: the next run stores it again.
    fresh.snapshot(folder.path()).unwrap();
    let needs = looked_at(&TestRepository::existing(memory.clone()).open().unwrap(), &oldest);
    assert!(needs.is_whole(), "{needs:?}");
    assert_eq!(needs.packs.len(), packs(&memory, ObjectKind::DataPack).len());
}

#[test]
fn what_was_found_damaged_once_is_read_and_only_paths_that_need_the_damaged_part_are_missing() {
    let Scene { memory, .. } = scene();
    let key = packs(&memory, ObjectKind::DataPack).into_keys().next().unwrap();
    let key = ObjectKey::new(ObjectKind::DataPack, key);
    let mut bytes = memory.contents()[&key].to_vec();
    bytes[200] ^= 1;
    memory.replace(&key, bytes);
    let repository = TestRepository::existing(memory).open().unwrap();
    let snapshot = newest(&repository);
    let lost = unreadable(&repository, &snapshot);
    assert!(!lost.is_empty(), "byte 200 lies in a block");
    let needs = looked_at(&repository, &snapshot);
    assert_eq!(needs.missing.first, lost);
    assert!(needs.files > needs.missing.count, "the rest of it is sound");
    assert_eq!(needs.damaged_packs.len(), 1);
}

#[test]
fn another_computers_sweep_meanwhile_makes_nothing_missing() {
    met_at_each_read(|_, repository, met| {
        let snapshot = newest(repository);
        let needs = looked_at(repository, &snapshot);
        assert!(needs.is_whole(), "{:?}: {needs:?}", met());
    });
}

#[test]
fn it_stops_when_asked_and_a_station_may_not_ask() {
    let Scene { memory, .. } = scene();
    let repository = TestRepository::existing(memory).open().unwrap();
    let snapshot = newest(&repository);
    let interrupt = Interrupt::new();
    interrupt.raise();
    let stopped = preflight(&repository, &snapshot, &Silent, &interrupt).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Interrupted);

    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("note"), "kept").unwrap();
    let snapshot = place.here.snapshot(folder.path()).unwrap().named.snapshot;
    let station = place.station("hall").open().unwrap();
    let refused = preflight(&station, &snapshot, &Silent, &Interrupt::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
}
