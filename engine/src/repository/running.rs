//! Sessions of this computer: a file for each, locked for as long as its process lives.
//!
//! A lock goes with its process, whatever that dies of. So who finds a session's file unlocked knows
//! that nobody works in it any more, by no clock, and gives it up for all others (rule 2 of
//! `docs/crash-safety.md`): no sweeper waits two days for a run that was killed. Where files cannot
//! be locked there are no such files, and sweepers wait.
use super::{OpenSession, Repository, SessionMarks};
use crate::error::Result;
use crate::id::SessionId;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The file of one session, locked by this process.
pub(super) struct Running {
    path: PathBuf,
    _lock: File,
}

impl Running {
    /// Notes that this process is about to open `session`; `None` where no lock can be had.
    pub(super) fn begin(cache_folder: &Path, session: SessionId) -> Option<Running> {
        let folder = folder_of(cache_folder);
        fs::create_dir_all(&folder).ok()?;
        // Locked before it has its name: under that nobody finds it unlocked while we live.
        let file = tempfile::Builder::new().prefix("new-").tempfile_in(&folder).ok()?;
        file.as_file().try_lock().ok()?;
        let path = folder.join(session.to_hex());
        let _lock = file.persist(&path).ok()?;
        Some(Running { path, _lock })
    }

    /// The session is over, for all to see.
    pub(super) fn forget(&self) {
        // One that stays is looked into by the next run, which finds nothing to do.
        let _ = fs::remove_file(&self.path);
    }
}

fn folder_of(cache_folder: &Path) -> PathBuf {
    cache_folder.join("sessions")
}

/// The sessions of this computer whose process is gone. Their files stay locked by us meanwhile.
fn dead(cache_folder: &Path) -> Vec<(SessionId, Running)> {
    let Ok(found) = fs::read_dir(folder_of(cache_folder)) else { return Vec::new() };
    let session = |path: PathBuf| {
        let id = path.file_name()?.to_str()?.parse().ok()?;
        let _lock = File::open(&path).ok()?;
        _lock.try_lock().ok()?;
        Some((id, Running { path, _lock }))
    };
    found.filter_map(|entry| session(entry.ok()?.path())).collect()
}

impl Repository {
    /// Puts `fence` for each session of this computer that never ended and whose process is gone;
    /// says which. One that only a full key could give up is left to sweepers.
    ///
    /// # Errors
    ///
    /// A listing that broke off; what reading and storing meets.
    pub(crate) fn fence_dead(&self, program: &str) -> Result<Vec<OpenSession>> {
        let mut fenced = Vec::new();
        for (id, running) in dead(self.cache_folder()) {
            let marks = SessionMarks::list(self, &id.to_hex())?;
            if marks.stands(id) && !marks.has_ended(id) && self.may_fence(id)? {
                let about = marks.about(self, id);
                self.fence(id, program)?;
                fenced.push(about);
            }
            running.forget();
        }
        Ok(fenced)
    }

    /// Whether a fence of ours counts.
    fn may_fence(&self, session: SessionId) -> Result<bool> {
        let opener = self.signed_mark(session, "open")?.map(|(writer, _)| writer);
        Ok(!self.is_write_only() || opener == Some(self.keys().signer.writer()))
    }
}
