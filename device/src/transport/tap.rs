//! Who listens in: what is said on a stream, before encryption and after it.
use std::io::{self, Read, Write};
use std::time::Duration;

use super::stream::DeviceStream;

/// Hears everything that passes over one connection, as both sides mean it: once TLS begins, what
/// is inside. It cannot change or hold up what passes.
pub trait Tap: Send {
    /// These bytes came from the device.
    fn heard(&mut self, bytes: &[u8]);
    /// These bytes went to the device.
    fn said(&mut self, bytes: &[u8]);
    /// The device has closed the connection, or it broke.
    fn ended(&mut self);
    /// From here on the connection is encrypted; `false` when the handshake failed.
    fn secured(&mut self, is_secured: bool);
}

/// A stream with somebody listening.
pub struct Tapped {
    stream: Box<dyn DeviceStream>,
    /// Moves on when encryption begins above this stream.
    tap: Option<Box<dyn Tap>>,
}

impl Tapped {
    /// Lets `tap` hear what passes over `stream` from now on.
    pub fn over(stream: Box<dyn DeviceStream>, tap: Box<dyn Tap>) -> Tapped {
        Tapped { stream, tap: Some(tap) }
    }
}

impl Read for Tapped {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(into);
        if let Some(tap) = &mut self.tap {
            match &read {
                Ok(0) if into.is_empty() => {}
                Ok(0) => tap.ended(),
                Ok(count) => tap.heard(&into[..*count]),
                Err(error) if is_the_end(error) => tap.ended(),
                Err(_) => {}
            }
        }
        read
    }
}

impl Write for Tapped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes);
        if let Some(tap) = &mut self.tap {
            match &written {
                Ok(count) => tap.said(&bytes[..*count]),
                Err(error) if is_the_end(error) => tap.ended(),
                Err(_) => {}
            }
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn is_the_end(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    !matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

impl DeviceStream for Tapped {
    fn set_patience(&self, at_most: Duration) -> io::Result<()> {
        self.stream.set_patience(at_most)
    }

    fn take_tap(&mut self) -> Option<Box<dyn Tap>> {
        self.tap.take()
    }
}
