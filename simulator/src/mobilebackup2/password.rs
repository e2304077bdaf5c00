//! ChangePassword: enables, changes and disables encrypted backups. Nothing on the host changes;
//! the next backup is a full one.
use super::session::Session;
use super::stop::{MbError, Step, Stop};
use super::text;
use plist::Dictionary;

/// Does what the request says.
///
/// # Errors
///
/// The old password is wrong, missing or not wanted; or nobody typed the passcode.
pub(super) fn change(session: &mut Session<'_, '_>, request: &Dictionary) -> Step<()> {
    // An empty string is what hosts send for "none".
    let given = |key| text(request, key).filter(|password| !password.is_empty());
    let (old, new) = (given("OldPassword"), given("NewPassword"));
    session.passcode_sheet()?;
    session.refusal()?;
    session.cancellation()?;
    let current = session.phone.backup_password();
    if old.is_none() && new.is_none() {
        return Err(Stop::refused(MbError::INTERNAL, "Neither an old nor a new password"));
    }
    if current.as_deref() != old {
        return Err(Stop::refused(MbError::PASSWORD, "Invalid password"));
    }
    if new.is_none() && session.faults.requires_encryption {
        let text = "Cannot remove encryption. Underlying error: Forbidden by profile \
                    (MBErrorDomain/22)";
        return Err(Stop::refused(MbError::INTERNAL, text));
    }
    session.phone.set_backup_password(new.map(str::to_owned));
    session.phone.post("com.apple.mobile.backup.domain_changed");
    Ok(())
}
