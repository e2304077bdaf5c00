//! Sessions of this computer: a [`Locked`] file for each, for as long as its process lives.
//!
//! Who finds a session's file unlocked gives the session up for all others (rule 2 of
//! `docs/crash-safety.md`): no sweeper waits two days for a run that was killed. Where files cannot
//! be locked there are no such files, and sweepers wait.
use super::locked::Locked;
use super::{OpenSession, Repository, SessionMarks};
use crate::error::Result;
use crate::id::SessionId;
use std::fs;
use std::path::{Path, PathBuf};

/// The file of one session, locked by this process.
pub(super) struct Running(Locked);

impl Running {
    /// Notes that this process is about to open `session`; `None` where no lock can be had.
    pub(super) fn begin(cache_folder: &Path, session: SessionId) -> Option<Running> {
        Locked::make(&folder_of(cache_folder), &session.to_hex()).map(Running)
    }

    /// The session is over, for all to see.
    pub(super) fn forget(&self) {
        // One that stays is looked into by the next run, which finds nothing to do.
        let _ = self.0.remove();
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
        Some((id, Running(Locked::of_the_dead(&path)?)))
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
