//! The folder that a phone reads a restore from: one snapshot, which nothing changes.
//!
//! [`ServedDir`] answers what a phone asks of it. Any file of the set may be asked for at any time, and
//! several times. What would write is refused; a path outside the set ends the session. Bytes go out
//! as the snapshot has them, or not at all: a file that cannot be read to its end is told as such,
//! and never cut short.
mod patient;

use std::io::{self, Read};

use devsnap_engine::error::{Error as EngineError, ErrorKind};
use devsnap_engine::node::{Content, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Progress;
use devsnap_engine::reader::SnapshotReader;
use plist::{Dictionary, Value};

use crate::devicelink::file_stream::{self, FileEnd, Receiver, Wire};
use crate::devicelink::{Status, StatusCode};
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::udid::Udid;
use crate::virtual_dir::path::{BackupPath, Shape};
use crate::virtual_dir::{described, lain};
pub use patient::{Patience, Reading};
use patient::{Stopped, with_patience};

/// How often a phone may read the whole set. It reads its lists several times, and few other files
/// more than once.
const TIMES_MAX: u64 = 8;

/// How many files it may ask for over that, of sets that are small or not there.
const ASKS_OVER: u64 = 1 << 16;

/// How many bytes it may read over that.
const BYTES_OVER: u64 = 1 << 30;

/// What the folder works with.
pub struct ServedOptions<'r> {
    /// The snapshot.
    pub reader: &'r dyn SnapshotReader,
    /// Whose set it is: its folder in the snapshot has this name, and the phone asks below it.
    pub source: Udid,
    /// The phone that reads. What it asks of a set of its own is not there, unless it is the source.
    pub target: Udid,
    /// How a storage that does not answer is borne.
    pub patience: Patience<'r>,
    /// How many files and bytes the snapshot has, of which the phone may ask each some times.
    pub size: (u64, u64),
    /// Who counts what has gone out.
    pub progress: &'r dyn Progress,
}

/// A snapshot as a phone sees it in a restore.
pub struct ServedDir<'r> {
    reader: &'r dyn SnapshotReader,
    source: Udid,
    target: Udid,
    patience: Patience<'r>,
    progress: &'r dyn Progress,
    failure: Option<DeviceError>,
    must_end: bool,
    files: u64,
    bytes: u64,
    /// How many files the phone may ask for, and how many bytes it may read.
    asks_max: u64,
    bytes_max: u64,
    asked: u64,
}

/// Where a path of the phone's leads.
enum Place {
    /// To this path of the snapshot.
    Inside(BackupPath),
    /// To a set of its own, of which there is nothing here.
    Own,
}

impl<'r> ServedDir<'r> {
    /// The folder at the beginning of a session.
    pub fn new(options: ServedOptions<'r>) -> Self {
        let ServedOptions { reader, source, target, patience, size, progress } = options;
        let (files, bytes) = size;
        ServedDir {
            reader,
            source,
            target,
            patience,
            progress,
            failure: None,
            must_end: false,
            files: 0,
            bytes: 0,
            asks_max: files.saturating_mul(TIMES_MAX).saturating_add(ASKS_OVER),
            bytes_max: bytes.saturating_mul(TIMES_MAX).saturating_add(BYTES_OVER),
            asked: 0,
        }
    }

    /// Whether something went wrong: the phone is heard out, and the restore has failed whatever it says.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether the phone did what no phone does: the session must end.
    pub fn must_end(&self) -> bool {
        self.must_end
    }

    /// The first thing that went wrong.
    pub fn take_failure(&mut self) -> Option<DeviceError> {
        self.failure.take()
    }

    /// How many files went out whole and how many bytes went out, each time they did.
    pub fn sent(&self) -> (u64, u64) {
        (self.files, self.bytes)
    }

    /// Ends the session for something that no phone does.
    pub fn refuse(&mut self, sentence: String) {
        self.must_end = true;
        self.failure.get_or_insert_with(|| DeviceError::new(DeviceErrorKind::Protocol, sentence));
    }

