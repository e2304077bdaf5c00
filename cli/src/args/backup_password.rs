//! The password that a device encrypts its backups with.
use clap::{Args, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

/// Where the backup password comes from. For every command that may need it.
#[derive(Debug, Clone, Default, Args)]
pub struct BackupPasswordArgs {
    /// Read the backup password from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "backup_password_command")]
    pub backup_password_file: Option<PathBuf>,
    /// Run this command and take what it prints as the backup password
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub backup_password_command: Option<OsString>,
}

/// Where a new backup password comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct NewBackupPasswordArgs {
    /// Read the new backup password from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "new_backup_password_command")]
    pub new_backup_password_file: Option<PathBuf>,
    /// Run this command and take what it prints as the new backup password
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub new_backup_password_command: Option<OsString>,
}
