//! A storage that spoils, swaps, cuts and copies objects: no wrong byte is given out, and a prune
//! makes nothing worse.
use crate::prune::{options, run};
use bytes::Bytes;
use devsnap_engine::backend::{Backend, ObjectKey, ObjectKind};
use devsnap_engine::error::{ErrorKind, Result};
use devsnap_engine::prune::{MaxUnused, PruneOptions, PruneReport};
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{Held, held, held_by_disk};
use devsnap_testkit::{HookedBackend, MemoryBackend, TestRepository};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Contents = BTreeMap<ObjectKey, Bytes>;

/// Three days, of which the second is forgotten, and what the others held.
fn scene() -> (Contents, Vec<Held>) {
    const PHONE: PhoneLike = PhoneLike { seed: 9, files: 30, total_bytes: 300 << 10 };
    let memory = Arc::new(MemoryBackend::new());
    let here = TestRepository::over(memory.clone());
    let folder = tempfile::tempdir().expect("because there is room");
    PHONE.write(folder.path()).expect("because there is room");
    let mut wanted = Vec::new();
    for day in 1..=3 {
        let made = here.snapshot(folder.path()).expect("because memory is healthy");
        if day == 2 {
            let key = ObjectKey::new(ObjectKind::Snapshot, made.named.id.to_hex());
            memory.remove(&key).expect("because memory is healthy");
        } else {
            wanted.push(held_by_disk(folder.path()));
        }
        PHONE.mutate(folder.path(), day).expect("because there is room");
    }
    (memory.contents(), wanted)
}

/// All that can be read on a computer that knows nothing; errors say what kind they are.
fn read(store: &Arc<MemoryBackend>, wanted: &[Held], why: &str) -> Vec<Result<(), ErrorKind>> {
    let fresh = TestRepository::existing(store.clone());
    let repository = match fresh.open() {
        Ok(repository) => repository,
        Err(error) => return vec![told(error.kind(), why)],
    };
    let listed = match repository.snapshots() {
        Ok(listed) => listed,
        Err(error) => return vec![told(error.kind(), why)],
    };
    let mut found: Vec<_> = listed.unreadable.iter().map(|(_, e)| told(e.kind(), why)).collect();
    for named in &listed.named {
        found.push(match held(&repository, &named.snapshot) {
            Ok(held) => {
                assert!(wanted.contains(&held), "{why}: a wrong byte was given out");
                Ok(())
            }
            Err(error) => told(error.kind(), why),
        });
    }
    found
}

fn told(kind: ErrorKind, why: &str) -> Result<(), ErrorKind> {
    let kinds =
        [ErrorKind::Damaged, ErrorKind::NotFound, ErrorKind::TooNew, ErrorKind::NoRepository];
    assert!(kinds.contains(&kind), "{why}: {kind:?}");
    Err(kind)
}

fn whole(found: &[Result<(), ErrorKind>]) -> usize {
    found.iter().filter(|one| one.is_ok()).count()
}

/// Ways of spoiling one object; each gives what lies under which key then.
fn spoilt(contents: &Contents, key: &ObjectKey) -> Vec<(String, Vec<(ObjectKey, Bytes)>)> {
    let bytes = &contents[key];
    let mut ways = Vec::new();
    for at in [9, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x11;
        ways.push((format!("flipped at {at}"), vec![(key.clone(), changed.into())]));
    }
    for len in [0, bytes.len() - 1] {
        ways.push((format!("cut to {len}"), vec![(key.clone(), bytes.slice(..len))]));
    }
    let of_kind: Vec<_> = contents.keys().filter(|other| other.kind() == key.kind()).collect();
    if let Some(other) = of_kind.iter().find(|other| **other != key) {
        let swapped =
            vec![(key.clone(), contents[*other].clone()), ((*other).clone(), bytes.clone())];
        ways.push((format!("swapped with {other}"), swapped));
    }
    let elsewhere = match key.name().split_once('.') {
        None => blake3::hash(key.name().as_bytes()).to_hex().to_string(),
        Some((_, mark)) => format!("{}.{mark}", "5a".repeat(16)),
    };
    if key.kind() != ObjectKind::Config {
        let copy = ObjectKey::new(key.kind(), elsewhere);
        ways.push(("copied to another name".to_owned(), vec![(copy, bytes.clone())]));
    }
    ways
}

