//! A stream that is waited on without being held by it: every read and write can be stopped.
use std::io;
use std::time::{Duration, Instant};

use super::stream::{DeviceStream, TICK};
use crate::error::{DeviceError, DeviceErrorKind, Result};

/// What is read ahead at most, in bytes: two blocks of a file stream.
const AHEAD: usize = 64 << 10;

/// Decides how long a stream is waited for.
pub trait Wait {
    /// Nothing has moved for `so_far`. Asked several times a second.
    ///
    /// # Errors
    ///
    /// Do not wait any longer, and why.
    fn waited(&mut self, so_far: Duration) -> Result<()>;
}

/// Waits for a fixed time.
#[derive(Debug, Clone, Copy)]
pub struct AtMost(pub Duration);

impl Wait for AtMost {
    fn waited(&mut self, so_far: Duration) -> Result<()> {
        if so_far < self.0 {
            return Ok(());
        }
        Err(DeviceError::new(
            DeviceErrorKind::ConnectionLost,
            format!("the device did not answer within {} s", self.0.as_secs()),
        ))
    }
}

/// What a look at a stream found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// Something can be read.
    Ready,
    /// Nothing came in time.
    Nothing,
    /// The other side has closed it.
    Closed,
}

/// A stream with a little read ahead, whose waiting can be stopped.
pub struct Link {
    stream: Box<dyn DeviceStream>,
    ahead: Vec<u8>,
    at: usize,
    end: usize,
}

impl Link {
    /// Takes the stream over, and reads no byte that was not asked for: for a stream that becomes
    /// another's after a few messages.
    ///
    /// # Errors
    ///
    /// The stream is gone.
    pub fn exact(stream: Box<dyn DeviceStream>) -> Result<Self> {
        stream.set_patience(TICK).map_err(|e| broken("opening a connection", e))?;
        Ok(Link { stream, ahead: Vec::new(), at: 0, end: 0 })
    }

    /// Takes the stream over, and reads ahead: for a stream of many small pieces.
    ///
    /// # Errors
    ///
    /// The stream is gone.
    pub fn reading_ahead(stream: Box<dyn DeviceStream>) -> Result<Self> {
        Ok(Link { ahead: vec![0; AHEAD], ..Link::exact(stream)? })
    }

    /// Reads ahead from now on.
    #[must_use]
    pub fn read_ahead(self) -> Self {
        Link { ahead: vec![0; AHEAD], ..self }
    }

    /// Waits at most `at_most` for something to read; for a link that reads ahead.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn poll(&mut self, at_most: Duration) -> Result<Polled> {
        if self.at < self.end {
            return Ok(Polled::Ready);
        }
        debug_assert!(!self.ahead.is_empty(), "there is room for what comes");
        let until = Instant::now() + at_most;
        loop {
            match self.stream.read(&mut self.ahead) {
                Ok(0) => return Ok(Polled::Closed),
                Ok(read) => {
                    (self.at, self.end) = (0, read);
                    return Ok(Polled::Ready);
                }
                Err(error) if is_pause(&error) => {
                    if Instant::now() >= until {
                        return Ok(Polled::Nothing);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Polled::Closed);
                }
                Err(error) => return Err(broken("reading from the device", error)),
            }
        }
    }

    /// The stream itself; whoever read ahead loses what was not taken yet.
    pub fn into_stream(self) -> Box<dyn DeviceStream> {
        debug_assert!(self.at == self.end, "a stream is handed on by who did not read ahead");
        self.stream
    }

    /// Fills `into`; `false` when the device closed the stream before its first byte.
    ///
    /// # Errors
    ///
    /// [`ConnectionLost`](DeviceErrorKind::ConnectionLost) when it ends in the middle, and what
    /// `wait` says.
    pub fn read_exact(&mut self, into: &mut [u8], wait: &mut dyn Wait) -> Result<bool> {
        let mut filled = 0;
        while filled < into.len() {
            if self.at == self.end {
                // What is larger than the room for reading ahead goes straight to its place.
                let rest = &mut into[filled..];
                if rest.len() >= self.ahead.len() {
                    match read_some(&mut self.stream, rest, wait)? {
                        0 => return ended(filled),
                        read => filled += read,
                    }
                    continue;
                }
                self.at = 0;
                self.end = 0;
                self.end = read_some(&mut self.stream, &mut self.ahead, wait)?;
                if self.end == 0 {
                    return ended(filled);
                }
            }
            let len = (into.len() - filled).min(self.end - self.at);
            into[filled..][..len].copy_from_slice(&self.ahead[self.at..][..len]);
            self.at += len;
            filled += len;
        }
        Ok(true)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`read_exact`](Self::read_exact).
    pub fn write_all(&mut self, mut bytes: &[u8], wait: &mut dyn Wait) -> Result<()> {
        let mut since = Instant::now();
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(lost()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    since = Instant::now();
                }
                Err(error) if is_pause(&error) => wait.waited(since.elapsed())?,
                Err(error) => return Err(broken("writing to the device", error)),
            }
        }
        loop {
            match self.stream.flush() {
                Ok(()) => return Ok(()),
                Err(error) if is_pause(&error) => wait.waited(since.elapsed())?,
                Err(error) => return Err(broken("writing to the device", error)),
            }
        }
    }

    /// Reads and drops what still comes until the device closes the stream, or `wait` has enough.
    pub fn drain(&mut self, wait: &mut dyn Wait) {
        self.at = self.end;
        let mut dropped = vec![0; AHEAD];
        let since = Instant::now();
        while wait.waited(since.elapsed()).is_ok() {
            match self.stream.read(&mut dropped) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_pause(&error) => {}
                Err(_) => return,
            }
        }
    }
}

