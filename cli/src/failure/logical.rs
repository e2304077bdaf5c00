//! What it means that a set cannot be seen as its owner knows it.
use super::{ExitCode, Failure, with_causes};
use devsnap_device::conversion::{Locked, NoManifest};
use devsnap_device::logical::{NoContent, NotExtracted, NotLogical};
use devsnap_device::manifest::BadManifest;

/// What is left to do with a set whose manifest is none.
const BAD_SET: &str = "its files can still be had by their stored names: `devsnap ls SNAP`";

impl From<NotLogical> for Failure {
    fn from(error: NotLogical) -> Self {
        match error {
            NotLogical::Engine(error) => error.into(),
            NotLogical::Io(error) => Failure::reading(error),
            NotLogical::Manifest(NoManifest::Sealed(error)) => Failure::reading(error),
            NotLogical::Manifest(NoManifest::Bad(bad)) => bad.into(),
            NotLogical::Locked(locked) => locked.into(),
            other => Failure::new(ExitCode::Failed, with_causes(&other)).hint(BAD_SET),
        }
    }
}

impl From<Locked> for Failure {
    fn from(locked: Locked) -> Self {
        match locked {
            Locked::Wrong => {
                let line = "the backup password is wrong";
                Failure::new(ExitCode::WrongBackupPassword, line).hint(
                    "it is the one the device had when the backup was made, which may have been \
                     changed since; it is not that of the repository",
                )
            }
            Locked::Interrupted => Failure::new(ExitCode::Interrupted, "stopped as asked"),
            other => Failure::new(ExitCode::Failed, with_causes(&other)).hint(BAD_SET),
        }
    }
}

impl From<BadManifest> for Failure {
    fn from(bad: BadManifest) -> Self {
        match bad {
            BadManifest::Interrupted => Failure::new(ExitCode::Interrupted, "stopped as asked"),
            bad => {
                let line = format!("Manifest.db cannot be used: {}", with_causes(&bad));
                Failure::new(ExitCode::Failed, line).hint(BAD_SET)
            }
        }
    }
}

impl From<NoContent> for Failure {
    fn from(no: NoContent) -> Self {
        match no {
            NoContent::Engine(error) => error.into(),
            no => Failure::new(ExitCode::Failed, with_causes(&no)),
        }
    }
}

impl From<NotExtracted> for Failure {
    fn from(error: NotExtracted) -> Self {
        match error {
            NotExtracted::Manifest(bad) => bad.into(),
            NotExtracted::Engine(error) => error.into(),
            other => Failure::new(ExitCode::Failed, with_causes(&other)),
        }
    }
}
