//! One connection to lockdownd: a request, an answer, and again.
use std::fmt;
use std::time::Duration;

use plist::{Dictionary, Value};

use super::tls::Tls;
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::PlistLimits;
use crate::plist_stream::{Encoding, PlistStream};
use crate::transport::{AtMost, DeviceStream, Link, Wait};

/// The port lockdownd listens on.
pub const PORT: u16 = 62078;

/// What we call ourselves in every request.
const LABEL: &str = "devsnap";

/// How long one answer may take. A device that shows a dialog answers at once that it does.
pub(super) const ANSWER_WAIT: AtMost = AtMost(Duration::from_secs(30));

/// A request that lockdownd answered with an error, in its own word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the device says {}", self.0.escape_debug())
    }
}

impl Refusal {
    /// The refusal as an error of this crate, `doing` something, e.g. `"starting a session"`.
    ///
    /// # Source
    ///
    /// `docs/device-protocol.md`, "Errors of lockdown".
    pub fn into_error(self, doing: &str) -> DeviceError {
        use DeviceErrorKind as Kind;
        let (kind, what) = match self.0.as_str() {
            "PasswordProtected" => (Kind::Locked, "the device is locked"),
            "EscrowLocked" => {
                (Kind::Locked, "the device was not unlocked since it was switched on")
            }
            "InvalidHostID" | "MissingHostID" | "InvalidPairRecord" | "MissingPairRecord" => {
                (Kind::NotTrusted, "the device does not know this computer")
            }
            "PairingDialogResponsePending" => {
                (Kind::NotTrusted, "nobody has tapped \"Trust\" on the device yet")
            }
            "UserDeniedPairing" => {
                (Kind::TrustRefused, "somebody tapped \"Don't Trust\" on the device")
            }
            "PairingProhibitedOverThisConnection" => {
                (Kind::NotTrusted, "the device can be paired by cable only")
            }
            "MCProtected" | "MCChallengeRequired" | "ServiceProhibited" => {
                (Kind::Managed, "a management profile of the device forbids it")
            }
            "FMiPProtected" => (Kind::FindMyOn, "\"Find My\" is on"),
            "MissingActivationRecord" | "InvalidActivationRecord" => {
                (Kind::SetupUnfinished, "the device is not activated")
            }
            _ => (Kind::DeviceFailed, "the device refused"),
        };
        DeviceError::new(kind, format!("{doing}: {what}")).because(self)
    }
}

/// A connection to lockdownd.
pub struct Lockdown {
    stream: PlistStream,
    answer_wait: AtMost,
}

impl Lockdown {
    /// Speaks on a fresh stream to [`PORT`], and waits so long for each answer.
    ///
    /// # Errors
    ///
    /// The stream is gone.
    pub fn over(stream: Box<dyn DeviceStream>, answer_wait: AtMost) -> Result<Self> {
        let stream = PlistStream::new(Link::exact(stream)?, Encoding::Xml, PlistLimits::SERVICE);
        Ok(Lockdown { stream, answer_wait })
    }

    /// Goes on under TLS.
    ///
    /// # Errors
    ///
    /// As [`Tls::connect`].
    pub fn secured(self, tls: &Tls, wait: &mut dyn Wait) -> Result<Self> {
        let stream = self.stream.into_link().into_stream();
        Lockdown::over(tls.connect(stream, wait)?, self.answer_wait)
    }

    /// Asks `request` with what else `with` holds; the answer, or the word of refusal.
    ///
    /// # Errors
    ///
    /// The connection broke, or the answer belongs to no such request.
    pub fn ask(
        &mut self,
        request: &str,
        with: Dictionary,
    ) -> Result<std::result::Result<Dictionary, Refusal>> {
        self.say(request, Dictionary::new(), with)
    }

    /// Asks `request` with these words `before` and `after` its name: nobody knows of a device that
    /// minds their order, so it is idevicebackup2's.
    pub(super) fn say(
        &mut self,
        request: &str,
        before: Dictionary,
        after: Dictionary,
    ) -> Result<std::result::Result<Dictionary, Refusal>> {
        let mut asked = Dictionary::new();
        asked.insert("Label".to_owned(), LABEL.into());
        asked.extend(before);
        asked.insert("Request".to_owned(), request.into());
        asked.extend(after);
        let answer = self.stream.ask(asked, &mut self.answer_wait.clone())?;
        if let Some(word) = answer.get("Error") {
            return Ok(Err(Refusal(word.as_string().unwrap_or("an error").to_owned())));
        }
        let failed = answer.get("Result").and_then(Value::as_string) == Some("Failure");
        if failed {
            return Ok(Err(Refusal("Failure".to_owned())));
        }
        match answer.get("Request").and_then(Value::as_string) {
            Some(same) if same == request => Ok(Ok(answer)),
            _ => Err(DeviceError::new(
                DeviceErrorKind::Protocol,
                format!("the device's answer is not to {request}"),
            )),
        }
    }

    /// Who answers: `com.apple.mobile.lockdown` on a device that has started up.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask); [`DeviceFailed`](DeviceErrorKind::DeviceFailed) when it is another.
    pub fn query_type(&mut self) -> Result<()> {
        let answer = self.ask("QueryType", Dictionary::new())?;
        let answer = answer.map_err(|refusal| refusal.into_error("asking who answers"))?;
        match answer.get("Type").and_then(Value::as_string) {
            Some("com.apple.mobile.lockdown") => Ok(()),
            _ => Err(DeviceError::new(
                DeviceErrorKind::DeviceFailed,
                "the device is in recovery, or being restored",
            )),
        }
    }

    /// A value; `None` when the device has none, or none for us.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn value(&mut self, domain: Option<&str>, key: Option<&str>) -> Result<Option<Value>> {
        let mut with = Dictionary::new();
        for (name, word) in [("Domain", domain), ("Key", key)] {
            if let Some(word) = word {
                with.insert(name.to_owned(), word.into());
            }
        }
        let answer = self.say("GetValue", with, Dictionary::new())?;
        Ok(answer.ok().and_then(|mut answer| answer.remove("Value")))
    }

    /// A value of the default domain that is a text.
    ///
    /// # Errors
    ///
    /// As [`value`](Self::value).
    pub fn text(&mut self, key: &str) -> Result<Option<String>> {
        Ok(self.value(None, Some(key))?.and_then(Value::into_string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_what_a_person_can_do() {
        let kind = |word: &str| Refusal(word.to_owned()).into_error("pairing").kind();
        assert_eq!(kind("PasswordProtected"), DeviceErrorKind::Locked);
        assert_eq!(kind("UserDeniedPairing"), DeviceErrorKind::TrustRefused);
        assert_eq!(kind("InvalidHostID"), DeviceErrorKind::NotTrusted);
        assert_eq!(kind("MCChallengeRequired"), DeviceErrorKind::Managed);
        assert_eq!(kind("SomethingNew"), DeviceErrorKind::DeviceFailed);
    }

    #[test]
    fn a_word_of_the_device_cannot_move_the_cursor() {
        assert_eq!(Refusal("a\x1b[2J".to_owned()).to_string(), "the device says a\\u{1b}[2J");
    }
}
