//! A note in a target that a restore to it is under way.
//!
//! File systems make a file's length, time and name durable long before its bytes (ext4 and others
//! by default). After a power cut in the middle of a restore, files may stand there that look right
//! and hold zeros. While the note is there nobody trusts lengths and times; it goes only after
//! everything was made durable.
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use rustix::io::{Errno, Result};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

/// The note's name in the root of the target.
pub(super) const NAME: &str = ".devsnap-unfinished";

/// The note of one target.
#[derive(Debug)]
pub(super) struct Unfinished {
    was_there: bool,
    is_there: Mutex<bool>,
}

impl Unfinished {
    /// Looks for a note that an earlier restore left in `root`.
    pub(super) fn look(root: &OwnedFd) -> Unfinished {
        let found = rustix::fs::statat(root, NAME, AtFlags::SYMLINK_NOFOLLOW);
        // What cannot be looked at may be there: comparing bytes is only slower.
        let was_there = !matches!(found, Err(Errno::NOENT));
        Unfinished { was_there, is_there: Mutex::new(false) }
    }

    /// Whether an earlier restore did not end.
    pub(super) fn was_there(&self) -> bool {
        self.was_there
    }

    /// Makes sure that the note is there, durably, before anything gets its name.
    pub(super) fn note(&self, root: &OwnedFd) -> Result<()> {
        let mut is_there = self.is_there.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_there {
            return Ok(());
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let note = rustix::fs::openat(root, NAME, flags, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::fsync(&note)?;
        rustix::fs::fsync(root)?;
        *is_there = true;
        Ok(())
    }

    /// Removes the note, since everything is durable, but for one that was there before and is not
    /// settled. The root keeps its permissions and time.
    pub(super) fn end(&self, root: &OwnedFd, is_settled: bool) -> Result<()> {
        let mut is_there = self.is_there.lock().unwrap_or_else(PoisonError::into_inner);
        if (!*is_there && !self.was_there) || (self.was_there && !is_settled) {
            return Ok(());
        }
        let stat = rustix::fs::fstat(root)?;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        let removed = match rustix::fs::unlinkat(root, NAME, AtFlags::empty()) {
            Err(Errno::ACCESS) => {
                rustix::fs::fchmod(root, mode | Mode::RWXU)?;
                let removed = rustix::fs::unlinkat(root, NAME, AtFlags::empty());
                rustix::fs::fchmod(root, mode)?;
                removed
            }
            removed => removed,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: stat.st_mtime,
                tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
            },
        };
        rustix::fs::futimens(root, &times)?;
        *is_there = false;
        Ok(())
    }
}
