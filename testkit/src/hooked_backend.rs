//! A backend that tells somebody of its calls: for tests in which something happens just then.
use devsnap_engine::backend::{
    Backend, BackendError, Body, Listing, ObjectInfo, ObjectKey, ObjectKind,
};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

type Hook = Box<dyn Fn(&ObjectKey) + Send + Sync>;

/// What happens while something is listed, and which names were met before that.
struct Torn {
    kind: ObjectKind,
    meanwhile: Box<dyn Fn(&str) + Send + Sync>,
    is_early: fn(&ObjectKey) -> bool,
}

/// Does all that the backend in it does.
pub struct HookedBackend {
    inner: Arc<dyn Backend>,
    before_put: Hook,
    after_put: Hook,
    before_get: Hook,
    torn: Option<Torn>,
}

impl HookedBackend {
    /// Calls nobody yet.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        let nobody = || -> Hook { Box::new(|_| ()) };
        HookedBackend {
            inner,
            before_put: nobody(),
            after_put: nobody(),
            before_get: nobody(),
            torn: None,
        }
    }

    /// Calls `hook` before each put; the put waits for it.
    #[must_use]
    pub fn before_put(mut self, hook: impl Fn(&ObjectKey) + Send + Sync + 'static) -> Self {
        self.before_put = Box::new(hook);
        self
    }

    /// Calls `hook` after each put that succeeded, before its caller is told.
    #[must_use]
    pub fn after_put(mut self, hook: impl Fn(&ObjectKey) + Send + Sync + 'static) -> Self {
        self.after_put = Box::new(hook);
        self
    }

    /// Calls `hook` before each object is read, whole or in part.
    #[must_use]
    pub fn before_get(mut self, hook: impl Fn(&ObjectKey) + Send + Sync + 'static) -> Self {
        self.before_get = Box::new(hook);
        self
    }

    /// Calls `meanwhile` with the prefix in the middle of each list of `kind`: the names that `is_early`
    /// picks are those from before, all others those from after it. That is all that a list promises.
    #[must_use]
    pub fn torn_lists(
        mut self,
        kind: ObjectKind,
        is_early: fn(&ObjectKey) -> bool,
        meanwhile: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        self.torn = Some(Torn { kind, meanwhile: Box::new(meanwhile), is_early });
        self
    }
}

impl Backend for HookedBackend {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        (self.before_put)(key);
        self.inner.put(key, body)?;
        (self.after_put)(key);
        Ok(())
    }

    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        (self.before_get)(key);
        self.inner.get(key, range)
    }

    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        (self.before_get)(key);
        self.inner.get_whole(key, max_bytes)
    }

    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        let Some(torn) = self.torn.as_ref().filter(|torn| torn.kind == kind) else {
            return self.inner.list(kind, prefix);
        };
        let is_early = |info: &Result<_, _>| {
            info.as_ref().is_ok_and(|info: &ObjectInfo| (torn.is_early)(&info.key))
        };
        let mut listed: Vec<_> = self.inner.list(kind, prefix).filter(is_early).collect();
        (torn.meanwhile)(prefix);
        listed.extend(self.inner.list(kind, prefix).filter(|info| !is_early(info)));
        Box::new(listed.into_iter())
    }

    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        self.inner.remove(key)
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
