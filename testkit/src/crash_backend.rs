//! A backend whose power is cut at a chosen write.
use crate::memory_backend::{MemoryBackend, bytes_of};
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectKey, ObjectKind,
};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of the one write that was under way when the power went. Both may happen on real
/// media, so a test of crash safety tries both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InFlight {
    /// Nothing of it was kept.
    Dropped,
    /// It was kept whole, though nobody was told.
    Kept,
}

/// Objects in memory, up to a power cut: what was confirmed is kept, and every call from the cut
/// on fails.
///
/// ```
/// use devsnap_testkit::{CrashBackend, InFlight, MemoryBackend};
/// # use devsnap_engine::backend::{Backend, Body, ObjectKey, ObjectKind};
/// # fn backup(backend: &dyn Backend) {
/// #     for name in ["a", "b"] {
/// #         let key = ObjectKey::new(ObjectKind::Snapshot, name);
/// #         if backend.put(&key, Body::Bytes("x".into())).is_err() { return }
/// #     }
/// # }
/// for writes in 0.. {
///     let backend = CrashBackend::new(MemoryBackend::new(), writes, InFlight::Dropped);
///     backup(&backend);
///     let crashed = backend.has_crashed();
///     let after: MemoryBackend = backend.into_survivors();
///     assert_eq!(after.len(), if crashed { writes as usize } else { 2 });
///     if !crashed { break }
/// }
/// ```
#[derive(Debug)]
pub struct CrashBackend {
    objects: MemoryBackend,
    writes_begun: AtomicU64,
    writes_until_cut: u64,
    in_flight: InFlight,
}

impl CrashBackend {
    /// `objects`, on a medium that completes `writes` puts and removes and loses power in the
    /// next one.
    pub fn new(objects: MemoryBackend, writes: u64, in_flight: InFlight) -> Self {
        let writes_begun = AtomicU64::new(0);
        CrashBackend { objects, writes_begun, writes_until_cut: writes, in_flight }
    }

    /// Whether the power has been cut.
    pub fn has_crashed(&self) -> bool {
        self.writes_begun.load(Ordering::SeqCst) > self.writes_until_cut
    }

    /// What is found when the power is back.
    pub fn into_survivors(self) -> MemoryBackend {
        self.objects
    }

    fn write(
        &self,
        operation: &'static str,
        key: &ObjectKey,
        really: impl FnOnce() -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let before = self.writes_begun.fetch_add(1, Ordering::SeqCst);
        if before < self.writes_until_cut {
            return really();
        }
        if before == self.writes_until_cut && self.in_flight == InFlight::Kept {
            really()?;
        }
        Err(no_power(operation, Some(key)))
    }

    fn powered(&self, operation: &'static str, key: &ObjectKey) -> Result<(), BackendError> {
        if self.has_crashed() { Err(no_power(operation, Some(key))) } else { Ok(()) }
    }
}

fn no_power(operation: &'static str, key: Option<&ObjectKey>) -> BackendError {
    BackendError::new(operation, key, BackendErrorKind::Unreachable)
        .because("the power was cut, as the test asked")
}

impl Backend for CrashBackend {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        let bytes = bytes_of(key, body)?;
        self.write("put", key, || self.objects.put(key, Body::Bytes(bytes)))
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.powered("get", key)?;
        self.objects.get(key, range)
    }

    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        self.powered("get", key)?;
        self.objects.get_whole(key, max_bytes)
    }

    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        if self.has_crashed() {
            return Box::new(std::iter::once(Err(no_power("list", None))));
        }
        self.objects.list(kind, prefix)
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        self.write("remove", key, || self.objects.remove(key))
    }

    fn connections(&self) -> NonZeroUsize {
        self.objects.connections()
    }

    fn place(&self) -> String {
        self.objects.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(ObjectKind::Snapshot, name)
    }

    fn put(backend: &CrashBackend, name: &str) -> bool {
        backend.put(&key(name), Body::Bytes("x".into())).is_ok()
    }

    #[test]
    fn what_was_confirmed_is_kept_and_what_came_later_is_not() {
        for (in_flight, kept) in [(InFlight::Dropped, 2), (InFlight::Kept, 3)] {
            let backend = CrashBackend::new(MemoryBackend::new(), 2, in_flight);
            let done = ["a", "b", "c", "d"].map(|name| put(&backend, name));
            assert_eq!(done, [true, true, false, false]);
            assert!(backend.get(&key("a"), 0..1).is_err(), "there is no power");
            assert!(backend.list(ObjectKind::Snapshot, "").next().unwrap().is_err());
            assert_eq!(backend.into_survivors().len(), kept);
        }
    }
}

#[cfg(test)]
crate::backend_suite!(before_the_cut_the_contract_is_kept, || {
    Box::new(CrashBackend::new(MemoryBackend::new(), u64::MAX, InFlight::Dropped))
});
