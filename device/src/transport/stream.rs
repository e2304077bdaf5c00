//! One connection to a port of a device.
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::tap::Tap;

/// How long a read or a write waits before it gives its caller a chance to stop.
pub const TICK: Duration = Duration::from_millis(200);

/// A blocking byte stream that gives up waiting after a while.
pub trait DeviceStream: Read + Write + Send {
    /// Lets reads and writes fail with [`WouldBlock`](io::ErrorKind::WouldBlock) or
    /// [`TimedOut`](io::ErrorKind::TimedOut) after `at_most`; nothing is lost when they do.
    ///
    /// # Errors
    ///
    /// The stream is gone.
    fn set_patience(&self, at_most: Duration) -> io::Result<()>;

    /// Hands over who listens in, if anybody does: for who speaks on top of this stream in a way
    /// that a listener here would not understand.
    fn take_tap(&mut self) -> Option<Box<dyn Tap>> {
        None
    }
}

impl DeviceStream for TcpStream {
    fn set_patience(&self, at_most: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(at_most))?;
        self.set_write_timeout(Some(at_most))
    }
}

impl DeviceStream for UnixStream {
    fn set_patience(&self, at_most: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(at_most))?;
        self.set_write_timeout(Some(at_most))
    }
}

impl DeviceStream for Box<dyn DeviceStream> {
    fn set_patience(&self, at_most: Duration) -> io::Result<()> {
        (**self).set_patience(at_most)
    }

    fn take_tap(&mut self) -> Option<Box<dyn Tap>> {
        (**self).take_tap()
    }
}
