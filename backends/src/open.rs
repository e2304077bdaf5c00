//! From a location and what the environment says to an open backend.
use crate::local::LocalBackend;
use crate::location::Location;
use crate::s3::S3Backend;
use devsnap_engine::backend::{Backend, BackendErrorKind};
use devsnap_engine::interrupt::Interrupt;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Environment variables by name, as handed over by the program.
///
/// This crate does not look at the environment for what it finds here, so that one place, the
/// program, decides what is used. `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<String, String>);

impl Credentials {
    /// The variables' names that this crate looks for.
    pub const NAMES: [&'static str; 9] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL",
        "DEVSNAP_S3_STYLE",
    ];

    /// The variable `name`, when it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Credentials {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(variables: T) -> Self {
        Credentials(variables.into_iter().map(|(n, v)| (n.into(), v.into())).collect())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why a backend could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder does not exist.
    #[error("there is no folder {}", path.display())]
    NoFolder {
        /// Which.
        path: PathBuf,
    },
    /// The folder cannot be used.
    #[error("could not use the folder {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the cause means.
        kind: BackendErrorKind,
        /// The cause.
        source: io::Error,
    },
    /// The environment does not say enough, or contradicts itself.
    #[error("{0}")]
    Settings(String),
}

/// Opens the backend at `location`, which must exist; a bucket is first asked when it is used. Once
/// `interrupt` is raised nobody waits for a service that does not answer.
///
/// # Errors
///
/// See [`OpenError`].
pub fn open(
    location: &Location,
    credentials: &Credentials,
    interrupt: &Interrupt,
) -> Result<Box<dyn Backend>, OpenError> {
    match location {
        Location::Folder(path) => Ok(Box::new(LocalBackend::open(path)?)),
        Location::S3(s3) => Ok(Box::new(S3Backend::open(s3, credentials, interrupt)?)),
    }
}

/// As [`open`], but makes the folder where it is missing. Buckets are not made: their settings
/// (region, versions, locks) are their owner's.
///
/// # Errors
///
/// See [`OpenError`].
pub fn create(
    location: &Location,
    credentials: &Credentials,
    interrupt: &Interrupt,
) -> Result<Box<dyn Backend>, OpenError> {
    match location {
        Location::Folder(path) => Ok(Box::new(LocalBackend::create(path)?)),
        Location::S3(_) => open(location, credentials, interrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_show_their_values() {
        let credentials: Credentials = [("AWS_SECRET_ACCESS_KEY", "hunter2")].into_iter().collect();
        assert_eq!(credentials.get("AWS_SECRET_ACCESS_KEY"), Some("hunter2"));
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
