//! DeviceLink, the conversation in which the device asks and the host answers.
//!
//! There are no message numbers: the device says one thing and waits for exactly one
//! [`Status`]. Two requests are followed by raw file streams, which [`file_stream`] reads and
//! writes; which comes next follows from what was said last.
pub mod file_stream;
pub mod message;
pub mod status;

use plist::{Dictionary, Value};

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::PlistLimits;
use crate::plist_stream::{Encoding, PlistStream};
use crate::transport::{AtMost, DeviceStream, Link, Wait};
use file_stream::LinkWire;
pub use message::Message;
pub use status::{Status, StatusCode};

/// The device versions of DeviceLink other clients accept reach to this; ours is the same.
const OUR_VERSION: u64 = 400;

/// The versions of MobileBackup2 other clients offer.
const BACKUP_VERSIONS: [f64; 2] = [2.0, 2.1];

/// How long the device may take to greet.
const GREETING_WAIT: AtMost = AtMost(std::time::Duration::from_secs(60));

/// A connection to a DeviceLink service.
pub struct DeviceLink {
    stream: PlistStream,
}

impl DeviceLink {
    /// Greets the device on a fresh stream, and agrees on versions.
    ///
    /// # Errors
    ///
    /// The connection broke, or the device greets otherwise.
    pub fn greet(stream: Box<dyn DeviceStream>) -> Result<Self> {
        let link = Link::reading_ahead(stream)?;
        let stream = PlistStream::new(link, Encoding::Binary, PlistLimits::DEVICELINK);
        let mut link = DeviceLink { stream };
        let mut wait = GREETING_WAIT;
        match link.receive(&mut wait)? {
            // Any version: the messages have not changed since 100, and a number that is refused
            // only breaks with the next release.
            Some(Message::VersionExchange { .. }) => {}
            other => return Err(unexpected("its version", other)),
        }
        let ours = ["DLMessageVersionExchange".into(), "DLVersionsOk".into(), OUR_VERSION.into()];
        link.send(Value::Array(ours.to_vec()), &mut wait)?;
        match link.receive(&mut wait)? {
            Some(Message::DeviceReady) => Ok(link),
            other => Err(unexpected("that it is ready", other)),
        }
    }

    /// Says hello to MobileBackup2.
    ///
    /// # Errors
    ///
    /// As [`greet`](Self::greet); the device knows none of our versions.
    pub fn hello(&mut self) -> Result<()> {
        let mut hello = Dictionary::new();
        let versions = BACKUP_VERSIONS.map(Value::from).to_vec();
        hello.insert("SupportedProtocolVersions".to_owned(), Value::Array(versions));
        hello.insert("MessageName".to_owned(), "Hello".into());
        let mut wait = GREETING_WAIT;
        self.request(hello, &mut wait)?;
        let answer = match self.receive(&mut wait)? {
            Some(Message::Process(answer)) => answer,
            other => return Err(unexpected("hello", other)),
        };
        match message::response_code(&answer) {
            Some(0) => Ok(()),
            Some(1) => Err(DeviceError::new(
                DeviceErrorKind::Protocol,
                "the device speaks no version of the backup protocol that devsnap knows",
            )),
            _ => Err(unexpected("hello", Some(Message::Process(answer)))),
        }
    }

    /// Sends a request of the host: the only ones are the first and hello.
    ///
    /// # Errors
    ///
    /// The connection broke, or `wait` has enough.
    pub fn request(&mut self, request: Dictionary, wait: &mut dyn Wait) -> Result<()> {
        let words = ["DLMessageProcessMessage".into(), Value::Dictionary(request)];
        self.send(Value::Array(words.to_vec()), wait)
    }

    /// The device's next message; `None` when it has closed the connection after the last one.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request), or what came is no message.
    pub fn receive(&mut self, wait: &mut dyn Wait) -> Result<Option<Message>> {
        let Some(value) = self.stream.receive(wait)? else { return Ok(None) };
        let message = Message::decode(value).map_err(|bad| {
            DeviceError::new(DeviceErrorKind::Protocol, "the device said what no device says")
                .because(bad)
        })?;
        Ok(Some(message))
    }

