//! The password that a device encrypts its backups with.
//!
//! `--backup-password-file`, `--backup-password-command`, `DEVSNAP_BACKUP_PASSWORD`,
//! `DEVSNAP_BACKUP_PASSWORD_FILE`, `DEVSNAP_BACKUP_PASSWORD_COMMAND`, a prompt. A new one comes from
//! `--new-backup-password-file`, `DEVSNAP_NEW_BACKUP_PASSWORD` and so on in the same way.
#![allow(dead_code, reason = "the commands that need it follow")]
use super::Password;
use super::places::{Places, Wanted};
use crate::args::{BackupPasswordArgs, NewBackupPasswordArgs};
use crate::failure::Failure;

/// The places where the password of a device's backups is looked for.
pub struct BackupSources<'a> {
    /// The environment, and who sits there.
    pub places: Places<'a>,
}

impl BackupSources<'_> {
    /// The password, when flags or environment name one. Nobody is asked.
    ///
    /// # Errors
    ///
    /// A file or command that was named does not give one.
    pub fn if_given(&self, flags: &BackupPasswordArgs) -> Result<Option<Password>, Failure> {
        self.places.given(&existing(flags))
    }

    /// The password; typed when it is not given.
    ///
    /// # Errors
    ///
    /// As [`if_given`](Self::if_given); nobody is there to be asked.
    pub fn existing(&self, flags: &BackupPasswordArgs) -> Result<Password, Failure> {
        self.places.given_or_typed(&existing(flags))
    }

    /// A new password; typed twice when it is not given.
    ///
    /// # Errors
    ///
    /// As [`existing`](Self::existing); the two differ.
    pub fn fresh(&self, flags: &NewBackupPasswordArgs) -> Result<Password, Failure> {
        self.places.given_or_typed_twice(&Wanted {
            name: "new backup password",
            flag: "new-backup-password",
            file: flags.new_backup_password_file.as_deref(),
            command: flags.new_backup_password_command.as_deref(),
        })
    }
}

fn existing(flags: &BackupPasswordArgs) -> Wanted<'_> {
    Wanted {
        name: "backup password",
        flag: "backup-password",
        file: flags.backup_password_file.as_deref(),
        command: flags.backup_password_command.as_deref(),
    }
}
