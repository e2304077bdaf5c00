//! A backend that is a map: the contract at its plainest, for tests of everything above it.
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectInfo, ObjectKey, ObjectKind,
};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Objects in memory. Share it between several "computers" with an `Arc`.
///
/// Its clock is its own: it goes on by a second with every put, the same in every run.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    objects: Mutex<BTreeMap<ObjectKey, Stored>>,
    now_secs: AtomicI64,
    staging: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    at_secs: i64,
}

impl MemoryBackend {
    /// An empty one.
    pub fn new() -> Self {
        MemoryBackend::default()
    }

    /// A copy of everything it holds now: the storage as a power cut would leave it.
    pub fn contents(&self) -> BTreeMap<ObjectKey, Bytes> {
        self.lock().iter().map(|(key, stored)| (key.clone(), stored.bytes.clone())).collect()
    }

    /// A backend that holds `contents`.
    pub fn with_contents(contents: BTreeMap<ObjectKey, Bytes>) -> Self {
        let stored = |(key, bytes)| (key, Stored { bytes, at_secs: 0 });
        let objects = Mutex::new(contents.into_iter().map(stored).collect());
        MemoryBackend { objects, ..MemoryBackend::default() }
    }

    /// An empty one that has its packs made in `folder`, as a store on this computer's disks does.
    pub fn staging_in(folder: PathBuf) -> Self {
        MemoryBackend { staging: Some(folder), ..MemoryBackend::default() }
    }

    /// Lets time pass.
    pub fn wait_secs(&self, secs: i64) {
        self.now_secs.fetch_add(secs, Ordering::Relaxed);
    }

    fn stored(&self, bytes: Bytes) -> Stored {
        Stored { bytes, at_secs: self.now_secs.fetch_add(1, Ordering::Relaxed) }
    }

    /// Overwrites what lies under `key`, or adds it: damage, as a bad disk or a hostile host does
    /// it. No code under test may call this.
    pub fn replace(&self, key: &ObjectKey, bytes: impl Into<Bytes>) {
        let stored = self.stored(bytes.into());
        self.lock().insert(key.clone(), stored);
    }

    /// How many objects it holds.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Stored>> {
        // A test that panicked while it held the lock has failed already; the map is whole.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &ObjectKey) -> Result<Bytes, BackendError> {
        let found = self.lock().get(key).map(|stored| stored.bytes.clone());
        found.ok_or_else(|| BackendError::new("get", Some(key), BackendErrorKind::NotFound))
    }
}

impl Backend for MemoryBackend {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        let bytes = bytes_of(key, body)?;
        let stored = self.stored(bytes);
        self.lock().entry(key.clone()).or_insert(stored);
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
            .map(|(key, stored)| {
                Ok(ObjectInfo {
                    key: key.clone(),
                    size_bytes: stored.bytes.len() as u64,
                    stored_at_secs: Some(stored.at_secs),
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

    fn staging(&self) -> Option<&Path> {
        self.staging.as_deref()
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
