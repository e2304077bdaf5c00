//! Who may do what: passwords, recovery keys, rotation.
use devsnap_engine::backend::{Backend, ObjectKind};
use devsnap_engine::chunker::ChunkerParams;
use devsnap_engine::error::{Error, ErrorKind, Result};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{InitOptions, KeyKind, Keyring, Repository, Unlock};
use devsnap_engine::seal::{KdfCost, RecoveryKey};
use devsnap_engine::tree::TreeParams;
use devsnap_testkit::MemoryBackend;
use devsnap_testkit::test_repository::{held, held_by_disk, snapshot};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) const FIRST: Unlock<'_> = Unlock::Password(b"first");

/// A new repository that `first` opens.
pub(super) fn made() -> (Arc<MemoryBackend>, RecoveryKey) {
    let backend = Arc::new(MemoryBackend::new());
    let options = InitOptions {
        kdf: KdfCost::CHEAP,
        chunker: ChunkerParams::new(4 << 10, 16 << 10, 64 << 10, 8 << 10)
            .expect("because the test prepared it"),
        tree: TreeParams::around(512),
    };
    let (_, key) =
        Repository::init(&backend, b"first", &options).expect("because the test prepared it");
    (backend, key)
}

pub(super) fn cache() -> TempDir {
    tempfile::tempdir().expect("because the test prepared it")
}

pub(super) fn open(
    backend: &Arc<MemoryBackend>,
    unlock: &Unlock<'_>,
    cache: &Path,
) -> Result<Repository> {
    Repository::open(Box::new(backend.clone()), unlock, cache, &Silent)
}

/// Changes the keys as a computer that never saw the repository.
pub(super) fn change<T>(
    backend: &dyn Backend,
    unlock: &Unlock<'_>,
    work: impl FnOnce(&mut Keyring<'_>) -> Result<T>,
) -> Result<T> {
    let cache = cache();
    work(&mut Keyring::open(backend, unlock, cache.path(), &Silent)?)
}

pub(super) fn opens(backend: &dyn Backend, password: &[u8]) -> bool {
    change(backend, &Unlock::Password(password), |_| Ok(())).is_ok()
}

pub(super) fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|e| e.kind())
}

pub(super) fn configs(backend: &dyn Backend) -> Vec<String> {
    let listed = backend.list(ObjectKind::Config, "");
    listed.map(|found| found.expect("because the test prepared it").key.name().to_owned()).collect()
}

/// A folder with one file of this text.
pub(super) fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("because the test prepared it");
    std::fs::write(folder.path().join("file"), text.repeat(3000))
        .expect("because the test prepared it");
    folder
}

#[test]
fn each_password_opens_everything_until_it_is_removed() {
    let (backend, _) = made();
    let second =
        change(&*backend, &FIRST, |keys| keys.add_password(b"second", KdfCost::CHEAP, "laptop"))
            .unwrap();
    let here = folder("a");
    let made = {
        let cache = cache();
        let repository = open(&backend, &Unlock::Password(b"second"), cache.path()).unwrap();
        snapshot(&repository, here.path(), &Interrupt::new()).unwrap().named.snapshot
    };
    change(&*backend, &FIRST, |keys| {
        let entry = keys.find(&second.short())?;
        assert_eq!((entry.label.as_str(), entry.is_current), ("laptop", false));
        assert!(entry.created_at_secs > 1_700_000_000);
        assert_eq!(entry.kind, KeyKind::Password(KdfCost::CHEAP));
        assert_eq!(keys.entries().len(), 3);
        keys.remove(second)
    })
    .unwrap();

    assert!(!opens(&*backend, b"second") && opens(&*backend, b"first"));
    let cache = cache();
    let repository = open(&backend, &FIRST, cache.path()).unwrap();
    // What the removed key signed still counts.
    assert_eq!(held(&repository, &made).unwrap(), held_by_disk(here.path()));
    assert_eq!(configs(&*backend).len(), 2, "the config in force and its copy, and no older one");
    let gone = change(&*backend, &FIRST, |keys| keys.remove(second));
    assert_eq!(kind(gone), Some(ErrorKind::NotFound));
}

