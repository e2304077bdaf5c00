//! What a failure of a disk or a service means to the engine.
use devsnap_engine::backend::{BackendError, BackendErrorKind, ObjectKey};
use std::error::Error as StdError;
use std::fmt;
use std::io;

/// Nothing this computer has could sign a request: the signing library's words, and ours.
const NO_CREDENTIAL: &str = "failed to load signing credential";
const NO_CREDENTIAL_FOUND: &str =
    "no credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE";

/// How much of a service's own words is passed on, in characters.
const SAID_CHARS_MAX: usize = 300;

/// A failure that does not yet know which call it failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: BackendErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Failure {
    pub(crate) fn kind(&self) -> BackendErrorKind {
        self.kind
    }

    /// The error of a call of `operation` on `key`.
    pub(crate) fn of(self, operation: &'static str, key: Option<&ObjectKey>) -> BackendError {
        let mut error = BackendError::new(operation, key, self.kind);
        error.source = self.source;
        error
    }

    /// Where `kind` makes no sense as an answer, it is the medium that failed.
    pub(crate) fn not_as(mut self, kind: BackendErrorKind) -> Self {
        if self.kind == kind {
            self.kind = BackendErrorKind::Medium;
        }
        self
    }
}

impl From<BackendErrorKind> for Failure {
    fn from(kind: BackendErrorKind) -> Self {
        Failure { kind, source: None }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure { kind: kind_of_io(&error), source: Some(Box::new(error)) }
    }
}

impl From<opendal::Error> for Failure {
    fn from(error: opendal::Error) -> Self {
        let said = ServiceError::of(&error);
        let kind = kind_of_service(&error, &said.0);
        let said = match said.0.contains(NO_CREDENTIAL) {
            true => ServiceError(NO_CREDENTIAL_FOUND.to_owned()),
            false => said,
        };
        Failure { kind, source: Some(Box::new(said)) }
    }
}

/// What an error of this computer's file system means.
pub(crate) fn kind_of_io(error: &io::Error) -> BackendErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => BackendErrorKind::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackendErrorKind::NoSpace,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            BackendErrorKind::Denied
        }
        _ => BackendErrorKind::Medium,
    }
}

/// What an error of a service means. Whatever may be retried has been, by then.
fn kind_of_service(error: &opendal::Error, said: &str) -> BackendErrorKind {
    use opendal::ErrorKind;
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match error.kind() {
        // A bucket that is missing is not an object that is missing.
        ErrorKind::NotFound if says(&["NoSuchBucket"]) => BackendErrorKind::Medium,
        ErrorKind::NotFound => BackendErrorKind::NotFound,
        // S3's code, and Azure's.
        _ if says(&["InvalidObjectState", "BlobArchived"]) => BackendErrorKind::Archived,
        ErrorKind::PermissionDenied => BackendErrorKind::Denied,
        _ if says(&[NO_CREDENTIAL]) => BackendErrorKind::Denied,
        ErrorKind::RangeNotSatisfied => BackendErrorKind::ShortObject,
        // The codes of S3-compatible services that have an end; S3 itself has none.
        _ if says(&[
            "QuotaExceeded",
            "StorageFull",
            "InsufficientStorage",
            "InsufficientCapacity",
        ]) =>
        {
            BackendErrorKind::NoSpace
        }
        ErrorKind::RateLimited => BackendErrorKind::Unreachable,
        _ if error.is_temporary() || error.is_persistent() => BackendErrorKind::Unreachable,
        _ => BackendErrorKind::Medium,
    }
}

/// What a service said, without the request and reply around it: those carry addresses, headers
/// and identities that nobody asked to see in a log.
#[derive(Debug)]
struct ServiceError(String);

impl ServiceError {
    fn of(error: &opendal::Error) -> Self {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut said: String = error.message().chars().map(plain).take(SAID_CHARS_MAX).collect();
        let mut cause = error.source();
        while let Some(inner) = cause {
            // Only the innermost cause: the ones between repeat it with the request's address.
            cause = inner.source();
            if cause.is_none() {
                said.extend(
                    ": ".chars().chain(inner.to_string().chars().map(plain)).take(SAID_CHARS_MAX),
                );
            }
        }
        ServiceError(said)
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for ServiceError {}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn full_and_forbidden_disks_are_told_apart_from_broken_ones() {
        for (errno, kind) in [
            (Errno::NOSPC, BackendErrorKind::NoSpace),
            (Errno::DQUOT, BackendErrorKind::NoSpace),
            (Errno::ACCESS, BackendErrorKind::Denied),
            (Errno::PERM, BackendErrorKind::Denied),
            (Errno::ROFS, BackendErrorKind::Denied),
            (Errno::NOENT, BackendErrorKind::NotFound),
            (Errno::IO, BackendErrorKind::Medium),
        ] {
            assert_eq!(kind_of_io(&errno.into()), kind, "{errno:?}");
        }
    }

    /// What an error of a service means that says so.
    fn said_with(kind: opendal::ErrorKind, said: &str) -> BackendErrorKind {
        Failure::from(opendal::Error::new(kind, said)).kind()
    }

    #[test]
    fn a_missing_bucket_is_not_a_missing_object() {
        let missing = |said| said_with(opendal::ErrorKind::NotFound, said);
        assert_eq!(missing("S3Error { code: \"NoSuchKey\" }"), BackendErrorKind::NotFound);
        assert_eq!(missing("S3Error { code: \"NoSuchBucket\" }"), BackendErrorKind::Medium);
    }

    #[test]
    fn what_lies_in_an_archive_is_not_forbidden() {
        let told = |said| said_with(opendal::ErrorKind::PermissionDenied, said);
        assert_eq!(told("S3Error { code: \"AccessDenied\" }"), BackendErrorKind::Denied);
        assert_eq!(told("S3Error { code: \"InvalidObjectState\" }"), BackendErrorKind::Archived);
    }

    #[test]
    fn the_context_of_a_request_is_not_passed_on() {
        let error = opendal::Error::new(opendal::ErrorKind::PermissionDenied, "not yours")
            .with_context("uri", "http://host/bucket?X-Amz-Security-Token=secret");
        let error = Failure::from(error).of("get", None);
        let told = format!("{error} {error:?}");
        assert!(told.contains("not yours") && !told.contains("secret"), "{told}");
    }
}