fn read_some(
    stream: &mut Box<dyn DeviceStream>,
    into: &mut [u8],
    wait: &mut dyn Wait,
) -> Result<usize> {
    let since = Instant::now();
    // Asked before the first read too: a device that never pauses must not outrun a wish to stop.
    wait.waited(Duration::ZERO)?;
    loop {
        match stream.read(into) {
            Ok(read) => return Ok(read),
            Err(error) if is_pause(&error) => wait.waited(since.elapsed())?,
            // A device that restarts its program resets the connection; to us it has ended.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
            Err(error) => return Err(broken("reading from the device", error)),
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn ended(filled: usize) -> Result<bool> {
    if filled == 0 { Ok(false) } else { Err(lost()) }
}

/// The connection ended where it must not.
pub(crate) fn lost() -> DeviceError {
    DeviceError::new(DeviceErrorKind::ConnectionLost, "the device closed the connection")
}

fn broken(doing: &str, error: io::Error) -> DeviceError {
    DeviceError::new(DeviceErrorKind::ConnectionLost, doing).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Link, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Link::reading_ahead(Box::new(near)).unwrap(), far)
    }

    const SOON: AtMost = AtMost(Duration::from_secs(20));

    #[test]
    fn a_stream_that_ends_between_two_reads_is_told_from_one_that_ends_within() {
        let (mut link, mut far) = pair();
        far.write_all(b"abcdef").unwrap();
        drop(far);
        let mut four = [0; 4];
        assert!(link.read_exact(&mut four, &mut SOON.clone()).unwrap());
        assert_eq!(&four, b"abcd");
        let cut = link.read_exact(&mut four, &mut SOON.clone()).unwrap_err();
        assert_eq!(cut.kind(), DeviceErrorKind::ConnectionLost);
        let (mut link, far) = pair();
        drop(far);
        assert!(!link.read_exact(&mut four, &mut SOON.clone()).unwrap());
    }

    #[test]
    fn a_silent_device_can_be_left() {
        struct Thrice(u32);
        impl Wait for Thrice {
            fn waited(&mut self, _: Duration) -> Result<()> {
                self.0 += 1;
                if self.0 < 3 {
                    return Ok(());
                }
                Err(DeviceError::new(DeviceErrorKind::Cancelled, "enough"))
            }
        }
        let (mut link, _far) = pair();
        let left = link.read_exact(&mut [0; 1], &mut Thrice(0)).unwrap_err();
        assert_eq!(left.kind(), DeviceErrorKind::Cancelled);
    }

    #[test]
    fn a_stream_that_is_handed_on_has_lost_nothing() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"answer then more").unwrap();
        let mut link = Link::exact(Box::new(near)).unwrap();
        assert!(link.read_exact(&mut [0; 6], &mut SOON.clone()).unwrap());
        let mut rest = [0; 10];
        std::io::Read::read_exact(&mut link.into_stream(), &mut rest).unwrap();
        assert_eq!(&rest, b" then more");
    }
}
