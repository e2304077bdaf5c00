//! Darwin notifications: what the device tells of itself, and what hosts tell each other.
use std::time::Duration;

use plist::{Dictionary, Value};

use super::ANSWER_WAIT;
use crate::error::Result;
use crate::plist_stream::{Encoding, Heard, PlistStream};
use crate::transport::DeviceStream;

/// The service, for hosts that are trusted.
pub const SERVICE: &str = "com.apple.mobile.notification_proxy";

/// Said before the sync lock is opened.
pub const SYNC_WILL_START: &str = "com.apple.itunes-mobdev.syncWillStart";
/// Said when it is open and about to be taken.
pub const SYNC_LOCK_REQUEST: &str = "com.apple.itunes-mobdev.syncLockRequest";
/// Said when it is taken.
pub const SYNC_DID_START: &str = "com.apple.itunes-mobdev.syncDidStart";
/// Said when it is given back.
pub const SYNC_DID_FINISH: &str = "com.apple.itunes-mobdev.syncDidFinish";
/// The person pressed "cancel" on the device.
pub const SYNC_CANCEL_REQUEST: &str = "com.apple.itunes-client.syncCancelRequest";
/// The passcode sheet is shown.
pub const PASSCODE_PRESENTED: &str = "com.apple.LocalAuthentication.ui.presented";
/// The passcode sheet has gone.
pub const PASSCODE_DISMISSED: &str = "com.apple.LocalAuthentication.ui.dismissed";

/// What is observed during a backup, in the order idevicebackup2 asks for it.
pub const OBSERVED: [&str; 6] = [
    SYNC_CANCEL_REQUEST,
    "com.apple.itunes-client.syncSuspendRequest",
    "com.apple.itunes-client.syncResumeRequest",
    "com.apple.mobile.backup.domain_changed",
    PASSCODE_PRESENTED,
    PASSCODE_DISMISSED,
];

/// How long a proxy may take to say goodbye.
const GOODBYE_WAIT: Duration = Duration::from_secs(2);

/// What the proxy reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A notification of this name.
    Notification(String),
    /// Nothing, for now.
    Nothing,
    /// The proxy has gone.
    Gone,
}

/// A connection to the proxy.
pub struct NotificationProxy {
    stream: PlistStream,
}

impl NotificationProxy {
    /// Speaks on a fresh stream to the service.
    ///
    /// # Errors
    ///
    /// The stream is gone.
    pub fn over(stream: Box<dyn DeviceStream>) -> Result<Self> {
        Ok(NotificationProxy { stream: PlistStream::over(stream, Encoding::Xml)? })
    }

    fn command(&mut self, command: &str, name: Option<&str>) -> Result<()> {
        let mut message = Dictionary::new();
        message.insert("Command".to_owned(), command.into());
        if let Some(name) = name {
            message.insert("Name".to_owned(), name.into());
        }
        self.stream.send(&Value::Dictionary(message), &mut ANSWER_WAIT.clone())
    }

    /// Asks to be told of `name`.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn observe(&mut self, name: &str) -> Result<()> {
        self.command("ObserveNotification", Some(name))
    }

    /// Tells all who observe it.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn post(&mut self, name: &str) -> Result<()> {
        self.command("PostNotification", Some(name))
    }

    /// What has been reported, within `at_most`.
    ///
    /// # Errors
    ///
    /// The connection broke, or what came is no message.
    pub fn next(&mut self, at_most: Duration) -> Result<Notice> {
        let message = match self.stream.poll(at_most)? {
            Heard::Message(message) => message.into_dictionary().unwrap_or_default(),
            Heard::Nothing => return Ok(Notice::Nothing),
            Heard::Closed => return Ok(Notice::Gone),
        };
        let text = |key: &str| message.get(key).and_then(Value::as_string);
        Ok(match (text("Command"), text("Name")) {
            (Some("RelayNotification"), Some(name)) => Notice::Notification(name.to_owned()),
            (Some("ProxyDeath"), _) => Notice::Gone,
            _ => Notice::Nothing,
        })
    }

    /// Says goodbye and waits a moment for the answer, so that what was posted has been heard.
    pub fn end(mut self) {
        if self.command("Shutdown", None).is_ok() {
            for _ in 0..16 {
                if !matches!(self.next(GOODBYE_WAIT), Ok(Notice::Notification(_))) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plist_stream::frame;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn relay(far: &mut UnixStream, command: &str, name: &str) {
        let mut message = Dictionary::new();
        message.insert("Command".to_owned(), command.into());
        message.insert("Name".to_owned(), name.into());
        far.write_all(&frame(&Value::Dictionary(message), Encoding::Binary)).unwrap();
    }

    #[test]
    fn notifications_are_heard_and_silence_is_none() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut proxy = NotificationProxy::over(Box::new(near)).unwrap();
        let soon = Duration::from_millis(300);
        assert_eq!(proxy.next(soon).unwrap(), Notice::Nothing);
        relay(&mut far, "RelayNotification", SYNC_CANCEL_REQUEST);
        relay(&mut far, "ProxyDeath", "");
        let cancelled = Notice::Notification(SYNC_CANCEL_REQUEST.to_owned());
        assert_eq!(proxy.next(soon).unwrap(), cancelled);
        assert_eq!(proxy.next(soon).unwrap(), Notice::Gone);
        drop(far);
        assert_eq!(proxy.next(soon).unwrap(), Notice::Gone);
    }
}
