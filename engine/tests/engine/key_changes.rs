//! Changes of keys that meet, are cut off, or are shown again when they are old.
use crate::keys::{FIRST, cache, change, configs, kind, made, open, opens};
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectInfo, ObjectKey, ObjectKind,
};
use devsnap_engine::error::{Error, ErrorKind, Result};
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{Keyring, Unlock};
use devsnap_engine::seal::KdfCost;
use devsnap_testkit::{Call, CrashBackend, Effect, FaultBackend, InFlight, MemoryBackend, When};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

#[test]
fn a_change_that_is_cut_off_leaves_the_old_keys_or_the_new_and_never_none() {
    for in_flight in [InFlight::Dropped, InFlight::Kept] {
        for writes in 0.. {
            let (backend, _) = made();
            let objects = MemoryBackend::with_contents(backend.contents());
            let cut = CrashBackend::new(objects, writes, in_flight);
            let changed =
                change(&cut, &FIRST, |keys| keys.change_password(b"other", KdfCost::CHEAP));
            let crashed = cut.has_crashed();
            let after = cut.into_survivors();
            let (old, new) = (opens(&after, b"first"), opens(&after, b"other"));
            assert!(old != new, "{writes} writes, {in_flight:?}");
            assert!(new || changed.is_err(), "{writes} writes, {in_flight:?}");
            // Whatever is left of it does not stand in the way of the next change.
            let unlock = Unlock::Password(if new { b"other" } else { b"first" });
            change(&after, &unlock, |k| k.change_password(b"third", KdfCost::CHEAP)).unwrap();
            assert!(opens(&after, b"third"));
            assert_eq!(configs(&after).len(), 2);
            if !crashed {
                break;
            }
        }
    }
}

/// Runs something before the n-th call.
struct Meanwhile {
    objects: Arc<MemoryBackend>,
    calls: AtomicUsize,
    at: usize,
    work: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Meanwhile {
    fn call(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) == self.at {
            let work = self.work.lock().expect("because the test prepared it").take();
            work.expect("because the n-th call comes once")();
        }
    }
}

impl Backend for Meanwhile {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        self.call();
        self.objects.put(key, body)
    }
    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<bytes::Bytes, BackendError> {
        self.objects.get(key, range)
    }
    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<bytes::Bytes, BackendError> {
        self.call();
        self.objects.get_whole(key, max_bytes)
    }
    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        self.call();
        let listed: Vec<Result<ObjectInfo, BackendError>> =
            self.objects.list(kind, prefix).collect();
        Box::new(listed.into_iter())
    }
    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        self.call();
        self.objects.remove(key)
    }
    fn connections(&self) -> NonZeroUsize {
        self.objects.connections()
    }
    fn place(&self) -> String {
        self.objects.place()
    }
}

#[test]
fn of_two_changes_at_once_none_that_was_told_of_success_is_lost() {
    let mut conflicts = 0;
    for at in 0.. {
        let (objects, _) = made();
        let other = objects.clone();
        let theirs: Arc<Mutex<Option<Result<(), Error>>>> = Arc::default();
        let told = theirs.clone();
        let work = move || {
            let added = change(&*other, &FIRST, |keys| {
                keys.add_password(b"theirs", KdfCost::CHEAP, "theirs").map(drop)
            });
            *told.lock().unwrap() = Some(added);
        };
        let backend = Meanwhile {
            objects: objects.clone(),
            calls: AtomicUsize::new(0),
            at,
            work: Mutex::new(Some(Box::new(work))),
        };
        let ours = change(&backend, &FIRST, |keys| {
            keys.add_password(b"ours", KdfCost::CHEAP, "ours").map(drop)
        });
        let Some(theirs) = theirs.lock().unwrap().take() else { break };
        assert!(opens(&*objects, b"first"), "call {at}");
        for (told, password) in [(&ours, b"ours".as_slice()), (&theirs, b"theirs")] {
            match told {
                Ok(()) => assert!(opens(&*objects, password), "call {at}"),
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::Conflict, "call {at}");
                    // One that counted already may have been built on; it says so.
                    let may_hold = format!("{e:?}").contains("holds only if");
                    assert!(may_hold || !opens(&*objects, password), "call {at}");
                    conflicts += 1;
                }
            }
        }
    }
    assert!(conflicts > 3, "the two did meet");
}

