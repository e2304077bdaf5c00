//! `encryption on`, `off` and `change-password`: a device gets, loses or changes its backup password.
//!
//! Passwords come first, so that who cannot give one hears it before a device is asked anything.
use super::super::choose::{Attached, find_one};
use super::super::record::recorded;
use super::super::{Host, patience};
use crate::args::{
    ChangeBackupPasswordArgs, EncryptionDeviceArgs, EncryptionOffArgs, EncryptionOnArgs,
};
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use crate::password::Password;
use crate::report::json;
use crate::report::text::escaped;
use devsnap_device::mobilebackup2::password::{Password as Text, PasswordChange};
use devsnap_device::watch::DeviceWatch;
use devsnap_device::{
    BackupEncryption, DeviceError, DeviceErrorKind, EncryptionOptions, EncryptionState,
};
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Said before a password is set.
const NOBODY_RECOVERS: &str = "nobody can recover a backup password. Without it what is backed up \
    from now on cannot be restored; write it down";

pub(super) fn on(session: &Session<'_>, args: &EncryptionOnArgs) -> Result<ExitCode, Failure> {
    session.report.warn(NOBODY_RECOVERS);
    let new = text(session.new_backup_password(&args.new)?)?;
    run(session, &args.device, &PasswordChange::On { new })
}

pub(super) fn off(session: &Session<'_>, args: &EncryptionOffArgs) -> Result<ExitCode, Failure> {
    let old = text(session.backup_password(&args.old)?)?;
    run(session, &args.device, &PasswordChange::Off { old })
}

pub(super) fn change_password(
    session: &Session<'_>,
    args: &ChangeBackupPasswordArgs,
) -> Result<ExitCode, Failure> {
    session.report.warn(NOBODY_RECOVERS);
    let old = text(session.backup_password(&args.old)?)?;
    let new = text(session.new_backup_password(&args.new)?)?;
    if old == new {
        return Err(Failure::usage("the new backup password is the old one")
            .hint("give another, or leave it as it is; the device was asked nothing"));
    }
    run(session, &args.device, &PasswordChange::Change { old, new })
}

/// A device takes text; of it every byte counts, so none is changed.
fn text(password: Password) -> Result<Text, Failure> {
    let text = std::str::from_utf8(&password).map(|text| Zeroizing::new(text.to_owned()));
    text.map_err(|_| {
        Failure::usage("the backup password is not UTF-8, which is all a device takes")
    })
}

fn run(
    session: &Session<'_>,
    args: &EncryptionDeviceArgs,
    change: &PasswordChange,
) -> Result<ExitCode, Failure> {
    recorded(session, args.recording.record.as_deref(), |host| {
        let named = args.choice.device.as_deref();
        let attached = find_one(session, host, named, args.wait)?;
        let done = at_device(session, args, host, &attached, change)?;
        tell(session, &attached, change, done)?;
        Ok(ExitCode::Done)
    })
}

/// Whether there was anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Changed,
    /// It was as wished before.
    Nothing,
}

fn at_device(
    session: &Session<'_>,
    args: &EncryptionDeviceArgs,
    host: &Host,
    attached: &Attached,
    change: &PasswordChange,
) -> Result<Done, Failure> {
    let (udid, interrupt) = (attached.udid(), session.interrupt);
    let watch: Arc<dyn DeviceWatch> =
        Arc::new(session.report.watch_device(udid.as_str(), attached.name()));
    let options = EncryptionOptions {
        pairing: patience(args.wait),
        passcode_patience: args.wait,
        ..EncryptionOptions::new(host.records.clone())
    };
    let transport = Arc::clone(&host.transport);
    let connected = BackupEncryption::connect(transport, Some(udid), options, watch, interrupt);
    let mut device = connected.map_err(|error| match Failure::from(error) {
        stopped if stopped.code() == ExitCode::Interrupted => {
            stopped.hint("no password was asked for on the device, and none was changed")
        }
        failure => failure,
    })?;
    if is_as_wished(device.state(), change, attached.shown())? {
        return Ok(Done::Nothing);
    }
    let state = device.change(change, interrupt).map_err(unsure_of)?;
    agrees(state, change, attached.shown())?;
    Ok(Done::Changed)
}

/// Whether the device is as wished already.
///
/// # Errors
///
/// It cannot become so.
fn is_as_wished(
    state: EncryptionState,
    change: &PasswordChange,
    name: &str,
) -> Result<bool, Failure> {
    match (change, state.will_encrypt) {
        (PasswordChange::Off { .. }, Some(false)) => Ok(true),
        (PasswordChange::Off { .. }, _) if state.is_required => {
            let line = format!("a management profile of {name} requires encrypted backups");
            Err(Failure::new(ExitCode::Refused, line)
                .hint("ask who manages the device; only they can allow it. Nothing was changed"))
        }
        (PasswordChange::On { .. }, Some(true)) => {
            let line =
                format!("{name} encrypts its backups already, with another password or this");
            Err(Failure::new(ExitCode::Failed, line).hint(
                "`devsnap encryption change-password` changes it, `devsnap encryption verify` \
                 tries one. Nothing was changed",
            ))
        }
        (PasswordChange::Change { .. }, Some(false)) => {
            let line =
                format!("{name} does not encrypt its backups, so it has no password to change");
            Err(Failure::new(ExitCode::Failed, line)
                .hint("`devsnap encryption on` gives it one. Nothing was changed"))
        }
        _ => Ok(false),
    }
}

