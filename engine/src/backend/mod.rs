//! Where sealed objects are kept: the port every storage service plugs into.
//!
//! A backend keeps opaque byte strings under names the engine chooses. It never sees a key, a
//! plaintext, or the meaning of what it holds, so everything above this file can change without
//! a backend noticing, and the storage need not be trusted.
//!
//! # What a backend promises
//!
//! - *Whole or absent.* Once [`put`](Backend::put) returns `Ok`, [`get`](Backend::get) yields
//!   exactly those bytes, even after a power cut on the storage side. When `put` fails, the name
//!   is absent or holds a whole object, never a part of one.
//! - *Write once.* The engine never puts two different byte strings under one name, so an
//!   implementation may answer `Ok` for a name it already holds.
//! - *Visible at once.* What a `put` or `remove` that returned `Ok` did is seen by every later
//!   `get` and `list` of any client. The deletion protocol rests on this
//!   (`docs/crash-safety.md`).
//! - *No order.* Calls may overlap and finish in any order. Where order matters (a pack before
//!   the index that names it) the engine waits for `Ok`.
//!
//! `devsnap_testkit::backend_suite!` checks them; a backend is done when the suite passes.
mod layout;

use crate::error::{Error, ErrorKind};
use bytes::Bytes;
use std::error::Error as StdError;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use layout::{folder_of, key_at, path_of};

/// What the names of packs that are being written in [`Backend::staging`] begin with.
pub const STAGED_PACK_PREFIX: &str = "pack-";

/// What an object is for; decides the folder it is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// The repository's parameters and key slots, numbered.
    Config,
    /// Who is writing: open, heartbeat, end and fence marks.
    Session,
    /// One snapshot.
    Snapshot,
    /// Tags, descriptions and forget notes.
    Note,
    /// A stretch of the index, or a tombstone.
    IndexSegment,
    /// A pack of tree pages and id lists.
    MetaPack,
    /// A pack of content.
    DataPack,
    /// Marks of a sweeper.
    Gc,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [ObjectKind; 8] = [
        ObjectKind::Config,
        ObjectKind::Session,
        ObjectKind::Snapshot,
        ObjectKind::Note,
        ObjectKind::IndexSegment,
        ObjectKind::MetaPack,
        ObjectKind::DataPack,
        ObjectKind::Gc,
    ];
}

/// The longest object name, in bytes.
pub const NAME_LEN_MAX: usize = 200;

/// The full name of a stored object: a content hash, or a short name such as `7f3a.beat-3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    kind: ObjectKind,
    name: String,
}

impl ObjectKey {
    /// The key of `name` within `kind`.
    ///
    /// # Panics
    ///
    /// When `name` is not one to [`NAME_LEN_MAX`] of `a-z 0-9 . -`, or begins with a dot: names
    /// are made by the engine; what a listing brings goes through [`parse`](Self::parse).
    pub fn new(kind: ObjectKind, name: impl Into<String>) -> Self {
        let name = name.into();
        ObjectKey::parse(kind, &name).expect("because the engine makes only well-formed names")
    }

    /// The key of `name` within `kind`, when it is a well-formed name.
    pub fn parse(kind: ObjectKind, name: &str) -> Option<Self> {
        let fits = (1..=NAME_LEN_MAX).contains(&name.len()) && !name.starts_with('.');
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        (fits && name.bytes().all(plain)).then(|| ObjectKey { kind, name: name.to_owned() })
    }

    /// What it is for.
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// Its name within the kind.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&path_of(self))
    }
}

/// One line of a listing.
#[derive(Debug, Clone)]
pub struct ObjectInfo {
    /// The object's name.
    pub key: ObjectKey,
    /// Stored size, in bytes.
    pub size_bytes: u64,
    /// When the storage says it was written, in seconds since 1970; for people and for judging a
    /// writer's clock, never for safety.
    pub stored_at_secs: Option<i64>,
}

/// What a put stores.
#[derive(Debug)]
pub enum Body {
    /// These bytes.
    Bytes(Bytes),
    /// A finished temporary file, which the backend may move away: the caller gives it up.
    File {
        /// Where it is; in [`Backend::staging`] when the backend has one.
        path: PathBuf,
        /// Its length, in bytes.
        size_bytes: u64,
    },
}

impl Body {
    /// How many bytes it holds.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File { size_bytes, .. } => *size_bytes,
        }
    }
}

/// A listing: objects in no particular order; an `Err` ends it.
pub type Listing<'a> = Box<dyn Iterator<Item = Result<ObjectInfo, BackendError>> + 'a>;

/// A service that keeps sealed objects.
pub trait Backend: Send + Sync {
    /// Stores `body` under `key`, durably.
    ///
    /// Blocks the calling thread until the object would survive a power cut. The engine calls
    /// this from [`connections`](Self::connections) threads at once.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](BackendErrorKind::NoSpace) and [`Denied`](BackendErrorKind::Denied) are final;
    /// [`Unreachable`](BackendErrorKind::Unreachable) means the implementation has already retried
    /// and given up.
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError>;

