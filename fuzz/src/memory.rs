//! A store in memory whose objects the fuzzer exchanges.
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendError, BackendErrorKind, Body, Listing, ObjectInfo, ObjectKey, ObjectKind,
};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Objects by name; what is stored of one kind can be put aside for something else.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<BTreeMap<ObjectKey, Bytes>>);

impl Shelf {
    /// From now on these are all objects of `kind`.
    pub(crate) fn replace_all(&self, kind: ObjectKind, objects: Vec<(ObjectKey, Vec<u8>)>) {
        let mut shelf = self.lock();
        shelf.retain(|key, _| key.kind() != kind);
        shelf.extend(objects.into_iter().map(|(key, bytes)| (key, Bytes::from(bytes))));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Bytes>> {
        // What broke a promise does not spoil the map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Shelf {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        let Body::Bytes(bytes) = body else {
            return Err(BackendError::new("put", Some(key), BackendErrorKind::Medium));
        };
        self.lock().insert(key.clone(), bytes);
        Ok(())
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        let whole = self.get_whole(key, u64::MAX)?;
        let part = range.start as usize..range.end as usize;
        if part.start > part.end || part.end > whole.len() {
            return Err(BackendError::new("get", Some(key), BackendErrorKind::ShortObject));
        }
        Ok(whole.slice(part))
    }

    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        let failed = |kind| BackendError::new("get", Some(key), kind);
        let whole = self.lock().get(key).cloned();
        let whole = whole.ok_or_else(|| failed(BackendErrorKind::NotFound))?;
        if whole.len() as u64 > max_bytes {
            return Err(failed(BackendErrorKind::TooLarge));
        }
        Ok(whole)
    }

    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        let fits = |key: &ObjectKey| key.kind() == kind && key.name().starts_with(prefix);
        let shelf = self.lock();
        let fitting = shelf.iter().filter(|(key, _)| fits(key));
        let info = |(key, bytes): (&ObjectKey, &Bytes)| {
            let size_bytes = bytes.len() as u64;
            Ok(ObjectInfo { key: key.clone(), size_bytes, stored_at_secs: None })
        };
        Box::new(fitting.map(info).collect::<Vec<_>>().into_iter())
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        self.lock().remove(key);
        Ok(())
    }

    fn connections(&self) -> NonZeroUsize {
        NonZeroUsize::MIN
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
