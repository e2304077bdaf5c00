//! The files of an encrypted device as plaintext: what is prepared before the device is asked.
use std::sync::Arc;

use devsnap_engine::source::SourceRun;
use zeroize::Zeroizing;

use super::DeviceSource;
use crate::conversion::{Locked, Spool, Unlocked};
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::{PlistLimits, read_bytes};
use crate::virtual_dir::Conversion;
use crate::virtual_dir::path::BackupPath;
use crate::virtual_dir::previous::Previous;

/// How the files of an encrypted device become plaintext.
#[derive(Clone)]
pub struct ConversionOptions {
    /// The backup password, as it was typed.
    pub password: Arc<Zeroizing<Vec<u8>>>,
    /// Bytes that may wait on this computer's disk until their keys come; a quarter of what is free
    /// there if not said.
    pub spool_max_bytes: Option<u64>,
    /// Whether photos, films and music become plaintext too. They never change, so it only costs.
    pub converts_media: bool,
}

impl DeviceSource {
    /// What the session needs to convert what comes. The last set is opened before the device is
    /// asked for anything: a person who mistyped the password should hear of it now.
    pub(super) fn conversion(
        &self,
        previous: Option<&Previous<'_>>,
        run: &SourceRun<'_>,
    ) -> Result<Option<Conversion>> {
        let Some(options) = self.options.conversion.as_ref().filter(|_| self.encrypted) else {
            return Ok(None);
        };
        let failed = |error: std::io::Error| {
            let sentence = "the place where encrypted files wait could not be made";
            DeviceError::new(DeviceErrorKind::StorageFailed, sentence).because(error)
        };
        let limit = match options.spool_max_bytes {
            Some(limit) => limit,
            None => {
                let free = rustix::fs::statvfs(run.scratch).map_err(|e| failed(e.into()))?;
                free.f_bavail.saturating_mul(free.f_frsize) / 4
            }
        };
        let known = previous.and_then(|previous| self.known_set(previous, options, run));
        run.interrupt.check().map_err(|error| failed(std::io::Error::other(error)))?;
        Ok(Some(Conversion {
            password: options.password.clone(),
            known,
            spool: Spool::new(run.scratch, limit).map_err(failed)?,
            converts_media: options.converts_media,
        }))
    }

    /// The last set, opened. That it does not open is no failure: the password may have changed since.
    fn known_set(
        &self,
        previous: &Previous<'_>,
        options: &ConversionOptions,
        run: &SourceRun<'_>,
    ) -> Option<Unlocked> {
        let path = BackupPath::of_file(&self.info.udid, "Manifest.plist").tree_path();
        let list = read_bytes(previous.open(&path).ok()?, &PlistLimits::BACKUP_SET).ok()?;
        match Unlocked::of(&list, &options.password, None, run.interrupt) {
            Ok(unlocked) => Some(unlocked),
            Err(Locked::Wrong) => {
                self.watch.warn(
                    "the backup password does not open the last snapshot; unless it was changed on \
                     the device since, it is not the right one",
                );
                None
            }
            // The last one was not encrypted, or is odd: the set that comes will tell.
            Err(Locked::NotEncrypted | Locked::Unusable(_) | Locked::Interrupted) => None,
        }
    }
}