    /// Reads `range` of the object, in bytes from its start.
    ///
    /// # Errors
    ///
    /// [`NotFound`](BackendErrorKind::NotFound) when there is no such object, and
    /// [`ShortObject`](BackendErrorKind::ShortObject) when it ends before `range` does. A short
    /// read is never returned as success.
    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError>;

    /// Reads the whole object, which may have at most `max_bytes`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`TooLarge`](BackendErrorKind::TooLarge), before anything is
    /// allocated for it, when it is longer.
    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError>;

    /// Names every object of `kind` whose name begins with `prefix`, in no particular order.
    ///
    /// # Errors
    ///
    /// An item is `Err` when the listing broke off; the caller must then treat the whole listing
    /// as unknown, because prune deletes what it does not see named.
    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a>;

    /// Removes the object. Removing what is not there succeeds.
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put), without `NoSpace`.
    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError>;

    /// How many calls this service handles well at the same time, at least 1.
    ///
    /// A hint for sizing the upload pool, not a limit the engine enforces.
    fn connections(&self) -> NonZeroUsize;

    /// A folder from which [`Body::File`] can be moved into place without copying, if there is
    /// one; it is there once something was put. The engine makes packs there, under names that begin
    /// with [`STAGED_PACK_PREFIX`]; what it leaves after a crash, the backend removes.
    fn staging(&self) -> Option<&Path> {
        None
    }

    /// Where this is, for people: never with a secret.
    fn place(&self) -> String;
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn put(&self, key: &ObjectKey, body: Body) -> Result<(), BackendError> {
        (**self).put(key, body)
    }
    fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, BackendError> {
        (**self).get(key, range)
    }
    fn get_whole(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, BackendError> {
        (**self).get_whole(key, max_bytes)
    }
    fn list<'a>(&'a self, kind: ObjectKind, prefix: &str) -> Listing<'a> {
        (**self).list(kind, prefix)
    }
    fn remove(&self, key: &ObjectKey) -> Result<(), BackendError> {
        (**self).remove(key)
    }
    fn connections(&self) -> NonZeroUsize {
        (**self).connections()
    }
    fn staging(&self) -> Option<&Path> {
        (**self).staging()
    }
    fn place(&self) -> String {
        (**self).place()
    }
}

/// Why a backend call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendErrorKind {
    /// No object of that name.
    NotFound,
    /// The object ends before the range asked for.
    ShortObject,
    /// The object is longer than the caller is ready to take.
    TooLarge,
    /// Credentials or permissions do not allow it.
    Denied,
    /// The object is there, in an archive that gives nothing out unless asked long before.
    Archived,
    /// No room left.
    NoSpace,
    /// The service could not be reached, after the implementation's own retries.
    Unreachable,
    /// Somebody asked to stop while the service let us wait.
    Interrupted,
    /// Anything else the medium reports, e.g. an input/output error.
    Medium,
}

/// A failed backend call: which call, on what, and why.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} {}", self.what())]
pub struct BackendError {
    /// `"put"`, `"get"`, `"list"` or `"remove"`.
    pub operation: &'static str,
    /// The object, when the call named one.
    pub key: Option<ObjectKey>,
    /// Why.
    pub kind: BackendErrorKind,
    /// The service's own error.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl BackendError {
    /// A failure without a cause of its own.
    pub fn new(operation: &'static str, key: Option<&ObjectKey>, kind: BackendErrorKind) -> Self {
        BackendError { operation, key: key.cloned(), kind, source: None }
    }

    /// Attaches the service's own error.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    fn what(&self) -> String {
        self.key.as_ref().map_or_else(|| "objects".to_owned(), ObjectKey::to_string)
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Error {
        let kind = match error.kind {
            BackendErrorKind::NotFound => ErrorKind::NotFound,
            BackendErrorKind::ShortObject | BackendErrorKind::TooLarge => ErrorKind::Damaged,
            BackendErrorKind::Denied => ErrorKind::Denied,
            BackendErrorKind::Archived => ErrorKind::Archived,
            BackendErrorKind::Interrupted => ErrorKind::Interrupted,
            BackendErrorKind::NoSpace => ErrorKind::NoSpace,
            BackendErrorKind::Unreachable | BackendErrorKind::Medium => ErrorKind::Unreachable,
        };
        let doing = format!("{} {}", gerund(error.operation), error.what());
        Error::new(kind, doing).because(error)
    }
}

fn gerund(operation: &str) -> &str {
    match operation {
        "put" => "storing",
        "get" => "reading",
        "list" => "listing",
        "remove" => "removing",
        other => other,
    }
}

// Fails to compile if the trait stops being usable behind `dyn`.
const _: fn(&dyn Backend) = |_| {};
