//! The folder that the phone thinks it writes to.
//!
//! [`VirtualBackupDir`] answers what a phone asks of its backup folder, out of the last snapshot
//! ([`previous`]) and what came since ([`names`], [`incoming`]). Bytes go into the engine as they
//! come; names are told once, at the end. Nothing of it is a folder on a disk.
//!
//! It keeps the first thing that went wrong. From then on what the phone sends is let fall and
//! answered with an error, and nothing of the session is kept.
mod incoming;
pub mod names;
pub mod path;
pub mod previous;
mod rows;

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use devsnap_engine::node::{Node, NodeKind, Time};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Progress;
use devsnap_engine::source::{Awaiting, ContentSink, ContentTicket, Edit, TreeEdits};
use plist::{Dictionary, Value};
use tempfile::NamedTempFile;

use crate::backup_set::{SnapshotState, Status as SetStatus};
use crate::devicelink::file_stream::{self, Wire};
use crate::devicelink::{Status, StatusCode};
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::PlistLimits;
use crate::udid::Udid;
use incoming::Incoming;
use names::{Below, Change, Lain, NameError, Names, Seen};
use path::{BackupPath, Name, Shape};
use previous::{At, Previous, STATUS_LEN_MAX};
pub use rows::Verification;

/// What the folder works with.
pub struct DirOptions<'r> {
    /// Whose backup it is.
    pub udid: Udid,
    /// The last snapshot, which edits refer to, if there is one.
    pub previous: Option<&'r Previous<'r>>,
    /// Whether the phone sees it; if not it finds an empty folder, and sends everything.
    pub is_shown: bool,
    /// Where contents go.
    pub contents: &'r dyn ContentSink,
    /// A private folder on a disk of this computer.
    pub scratch: &'r Path,
    /// Who is watching.
    pub progress: &'r dyn Progress,
    /// The session's date: what comes is dated so.
    pub now: Time,
}

/// A backup folder that is none.
pub struct VirtualBackupDir<'r> {
    udid: Udid,
    names: Names<'r, ContentTicket>,
    previous: Option<&'r Previous<'r>>,
    contents: &'r dyn ContentSink,
    scratch: &'r Path,
    progress: &'r dyn Progress,
    now: Time,
    /// Copies of the files that came with a name, until something else has their name.
    local: HashMap<ContentTicket, NamedTempFile>,
    failure: Option<DeviceError>,
    /// Whether the failure is a thing no phone does, so that it need not be heard out.
    refused: bool,
    files: u64,
    bytes: u64,
    files_failed: u64,
}

impl<'r> VirtualBackupDir<'r> {
    /// The folder at the beginning of a session.
    pub fn new(options: DirOptions<'r>) -> Self {
        let DirOptions { udid, previous, is_shown, contents, scratch, progress, now } = options;
        let parent = previous.map(|previous| previous as &dyn Below);
        let (previous, names) = match previous {
            Some(shown) if is_shown => (Some(shown), Names::over(shown, now)),
            _ => (None, Names::empty(parent, now)),
        };
        VirtualBackupDir {
            udid,
            names,
            previous,
            contents,
            scratch,
            progress,
            now,
            local: HashMap::new(),
            failure: None,
            refused: false,
            files: 0,
            bytes: 0,
            files_failed: 0,
        }
    }

    /// Whether something went wrong, so that nothing of the session will be kept.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether the phone did what no phone does, or the last snapshot cannot be shown any more:
    /// the session must end.
    pub fn must_end(&self) -> bool {
        self.refused
    }

    /// The first thing that went wrong.
    pub fn take_failure(&mut self) -> Option<DeviceError> {
        self.failure.take()
    }

    /// How many files the phone could not send in this session.
    pub fn files_failed(&self) -> u64 {
        self.files_failed
    }

    /// Ends the session for something that no phone does.
    pub fn refuse(&mut self, sentence: String) {
        self.refused = true;
        self.failure.get_or_insert_with(|| DeviceError::new(DeviceErrorKind::Protocol, sentence));
    }

    fn storing_failed(&mut self, error: io::Error) {
        self.failure.get_or_insert_with(|| {
            DeviceError::new(DeviceErrorKind::StorageFailed, "what the device sent was not stored")
                .because(error)
        });
    }

