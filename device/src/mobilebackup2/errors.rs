//! What the device's last word means when it is not "all is well".
//!
//! # Source
//!
//! `docs/device-protocol.md`, "Error codes": the meaning of each, and where it was seen.
use crate::error::{DeviceError, DeviceErrorKind};

/// The domain of the codes, as it stands in the device's texts.
const DOMAIN: &str = "MBErrorDomain/";

/// What is kept of the device's own words, in characters.
const TEXT_LEN_MAX: usize = 1000;

/// Codes in one text that are looked at.
const CODES_MAX: usize = 16;

/// The device's own words, as the cause of an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the device says {}: {}", self.code, self.text.escape_debug())]
pub struct Said {
    /// The code of its answer.
    pub code: i64,
    /// Its words.
    pub text: String,
}

/// A device's answer to `Backup` with `code` and its `description`, as an error of this crate.
///
/// A code that only says that several things failed gives way to the first that says more.
pub fn failure(code: i64, description: Option<&str>) -> DeviceError {
    told(code, description, meaning)
}

/// As [`failure`], of an answer to `Restore`.
pub fn failure_of_restore(code: i64, description: Option<&str>) -> DeviceError {
    told(code, description, |code| meaning_in_restore(code).unwrap_or_else(|| meaning(code)))
}

fn told(
    code: i64,
    description: Option<&str>,
    meaning: impl Fn(i64) -> (DeviceErrorKind, &'static str),
) -> DeviceError {
    let text: String = description.unwrap_or("no reason").chars().take(TEXT_LEN_MAX).collect();
    let telling = std::iter::once(code)
        .chain(codes_in(&text))
        .find(|code| !is_general(*code))
        .unwrap_or(code);
    let (kind, sentence) = meaning(telling);
    DeviceError::new(kind, sentence).because(Said { code, text })
}

/// Whether other codes in the text say more than this one: it says where it failed, not why.
fn is_general(code: i64) -> bool {
    matches!(code, 1 | 2 | 9 | 17 | 100..=104)
}

/// Every code in a text such as `... (MBErrorDomain/104). Underlying error: ... (MBErrorDomain/208)`.
pub fn codes_in(text: &str) -> impl Iterator<Item = i64> {
    text.split(DOMAIN).skip(1).take(CODES_MAX).filter_map(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count().min(6);
        rest[..digits].parse().ok()
    })
}

/// What codes mean in a restore that mean something else in a backup.
fn meaning_in_restore(code: i64) -> Option<(DeviceErrorKind, &'static str)> {
    use DeviceErrorKind as Kind;
    Some(match code {
        103 => (Kind::DeviceFailed, "the device could not read what it was given of the snapshot"),
        105 => (Kind::NoSpaceOnDevice, "the device has too little room"),
        106 => (Kind::NoSpaceOnDevice, "the device has too little room for the snapshot"),
        203 => (
            Kind::SnapshotUnfit,
            "the device cannot take the snapshot: it is of a newer version of the system, or too old",
        ),
        204 => (
            Kind::SnapshotUnfit,
            "the device finds the snapshot empty, or of a backup that was never finished",
        ),
        205 => (
            Kind::SnapshotUnfit,
            "the device finds the snapshot incomplete or damaged: a file of it did not arrive, or is \
             not what its manifest says",
        ),
        207 => (Kind::WrongPassword, "the snapshot's backup password is wrong or missing"),
        217..=224 => (Kind::Cancelled, "the device put the restore off"),
        _ => return None,
    })
}

