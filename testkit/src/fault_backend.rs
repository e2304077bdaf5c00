//! A backend that fails when told to, the same way for the same seed.
use crate::memory_backend::bytes_of;
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectKey, ObjectKind,
};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A call of [`Backend`]. Reads are [`get`](Backend::get) and [`get_whole`](Backend::get_whole).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`Backend::put`].
    Put,
    /// [`Backend::get`] and [`Backend::get_whole`].
    Get,
    /// [`Backend::list`].
    List,
    /// [`Backend::remove`].
    Remove,
}

impl Call {
    fn name(self) -> &'static str {
        match self {
            Call::Put => "put",
            Call::Get => "get",
            Call::List => "list",
            Call::Remove => "remove",
        }
    }
}

/// Which calls of a kind a fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The `n`-th after the fault was added, counted from 1; only that one.
    Nth(u64),
    /// Every one from the `n`-th on, counted from 1.
    From(u64),
    /// Each with a chance of one in so many, drawn from the seed.
    OneIn(u64),
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It fails and does nothing. A listing names a few objects first, and then breaks off.
    Refused(BackendErrorKind),
    /// It is done, but its reply is lost: the caller is told
    /// [`Unreachable`](BackendErrorKind::Unreachable).
    ReplyLost,
    /// A put leaves a part of its bytes and fails, as a store without atomic puts does. This
    /// breaks the contract: it is for tests of what notices damage. Other calls are refused.
    Torn,
}

#[derive(Debug)]
struct Fault {
    call: Call,
    when: When,
    effect: Effect,
    seen: u64,
}

#[derive(Debug)]
struct Faults {
    armed: Vec<Fault>,
    random: u64,
    met: u64,
}

/// Wraps a backend and fails calls of it as planned.
pub struct FaultBackend {
    inner: Arc<dyn Backend>,
    faults: Mutex<Faults>,
}

impl FaultBackend {
    /// `inner` without any fault yet; chances are drawn from `seed`.
    pub fn new(inner: Arc<dyn Backend>, seed: u64) -> Self {
        let faults = Faults { armed: Vec::new(), random: seed, met: 0 };
        FaultBackend { inner, faults: Mutex::new(faults) }
    }

    /// Adds a fault. When several meet one call, the first added decides.
    pub fn fail(&self, call: Call, when: When, effect: Effect) {
        self.lock().armed.push(Fault { call, when, effect, seen: 0 });
    }

    /// Removes all faults: the service is well again.
    pub fn heal(&self) {
        self.lock().armed.clear();
    }

