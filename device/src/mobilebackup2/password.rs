//! The verb `ChangePassword`: the backup password is set, changed or taken away.
//!
//! One request, and one answer when somebody has entered the passcode on the device. Nothing on this
//! side changes; what the device keeps of the password is in its keychain.
use std::fmt;

use plist::{Dictionary, Value};
use zeroize::Zeroizing;

use super::errors;
use crate::devicelink::message::response_code;
use crate::devicelink::{DeviceLink, Message, Status, StatusCode};
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::transport::Wait;

/// How many things a device may ask for before its answer. None was seen to ask for anything.
const QUESTIONS_MAX: u32 = 16;

/// A password as a device takes it: text. Wiped when it is dropped.
pub type Password = Zeroizing<String>;

/// What shall become of a device's backup password. `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordChange {
    /// There is none; from now on backups are encrypted.
    On {
        /// The first one.
        new: Password,
    },
    /// It is taken away; from now on backups are not encrypted.
    Off {
        /// The one there is.
        old: Password,
    },
    /// It gives way to another.
    Change {
        /// The one there is.
        old: Password,
        /// The one to come.
        new: Password,
    },
}

impl PasswordChange {
    /// Whether backups are encrypted afterwards.
    pub fn will_encrypt(&self) -> bool {
        !matches!(self, PasswordChange::Off { .. })
    }

    /// The request to the device that calls itself `target`. What is not said is not there: an empty
    /// text might be taken for a password. The list holds copies that nobody wipes; it has no type
    /// that would.
    fn message(&self, target: &str) -> Dictionary {
        let (old, new) = match self {
            PasswordChange::On { new } => (None, Some(new)),
            PasswordChange::Off { old } => (Some(old), None),
            PasswordChange::Change { old, new } => (Some(old), Some(new)),
        };
        let mut message = Dictionary::new();
        message.insert("TargetIdentifier".to_owned(), target.into());
        for (key, password) in [("NewPassword", new), ("OldPassword", old)] {
            if let Some(password) = password {
                message.insert(key.to_owned(), password.as_str().into());
            }
        }
        message.insert("MessageName".to_owned(), "ChangePassword".into());
        message
    }
}

impl fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PasswordChange::On { .. } => "On(hidden)",
            PasswordChange::Off { .. } => "Off(hidden)",
            PasswordChange::Change { .. } => "Change(hidden)",
        })
    }
}

/// Asks for the change. From here on it may have happened, whatever else is heard.
///
/// # Errors
///
/// The connection broke, or `wait` has enough.
pub fn ask(
    link: &mut DeviceLink,
    target: &str,
    change: &PasswordChange,
    wait: &mut dyn Wait,
) -> Result<()> {
    link.request(change.message(target), wait)
}

/// Hears what came of it: nothing but "yes" is none of the errors.
///
/// # Errors
///
/// - [`WrongPassword`](DeviceErrorKind::WrongPassword): the old one is wrong, or there is one and
///   none was given.
/// - [`PasscodeNeeded`](DeviceErrorKind::PasscodeNeeded), [`Managed`](DeviceErrorKind::Managed) and
///   all others of [`errors`].
/// - [`ConnectionLost`](DeviceErrorKind::ConnectionLost): whether it happened is not known. So it is
///   when `wait` has enough.
/// - [`Protocol`](DeviceErrorKind::Protocol): it says what no device says here.
pub fn hear(link: &mut DeviceLink, wait: &mut dyn Wait) -> Result<()> {
    let mut questions = 0;
    while questions < QUESTIONS_MAX {
        match link.receive(wait)? {
            Some(Message::Process(response)) => return verdict(&response),
            None | Some(Message::Disconnect) => {
                let sentence = "the device closed the connection before it said what became of \
                                the backup password";
                return Err(DeviceError::new(DeviceErrorKind::ConnectionLost, sentence));
            }
            Some(Message::Ping) => {}
            // Files would follow, and nobody here wants any.
            Some(message @ (Message::UploadFiles { .. } | Message::DownloadFiles { .. })) => {
                return Err(senseless(&message.name()));
            }
            Some(_) => link.answer(Status::failed(StatusCode::Unknown), wait)?,
        }
        questions += 1;
    }
    Err(senseless("too much"))
}

fn verdict(response: &Dictionary) -> Result<()> {
    match response_code(response) {
        Some(0) => Ok(()),
        // A last word without a code is no success.
        code => {
            let description = response.get("ErrorDescription").and_then(Value::as_string);
            Err(errors::failure(code.unwrap_or(-1), description))
        }
    }
}

fn senseless(said: &str) -> DeviceError {
    let sentence = format!("the device said {said} while its backup password was changed");
    DeviceError::new(DeviceErrorKind::Protocol, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Zeroizing::new(text.to_owned())
    }

    fn response(code: Option<i64>, description: &str) -> Dictionary {
        let mut response = Dictionary::new();
        response.insert("MessageName".to_owned(), "Response".into());
        if let Some(code) = code {
            response.insert("ErrorCode".to_owned(), code.into());
        }
        response.insert("ErrorDescription".to_owned(), description.into());
        response
    }

    #[test]
    fn each_change_says_the_passwords_it_is_about_and_no_other() {
        let (old, new) = (password("four"), password("Füße"));
        let on = PasswordChange::On { new: new.clone() };
        let off = PasswordChange::Off { old: old.clone() };
        let change = PasswordChange::Change { old, new };
        for (change, old, new, will_encrypt) in [
            (on, None, Some("Füße"), true),
            (off, Some("four"), None, false),
            (change, Some("four"), Some("Füße"), true),
        ] {
            let message = change.message("00008030");
            let text = |key: &str| message.get(key).and_then(Value::as_string);
            assert_eq!((text("OldPassword"), text("NewPassword")), (old, new));
            assert_eq!(text("MessageName"), Some("ChangePassword"));
            assert_eq!(text("TargetIdentifier"), Some("00008030"));
            assert_eq!(change.will_encrypt(), will_encrypt);
            let shown = format!("{change:?}");
            assert!(!shown.contains("four") && !shown.contains("Füße"), "{shown}");
        }
    }

    #[test]
    fn only_a_code_of_zero_is_a_yes() {
        use DeviceErrorKind as Kind;
        assert!(verdict(&response(Some(0), "")).is_ok());
        let managed = "Error setting WillEncrypt (MBErrorDomain/1). Underlying error: \
                       (MBErrorDomain/22)";
        for (code, words, kind) in [
            (None, "", Kind::DeviceFailed),
            (Some(-1), "", Kind::DeviceFailed),
            (Some(1), managed, Kind::Managed),
            (Some(207), "Invalid password", Kind::WrongPassword),
            (Some(208), "Device locked", Kind::PasscodeNeeded),
        ] {
            let error = verdict(&response(code, words)).unwrap_err();
            assert_eq!(error.kind(), kind, "{code:?}");
        }
    }
}
