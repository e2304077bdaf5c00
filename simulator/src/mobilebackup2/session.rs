//! What backups, restores and changes of password have in common.
use super::habits::Habits;
use super::host::{Fetched, Host};
use super::stop::{MbError, Step, Stop};
use crate::backup_files::cipher::{Decryptor, Key};
use crate::backup_files::hex;
use crate::contents::{Contents, Proportions};
use crate::phone::{Faults, Passcode, Phone, Stage};
use sha2::{Digest, Sha256};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long a passcode sheet stays when nobody types.
const SHEET: Duration = Duration::from_secs(180);

/// The contents of a phone of which nobody said what is on it.
const UNASKED: Proportions = Proportions { files: 400, bytes: 8 << 20 };

/// Where sessions have their files, in the phone's folder.
const WORK: &str = "work";

/// What a file that is held in memory may measure.
const SMALL_MAX: usize = 64 << 20;

/// One request being performed.
pub(super) struct Session<'s, 'c> {
    /// The host.
    pub(super) host: &'s mut Host<'c>,
    /// The phone.
    pub(super) phone: &'s Arc<Phone>,
    /// How it goes about it.
    pub(super) habits: &'s Habits,
    /// What goes wrong.
    pub(super) faults: Arc<Faults>,
    /// The phone's UDID: the folder on the host.
    pub(super) udid: String,
}

/// Held while a session uses the phone's contents.
pub(super) struct Exclusive {
    _lock: File,
}

impl<'s, 'c> Session<'s, 'c> {
    /// A request of this host.
    pub(super) fn new(host: &'s mut Host<'c>, phone: &'s Arc<Phone>, habits: &'s Habits) -> Self {
        let faults = host.wire.faults();
        let udid = phone.identity().udid.clone();
        Session { host, phone, habits, faults, udid }
    }