/// A failure of a change; where nobody knows whether it happened, that is said.
fn unsure_of(error: DeviceError) -> Failure {
    let is_unsure = matches!(
        error.kind(),
        DeviceErrorKind::ConnectionLost | DeviceErrorKind::Cancelled | DeviceErrorKind::Protocol
    );
    let failure = Failure::from(error);
    match is_unsure {
        true => failure.hint(
            "the device did not say whether the password was changed: see `devsnap encryption \
             status`, and try both passwords",
        ),
        false => failure,
    }
}

/// The device has said "yes"; it must say the same of itself.
fn agrees(state: EncryptionState, change: &PasswordChange, name: &str) -> Result<(), Failure> {
    let wished = change.will_encrypt();
    let line = match state.will_encrypt {
        Some(is) if is == wished => return Ok(()),
        Some(true) => format!("{name} agreed, and says that it still encrypts its backups"),
        Some(false) => format!("{name} agreed, and says that it does not encrypt its backups"),
        None => format!("{name} agreed, and cannot be asked whether it encrypts its backups"),
    };
    Err(Failure::new(ExitCode::Failed, line)
        .hint("see `devsnap encryption status` in a minute, before you rely on it"))
}

fn tell(
    session: &Session<'_>,
    device: &Attached,
    change: &PasswordChange,
    done: Done,
) -> Result<(), Failure> {
    session.report.summary(
        || {
            let mut line = json::line("summary");
            let fields = json!({
                "udid": device.udid().as_str(),
                "name": device.name(),
                "encrypts": change.will_encrypt(),
                "changed": done == Done::Changed,
                "next_snapshot_full": done == Done::Changed,
            });
            if let Value::Object(fields) = fields {
                line.extend(fields);
            }
            line.into()
        },
        || {
            let name = escaped(device.shown());
            if done == Done::Nothing {
                return format!("{name} does not encrypt its backups; nothing was changed");
            }
            let (now, earlier) = match change {
                PasswordChange::On { .. } => {
                    ("encrypts its backups now", "have no backup password")
                }
                PasswordChange::Off { .. } => {
                    ("does not encrypt its backups any more", "keep the old password")
                }
                PasswordChange::Change { .. } => {
                    ("has another backup password now", "keep the old password")
                }
            };
            format!("{name} {now}. The next snapshot transfers everything; earlier ones {earlier}")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(will_encrypt: Option<bool>, is_required: bool) -> EncryptionState {
        EncryptionState { will_encrypt, is_required }
    }

    fn password() -> Text {
        "secret".to_owned().into()
    }

    #[test]
    fn what_cannot_be_is_told_before_the_device_is_asked_for_it() {
        let on = PasswordChange::On { new: password() };
        let off = PasswordChange::Off { old: password() };
        let change = PasswordChange::Change { old: password(), new: password() };
        let wished = |change, will_encrypt, is_required| {
            is_as_wished(state(will_encrypt, is_required), change, "X").map_err(|f| f.code())
        };
        for unsaid in [None, Some(true)] {
            assert_eq!(wished(&off, unsaid, false), Ok(false));
            assert_eq!(wished(&change, unsaid, true), Ok(false));
            assert_eq!(wished(&off, unsaid, true), Err(ExitCode::Refused));
        }
        assert_eq!(wished(&on, Some(false), false), Ok(false));
        assert_eq!(wished(&on, Some(true), false), Err(ExitCode::Failed));
        assert_eq!(wished(&off, Some(false), true), Ok(true));
        assert_eq!(wished(&change, Some(false), false), Err(ExitCode::Failed));
    }

    #[test]
    fn a_device_that_contradicts_itself_is_not_believed() {
        let off = PasswordChange::Off { old: password() };
        assert!(agrees(state(Some(false), false), &off, "X").is_ok());
        for said in [Some(true), None] {
            assert_eq!(agrees(state(said, false), &off, "X").unwrap_err().code(), ExitCode::Failed);
        }
    }

    #[test]
    fn who_was_cut_off_is_told_that_nobody_knows() {
        for kind in [DeviceErrorKind::ConnectionLost, DeviceErrorKind::Cancelled] {
            let failure = unsure_of(DeviceError::new(kind, "so it is"));
            assert!(failure.advice().unwrap().contains("did not say"), "{failure:?}");
        }
        let wrong = unsure_of(DeviceError::new(DeviceErrorKind::WrongPassword, "it is wrong"));
        assert_eq!(wrong.code(), ExitCode::WrongBackupPassword);
        assert!(!wrong.advice().unwrap().contains("did not say"), "{wrong:?}");
    }

    #[test]
    fn a_password_that_is_no_text_is_refused_and_not_shown() {
        let failure = text(Zeroizing::new(b"hunter\xff".to_vec())).unwrap_err();
        assert_eq!(failure.code(), ExitCode::Usage);
        assert!(!format!("{failure:?}").contains("hunter"));
        assert_eq!(*text(Zeroizing::new(b" a \n".to_vec())).unwrap(), " a \n");
    }
}
