//! The one error the engine returns, and the few kinds a caller can act on.
use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, said in terms of what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Stored bytes do not match their name or their seal. Run `check`; do not retry.
    Damaged,
    /// No key in the repository opens with the password given.
    WrongPassword,
    /// A writer key of another repository, or one that was removed.
    WrongKey,
    /// A sweeper fenced this run. Run again: what was stored is found.
    Fenced,
    /// The object, snapshot or path asked for is not there.
    NotFound,
    /// There is no repository at this place.
    NoRepository,
    /// Something is already there that must not be overwritten.
    AlreadyExists,
    /// Somebody else changed the same thing at the same time. Look, and run again.
    Conflict,
    /// The storage shows an older state than this computer has seen there.
    RolledBack,
    /// The words given fit more than one thing.
    Ambiguous,
    /// The request itself cannot be met: a bad path, a bad parameter.
    Invalid,
    /// The storage or the disk has no room left.
    NoSpace,
    /// Credentials or permissions do not allow it.
    Denied,
    /// It is there, in an archive of the storage (cold storage), from where it must be brought back first.
    Archived,
    /// The storage could not be reached or asked us to slow down. Retrying may help.
    Unreachable,
    /// The repository was written by a newer devsnap.
    TooNew,
    /// The source stopped before it had sent everything.
    SourceFailed,
    /// This computer's own files (cache, temporary files, restore target) failed.
    LocalDisk,
    /// The folder of this computer's copies cannot be used.
    CacheFolder,
    /// The person asked to stop.
    Interrupted,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Damaged => "stored data is damaged",
            ErrorKind::WrongPassword => "no key opens with this password",
            ErrorKind::WrongKey => "this writer key does not open it",
            ErrorKind::Fenced => "the run was fenced",
            ErrorKind::NotFound => "not found",
            ErrorKind::NoRepository => "there is no repository",
            ErrorKind::AlreadyExists => "already exists",
            ErrorKind::Conflict => "somebody else changed it at the same time",
            ErrorKind::RolledBack => "the storage shows an older state than was seen there",
            ErrorKind::Ambiguous => "more than one fits",
            ErrorKind::Invalid => "not possible",
            ErrorKind::NoSpace => "no space left",
            ErrorKind::Denied => "not permitted",
            ErrorKind::Archived => "it lies in cold storage",
            ErrorKind::Unreachable => "the storage cannot be reached",
            ErrorKind::TooNew => "written by a newer devsnap",
            ErrorKind::SourceFailed => "the source stopped",
            ErrorKind::LocalDisk => "this computer's disk failed",
            ErrorKind::CacheFolder => "the cache folder cannot be used",
            ErrorKind::Interrupted => "interrupted",
        })
    }
}

/// An engine failure: its kind, what was being done, and what caused it.
///
/// `Display` prints one line without the cause; walk [`StdError::source`] for the rest.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    doing: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of `kind` while `doing` something, e.g. `"reading pack 3f2a9c01"`.
    pub fn new(kind: ErrorKind, doing: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, doing: doing.into(), source: None }))
    }

    /// A failure of this computer's own files: no room, or anything else, by the cause.
    pub fn local(doing: impl Into<String>, cause: std::io::Error) -> Self {
        let kind = match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                ErrorKind::NoSpace
            }
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::LocalDisk,
        };
        Error::new(kind, doing).because(cause)
    }

    /// A failure of the folder of this computer's copies: no room, or that it cannot be used.
    pub(crate) fn cache(folder: &Path, cause: std::io::Error) -> Self {
        let doing = format!("opening {}", folder.display());
        match Error::local(doing.as_str(), cause) {
            error if error.kind() == ErrorKind::NoSpace => error,
            Error(inner) => Error(Box::new(Inner { kind: ErrorKind::CacheFolder, ..*inner })),
        }
    }

    /// Attaches the cause. The first cause is kept; later calls panic in debug builds.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        debug_assert!(self.0.source.is_none(), "an error has one cause");
        self.0.source = Some(cause.into());
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn doing(&self) -> &str {
        &self.0.doing
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.doing, self.0.kind)
    }
}
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    }
}
impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}