    /// How many calls met a fault: a test that meets none tests nothing.
    pub fn faults_met(&self) -> u64 {
        self.lock().met
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn effect_on(&self, call: Call) -> Option<Effect> {
        self.lock().effect_on(call)
    }

    fn run<T>(
        &self,
        call: Call,
        key: &ObjectKey,
        really: impl FnOnce() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        match self.effect_on(call) {
            None => really(),
            Some(Effect::ReplyLost) => {
                really()?;
                Err(error(call, Some(key), BackendErrorKind::Unreachable))
            }
            Some(Effect::Refused(kind)) => Err(error(call, Some(key), kind)),
            Some(Effect::Torn) => Err(error(call, Some(key), BackendErrorKind::Unreachable)),
        }
    }
}

impl Faults {
    fn effect_on(&mut self, call: Call) -> Option<Effect> {
        let mut effect = None;
        for at in 0..self.armed.len() {
            let draw = self.draw();
            let fault = &mut self.armed[at];
            if fault.call != call {
                continue;
            }
            fault.seen += 1;
            let meets = match fault.when {
                When::Nth(n) => fault.seen == n,
                When::From(n) => fault.seen >= n,
                When::OneIn(n) => draw.is_multiple_of(n.max(1)),
            };
            if meets {
                effect = effect.or(Some(fault.effect));
            }
        }
        self.met += u64::from(effect.is_some());
        effect
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): any seed will do, also 0.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn error(call: Call, key: Option<&ObjectKey>, kind: BackendErrorKind) -> BackendError {
    BackendError::new(call.name(), key, kind).because("a fault that the test asked for")
}

impl Backend for FaultBackend {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        let effect = self.effect_on(Call::Put);
        match effect {
            None => self.inner.put(key, body),
            Some(Effect::Refused(kind)) => Err(error(Call::Put, Some(key), kind)),
            Some(Effect::ReplyLost) => {
                self.inner.put(key, body)?;
                Err(error(Call::Put, Some(key), BackendErrorKind::Unreachable))
            }
            Some(Effect::Torn) => {
                let bytes = bytes_of(key, body)?;
                let kept = self.lock().draw() % (bytes.len() as u64).max(1);
                let part =
                    usize::try_from(kept).map_or_else(|_| Bytes::new(), |n| bytes.slice(..n));
                self.inner.put(key, Body::Bytes(part))?;
                Err(error(Call::Put, Some(key), BackendErrorKind::Unreachable))
            }
        }
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.run(Call::Get, key, || self.inner.get(key, range))
    }

    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        self.run(Call::Get, key, || self.inner.get_whole(key, max_bytes))
    }

    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        let listing = self.inner.list(kind, prefix);
        let failed = match self.effect_on(Call::List) {
            None => return listing,
            Some(Effect::Refused(failed)) => failed,
            Some(Effect::ReplyLost | Effect::Torn) => BackendErrorKind::Unreachable,
        };
        let named = usize::try_from(self.lock().draw() % 4).unwrap_or(0);
        let broken = std::iter::once_with(move || Err(error(Call::List, None, failed)));
        Box::new(listing.take(named).chain(broken))
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        self.run(Call::Remove, key, || self.inner.remove(key))
    }

    fn connections(&self) -> NonZeroUsize {
        self.inner.connections()
    }

    fn staging(&self) -> Option<&Path> {
        self.inner.staging()
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryBackend;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(ObjectKind::Snapshot, name)
    }

    fn put(backend: &dyn Backend, name: &str) -> Result<(), BackendErrorKind> {
        backend.put(&key(name), Body::Bytes("12345678".into())).map_err(|e| e.kind)
    }

    fn faulty() -> (Arc<MemoryBackend>, FaultBackend) {
        let memory = Arc::new(MemoryBackend::new());
        (memory.clone(), FaultBackend::new(memory, 7))
    }

    #[test]
    fn a_refused_put_leaves_nothing_and_only_the_nth_is_refused() {
        let (memory, backend) = faulty();
        backend.fail(Call::Put, When::Nth(2), Effect::Refused(BackendErrorKind::NoSpace));
        assert_eq!(put(&backend, "a"), Ok(()));
        assert_eq!(put(&backend, "b"), Err(BackendErrorKind::NoSpace));
        assert_eq!(put(&backend, "c"), Ok(()));
        assert_eq!(memory.contents().into_keys().collect::<Vec<_>>(), [key("a"), key("c")]);
        assert_eq!(backend.faults_met(), 1);
    }

    #[test]
    fn a_lost_reply_leaves_the_whole_effect() {
        let (memory, backend) = faulty();
        backend.fail(Call::Put, When::From(1), Effect::ReplyLost);
        backend.fail(Call::Remove, When::From(1), Effect::ReplyLost);
        assert_eq!(put(&backend, "a"), Err(BackendErrorKind::Unreachable));
        assert_eq!(memory.contents()[&key("a")].len(), 8);
        backend.remove(&key("a")).unwrap_err();
        assert!(memory.is_empty());
    }

    #[test]
    fn a_torn_put_leaves_a_part() {
        let (memory, backend) = faulty();
        backend.fail(Call::Put, When::From(1), Effect::Torn);
        assert_eq!(put(&backend, "a"), Err(BackendErrorKind::Unreachable));
        assert!(memory.contents()[&key("a")].len() < 8);
    }

    #[test]
    fn a_listing_that_breaks_off_ends_with_an_error() {
        let (_memory, backend) = faulty();
        put(&backend, "a").unwrap();
        backend.fail(Call::List, When::From(1), Effect::Refused(BackendErrorKind::Medium));
        let last = backend.list(ObjectKind::Snapshot, "").last();
        assert_eq!(last.unwrap().unwrap_err().kind, BackendErrorKind::Medium);
        backend.heal();
        assert!(backend.list(ObjectKind::Snapshot, "").all(|item| item.is_ok()));
    }

    #[test]
    fn the_same_seed_fails_the_same_calls() {
        let run = || {
            let (_memory, backend) = faulty();
            backend.fail(Call::Put, When::OneIn(3), Effect::ReplyLost);
            (0..60).map(|n| put(&backend, &format!("k{n}")).is_ok()).collect::<Vec<_>>()
        };
        let failed = run().iter().filter(|ok| !**ok).count();
        assert!((5..40).contains(&failed), "about a third fail: {failed}");
        assert_eq!(run(), run());
    }
}

#[cfg(test)]
crate::backend_suite!(without_faults_the_contract_is_kept, || {
    let memory = std::sync::Arc::new(crate::MemoryBackend::new());
    Box::new(FaultBackend::new(memory, 1))
});
