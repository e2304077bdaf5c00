//! What a device's failure means for the person in front of it.
use super::{ExitCode, Failure, with_causes};
use devsnap_device::{DeviceError, DeviceErrorKind};
use devsnap_engine::error::{Error, ErrorKind};
use std::error::Error as StdError;

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        of(&error)
    }
}

/// The device's failure in the engine's error; `None` when the engine's own kind says more: no
/// device is involved, or the device only gave up because something here could not be stored.
pub(super) fn in_error(error: &Error) -> Option<Failure> {
    let of_device = device_error(error)?;
    (of_device.kind() != DeviceErrorKind::StorageFailed).then(|| of(of_device))
}

/// What a device failed of in an error of the engine, if one did.
pub fn device_kind(error: &Error) -> Option<DeviceErrorKind> {
    device_error(error).map(DeviceError::kind)
}

fn device_error(error: &Error) -> Option<&DeviceError> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref() {
            return Some(error);
        }
        cause = inner.source();
    }
    None
}

impl Failure {
    /// A device's failure while a snapshot was restored onto it. One of the storage's is told as that.
    pub fn of_restore(error: &DeviceError) -> Failure {
        let mut failure = of(error);
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(engine) = inner.downcast_ref::<Error>() {
                failure.code = super::code_of(engine.kind());
                let advice = match engine.kind() {
                    ErrorKind::Interrupted => advice_in_restore(DeviceErrorKind::Cancelled),
                    kind => super::advice_of(kind),
                };
                failure.advice = advice.map(str::to_owned);
                return failure;
            }
            cause = inner.source();
        }
        if let Some(advice) = advice_in_restore(error.kind()) {
            failure.advice = Some(advice.to_owned());
        }
        failure
    }
}

/// What to do is not what it is in a backup.
fn advice_in_restore(kind: DeviceErrorKind) -> Option<&'static str> {
    use DeviceErrorKind as Kind;
    Some(match kind {
        Kind::ConnectionLost => {
            "check the cable or the network and run it again: it begins anew, and what the device has \
             of it already is replaced"
        }
        Kind::Protocol => {
            "the device may hold a part of the snapshot now; run it again, and if it stays so, tell us \
             what the device is: --record writes down what is said"
        }
        Kind::DeviceFailed => "restart the device and run it again",
        Kind::WrongPassword => {
            "it is the backup password that the device had when the snapshot was made: neither its \
             passcode nor the password of the repository"
        }
        Kind::SnapshotUnfit => "choose another snapshot: `devsnap snapshots` lists them",
        Kind::StorageFailed => "the device may hold a part of the snapshot now; run it again",
        Kind::Cancelled => {
            "the device may hold a part of the snapshot now; run it again when it suits"
        }
        _ => return None,
    })
}

