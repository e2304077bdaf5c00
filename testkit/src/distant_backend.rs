//! A backend that is far away: each request takes its time and is counted, and it gives out what it is told to.
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectKey, ObjectKind,
};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What a [`DistantBackend`] was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requests {
    /// Reads of each kind of object, whole or in part.
    pub gets: BTreeMap<ObjectKind, u64>,
    /// Bytes that they gave.
    pub got_bytes: BTreeMap<ObjectKind, u64>,
    /// Listings of each kind; the pages of one are not counted.
    pub lists: BTreeMap<ObjectKind, u64>,
    /// Puts and removals.
    pub changes: u64,
}

impl Requests {
    /// Reads of packs of content.
    pub fn data_gets(&self) -> u64 {
        self.gets.get(&ObjectKind::DataPack).copied().unwrap_or(0)
    }
}

#[derive(Default)]
struct State {
    requests: Requests,
    refused: BTreeMap<ObjectKey, BackendErrorKind>,
    delay: Duration,
}

/// Wraps a backend, as a line to a bucket would.
pub struct DistantBackend {
    inner: Arc<dyn Backend>,
    connections: NonZeroUsize,
    state: Mutex<State>,
}

impl DistantBackend {
    /// `inner`, at no distance yet.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        let connections = const { NonZeroUsize::new(8).expect("because 8 is not 0") };
        DistantBackend { inner, connections, state: Mutex::default() }
    }

    /// From now on each request takes so much longer.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// What was asked for since the last time.
    pub fn take_requests(&self) -> Requests {
        std::mem::take(&mut self.lock().requests)
    }

    /// From now on reading this object fails so, though it is listed: as from cold storage.
    pub fn refuse(&self, key: &ObjectKey, kind: BackendErrorKind) {
        self.lock().refused.insert(key.clone(), kind);
    }

    /// Refuses nothing any more.
    pub fn heal(&self) {
        self.lock().refused.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, count: impl FnOnce(&mut Requests)) {
        let delay = {
            let mut state = self.lock();
            count(&mut state.requests);
            state.delay
        };
        if !delay.is_zero() {
            thread::sleep(delay);
        }
    }

    fn read(
        &self,
        key: &ObjectKey,
        really: impl FnOnce() -> Result<Bytes, BackendError>,
    ) -> Result<Bytes, BackendError> {
        self.ask(|requests| *requests.gets.entry(key.kind()).or_default() += 1);
        if let Some(kind) = self.lock().refused.get(key) {
            return Err(BackendError::new("get", Some(key), *kind));
        }
        let got = really()?;
        *self.lock().requests.got_bytes.entry(key.kind()).or_default() += got.len() as u64;
        Ok(got)
    }
}

impl Backend for DistantBackend {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        self.ask(|requests| requests.changes += 1);
        self.inner.put(key, body)
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        self.read(key, || self.inner.get(key, range))
    }

    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        self.read(key, || self.inner.get_whole(key, max_bytes))
    }

    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        self.ask(|requests| *requests.lists.entry(kind).or_default() += 1);
        self.inner.list(kind, prefix)
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        self.ask(|requests| requests.changes += 1);
        self.inner.remove(key)
    }

    fn connections(&self) -> NonZeroUsize {
        self.connections
    }

    fn place(&self) -> String {
        "far away".to_owned()
    }
}

#[cfg(test)]
crate::backend_suite!(distance_changes_nothing_of_the_contract, || {
    Box::new(DistantBackend::new(std::sync::Arc::new(crate::MemoryBackend::new())))
});