#[test]
fn two_threads_that_change_keys_again_and_again_lose_nothing() {
    let (backend, _) = made();
    let told: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (backend, told) = (&backend, &told);
            scope.spawn(move || {
                for round in 0..8 {
                    let password = format!("{thread}-{round}");
                    let added = change(&**backend, &FIRST, |keys| {
                        keys.add_password(password.as_bytes(), KdfCost::CHEAP, "").map(drop)
                    });
                    match added {
                        Ok(()) => told.lock().unwrap().push(password),
                        Err(e) => assert_eq!(e.kind(), ErrorKind::Conflict, "{e:?}"),
                    }
                }
            });
        }
    });
    let told = told.into_inner().unwrap();
    assert!(told.iter().all(|password| opens(&*backend, password.as_bytes())), "{told:?}");
    change(&*backend, &FIRST, |keys| {
        assert_eq!(keys.entries().len(), 2 + told.len());
        Ok(())
    })
    .unwrap();
}

#[test]
fn older_keys_than_were_seen_are_refused_by_who_saw_them() {
    let (backend, _) = made();
    let here = cache();
    drop(open(&backend, &FIRST, here.path()).unwrap());
    let older = backend.contents();
    Keyring::open(&*backend, &FIRST, here.path(), &Silent)
        .and_then(|mut keys| keys.change_password(b"other", KdfCost::CHEAP))
        .unwrap();
    drop(open(&backend, &Unlock::Password(b"other"), here.path()).unwrap());

    let restored = Arc::new(MemoryBackend::with_contents(older));
    for password in [b"first", b"other"] {
        let refused = open(&restored, &Unlock::Password(password), here.path());
        assert_eq!(kind(refused), Some(ErrorKind::RolledBack));
    }
    let elsewhere = cache();
    assert!(open(&restored, &FIRST, elsewhere.path()).is_ok(), "who never saw the newer ones");
    // A newer config whose bytes are no config is no newer config.
    let junk = ObjectKey::new(ObjectKind::Config, "9.0123456789abcdef");
    restored.replace(&junk, "junk");
    restored.replace(&ObjectKey::new(ObjectKind::Config, "9.0123456789abcdef.copy"), "junk");
    let refused = open(&restored, &FIRST, here.path());
    assert_eq!(kind(refused), Some(ErrorKind::RolledBack));
    assert!(open(&restored, &FIRST, elsewhere.path()).is_ok());
}

#[test]
fn a_config_whose_copy_is_lost_is_still_the_one_in_force() {
    let (backend, _) = made();
    change(&*backend, &FIRST, |keys| keys.change_password(b"other", KdfCost::CHEAP)).unwrap();
    let copy = configs(&*backend).into_iter().find(|name| name.ends_with(".copy")).unwrap();
    backend.remove(&ObjectKey::new(ObjectKind::Config, copy)).unwrap();
    assert!(opens(&*backend, b"other") && !opens(&*backend, b"first"));
}

#[test]
fn while_the_newest_config_cannot_be_read_no_older_one_opens() {
    let (objects, _) = made();
    let backend = FaultBackend::new(objects, 1);
    let refused = Effect::Refused(BackendErrorKind::Unreachable);
    backend.fail(Call::Remove, When::From(1), refused);
    change(&backend, &FIRST, |keys| keys.change_password(b"other", KdfCost::CHEAP)).unwrap();
    assert_eq!(configs(&backend).len(), 4, "the older one could not be removed");
    for nth in [1, 2] {
        backend.fail(Call::Get, When::Nth(nth), refused);
    }
    assert_eq!(kind(change(&backend, &FIRST, |_| Ok(()))), Some(ErrorKind::Unreachable));
    assert_eq!(kind(change(&backend, &FIRST, |_| Ok(()))), Some(ErrorKind::WrongPassword));
}
