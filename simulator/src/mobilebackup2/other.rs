//! Requests that phones answer badly, since their manifests are databases: hosts send them still.
use super::Ending;
use super::session::Session;
use super::stop::{MbError, Step, Stop};
use crate::contents::Contents;

/// `Info`: the phone looks at the backup and fails over its password.
///
/// # Errors
///
/// Always; which one depends on whether there is a backup.
pub(super) fn info(session: &mut Session<'_, '_>) -> Step<Ending> {
    for name in ["Status.plist", "Manifest.plist"] {
        let path = session.path(name);
        if session.fetch(&path)?.is_none() {
            return Err(Stop::refused(MbError::EMPTY, "There is no backup"));
        }
    }
    Err(Stop::refused(MbError::PASSWORD, "Invalid password"))
}

/// `List`: the phone looks for the manifest of iOS 9.
///
/// # Errors
///
/// Always.
pub(super) fn list(session: &mut Session<'_, '_>) -> Step<Ending> {
    let path = session.path("Manifest.mbdb");
    session.fetch(&path)?;
    Err(Stop::refused(MbError::CORRUPT, "Error reading the manifest"))
}

/// `EraseDevice`: nothing is left on the phone, its backup password neither. No word is said.
///
/// # Errors
///
/// The phone's state cannot be written, or another session uses it.
pub(super) fn erase(session: &mut Session<'_, '_>) -> Step<Ending> {
    session.passcode_sheet()?;
    session.refusal()?;
    let _exclusive = session.exclusive()?;
    let seed = session.contents()?.seed();
    Contents::empty(seed).save(session.phone.folder())?;
    session.phone.set_backup_password(None);
    Ok(Ending::Drops)
}