    /// The code that says what went wrong first.
    fn failure_code(&self) -> StatusCode {
        let cause = self.failure.as_ref().and_then(std::error::Error::source);
        match cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
            Some(error) => StatusCode::of(error),
            None if self.refused => StatusCode::Unknown,
            None => StatusCode::Io,
        }
    }

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
    fn name_failed(&mut self, error: NameError) -> Status {
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

    /// Puts a file of the host itself, such as `Info.plist`.
    ///
    /// # Errors
    ///
    /// It could not be stored.
    pub fn put_file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let failed = |e: io::Error| {
            DeviceError::new(DeviceErrorKind::StorageFailed, format!("{name} was not stored"))
                .because(e)
        };
        let mut stream = self.contents.begin();
        io::Write::write_all(&mut stream, bytes).map_err(failed)?;
        let content = stream.finish().map_err(failed)?;
        let mut local = NamedTempFile::new_in(self.scratch).map_err(failed)?;
        io::Write::write_all(&mut local, bytes).map_err(failed)?;
        let path = BackupPath::of_file(&self.udid, name);
        self.file_arrived(&path, content, bytes.len() as u64, Some(local));
        self.take_failure().map_or(Ok(()), Err)
    }

    /// A file is in the store: now it has a name.
    fn file_arrived(
        &mut self,
        path: &BackupPath,
        content: ContentTicket,
        len: u64,
        local: Option<NamedTempFile>,
    ) {
        let replaced = local.as_ref().and_then(|_| self.names.look(path.names()).ok().flatten());
        if let Err(error) = self.names.put(path.names(), content, len) {
            self.name_failed(error);
            self.failure.get_or_insert_with(|| {
                let sentence = "the device sent a file where there is a folder";
                DeviceError::new(DeviceErrorKind::Protocol, sentence)
            });
            return;
        }
        if let Some(Seen::Fresh(before)) = replaced {
            self.local.remove(&before);
        }
        if let Some(local) = local {
            self.local.insert(content, local);
        }
        self.progress.advance(1, len);
    }

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
            if let Err(error) = self.names.remove(path.names()) {
                return self.name_failed(error);
            }
        }
        Status::done()
    }

    /// How far the set is, by the `Status.plist` that came in this session and has its place.
    pub fn state(&self) -> Option<SnapshotState> {
        self.status().map(|status| status.state)
    }

    /// The `Status.plist` that came in this session and has its place.
    pub(crate) fn status(&self) -> Option<SetStatus> {
        let bytes = self.own_file("Status.plist")?;
        let mut status = Vec::new();
        At::start_of(bytes.as_file()).take(STATUS_LEN_MAX).read_to_end(&mut status).ok()?;
        SetStatus::parse(&status, &PlistLimits::BACKUP_SET).ok()
    }

    /// Whether the set has a file of this name.
    pub fn has_file(&self, name: &str) -> bool {
        let path = BackupPath::of_file(&self.udid, name);
        matches!(self.names.look(path.names()), Ok(Some(Seen::Fresh(_) | Seen::Kept(_))))
    }

    /// The copy of a named file of the set that came in this session.
    fn own_file(&self, name: &str) -> Option<&NamedTempFile> {
        let path = BackupPath::of_file(&self.udid, name);
        match self.names.look(path.names()) {
            Ok(Some(Seen::Fresh(content))) => self.local.get(&content),
            _ => None,
        }
    }

    /// Makes all that came durable; the answer to the message that asked for it.
    pub fn flush(&mut self) -> Status {
        match self.contents.flush() {
            Ok(()) => Status::done(),
            Err(error) => {
                self.storing_failed(error);
                Status::failed(self.failure_code())
            }
        }
    }

    /// How many files came whole, and how many bytes came, of those that did not too.
    pub fn received(&self) -> (u64, u64) {
        (self.files, self.bytes)
    }

    /// All changes against the parent, as the engine wants them.
    ///
    /// # Errors
    ///
    /// The parent or a temporary file could not be read or written.
    pub fn edits(&self) -> Result<TreeEdits> {
        let mut edits = TreeEdits::new(self.scratch);
        let set = Name::of(self.udid.as_str());
        let mut tell = |path: &TreePath, change: Change<ContentTicket>| -> Result<(), EditFailed> {
            let edit = match change {
                Change::Folder => put(self.node(NodeKind::Folder, 0o700), None),
                Change::File(content, _) => put(self.node(NodeKind::File, 0o600), Some(content)),
                Change::MoveFrom(from) => Edit::MoveFrom(from),
                Change::Remove => Edit::Remove,
            };
            edits.push(path, &edit).map_err(EditFailed::Edits)
        };
        let told = self.names.changes(&set, &mut tell);
        told.map_err(|failed| {
            let sentence = "the changes of the session could not be written down";
            DeviceError::new(DeviceErrorKind::StorageFailed, sentence).because(failed)
        })?;
        Ok(edits)
    }

    fn node(&self, kind: NodeKind, mode: u32) -> Node {
        let mut node = Node::new(kind, mode);
        node.uid = rustix::process::getuid().as_raw();
        node.gid = rustix::process::getgid().as_raw();
        node.mtime = self.now;
        node
    }
}

fn put(node: Node, content: Option<ContentTicket>) -> Edit {
    Edit::Put { node: Box::new(node), awaiting: Awaiting { content, ..Awaiting::default() } }
}

#[derive(Debug, thiserror::Error)]
enum EditFailed {
    #[error(transparent)]
    Names(#[from] NameError),
    #[error(transparent)]
    Edits(devsnap_engine::error::Error),
}

/// One line of a listing, in the device's words.
fn described(is: Lain) -> Dictionary {
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
