//! Reading a set's files without being led elsewhere, kept waiting, or filled up.
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::bad_set;
use crate::error::{DeviceError, DeviceErrorKind, Result};

/// How every SQLite database begins that is not encrypted as a whole.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The files that make a folder a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SetFile {
    /// Written by the host: whose backup it is.
    Info,
    /// Written by the device: the keybag, encrypted or not.
    Manifest,
    /// Written by the device: how far the last session came.
    Status,
    /// Written by the device: which file is which.
    Database,
}

impl SetFile {
    pub(super) const ALL: [SetFile; 4] =
        [SetFile::Info, SetFile::Manifest, SetFile::Status, SetFile::Database];

    pub(super) fn name(self) -> &'static str {
        match self {
            SetFile::Info => "Info.plist",
            SetFile::Manifest => "Manifest.plist",
            SetFile::Status => "Status.plist",
            SetFile::Database => "Manifest.db",
        }
    }
}

/// A folder held open, so that all four files come from the same one.
pub(super) struct SetFolder {
    path: PathBuf,
    handle: OwnedFd,
}

impl SetFolder {
    /// Opens `path`, following a link the person gave; `None` when it is not a folder.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(handle) => Ok(Some(SetFolder { path: path.to_owned(), handle })),
            Err(Errno::NOTDIR) => Ok(None),
            Err(cause) => Err(unreadable(path, cause)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the folder is called, when that is text. `.` and links are resolved for it: `.` is the
    /// commonest way to say "this one".
    pub(super) fn name(&self) -> Option<String> {
        let real = self.path.canonicalize().ok()?;
        Some(real.file_name()?.to_str()?.to_owned())
    }

    /// Whether there is anything of that name, be it a file or not.
    pub(super) fn has(&self, name: &str) -> Result<bool> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(cause) => Err(unreadable(&self.path.join(name), cause)),
        }
    }

    /// The whole of `file`, which must not be longer than `bytes_max`.
    pub(super) fn read(&self, file: SetFile, bytes_max: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more than allowed tells "too long" without asking the file how long it is.
        let readable = bytes_max as u64 + 1;
        self.open_file(file)?
            .take(readable)
            .read_to_end(&mut bytes)
            .map_err(|cause| unreadable(&self.path.join(file.name()), cause))?;
        match bytes.len() {
            0 => Err(self.unusable(file, "is empty")),
            len if len > bytes_max => Err(self.unusable(file, "is too large to be one")),
            _ => Ok(bytes),
        }
    }

    /// Whether `Manifest.db` begins like a database, rather than like ciphertext.
    pub(super) fn database_is_plain(&self) -> Result<bool> {
        let mut start = Vec::new();
        self.open_file(SetFile::Database)?
            .take(SQLITE_MAGIC.len() as u64)
            .read_to_end(&mut start)
            .map_err(|cause| unreadable(&self.path.join(SetFile::Database.name()), cause))?;
        match start.len() {
            0 => Err(self.unusable(SetFile::Database, "is empty")),
            len if len < SQLITE_MAGIC.len() => {
                Err(self.unusable(SetFile::Database, "is too short to be one"))
            }
            _ => Ok(start == SQLITE_MAGIC),
        }
    }

    /// Opens a regular file of this folder. Never a link, and never waits for a FIFO's writer.
    fn open_file(&self, file: SetFile) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.handle, file.name(), flags, Mode::empty());
        let handle = opened.map_err(|cause| match cause {
            Errno::NOENT => self.unusable(file, "is missing"),
            Errno::LOOP => self.unusable(file, "is a symbolic link"),
            cause => unreadable(&self.path.join(file.name()), cause),
        })?;
        let found = rustix::fs::fstat(&handle)
            .map_err(|cause| unreadable(&self.path.join(file.name()), cause))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(self.unusable(file, "is not a regular file"));
        }
        Ok(File::from(handle))
    }

    fn unusable(&self, file: SetFile, what: &str) -> DeviceError {
        bad_set(self, &format!("cannot be used: {} {what}", file.name()))
    }
}

fn unreadable(path: &Path, cause: impl Into<std::io::Error>) -> DeviceError {
    DeviceError::new(DeviceErrorKind::Unreadable, format!("{path:?} cannot be read"))
        .because(cause.into())
}
