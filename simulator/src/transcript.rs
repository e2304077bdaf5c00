//! What is said between hosts and phones, written down byte by byte as it passes, after TLS.
//!
//! It is for tests that hold one host against another: evidence that does not depend on what the
//! simulator makes of it. Nothing is written down unless somebody asked for it.
use crate::connection::Connection;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// One thing that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The connection, numbered from 0 in the order they began.
    pub connection: usize,
    /// What passed.
    pub passed: Passed,
}

/// What passes on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// The connection began, to the service of this name.
    Began(String),
    /// These bytes came from the host, and were read.
    FromHost(Vec<u8>),
    /// These bytes were said to the host.
    ToHost(Vec<u8>),
}

/// All that passed, in order. Lines of one connection are exact; between connections that are
/// served at the same time they are in the order in which the threads came to write them.
#[derive(Debug, Default)]
pub struct Transcript {
    written: Mutex<Written>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Written {
    connections: usize,
    /// How many of them have not ended.
    open: usize,
    lines: Vec<Line>,
}

impl Transcript {
    /// All lines since the last time, once every connection has ended: what a host said last is read
    /// after it has gone. `None` when some have not within `at_most`.
    pub fn take(&self, at_most: Duration) -> Option<Vec<Line>> {
        let written = self.written.lock().expect("because no holder panics");
        let (mut written, _) = self
            .ended
            .wait_timeout_while(written, at_most, |written| written.open > 0)
            .expect("because no holder panics");
        (written.open == 0).then(|| std::mem::take(&mut *written).lines)
    }

    fn begin(&self, service: &str) -> usize {
        let mut written = self.written.lock().expect("because no holder panics");
        let connection = written.connections;
        written.connections += 1;
        written.open += 1;
        written.lines.push(Line { connection, passed: Passed::Began(service.to_owned()) });
        connection
    }

    fn write(&self, connection: usize, passed: Passed) {
        let mut written = self.written.lock().expect("because no holder panics");
        written.lines.push(Line { connection, passed });
    }

    fn end(&self) {
        self.written.lock().expect("because no holder panics").open -= 1;
        self.ended.notify_all();
    }
}

/// One connection's place in a transcript, if there is one; it ends when this is dropped.
#[derive(Debug)]
pub struct Call(Option<(Arc<Transcript>, usize)>);

impl Call {
    /// A connection to `service` begins.
    pub fn begin(transcript: Option<&Arc<Transcript>>, service: &str) -> Call {
        Call(transcript.map(|transcript| (Arc::clone(transcript), transcript.begin(service))))
    }

    fn note(&self, passed: impl FnOnce() -> Passed) {
        if let Some((transcript, connection)) = &self.0 {
            transcript.write(*connection, passed());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some((transcript, _)) = &self.0 {
            transcript.end();
        }
    }
}

/// A connection whose bytes are written down.
pub struct Overheard<'a> {
    connection: &'a mut dyn Connection,
    call: &'a Call,
}

impl<'a> Overheard<'a> {
    /// `connection`, written down as `call`.
    pub fn new(connection: &'a mut dyn Connection, call: &'a Call) -> Overheard<'a> {
        Overheard { connection, call }
    }
}

impl Read for Overheard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.connection.read(buffer)?;
        if count > 0 {
            self.call.note(|| Passed::FromHost(buffer[..count].to_vec()));
        }
        Ok(count)
    }
}

impl Write for Overheard<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Noted first: the host may answer, on another connection, before this returns.
        self.call.note(|| Passed::ToHost(bytes.to_vec()));
        self.connection.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.connection.flush()
    }
}

impl Connection for Overheard<'_> {
    fn set_read_timeout(&mut self, wait_at_most: Option<Duration>) -> io::Result<()> {
        self.connection.set_read_timeout(wait_at_most)
    }

    fn set_carries_tls(&mut self, carries_tls: bool) {
        self.connection.set_carries_tls(carries_tls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hears `heard`, and takes whatever it is told.
    struct Script {
        heard: io::Cursor<Vec<u8>>,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.heard.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Connection for Script {
        fn set_read_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn both_sides_are_written_down_in_order_and_once() {
        let transcript = Arc::new(Transcript::default());
        let mut script = Script { heard: io::Cursor::new(b"hello".to_vec()) };
        let call = Call::begin(Some(&transcript), "greeting");
        let mut overheard = Overheard::new(&mut script, &call);

        let mut buffer = [0; 16];
        let count = overheard.read(&mut buffer).unwrap();
        overheard.write_all(b"good day").unwrap();
        let after_the_end = overheard.read(&mut buffer).unwrap();

        assert_eq!((count, after_the_end), (5, 0));
        assert_eq!(transcript.take(Duration::ZERO), None, "it has not ended");
        drop(call);
        let line = |passed| Line { connection: 0, passed };
        let expected = [
            line(Passed::Began("greeting".to_owned())),
            line(Passed::FromHost(b"hello".to_vec())),
            line(Passed::ToHost(b"good day".to_vec())),
        ];
        assert_eq!(transcript.take(Duration::ZERO).unwrap(), expected);
        assert_eq!(transcript.take(Duration::ZERO).unwrap(), []);
    }
}