fn pruned(store: Arc<dyn Backend>) -> Result<PruneReport> {
    let computer = TestRepository::existing(store);
    let repository = computer.open()?;
    let now = PruneOptions { fence_after: Duration::ZERO, ..options(MaxUnused::Bytes(0)) };
    run(&repository, &now)
}

/// Every object that there was, among them those of a session and of a sweep while they were under way.
fn remembering(store: &Arc<MemoryBackend>) -> (Arc<HookedBackend>, Arc<Mutex<Contents>>) {
    let all: Arc<Mutex<Contents>> = Arc::new(Mutex::new(store.contents()));
    let (kept, inner) = (all.clone(), store.clone());
    let hooked = HookedBackend::new(store.clone()).after_put(move |key| {
        let bytes = inner.get_whole(key, u64::MAX).expect("because it was just put");
        kept.lock().expect("because nobody panicked").insert(key.clone(), bytes);
    });
    (Arc::new(hooked), all)
}

#[test]
fn what_was_removed_and_is_put_back_takes_nothing_away() {
    let (contents, wanted) = scene();
    let store = Arc::new(MemoryBackend::with_contents(contents));
    let (hooked, all) = remembering(&store);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("new"), "of the last day").unwrap();
    TestRepository::existing(hooked.clone()).snapshot(folder.path()).unwrap();
    let wanted = [wanted, vec![held_by_disk(folder.path())]].concat();
    pruned(hooked).unwrap();
    let now = store.contents();
    let all = all.lock().unwrap().clone();
    let gone: Vec<_> = all.iter().filter(|(key, _)| !now.contains_key(key)).collect();
    let has = |end: &str| gone.iter().any(|(key, _)| key.name().ends_with(end));
    assert!(has(".open") && has(".mark") && has(".done") && gone.len() > 5, "{gone:?}");
    // One by one, and all at once.
    let sets = gone.iter().map(|one| vec![*one]).chain([gone.clone()]);
    for back in sets {
        let why = format!("put back: {:?}", back.iter().map(|(key, _)| key).collect::<Vec<_>>());
        let store = Arc::new(MemoryBackend::with_contents(now.clone()));
        back.iter().for_each(|(key, bytes)| store.replace(key, (*bytes).clone()));
        assert_eq!(whole(&read(&store, &wanted, &why)), wanted.len(), "{why}");
        let next = TestRepository::existing(store.clone()).snapshot(folder.path());
        next.expect(&why);
        for _ in 0..2 {
            pruned(store.clone()).expect(&why);
            assert_eq!(whole(&read(&store, &wanted, &why)), wanted.len() + 1, "{why}");
        }
    }
}

#[test]
fn no_wrong_byte_is_given_out_and_a_prune_makes_nothing_worse() {
    let (contents, wanted) = scene();
    let mut refused = 0;
    for key in contents.keys() {
        for (how, objects) in spoilt(&contents, key) {
            let why = format!("{key}, {how}");
            let store = Arc::new(MemoryBackend::with_contents(contents.clone()));
            for (key, bytes) in objects {
                store.replace(&key, bytes);
            }
            let before = read(&store, &wanted, &why);
            let as_it_was = store.contents();
            if let Err(error) = pruned(store.clone()) {
                let _ = told(error.kind(), &why);
                let gone = as_it_was.keys().filter(|key| !store.contents().contains_key(key));
                let gone: Vec<_> = gone
                    .filter(|key| matches!(key.kind(), ObjectKind::DataPack | ObjectKind::MetaPack))
                    .collect();
                assert!(gone.is_empty(), "{why}: it refused and deleted {gone:?}");
                refused += 1;
            }
            let after = read(&store, &wanted, &why);
            assert!(whole(&after) >= whole(&before), "{why}: {before:?}, then {after:?}");
        }
    }
    assert!(refused > 10, "damage that matters stops a prune");
}
