//! Reading from a storage that may not answer for a while, as long as the phone waits.
//!
//! A phone waits for a file as long as the connection lives, and a restore whose file fails is lost
//! as a whole. So what may pass is tried again, with growing pauses; anything else fails at once.
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;

use crate::error::{DeviceError, Result};

/// The first pause; each is twice as long as the one before.
const PAUSE_FIRST: Duration = Duration::from_millis(500);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often it is looked, in a pause, whether the session is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Since when a read of the storage is under way: what hangs in it cannot say so itself.
#[derive(Debug, Default)]
pub struct Reading(Mutex<Option<Instant>>);

impl Reading {
    /// How long the read that is under way has taken.
    pub fn so_far(&self) -> Option<Duration> {
        self.lock().map(|since| since.elapsed())
    }

    pub(crate) fn under_way(&self) -> UnderWay<'_> {
        *self.lock() = Some(Instant::now());
        UnderWay(self)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct UnderWay<'r>(&'r Reading);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

/// How a storage that does not answer is borne.
#[derive(Clone, Copy)]
pub struct Patience<'r> {
    /// Where it is seen from outside how long a read takes.
    pub reading: &'r Reading,
    /// How long one failure is borne, from when it was met until something could be read again.
    pub at_most: Duration,
    /// Looks whether the session is to stop: somebody wants it to, or the device has gone.
    pub stop: &'r dyn Fn() -> Result<()>,
    /// Told why it waits: each time something fails that may pass.
    pub waiting: &'r dyn Fn(&Error),
}

/// The session is to stop; why, it is asked again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Stopped(pub(super) DeviceError);

/// One failure that is borne: since when, and how long the next pause is.
struct Bearing {
    since: Instant,
    pause: Duration,
}

impl Bearing {
    fn begin() -> Bearing {
        Bearing { since: Instant::now(), pause: PAUSE_FIRST }
    }

    /// Waits before the next try; the error itself when it does not pass, or has lasted too long.
    fn bear(&mut self, error: Error, patience: &Patience<'_>) -> io::Result<()> {
        (patience.stop)().map_err(|stopped| io::Error::other(Stopped(stopped)))?;
        let left = patience.at_most.saturating_sub(self.since.elapsed());
        if !may_pass(error.kind()) || left.is_zero() {
            return Err(as_io(error));
        }
        (patience.waiting)(&error);
        let until = Instant::now() + self.pause.min(left);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        loop {
            (patience.stop)().map_err(|stopped| io::Error::other(Stopped(stopped)))?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK_EVERY));
        }
    }
}

/// Whether the same call may well succeed a little later without anybody doing anything.
fn may_pass(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unreachable)
}

/// An error of the engine where `std::io` wants one. Never "not found": the name is there, its bytes
/// are not, and no device may take that for "never was".
fn as_io(error: Error) -> io::Error {
    io::Error::other(error)
}

/// The engine's own error, which a reader of it hands on inside an `io::Error`.
fn of_reading(error: io::Error) -> Error {
    const DOING: &str = "reading a file of the snapshot";
    match error.downcast::<Error>() {
        Ok(engine) => engine,
        Err(other) => Error::new(ErrorKind::Damaged, DOING).because(other),
    }
}

/// What `ask` comes to, when what may pass has passed.
///
/// # Errors
///
/// What does not pass, or has lasted too long; the session is to stop.
pub(super) fn with_patience<T>(
    patience: &Patience<'_>,
    ask: impl Fn() -> devsnap_engine::error::Result<T>,
) -> io::Result<T> {
    let mut bearing = None;
    loop {
        let under_way = patience.reading.under_way();
        let answer = ask();
        drop(under_way);
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => bearing.get_or_insert_with(Bearing::begin).bear(error, patience)?,
        }
    }
}

/// A file that is read on, when reading it failed with what may pass.
pub(super) struct PatientRead<'r> {
    patience: Patience<'r>,
    content: Box<dyn Read + Send>,
}

/// Opens the file at `path`.
///
/// # Errors
///
/// As [`with_patience`].
pub(super) fn open<'r>(
    reader: &dyn SnapshotReader,
    path: &TreePath,
    patience: &Patience<'r>,
) -> io::Result<PatientRead<'r>> {
    let content = with_patience(patience, || reader.open(path))?;
    Ok(PatientRead { patience: *patience, content })
}

impl Read for PatientRead<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut bearing: Option<Bearing> = None;
        loop {
            let under_way = self.patience.reading.under_way();
            let read = self.content.read(into);
            drop(under_way);
            match read {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    // After a failure that may pass a reader goes on with the bytes it owes.
                    let error = of_reading(error);
                    bearing.get_or_insert_with(Bearing::begin).bear(error, &self.patience)?;
                }
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests;
