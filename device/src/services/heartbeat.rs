//! What keeps a device on the network: it asks, and drops whoever does not answer.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use plist::{Dictionary, Value};

use super::ANSWER_WAIT;
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_stream::{Encoding, Heard, PlistStream};
use crate::transport::DeviceStream;

/// The service.
pub const SERVICE: &str = "com.apple.mobile.heartbeat";

/// How often the answering thread looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Answers the device from a thread of its own until it is dropped.
pub struct Heartbeat {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Answers on a fresh stream to the service.
    ///
    /// # Errors
    ///
    /// The stream is gone, or there is no thread to be had.
    pub fn start(stream: Box<dyn DeviceStream>) -> Result<Self> {
        let mut stream = PlistStream::over(stream, Encoding::Xml)?;
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let thread = std::thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || {
                while !is_over.load(Ordering::Relaxed) && answer(&mut stream).unwrap_or(false) {}
            })
            .map_err(|e| {
                DeviceError::new(DeviceErrorKind::Unreadable, "starting a thread").because(e)
            })?;
        Ok(Heartbeat { over, thread: Some(thread) })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers what comes within a moment; whether more may come.
fn answer(stream: &mut PlistStream) -> Result<bool> {
    let message = match stream.poll(LOOK_EVERY)? {
        Heard::Message(message) => message,
        Heard::Nothing => return Ok(true),
        Heard::Closed => return Ok(false),
    };
    let command = message.as_dictionary().and_then(|m| m.get("Command")).and_then(Value::as_string);
    if command == Some("Marco") {
        let mut polo = Dictionary::new();
        polo.insert("Command".to_owned(), "Polo".into());
        stream.send(&Value::Dictionary(polo), &mut ANSWER_WAIT.clone())?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plist_stream::frame;
    use crate::transport::{AtMost, Link};
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_device_that_asks_is_answered_each_time_until_the_end() {
        let (near, far) = UnixStream::pair().unwrap();
        let beating = Heartbeat::start(Box::new(near)).unwrap();
        let mut marco = Dictionary::new();
        marco.insert("Command".to_owned(), "Marco".into());
        let marco = frame(&Value::Dictionary(marco), Encoding::Xml);
        let mut writing = far.try_clone().unwrap();
        let mut device = PlistStream::over(Box::new(far), Encoding::Xml).unwrap();
        let mut wait = AtMost(Duration::from_secs(60));
        for _ in 0..3 {
            writing.write_all(&marco).unwrap();
            let answer = device.receive_dictionary(&mut wait).unwrap();
            assert_eq!(answer.get("Command").unwrap().as_string(), Some("Polo"));
        }
        drop(beating);
        assert!(!Link::exact(Box::new(writing)).unwrap().read_exact(&mut [0], &mut wait).unwrap());
    }
}
