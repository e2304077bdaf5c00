//! The file that is written: one line of JSON for each thing that happens.
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value as Json, json};

use super::redact::Redactor;

/// Services that may wait on ports at once; a device has each port for one connection.
const WAITING_MAX: usize = 1024;

/// The version of the form that `docs/recordings.md` describes.
const VERSION: u64 = 1;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Lines, first and last included.
    pub lines: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// A recording that is being written.
pub(super) struct Book {
    begun: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` once it is over, or a write has failed.
    out: Option<BufWriter<Box<dyn Write + Send>>>,
    /// The file below, when it is one.
    file: Option<File>,
    failed: Option<io::Error>,
    written: Recorded,
    redactor: Redactor,
    connections: u64,
    /// Services that wait for a connection, by port.
    waiting: HashMap<u16, String>,
}

impl Book {
    pub(super) fn create(path: &Path, program: &str) -> io::Result<Book> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let out = Box::new(file.try_clone()?);
        Book::begin(out, Some(file), program)
    }

    pub(super) fn begin(
        out: Box<dyn Write + Send>,
        file: Option<File>,
        program: &str,
    ) -> io::Result<Book> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        let book = Book {
            begun: Instant::now(),
            inner: Mutex::new(Inner {
                out: Some(BufWriter::new(out)),
                file,
                failed: None,
                written: Recorded { lines: 0, bytes: 0 },
                redactor: Redactor::new(key),
                connections: 0,
                waiting: HashMap::new(),
            }),
        };
        let os = std::env::consts::OS;
        book.write(json!({ "devsnap_recording": VERSION, "program": program, "os": os }));
        Ok(book)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line, with the time since the beginning in milliseconds. A failure ends the
    /// recording and nothing else.
    pub(super) fn write(&self, mut line: Json) {
        line["ms"] = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).into();
        let mut text = line.to_string();
        text.push('\n');
        // Files come by the million; all else should be on the disk when the program dies.
        let is_file = line.get("file").is_some();
        let mut inner = self.inner();
        let Some(out) = &mut inner.out else { return };
        let written = out.write_all(text.as_bytes());
        match written.and_then(|()| if is_file { Ok(()) } else { out.flush() }) {
            Ok(()) => {
                inner.written.lines += 1;
                inner.written.bytes += text.len() as u64;
            }
            Err(error) => {
                inner.out = None;
                inner.failed = Some(error);
            }
        }
    }

    pub(super) fn with_redactor<T>(&self, tell: impl FnOnce(&mut Redactor) -> T) -> T {
        tell(&mut self.inner().redactor)
    }

    /// The key of this recording's hashes.
    pub(super) fn key(&self) -> [u8; 32] {
        *self.inner().redactor.key()
    }

    /// The number of the next connection; the first is 1.
    pub(super) fn next_connection(&self) -> u64 {
        let mut inner = self.inner();
        inner.connections += 1;
        inner.connections
    }

    /// `service` waits on `port` for its one connection.
    pub(super) fn service_waits(&self, port: u16, service: String) {
        let mut inner = self.inner();
        if inner.waiting.len() < WAITING_MAX {
            inner.waiting.insert(port, service);
        }
    }

    /// The service that waits on `port`, and no longer does.
    pub(super) fn service_at(&self, port: u16) -> Option<String> {
        self.inner().waiting.remove(&port)
    }

    /// Ends it, and makes it durable.
    pub(super) fn finish(&self) -> io::Result<Recorded> {
        self.write(json!({ "end": true }));
        let mut inner = self.inner();
        if let Some(error) = inner.failed.take() {
            return Err(error);
        }
        if let Some(mut out) = inner.out.take() {
            out.flush()?;
        }
        if let Some(file) = inner.file.take() {
            file.sync_all()?;
        }
        Ok(inner.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_recording_that_cannot_be_written_ends_and_says_so_at_the_end_only() {
        let book = Book::begin(Box::new(Full), None, "test").unwrap();
        book.write(json!({ "open": 1 }));
        assert_eq!(book.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_recording_is_a_new_file_of_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording");
        let book = Book::create(&path, "test").unwrap();
        book.write(json!({ "open": 1 }));
        let recorded = book.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.lines().count(), text.len()), (3, recorded.bytes.try_into().unwrap()));
        assert_eq!(recorded.lines, 3);
        let again = Book::create(&path, "test").err().unwrap();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
