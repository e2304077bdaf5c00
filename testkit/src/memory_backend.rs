//! A backend that is a map: the contract at its plainest, for tests of everything above it.
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectInfo, ObjectKey, ObjectKind,
};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Objects in memory. Share it between several "computers" with an `Arc`.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    objects: Mutex<BTreeMap<ObjectKey, Bytes>>,
}

impl MemoryBackend {
    /// An empty one.
    pub fn new() -> Self {
        MemoryBackend::default()
    }

    /// A copy of everything it holds now: the storage as a power cut would leave it.
    pub fn contents(&self) -> BTreeMap<ObjectKey, Bytes> {
        self.lock().clone()
    }

    /// A backend that holds `contents`.
    pub fn with_contents(contents: BTreeMap<ObjectKey, Bytes>) -> Self {
        MemoryBackend { objects: Mutex::new(contents) }
    }

    /// Overwrites what lies under `key`, or adds it: damage, as a bad disk or a hostile host does
    /// it. No code under test may call this.
    pub fn replace(&self, key: &ObjectKey, bytes: impl Into<Bytes>) {
        self.lock().insert(key.clone(), bytes.into());
    }

    /// How many objects it holds.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Bytes>> {
        // A test that panicked while it held the lock has failed already; the map is whole.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &ObjectKey) -> Result<Bytes, BackendError> {
        let found = self.lock().get(key).cloned();
        found.ok_or_else(|| BackendError::new("get", Some(key), BackendErrorKind::NotFound))
    }
}

impl Backend for MemoryBackend {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        let bytes = bytes_of(key, body)?;
        self.lock().entry(key.clone()).or_insert(bytes);
        Ok(())
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let whole = self.find(key)?;
        let part = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok())
            .filter(|(start, end)| start <= end && *end <= whole.len());
        match part {
            Some((start, end)) => Ok(whole.slice(start..end)),
            None => Err(BackendError::new("get", Some(key), BackendErrorKind::ShortObject)),
        }
    }

    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        let whole = self.find(key)?;
        if whole.len() as u64 > max_bytes {
            return Err(BackendError::new("get", Some(key), BackendErrorKind::TooLarge));
        }
        Ok(whole)
    }

    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        let listed: Vec<_> = self
            .lock()
            .iter()
            .filter(|(key, _)| key.kind() == kind && key.name().starts_with(prefix))
            .map(|(key, bytes)| {
                Ok(ObjectInfo {
                    key: key.clone(),
                    size_bytes: bytes.len() as u64,
                    stored_at_secs: None,
                })
            })
            .collect();
        Box::new(listed.into_iter())
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        self.lock().remove(key);
        Ok(())
    }

    fn connections(&self) -> NonZeroUsize {
        const { NonZeroUsize::new(4).expect("because 4 is not 0") }
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// The bytes of `body`; a file is read and then removed, since the caller gave it up.
pub(crate) fn bytes_of(key: &ObjectKey, body: Body) -> Result<Bytes, BackendError> {
    match body {
        Body::Bytes(bytes) => Ok(bytes),
        Body::File { path, size_bytes } => {
            let failed = |e| {
                BackendError::new("put", Some(key), BackendErrorKind::Medium).because(Box::new(e))
            };
            let bytes = std::fs::read(&path).map_err(failed)?;
            if bytes.len() as u64 != size_bytes {
                return Err(BackendError::new("put", Some(key), BackendErrorKind::ShortObject));
            }
            std::fs::remove_file(&path).map_err(failed)?;
            Ok(Bytes::from(bytes))
        }
    }
}

#[cfg(test)]
crate::backend_suite!(memory_keeps_the_contract, || Box::new(MemoryBackend::new()));