    /// The path that a phone spells; one of no shape that sets have ends the session.
    fn place(&mut self, text: &str) -> Option<Place> {
        match BackupPath::parse(text, &self.source) {
            Ok(path) => return Some(Place::Inside(path)),
            Err(_) if BackupPath::parse(text, &self.target).is_ok() => return Some(Place::Own),
            Err(refused) => self.refuse(refused.to_string()),
        }
        None
    }

    /// Sends the files at `paths`, in their order, whatever becomes of each; the answer that follows.
    ///
    /// The packs of all of them are asked for before the first goes out.
    ///
    /// # Errors
    ///
    /// The connection broke, or the session is to stop.
    pub fn download(&mut self, paths: &[String], wire: &mut dyn Wire) -> Result<Status> {
        let places: Vec<Option<Place>> = paths.iter().map(|text| self.place(text)).collect();
        let inside = places.iter().flatten().filter_map(|place| match place {
            Place::Inside(path) if path.shape() != Shape::Folder => Some(path.tree_path()),
            _ => None,
        });
        let wanted: Vec<TreePath> = inside.collect();
        if !wanted.is_empty() {
            self.reader.prefetch(&wanted);
        }
        let mut failed = Dictionary::new();
        for (text, place) in paths.iter().zip(&places) {
            self.asked += 1;
            if self.asked > self.asks_max || self.bytes > self.bytes_max {
                self.refuse("the device reads the backup over and over".to_owned());
                break;
            }
            // Refused above; in the stream a name of no length would be its end.
            if text.is_empty() {
                continue;
            }
            if let Err(error) = self.send(text, place.as_ref(), wire)? {
                failed.insert(text.clone(), Value::Dictionary(why(&error)));
                if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) {
                    self.reading_failed(text, error);
                }
            }
            (self.patience.stop)()?;
        }
        file_stream::send_end(wire)?;
        if failed.is_empty() {
            return Ok(Status::done());
        }
        let text = Some(StatusCode::Multi.words().to_owned());
        Ok(Status { code: StatusCode::Multi, text, payload: Some(Value::Dictionary(failed)) })
    }

    /// Sends one file, or the error there is instead.
    fn send(
        &mut self,
        text: &str,
        place: Option<&Place>,
        wire: &mut dyn Wire,
    ) -> Result<io::Result<()>> {
        let opened = match place {
            Some(Place::Inside(path)) if path.shape() == Shape::Folder => {
                Err(io::Error::from(io::ErrorKind::IsADirectory))
            }
            Some(Place::Inside(path)) => self.open(&path.tree_path()),
            Some(Place::Own) => Err(io::Error::from(io::ErrorKind::NotFound)),
            None => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        };
        let mut content = match opened {
            Ok(content) => Counted { content, progress: self.progress, bytes: 0 },
            Err(error) => return file_stream::send_file(wire, text, Err(error)),
        };
        let sent = file_stream::send_file(wire, text, Ok(&mut content))?;
        self.bytes += content.bytes;
        if sent.is_ok() {
            self.files += 1;
            self.progress.advance(1, 0);
        }
        Ok(sent)
    }

    /// The bytes at a path of the snapshot.
    fn open(&self, path: &TreePath) -> io::Result<Box<dyn Read + 'r>> {
        let node = with_patience(&self.patience, || self.reader.entry(path))?;
        match node {
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
            Some(node) if node.kind != NodeKind::File => {
                Err(io::Error::from(io::ErrorKind::IsADirectory))
            }
            // It is of this set and nobody has its bytes: that must not pass for "never was there".
            Some(node) if node.content.content == Content::Missing => {
                Err(io::Error::other("the snapshot does not hold its bytes"))
            }
            Some(_) => {
                let read = patient::open(self.reader, path, &self.patience)?;
                Ok(Box::new(read))
            }
        }
    }

    fn reading_failed(&mut self, path: &str, error: io::Error) {
        // Whatever stopped it may be over when it is asked again: a passcode sheet goes away.
        let error = match error.downcast::<Stopped>() {
            Ok(Stopped(stopped)) => {
                self.failure.get_or_insert(stopped);
                return;
            }
            Err(error) => error,
        };
        self.failure.get_or_insert_with(|| {
            let sentence = format!("{} could not be read", path.escape_debug());
            let failure = DeviceError::new(DeviceErrorKind::StorageFailed, sentence);
            match error.downcast::<EngineError>() {
                Ok(engine) => failure.because(engine),
                Err(other) => failure.because(other),
            }
        });
    }

    /// The answer to a request for a listing: complete, or an error.
    ///
    /// # Errors
    ///
    /// The session is to stop.
    pub fn list(&mut self, path: &str) -> Result<Status> {
        let Some(place) = self.place(path) else { return Ok(Status::failed(StatusCode::Unknown)) };
        let Place::Inside(folder) = place else { return Ok(Status::done()) };
        let listed = with_patience(&self.patience, || {
            let mut lines = Dictionary::new();
            for entry in self.reader.list(&folder.tree_path()) {
                let (path, node) = entry?;
                // Complete or not at all: no device has made a name that is no text.
                let name = path.name().and_then(|name| std::str::from_utf8(name).ok());
                let name = name.ok_or_else(|| {
                    let doing = format!("listing {}", folder.tree_path());
                    EngineError::new(ErrorKind::Invalid, doing).because("a name in it is no text")
                })?;
                if let Some(is) = lain(&node) {
                    lines.insert(name.to_owned(), Value::Dictionary(described(is)));
                }
            }
            Ok(lines)
        });
        (self.patience.stop)()?;
        match listed {
            Ok(lines) => Ok(Status::with(Value::Dictionary(lines))),
            Err(error) => {
                let code = StatusCode::of(&error);
                self.reading_failed(path, error);
                Ok(Status::failed(code))
            }
        }
    }

    /// The answer to what would change the set: that it does not happen. The phone was told that it
    /// need not keep a copy of its own, and there is nothing else to write.
    pub fn refuse_change(&mut self, paths: &[&str]) -> Status {
        for path in paths {
            // One outside the set ends the session as anywhere else.
            let _ = self.place(path);
        }
        Status::failed(StatusCode::Unknown)
    }

    /// Reads what the phone sends to its end and keeps none of it; the answer to it.
    ///
    /// # Errors
    ///
    /// The connection broke, or the stream is none.
    pub fn upload(&mut self, wire: &mut dyn Wire) -> Result<Status> {
        file_stream::receive(wire, &mut Falling { dir: self })?;
        Ok(Status::failed(StatusCode::Unknown))
    }
}

/// Why a file was not sent, in the device's words.
fn why(error: &io::Error) -> Dictionary {
    let code = StatusCode::of(error);
    let mut why = Dictionary::new();
    why.insert("DLFileErrorString".to_owned(), code.words().into());
    why.insert("DLFileErrorCode".to_owned(), code.on_the_wire());
    why
}

/// Counts what is read, for whoever watches.
struct Counted<'p, 'r> {
    content: Box<dyn Read + 'r>,
    progress: &'p dyn Progress,
    bytes: u64,
}

impl Read for Counted<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(into)?;
        self.bytes += read as u64;
        self.progress.advance(0, read as u64);
        Ok(read)
    }
}

/// Lets files fall; only where they were to go is looked at.
struct Falling<'d, 'r> {
    dir: &'d mut ServedDir<'r>,
}

impl Receiver for Falling<'_, '_> {
    fn begin(&mut self, _: &[u8], host_path: &[u8]) {
        let _ = self.dir.place(&String::from_utf8_lossy(host_path));
    }
    fn data(&mut self, _: &[u8]) {}
    fn end(&mut self, _: FileEnd) {}
}

#[cfg(test)]
mod tests;