    /// Answers the device's last message.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn answer(&mut self, status: Status, wait: &mut dyn Wait) -> Result<()> {
        self.send(status.encode(), wait)
    }

    /// The raw stream, for files.
    pub fn wire<'w>(&'w mut self, wait: &'w mut dyn Wait) -> LinkWire<'w> {
        LinkWire::new(self.stream.link(), wait)
    }

    /// Says goodbye. The device may have gone, so nobody minds whether it hears.
    pub fn say_goodbye(&mut self, wait: &mut dyn Wait) {
        let goodbye = ["DLMessageDisconnect".into(), message::EMPTY.into()];
        let _ = self.send(Value::Array(goodbye.to_vec()), wait);
    }

    /// Waits until the device has closed the connection, or `wait` has enough: an agent that is
    /// still busy would stand in the next run's way.
    pub fn wait_for_close(mut self, wait: &mut dyn Wait) {
        self.stream.link().drain(wait);
    }

    fn send(&mut self, message: Value, wait: &mut dyn Wait) -> Result<()> {
        self.stream.send(&message, wait)
    }
}

fn unexpected(what: &str, got: Option<Message>) -> DeviceError {
    let Some(got) = got else { return crate::transport::lost() };
    DeviceError::new(
        DeviceErrorKind::Protocol,
        format!("the device should have said {what}, and said {}", got.name()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plist_stream::frame;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn say(far: &mut UnixStream, words: Vec<Value>) {
        far.write_all(&frame(&Value::Array(words), Encoding::Xml)).unwrap();
    }

    fn hear(far: &UnixStream) -> Vec<Value> {
        let link = Link::exact(Box::new(far.try_clone().unwrap())).unwrap();
        let mut stream = PlistStream::new(link, Encoding::Xml, PlistLimits::DEVICELINK);
        let mut wait = AtMost(Duration::from_secs(20));
        stream.receive(&mut wait).unwrap().unwrap().into_array().unwrap()
    }

    fn hello_answer(code: u64) -> Vec<Value> {
        let mut answer = Dictionary::new();
        answer.insert("MessageName".to_owned(), "Response".into());
        answer.insert("ErrorCode".to_owned(), code.into());
        answer.insert("ProtocolVersion".to_owned(), 2.1.into());
        vec!["DLMessageProcessMessage".into(), Value::Dictionary(answer)]
    }

    #[test]
    fn versions_are_agreed_on_whatever_the_device_says() {
        for version in [300_u64, 400, 1000] {
            let (near, mut far) = UnixStream::pair().unwrap();
            say(&mut far, vec!["DLMessageVersionExchange".into(), version.into(), 0_u64.into()]);
            say(&mut far, vec!["DLMessageDeviceReady".into()]);
            say(&mut far, hello_answer(0));
            let mut link = DeviceLink::greet(Box::new(near)).unwrap();
            link.hello().unwrap();
            let ours: Vec<Value> =
                vec!["DLMessageVersionExchange".into(), "DLVersionsOk".into(), 400_u64.into()];
            assert_eq!(hear(&far), ours);
            let hello = hear(&far);
            let hello = hello[1].as_dictionary().unwrap();
            let versions = hello.get("SupportedProtocolVersions").unwrap();
            assert_eq!(versions, &Value::Array(vec![2.0.into(), 2.1.into()]));
        }
    }

    #[test]
    fn a_device_without_a_common_version_is_left() {
        let (near, mut far) = UnixStream::pair().unwrap();
        say(&mut far, vec!["DLMessageVersionExchange".into(), 400_u64.into(), 0_u64.into()]);
        say(&mut far, vec!["DLMessageDeviceReady".into()]);
        say(&mut far, hello_answer(1));
        let mut link = DeviceLink::greet(Box::new(near)).unwrap();
        assert_eq!(link.hello().unwrap_err().kind(), DeviceErrorKind::Protocol);
        let (near, far) = UnixStream::pair().unwrap();
        drop(far);
        let gone = DeviceLink::greet(Box::new(near)).err().unwrap();
        assert_eq!(gone.kind(), DeviceErrorKind::ConnectionLost);
    }
}
