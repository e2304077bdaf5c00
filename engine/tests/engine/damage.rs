//! Lost and damaged objects: what can be mended is, and no wrong byte is ever given out.
use devsnap_engine::backend::{Backend, ObjectKey, ObjectKind};
use devsnap_engine::error::ErrorKind;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{held, held_by_disk};
use devsnap_testkit::{MemoryBackend, TestRepository};
use std::sync::Arc;

fn keys(backend: &dyn Backend, kind: ObjectKind) -> Vec<ObjectKey> {
    let mut keys: Vec<_> = backend
        .list(kind, "")
        .map(|info| info.expect("because memory can be listed").key)
        .collect();
    keys.sort();
    keys
}

struct Scene {
    memory: Arc<MemoryBackend>,
    here: TestRepository,
    folder: tempfile::TempDir,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().expect("because there is room");
    let phone = PhoneLike { seed: 5, files: 40, total_bytes: 1 << 20 };
    phone.write(folder.path()).expect("because there is room");
    let memory = Arc::new(MemoryBackend::new());
    let here = TestRepository::over(memory.clone());
    here.snapshot(folder.path()).expect("because nothing is damaged yet");
    Scene { memory, here, folder }
}

#[test]
fn a_lost_index_segment_is_read_from_the_packs_and_written_again() {
    let Scene { memory, here, folder } = scene();
    let segment = keys(&*memory, ObjectKind::IndexSegment).remove(0);
    memory.remove(&segment).unwrap();
    let expected = held_by_disk(folder.path());
    // On the computer that knew the segment, and on one that never saw it.
    for computer in [&here, &TestRepository::existing(memory.clone())] {
        let repository = computer.open().unwrap();
        let named = repository.snapshots().unwrap().named.remove(0);
        assert_eq!(held(&repository, &named.snapshot).unwrap(), expected);
    }
    let before = keys(&*memory, ObjectKind::DataPack);
    here.snapshot(folder.path()).unwrap();
    assert!(!keys(&*memory, ObjectKind::IndexSegment).is_empty(), "it is written again");
    assert_eq!(keys(&*memory, ObjectKind::DataPack), before, "nothing is stored twice");
    let fresh = TestRepository::existing(memory).open().unwrap();
    assert!(fresh.find_unlisted_packs().unwrap().is_empty());
}

#[test]
fn a_damaged_index_segment_is_passed_over_and_the_packs_are_asked() {
    let Scene { memory, folder, .. } = scene();
    let segment = keys(&*memory, ObjectKind::IndexSegment).remove(0);
    let mut bytes = memory.contents()[&segment].to_vec();
    bytes[200] ^= 1;
    memory.replace(&segment, bytes);
    let fresh = TestRepository::existing(memory);
    let repository = fresh.open().unwrap();
    let named = repository.snapshots().unwrap().named.remove(0);
    assert_eq!(held(&repository, &named.snapshot).unwrap(), held_by_disk(folder.path()));
}

#[test]
fn a_flipped_bit_anywhere_is_told_or_harmless() {
    let Scene { memory, folder, .. } = scene();
    let expected = held_by_disk(folder.path());
    let whole = memory.contents();
    let mut told = 0;
    for (key, bytes) in &whole {
        for at in [0, 11, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let damaged = MemoryBackend::with_contents(whole.clone());
            let mut changed = bytes.to_vec();
            changed[at] ^= 0x20;
            damaged.replace(key, changed);
            let fresh = TestRepository::existing(Arc::new(damaged));
            let read = fresh.open().and_then(|repository| {
                let listed = repository.snapshots()?;
                let Some(named) = listed.named.first() else {
                    assert_eq!(listed.unreadable.len(), 1, "{key} byte {at}");
                    return Ok(None);
                };
                held(&repository, &named.snapshot).map(Some)
            });
            match read {
                Ok(Some(held)) => assert_eq!(held, expected, "{key} byte {at}"),
                Ok(None) => told += 1,
                Err(e) => {
                    let kinds = [ErrorKind::Damaged, ErrorKind::NotFound, ErrorKind::TooNew];
                    assert!(kinds.contains(&e.kind()), "{key} byte {at}: {e:?}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 5, "most flips matter");
}

#[test]
fn one_whole_copy_of_the_config_is_enough() {
    let Scene { memory, here, .. } = scene();
    for damaged in keys(&*memory, ObjectKind::Config) {
        let whole = memory.contents()[&damaged].clone();
        memory.replace(&damaged, vec![7; 300]);
        here.open().unwrap();
        memory.replace(&damaged, whole);
    }
    for key in keys(&*memory, ObjectKind::Config) {
        memory.replace(&key, vec![7; 300]);
    }
    assert_eq!(here.open().err().unwrap().kind(), ErrorKind::Damaged);
}