    /// A path in this phone's folder on the host.
    pub(super) fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.udid)
    }

    /// The phone's major version of iOS, and its minor one.
    pub(super) fn ios(&self) -> (u32, u32) {
        let mut numbers = self.phone.identity().product_version.split('.').map(str::parse);
        let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
        (next(), next())
    }

    /// A stage begins: cuts and silences may be due.
    ///
    /// # Errors
    ///
    /// The connection is to be cut here, or is gone.
    pub(super) fn stage(&mut self, stage: Stage) -> Step<()> {
        Ok(self.host.wire.stage(stage)?)
    }

    /// The sheet for the passcode goes up, on a phone that has one.
    ///
    /// # Errors
    ///
    /// Nobody typed it.
    pub(super) fn passcode_sheet(&mut self) -> Step<()> {
        self.stage(Stage::Passcode)?;
        let wait = match self.faults.passcode {
            Passcode::Absent => return Ok(()),
            Passcode::Entered(after) => after,
            Passcode::Denied => Duration::ZERO,
            Passcode::Never => SHEET.min(Duration::from_secs(self.habits.patience_seconds)),
        };
        self.phone.post("com.apple.LocalAuthentication.ui.presented");
        self.phone.wait(wait)?;
        self.phone.post("com.apple.LocalAuthentication.ui.dismissed");
        match self.faults.passcode {
            Passcode::Entered(_) => Ok(()),
            _ => Err(Stop::refused(MbError::LOCKED, "Device locked")),
        }
    }

    /// Refuses, when that is to go wrong. Cancelling comes later, where there is something to cancel.
    ///
    /// # Errors
    ///
    /// The refusal.
    pub(super) fn refusal(&self) -> Step<()> {
        match self.faults.refusal {
            None | Some(0 | MbError::CANCELLED) => Ok(()),
            Some(code) => Err(Stop::refused(code, refusal_text(code))),
        }
    }

    /// Ends the session, when the person is to cancel it on the phone.
    ///
    /// # Errors
    ///
    /// It is cancelled.
    pub(super) fn cancellation(&mut self) -> Step<()> {
        if self.faults.refusal != Some(MbError::CANCELLED) {
            return Ok(());
        }
        self.phone.post("com.apple.itunes-client.syncCancelRequest");
        Err(Stop::refused(MbError::CANCELLED, "Backup cancelled"))
    }

    /// Takes the phone's contents for this session.
    ///
    /// # Errors
    ///
    /// Another session has them.
    pub(super) fn exclusive(&self) -> Step<Exclusive> {
        let lock = File::create(self.phone.folder().join("session.lock"))?;
        match lock.try_lock() {
            Ok(()) => {
                // What a session left that was killed; nobody else is here now.
                let _ = fs::remove_dir_all(self.phone.folder().join(WORK));
                Ok(Exclusive { _lock: lock })
            }
            Err(TryLockError::WouldBlock) => {
                Err(Stop::refused(MbError::BUSY, "Another backup or restore is running"))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// What is on the phone. One that was never given anything gets some hundred files.
    ///
    /// # Errors
    ///
    /// The phone's folder cannot be read or written.
    pub(super) fn contents(&self) -> io::Result<Contents> {
        let folder = self.phone.folder();
        match Contents::open(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut contents = Contents::generate(self.phone.seed(), &UNASKED);
                contents.save(folder)?;
                Ok(contents)
            }
            other => other,
        }
    }

    /// A small file of the host's; `None` when it has none.
    ///
    /// # Errors
    ///
    /// The host has it and cannot send it, or it is not small.
    pub(super) fn fetch(&mut self, path: &str) -> Step<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let fetched = self.host.download(&[path.to_owned()], |_, piece| {
            if bytes.len() + piece.len() > SMALL_MAX {
                return Err(Stop::refused(MbError::CORRUPT, "A file is too large"));
            }
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(whole(&fetched, path)?.then_some(bytes))
    }

    /// A file of the host's into a file of the phone's, decrypted under `key`; SHA-256 of what came
    /// over the wire, or `None` when the host has no such file.
    ///
    /// # Errors
    ///
    /// The host has it and cannot send it, or it does not decrypt.
    pub(super) fn fetch_into(
        &mut self,
        path: &str,
        to: &Path,
        key: Option<&Key>,
    ) -> Step<Option<String>> {
        let mut file = BufWriter::new(File::create(to)?);
        let mut hash = Sha256::new();
        let mut decryptor = key.map(Decryptor::new);
        let mut plain = Vec::new();
        let fetched = self.host.download(&[path.to_owned()], |_, piece| {
            hash.update(piece);
            match &mut decryptor {
                None => file.write_all(piece)?,
                Some(decryptor) => {
                    plain.clear();
                    decryptor.push(piece, &mut plain);
                    file.write_all(&plain)?;
                }
            }
            Ok(())
        })?;
        if !whole(&fetched, path)? {
            return Ok(None);
        }
        if let Some(decryptor) = decryptor {
            plain.clear();
            decryptor.finish(&mut plain)?;
            file.write_all(&plain)?;
        }
        file.flush()?;
        Ok(Some(hex(&hash.finalize())))
    }

    /// A folder for this session's files, gone when it is dropped.
    ///
    /// # Errors
    ///
    /// The phone's folder cannot be written.
    pub(super) fn work_folder(&self) -> io::Result<tempfile::TempDir> {
        let above = self.phone.folder().join(WORK);
        fs::create_dir_all(&above)?;
        tempfile::TempDir::new_in(above)
    }
}

/// Whether the one file that was asked for has come; not, when the host has none.
fn whole(fetched: &[Fetched], path: &str) -> Step<bool> {
    match fetched {
        [Fetched::Whole] => Ok(true),
        [Fetched::Missing] => Ok(false),
        [Fetched::Failed(text)] => {
            Err(Stop::refused(MbError::READ, format!("Error reading {path:?}: {text}")))
        }
        _ => Err(Stop::protocol("not one file where one was asked for")),
    }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What phones say with the codes that hosts know.
fn refusal_text(code: u32) -> &'static str {
    match code {
        1 => "Internal error. Underlying error: Forbidden by profile (MBErrorDomain/22)",
        3 => "Failed to create snapshot: File exists",
        25 => "Restore from iCloud is in progress",
        104 => "Multiple errors uploading files",
        105 => "Insufficient free disk space on drive to back up",
        106 => "Insufficient free space on the device to restore",
        203 => "The backup is of a version that does not fit",
        205 => "Error reading backup properties",
        207 => "Invalid password",
        208 => "Device locked",
        211 => "Find My is turned on",
        212 => "Setup is not finished",
        _ => "Refused on purpose",
    }
}
