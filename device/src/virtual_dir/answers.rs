//! What the phone asks of the folder, one answer each (protocol.md 6).
use std::io::{self, Read};
use std::time::{Duration, UNIX_EPOCH};

use devsnap_engine::node::Time;
use plist::{Dictionary, Value};

use super::VirtualBackupDir;
use super::incoming::Incoming;
use super::names::{Lain, NameError, Seen};
use super::path::{BackupPath, Shape};
use super::previous::At;
use crate::devicelink::file_stream::{self, Wire};
use crate::devicelink::{Status, StatusCode};
use crate::error::{DeviceError, DeviceErrorKind, Result};

impl VirtualBackupDir<'_> {
    /// Receives a file stream; the answer to it.
    ///
    /// # Errors
    ///
    /// The connection broke, or the stream is none.
    pub fn upload(&mut self, wire: &mut dyn Wire) -> Result<Status> {
        file_stream::receive(wire, &mut Incoming::into_dir(self))?;
        if self.has_failed() {
            return Ok(Status::failed(self.failure_code()));
        }
        Ok(Status::done())
    }

    /// Sends the files at `paths`; the answer that follows.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn download(&mut self, paths: &[String], wire: &mut dyn Wire) -> Result<Status> {
        let mut failed = Dictionary::new();
        for text in paths {
            let path = self.parse(text);
            if text.is_empty() {
                // A path of no length would be the end of the stream. The session is over anyway.
                continue;
            }
            let sent = self.send(text, path.as_ref(), wire)?;
            if let Err(error) = sent {
                let code = StatusCode::of(&error);
                let mut why = Dictionary::new();
                why.insert("DLFileErrorString".to_owned(), code.words().into());
                why.insert("DLFileErrorCode".to_owned(), code.on_the_wire());
                failed.insert(text.clone(), Value::Dictionary(why));
                if error.kind() != io::ErrorKind::NotFound {
                    self.storing_failed(error);
                }
            }
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
        &self,
        text: &str,
        path: Option<&BackupPath>,
        wire: &mut dyn Wire,
    ) -> Result<io::Result<()>> {
        let refused = || Err(io::Error::from(io::ErrorKind::InvalidInput));
        match path.map_or_else(refused, |path| self.open(path)) {
            Ok(mut content) => file_stream::send_file(wire, text, Ok(&mut content)),
            Err(error) => file_stream::send_file(wire, text, Err(error)),
        }
    }

    /// The bytes at a path.
    fn open(&self, path: &BackupPath) -> io::Result<Box<dyn Read + '_>> {
        let seen = self.names.look(path.names()).map_err(io::Error::other)?;
        match (seen, self.previous) {
            (Some(Seen::Fresh(content)), _) => match self.local.get(&content) {
                Some(file) => Ok(Box::new(At::start_of(file.as_file()))),
                // Contents go one way. No phone reads a file of its own back in a backup.
                None => Err(io::Error::other("the file came in this session")),
            },
            (Some(Seen::Kept(at)), Some(previous)) => previous.open(&at).map(|read| read as _),
            (Some(Seen::Folder), _) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    /// The answer to a request for a listing: complete, or an error.
    pub fn list(&mut self, path: &str) -> Status {
        let Some(path) = self.parse(path) else { return Status::failed(self.failure_code()) };
        let listed = match self.names.list(path.names()) {
            Ok(listed) => listed.unwrap_or_default(),
            Err(error) => return self.name_failed(error),
        };
        let mut lines = Dictionary::new();
        for line in listed {
            lines.insert(line.name, Value::Dictionary(described(line.is)));
        }
        Status::with(Value::Dictionary(lines))
    }

    /// The answer to a request for a folder.
    pub fn create_directory(&mut self, path: &str) -> Status {
        let Some(path) = self.parse(path) else { return Status::failed(self.failure_code()) };
        if path.shape() != Shape::Folder {
            self.refuse("the device wanted a folder where backups have a file".to_owned());
            return Status::failed(self.failure_code());
        }
        match self.names.create(path.names()) {
            Ok(()) => Status::ok(),
            Err(error) => self.name_failed(error),
        }
    }

    /// The answer to a batch of moves; the first that fails ends it.
    pub fn move_items(&mut self, moves: &[(String, String)]) -> Status {
        for (from, to) in moves {
            let Some((from, to)) = self.parse_pair(from, to) else {
                return Status::failed(self.failure_code());
            };
            if let Err(error) = self.names.rename(from.names(), to.names()) {
                return self.name_failed(error);
            }
        }
        Status::done()
    }

    /// The answer to a request to copy.
    pub fn copy_item(&mut self, from: &str, to: &str) -> Status {
        let Some((from, to)) = self.parse_pair(from, to) else {
            return Status::failed(self.failure_code());
        };
        match self.names.copy(from.names(), to.names()) {
            Ok(()) => Status::done(),
            Err(error) => self.name_failed(error),
        }
    }

    fn parse_pair(&mut self, from: &str, to: &str) -> Option<(BackupPath, BackupPath)> {
        let (from, to) = (self.parse(from)?, self.parse(to)?);
        let is_folder = |path: &BackupPath| path.shape() == Shape::Folder;
        if is_folder(&from) != is_folder(&to) {
            self.refuse("the device moved a folder to where backups have a file".to_owned());
            return None;
        }
        Some((from, to))
    }

    /// The answer to a batch of removals. What is not there is removed already.
    pub fn remove_items(&mut self, paths: &[String]) -> Status {
        for path in paths {
            let Some(path) = self.parse(path) else { return Status::failed(self.failure_code()) };
            match self.names.remove(path.names()) {
                Ok(was_there) => self.removed += u64::from(was_there),
                Err(error) => return self.name_failed(error),
            }
        }
        Status::done()
    }

    /// Makes all that came durable; the answer to the message that asked for it.
    pub fn flush(&mut self) -> Status {
        if self.has_failed() {
            return Status::failed(self.failure_code());
        }
        match self.contents.flush() {
            Ok(()) => Status::done(),
            Err(error) => {
                self.storing_failed(error);
                Status::failed(self.failure_code())
            }
        }
    }

    /// A path as the folder knows it; one of no shape that backups have ends the session.
    fn parse(&mut self, text: &str) -> Option<BackupPath> {
        match BackupPath::parse(text, &self.udid) {
            Ok(path) => Some(path),
            Err(refused) => {
                self.refuse(refused.to_string());
                None
            }
        }
    }

    /// The answer to a name that cannot be had, which may be the end of the session.
    pub(super) fn name_failed(&mut self, error: NameError) -> Status {
        let code = match &error {
            NameError::NotFound => StatusCode::NotFound,
            NameError::Exists => StatusCode::Exists,
            NameError::NotADirectory => StatusCode::NotADirectory,
            NameError::IsADirectory => StatusCode::IsADirectory,
            NameError::IntoItself => StatusCode::Unknown,
            NameError::TooMany => {
                self.refuse("the device makes more files than any device has".to_owned());
                StatusCode::NoSpace
            }
            NameError::Parent(_) => StatusCode::Io,
        };
        if let NameError::Parent(cause) = error {
            // Never less than there is: the phone would take it for lost and send it all.
            self.refused = true;
            self.failure.get_or_insert_with(|| {
                DeviceError::new(
                    DeviceErrorKind::StorageFailed,
                    "the last snapshot cannot be read any more",
                )
                .because(cause)
            });
        }
        Status::failed(code)
    }
}

/// One line of a listing, in the device's words.
pub(crate) fn described(is: Lain) -> Dictionary {
    let (word, size_bytes, mtime) = match is {
        Lain::Folder { mtime } => ("DLFileTypeDirectory", 0, mtime),
        Lain::File { size_bytes, mtime } => ("DLFileTypeRegular", size_bytes, mtime),
        Lain::Other => ("DLFileTypeUnknown", 0, Time::default()),
    };
    let mut line = Dictionary::new();
    line.insert("DLFileType".to_owned(), word.into());
    line.insert("DLFileSize".to_owned(), size_bytes.into());
    line.insert("DLFileModificationDate".to_owned(), Value::Date(date(mtime)));
    line
}

/// A moment as a list can hold it; one before 1970 or past 9999 is 1970.
fn date(time: Time) -> plist::Date {
    const LAST_SECS: u64 = 253_402_300_799;
    let secs = u64::try_from(time.secs).ok().filter(|secs| *secs <= LAST_SECS).unwrap_or(0);
    (UNIX_EPOCH + Duration::from_secs(secs)).into()
}