#[test]
fn the_last_key_that_opens_the_repository_stays() {
    let (backend, recovery) = made();
    let remove_all = |keys: &mut Keyring<'_>| {
        keys.entries().iter().map(|entry| keys.remove(entry.id)).collect::<Vec<_>>()
    };
    let removed = change(&*backend, &FIRST, |keys| Ok(remove_all(keys))).unwrap();
    assert!(removed[0].is_ok());
    assert_eq!(kind(removed.into_iter().nth(1).unwrap()), Some(ErrorKind::Invalid));
    assert!(!opens(&*backend, b"first"));
    change(&*backend, &Unlock::Recovery(&recovery), |keys| {
        assert_eq!(keys.entries().len(), 1);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_changed_password_opens_what_the_old_one_opened() {
    let (backend, recovery) = made();
    change(&*backend, &FIRST, |keys| keys.change_password(b"other", KdfCost::CHEAP)).unwrap();
    assert!(opens(&*backend, b"other") && !opens(&*backend, b"first"));
    let unlock = Unlock::Recovery(&recovery);
    let refused = change(&*backend, &unlock, |keys| keys.change_password(b"x", KdfCost::CHEAP));
    assert_eq!(kind(refused), Some(ErrorKind::Invalid));
    // Who lost the password gets in with the recovery key, and makes another.
    change(&*backend, &unlock, |keys| keys.add_password(b"found", KdfCost::CHEAP, "")).unwrap();
    assert!(opens(&*backend, b"found"));
}

/// A new recovery key, which was seen.
fn new_recovery_key(backend: &dyn Backend) -> Result<RecoveryKey> {
    let mut paper = None;
    change(backend, &FIRST, |keys| {
        keys.replace_recovery_key(|key| {
            paper = Some(key.to_paper());
            Ok(())
        })
    })?;
    let paper = paper.expect("because it was shown");
    Ok(RecoveryKey::from_paper(&paper).expect("because it is on paper"))
}

fn opens_with(backend: &dyn Backend, key: &RecoveryKey) -> bool {
    change(backend, &Unlock::Recovery(key), |_| Ok(())).is_ok()
}

#[test]
fn a_recovery_key_that_nobody_saw_leaves_the_old_one() {
    let (backend, old) = made();
    let mut unseen = None;
    let failed: Result<()> = change(&*backend, &FIRST, |keys| {
        keys.replace_recovery_key(|key| {
            assert!(opens_with(&*backend, &old), "the old one opens until the new one is seen");
            unseen = Some(key.to_paper());
            Err(Error::new(ErrorKind::LocalDisk, "printing"))
        })
    });
    assert_eq!(kind(failed), Some(ErrorKind::LocalDisk));
    assert!(opens_with(&*backend, &old));
    let unseen = RecoveryKey::from_paper(&unseen.unwrap()).unwrap();
    assert!(!opens_with(&*backend, &unseen));
}

#[test]
fn a_password_is_that_of_one_key_alone() {
    let (backend, _) = made();
    change(&*backend, &FIRST, |k| k.add_password(b"second", KdfCost::CHEAP, "")).unwrap();
    for used in [&b"first"[..], b"second"] {
        let again = change(&*backend, &FIRST, |k| k.add_password(used, KdfCost::CHEAP, ""));
        assert_eq!(kind(again), Some(ErrorKind::Invalid));
    }
    let change_to =
        |password| change(&*backend, &FIRST, |k| k.change_password(password, KdfCost::CHEAP));
    assert_eq!(kind(change_to(b"second")), Some(ErrorKind::Invalid));
    change_to(b"first").unwrap();
    change_to(b"third").unwrap();
}

#[test]
fn a_new_recovery_key_alone_restores_everything_on_another_computer() {
    let (backend, old) = made();
    let here = folder("a");
    let made = {
        let cache = cache();
        let repository = open(&backend, &FIRST, cache.path()).unwrap();
        snapshot(&repository, here.path(), &Interrupt::new()).unwrap().named.snapshot
    };
    change(&*backend, &FIRST, |keys| keys.rotate()).unwrap();
    let new = new_recovery_key(&*backend).unwrap();
    let cache = cache();
    let refused = open(&backend, &Unlock::Recovery(&old), cache.path());
    assert_eq!(kind(refused), Some(ErrorKind::WrongPassword));
    let repository = open(&backend, &Unlock::Recovery(&new), cache.path()).unwrap();
    assert_eq!(held(&repository, &made).unwrap(), held_by_disk(here.path()));
}

#[test]
fn after_a_rotation_every_key_reads_old_and_new_and_a_removed_one_only_old() {
    let (backend, recovery) = made();
    let second =
        change(&*backend, &FIRST, |k| k.add_password(b"second", KdfCost::CHEAP, "")).unwrap();
    let (before, after) = (folder("before"), folder("after"));
    let run = |folder: &TempDir| {
        let cache = cache();
        let repository = open(&backend, &FIRST, cache.path()).unwrap();
        snapshot(&repository, folder.path(), &Interrupt::new()).unwrap().named.snapshot
    };
    let old = run(&before);
    let kept = backend.contents();
    change(&*backend, &FIRST, |keys| keys.remove(second)).unwrap();
    change(&*backend, &FIRST, |keys| keys.rotate()).unwrap();
    let new = run(&after);

    for unlock in [FIRST, Unlock::Recovery(&recovery)] {
        let cache = cache();
        let repository = open(&backend, &unlock, cache.path()).unwrap();
        assert_eq!(held(&repository, &old).unwrap(), held_by_disk(before.path()));
        assert_eq!(held(&repository, &new).unwrap(), held_by_disk(after.path()));
    }

    // Who kept the removed key's config, and so its secrets, and reads the store as it is now.
    let mut contents = backend.contents();
    contents.retain(|key, _| key.kind() != ObjectKind::Config);
    contents.extend(kept.into_iter().filter(|(key, _)| key.kind() == ObjectKind::Config));
    let theirs = Arc::new(MemoryBackend::with_contents(contents));
    let cache = cache();
    let repository = open(&theirs, &Unlock::Password(b"second"), cache.path()).unwrap();
    assert_eq!(held(&repository, &old).unwrap(), held_by_disk(before.path()));
    assert_eq!(kind(held(&repository, &new)), Some(ErrorKind::Damaged));
}

#[test]
fn there_is_an_end_to_how_many_keys_there_are() {
    let (backend, _) = made();
    change(&*backend, &FIRST, |keys| {
        let long = keys.add_password(b"x", KdfCost::CHEAP, &"x".repeat(201));
        assert_eq!(kind(long), Some(ErrorKind::Invalid));
        for n in 2..64 {
            keys.add_password(format!("x{n}").as_bytes(), KdfCost::CHEAP, &n.to_string())?;
        }
        let one_more = keys.add_password(b"x", KdfCost::CHEAP, "");
        assert_eq!(kind(one_more), Some(ErrorKind::Invalid));
        assert_eq!(kind(keys.find("")), Some(ErrorKind::Ambiguous));
        assert_eq!(kind(keys.find("no hex")), Some(ErrorKind::NotFound));
        for _ in 1..64 {
            keys.rotate()?;
        }
        assert_eq!(kind(keys.rotate()), Some(ErrorKind::Invalid));
        Ok(())
    })
    .unwrap();
    assert!(opens(&*backend, b"first"));
}