/// What a person can do about a code, and the code in plain words.
pub fn meaning(code: i64) -> (DeviceErrorKind, &'static str) {
    use DeviceErrorKind as Kind;
    match code {
        3 => (
            Kind::RestartDevice,
            "the device still has a snapshot of a run that broke off; restart it and try again",
        ),
        4..=8 => (Kind::DeviceFailed, "the device did not find its own files as it expected"),
        9 => (Kind::DeviceFailed, "a file of the device kept changing while it was sent"),
        11 | 12 => (Kind::DeviceFailed, "the device could not read a list or database of its own"),
        13 => (Kind::Locked, "the device could not read protected files; unlock it"),
        14 | 17 => (Kind::DeviceFailed, "the device is busy; try again"),
        22 => (Kind::Managed, "a management profile of the device forbids it"),
        24 => (Kind::DeviceFailed, "the device was not allowed to do what it tried"),
        25 => (Kind::CloudRestore, "the device is being restored from iCloud; let it finish first"),
        26 => (Kind::DeviceFailed, "the device could not move a file of its own"),
        100 => (Kind::DeviceFailed, "reading or writing failed on the device"),
        101 | 102 => (Kind::DeviceFailed, "the device could not read or write its own files"),
        103 => (Kind::DeviceFailed, "the device could not read what it was given of its backup"),
        104 => (Kind::DeviceFailed, "the device could not hand its files over"),
        105 => (Kind::NoSpaceHere, "there is too little room for what the device wants to send"),
        106 => (Kind::NoSpaceOnDevice, "the device has too little room"),
        202 => (Kind::Cancelled, "it was cancelled on the device"),
        203 => (
            Kind::PreviousUnusable,
            "the device cannot use the last backup: it is of another version of the system",
        ),
        204 => (Kind::PreviousUnusable, "the last backup is empty, or was never finished"),
        205 => (
            Kind::PreviousUnusable,
            "the device finds the last backup incomplete; back up everything with --full",
        ),
        207 => (Kind::WrongPassword, "the backup password is wrong or missing"),
        208 => {
            (Kind::PasscodeNeeded, "the device is locked, or nobody entered its passcode in time")
        }
        210 => (Kind::SetupUnfinished, "there is no iCloud account on the device"),
        211 => (Kind::FindMyOn, "\"Find My\" is on; switch it off on the device first"),
        212 => (Kind::SetupUnfinished, "the device is not set up or not activated yet"),
        217..=224 => (Kind::Cancelled, "the device put the backup off"),
        300..=307 => (Kind::DeviceFailed, "the device failed to talk to iCloud"),
        _ => (Kind::DeviceFailed, "the device reported a failure"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn an_underlying_reason_is_told_rather_than_that_something_failed() {
        let text = "Multiple errors uploading files (MBErrorDomain/104). Underlying error: \
                    Device locked (MBErrorDomain/208).";
        assert_eq!(failure(104, Some(text)).kind(), DeviceErrorKind::PasscodeNeeded);
        let managed = "Error setting WillEncrypt (MBErrorDomain/1). Underlying error: x \
                       (MBErrorDomain/22)";
        assert_eq!(failure(1, Some(managed)).kind(), DeviceErrorKind::Managed);
        assert_eq!(failure(104, None).kind(), DeviceErrorKind::DeviceFailed);
        assert_eq!(failure(105, None).kind(), DeviceErrorKind::NoSpaceHere);
        assert_eq!(failure(987_654, Some("")).kind(), DeviceErrorKind::DeviceFailed);
    }

    #[test]
    fn a_restore_is_not_told_to_back_anything_up() {
        for code in [25, 103, 105, 106, 203, 204, 205, 207, 211] {
            let error = failure_of_restore(code, None);
            let said = error.to_string();
            assert!(!said.contains("--full") && !said.contains("last backup"), "{said}");
            assert_ne!(error.kind(), DeviceErrorKind::PreviousUnusable, "{code}");
            assert_ne!(error.kind(), DeviceErrorKind::NoSpaceHere, "{code}");
        }
        let text = "Multiple errors downloading files (MBErrorDomain/205)";
        assert_eq!(failure_of_restore(2, Some(text)).kind(), DeviceErrorKind::SnapshotUnfit);
        assert_eq!(failure_of_restore(211, None).kind(), DeviceErrorKind::FindMyOn);
    }

    #[test]
    fn what_stays_as_it_is_is_never_worth_a_second_try() {
        for code in [105, 106, 207, 208, 3, 22, 25, 202, 203, 205, 211, 212] {
            assert!(!failure(code, None).kind().may_pass(), "{code}");
        }
        for code in [1, 17, 100, 104] {
            assert!(failure(code, None).kind().may_pass(), "{code}");
        }
    }

    #[test]
    fn the_devices_words_are_kept_and_cannot_move_the_cursor() {
        let error = failure(1, Some("a\x1b[2J (MBErrorDomain/) (MBErrorDomain/99999999999999)"));
        let said = error.source().unwrap().to_string();
        assert!(said.contains("a\\u{1b}") && !said.contains('\x1b'), "{said}");
    }
}