fn of(error: &DeviceError) -> Failure {
    let failure = Failure::new(code_of(error.kind()), with_causes(error));
    match advice_of(error.kind()) {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

fn code_of(kind: DeviceErrorKind) -> ExitCode {
    use DeviceErrorKind as Kind;
    match kind {
        Kind::NoUsbmuxd | Kind::NotConnected | Kind::NotTrusted | Kind::TrustRefused => {
            ExitCode::NoDevice
        }
        Kind::SeveralDevices => ExitCode::Usage,
        Kind::Locked | Kind::PasscodeNeeded => ExitCode::Locked,
        Kind::Managed | Kind::FindMyOn | Kind::SetupUnfinished | Kind::CloudRestore => {
            ExitCode::Refused
        }
        Kind::NoSpaceHere | Kind::NoSpaceOnDevice => ExitCode::NoSpace,
        Kind::WrongPassword => ExitCode::WrongBackupPassword,
        Kind::Cancelled => ExitCode::Interrupted,
        _ => ExitCode::Failed,
    }
}

/// How usbmuxd is started here.
const START_USBMUXD: &str = if cfg!(target_os = "macos") {
    "it is part of macOS: attach the device, or restart the computer"
} else {
    "install the package usbmuxd, attach the device, and if it does not start by itself: \
     `sudo systemctl start usbmuxd`. USBMUXD_SOCKET_ADDRESS names another socket"
};

fn advice_of(kind: DeviceErrorKind) -> Option<&'static str> {
    use DeviceErrorKind as Kind;
    Some(match kind {
        Kind::NoUsbmuxd => START_USBMUXD,
        Kind::NotConnected => {
            "attach it by cable and unlock it: one that has been locked for an hour shows itself \
             to no computer; `devsnap devices` lists those that are seen, --wait waits for it"
        }
        Kind::SeveralDevices => "name one with --device, or take --all",
        Kind::ConnectionLost => {
            "check the cable or the network and run it again; the last snapshot is as it was"
        }
        Kind::NotTrusted => "unlock the device, run `devsnap pair`, and tap \"Trust\" on it",
        Kind::TrustRefused => "unplug the device and attach it again: then it asks once more",
        Kind::Locked => {
            "unlock the device and run it again; after it was switched on it must have been \
             unlocked once"
        }
        Kind::PasscodeNeeded => {
            "run it again and enter the passcode on the device when it asks for it"
        }
        Kind::Protocol => {
            "nothing was kept; run it again, and if it stays so, tell us what the device is"
        }
        Kind::DeviceFailed => {
            "run it again; if it stays so, restart the device, or back up everything with --full"
        }
        Kind::RestartDevice => "restart the device, then run it again",
        Kind::SyncBusy => {
            "let Finder, iTunes or whatever syncs with the device finish, or close it, and run it \
             again"
        }
        Kind::SetupUnfinished => "finish setting the device up, on the device, and run it again",
        Kind::CloudRestore => {
            "let the device finish its restore from iCloud: Settings, your name, iCloud says when"
        }
        Kind::Managed => {
            "ask who manages the device; Settings, General, VPN & Device Management shows the profile"
        }
        Kind::FindMyOn => "switch it off on the device: Settings, your name, Find My",
        Kind::WrongPassword => {
            "the backup password belongs to the device; if it is lost, Settings, General, \
             Transfer or Reset, Reset All Settings removes it"
        }
        Kind::NoSpaceHere => {
            "free so much on the disk of the repository. The device counts what is stored already \
             too: if less will do, tell it so with --max-size SIZE or --ignore-space"
        }
        Kind::NoSpaceOnDevice => "free some space on the device and run it again",
        Kind::PreviousUnusable => "back up everything with --full",
        Kind::SnapshotUnfit => "choose another snapshot: `devsnap snapshots` lists them",
        Kind::StorageFailed => "run it again; the last snapshot is as it was",
        Kind::Cancelled => "the last snapshot is as it was; run it again when it suits",
        Kind::UnfinishedBackupSet => {
            "let the backup finish and try again, or take it as it is with --allow-unfinished"
        }
        Kind::BadBackupSet => {
            "make the backup again, or keep the files as they are with --as-folder"
        }
        Kind::Unreadable => "check permissions; on macOS the terminal needs \"Full Disk Access\"",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_device::mobilebackup2::errors;
    use devsnap_engine::error::ErrorKind;
    use devsnap_engine::source::SourceError;

    /// An error as the engine hands a device's on.
    fn of_source(error: DeviceError) -> Error {
        let error = SourceError(Box::new(error));
        Error::new(ErrorKind::SourceFailed, "reading the source").because(error.0)
    }

    #[test]
    fn every_code_of_a_device_is_told_in_words_with_what_to_do() {
        let codes = (1..=26).chain(100..=106).chain(202..=224).chain(300..=307).chain([999]);
        for code in codes {
            let failure = Failure::from(of_source(errors::failure(code, None)));
            assert!(failure.advice().is_some(), "{code}");
            assert!(!failure.message().starts_with("reading the source"), "{failure:?}");
            assert!(failure.message().contains(&format!("the device says {code}")), "{failure:?}");
        }
    }

    #[test]
    fn a_restore_is_told_in_its_own_words_and_a_storages_failure_as_that() {
        for code in (1..=26).chain(100..=106).chain(202..=224).chain([999]) {
            let failure = Failure::of_restore(&errors::failure_of_restore(code, None));
            let advice = failure.advice().unwrap();
            assert!(!advice.contains("--full") && !advice.contains("last snapshot"), "{code}");
        }
        let lost = Error::new(ErrorKind::Damaged, "reading a content");
        let unread = DeviceError::new(DeviceErrorKind::StorageFailed, "a file could not be read");
        let failure = Failure::of_restore(&unread.because(lost));
        assert_eq!(failure.code(), ExitCode::Damaged);
        assert!(failure.advice().unwrap().contains("check --read-data"));
        let stopped = Error::new(ErrorKind::Interrupted, "reading a content");
        let unread = DeviceError::new(DeviceErrorKind::StorageFailed, "a file could not be read");
        let failure = Failure::of_restore(&unread.because(stopped));
        assert_eq!(failure.code(), ExitCode::Interrupted);
        assert!(failure.advice().unwrap().contains("may hold a part"));
    }

    #[test]
    fn every_kind_a_person_can_act_on_has_its_exit_code() {
        use DeviceErrorKind as Kind;
        for (kind, code) in [
            (Kind::NoSpaceHere, 20),
            (Kind::NoSpaceOnDevice, 20),
            (Kind::NoUsbmuxd, 21),
            (Kind::NotConnected, 21),
            (Kind::NotTrusted, 21),
            (Kind::TrustRefused, 21),
            (Kind::Locked, 22),
            (Kind::PasscodeNeeded, 22),
            (Kind::Managed, 24),
            (Kind::FindMyOn, 24),
            (Kind::SetupUnfinished, 24),
            (Kind::WrongPassword, 25),
            (Kind::SeveralDevices, 2),
            (Kind::Cancelled, 130),
            (Kind::ConnectionLost, 1),
            (Kind::RestartDevice, 1),
        ] {
            let failure = Failure::from(of_source(DeviceError::new(kind, "so it is")));
            assert_eq!(failure.code() as u8, code, "{kind:?}");
            assert!(failure.advice().is_some(), "{kind:?}");
        }
    }

    #[test]
    fn what_could_not_be_stored_is_told_as_the_storages_failure() {
        let full = Error::new(ErrorKind::NoSpace, "writing a pack");
        let gave_up = DeviceError::new(DeviceErrorKind::StorageFailed, "could not be stored");
        let failure = Failure::from(of_source(gave_up.because(full)));
        assert_eq!(failure.code(), ExitCode::NoSpace);
    }
}
