//! The folder that the phone thinks it writes to.
//!
//! [`VirtualBackupDir`] answers what a phone asks of its backup folder, out of the last snapshot
//! ([`previous`]) and what came since ([`names`], [`incoming`]). Bytes go into the engine as they
//! come; names are told once, at the end. Nothing of it is a folder on a disk.
//!
//! It keeps the first thing that went wrong. From then on what the phone sends is let fall and
//! answered with an error, and nothing of the session is kept.
mod answers;
mod held;
mod incoming;
pub mod names;
pub mod path;
pub mod previous;
mod rows;
mod spooling;

pub(crate) use answers::described;
pub(crate) use previous::lain;

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{Node, NodeKind, Time};
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Progress;
use devsnap_engine::source::{Awaiting, ContentSink, ContentTicket, Edit, TreeEdits};
use tempfile::NamedTempFile;

use crate::backup_set::{SnapshotState, Status as SetStatus};
use crate::devicelink::StatusCode;
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::PlistLimits;
use crate::udid::Udid;
use held::Held;
use names::{Below, Change, NameError, Names, Seen};
use path::{BackupPath, Name};
use previous::{At, Previous, STATUS_LEN_MAX};
use spooling::Spooling;
pub use spooling::{Conversion, Converted};

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
    /// How many bytes the device may send, those of files that it sends again included.
    pub receive_max_bytes: u64,
    /// How many files the device may begin to send.
    pub receive_max_files: u64,
    /// How files of an encrypted set become plaintext, if they do.
    pub conversion: Option<Conversion>,
    /// Raised when somebody asks to stop.
    pub interrupt: &'r Interrupt,
}

/// A backup folder that is none.
pub struct VirtualBackupDir<'r> {
    udid: Udid,
    names: Names<'r, Held>,
    previous: Option<&'r Previous<'r>>,
    contents: &'r dyn ContentSink,
    scratch: &'r Path,
    progress: &'r dyn Progress,
    now: Time,
    receive_max_bytes: u64,
    receive_max_files: u64,
    interrupt: &'r Interrupt,
    /// Files that wait to become plaintext.
    spooling: Option<Spooling>,
    /// Copies of the files that came with a name, until something else has their name.
    local: HashMap<Held, NamedTempFile>,
    failure: Option<DeviceError>,
    /// Whether the failure is a thing no phone does, so that it need not be heard out.
    refused: bool,
    files: u64,
    bytes: u64,
    /// What was read of streams after something had failed, and let fall.
    fallen_bytes: u64,
    /// How many files the device began to send, whatever came of them.
    files_begun: u64,
    /// How many things it removed, each with what was below it.
    removed: u64,
    files_failed: u64,
}

impl<'r> VirtualBackupDir<'r> {
    /// The folder at the beginning of a session.
    pub fn new(options: DirOptions<'r>) -> Self {
        let DirOptions { udid, previous, is_shown, contents, scratch, progress, now, .. } = options;
        let DirOptions { receive_max_bytes, receive_max_files, .. } = options;
        let (interrupt, spooling) = (options.interrupt, options.conversion.map(Spooling::new));
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
            receive_max_bytes,
            receive_max_files,
            interrupt,
            spooling,
            local: HashMap::new(),
            failure: None,
            refused: false,
            files: 0,
            bytes: 0,
            fallen_bytes: 0,
            files_begun: 0,
            removed: 0,
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
        let content = Held::Stored(content);
        self.file_arrived(&path, content, bytes.len() as u64, Some(local));
        self.take_failure().map_or(Ok(()), Err)
    }

    /// A file is in the store: now it has a name.
    fn file_arrived(
        &mut self,
        path: &BackupPath,
        content: Held,
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

    /// Whether a file of this name came in this session and has its place. What lies there of the last
    /// snapshot does not count.
    pub fn has_come(&self, name: &str) -> bool {
        self.own_file(name).is_some()
    }

    /// The copy of a named file of the set that came in this session.
    fn own_file(&self, name: &str) -> Option<&NamedTempFile> {
        let path = BackupPath::of_file(&self.udid, name);
        match self.names.look(path.names()) {
            Ok(Some(Seen::Fresh(content))) => self.local.get(&content),
            _ => None,
        }
    }

    /// How many files came whole, and how many bytes came, of those that did not too.
    pub fn received(&self) -> (u64, u64) {
        (self.files, self.bytes)
    }

    /// How many files were begun to be sent, and things removed: what a session is there for.
    pub fn work(&self) -> u64 {
        self.files_begun + self.removed
    }

    /// All changes against the parent, as the engine wants them.
    ///
    /// # Errors
    ///
    /// The parent or a temporary file could not be read or written.
    pub fn edits(&self) -> Result<TreeEdits> {
        let mut edits = TreeEdits::new(self.scratch);
        let set = Name::of(self.udid.as_str());
        let mut tell = |path: &TreePath, change: Change<Held>| -> Result<(), EditFailed> {
            let edit = match change {
                Change::Folder => put(self.node(NodeKind::Folder, 0o700), None),
                Change::File(held, _) => self.put_held(held).ok_or(EditFailed::Waiting)?,
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

    fn put_held(&self, held: Held) -> Option<Edit> {
        let mut node = self.node(NodeKind::File, 0o600);
        let content = match held {
            Held::Stored(content) => content,
            Held::Spooled(number) => {
                let stored = self.spooling.as_ref()?.stored(number)?;
                node.encoding = stored.encoding.clone();
                stored.content
            }
        };
        Some(put(node, Some(content)))
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
    #[error("a file still waits for its key")]
    Waiting,
    #[error(transparent)]
    Edits(devsnap_engine::error::Error),
}
