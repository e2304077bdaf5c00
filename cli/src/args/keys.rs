//! Who may do what.
use clap::{Args, Subcommand, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

/// `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the keys, the oldest first
    List,
    /// Let another password open the repository
    Add(AddKeyArgs),
    /// Remove a password, recovery key or writer key
    Remove(RemoveKeyArgs),
    /// Change the password that the repository is opened with
    Passwd(NewPassword),
    /// Make a new recovery key and print it, once; the old one opens nothing then
    Recovery,
    /// Seal new sessions to a new key, which removed keys do not get
    Rotate,
    /// Keys of stations, which add snapshots and read none
    #[command(subcommand)]
    Writer(WriterCommand),
}

/// `key writer`.
#[derive(Debug, Subcommand)]
pub enum WriterCommand {
    /// Write a new writer key into a file
    Add(AddWriterArgs),
}

/// `key add`.
#[derive(Debug, Args)]
pub struct AddKeyArgs {
    /// What to call it in the list
    #[arg(value_name = "LABEL", default_value = "", hide_default_value = true)]
    pub label: String,
    /// The password.
    #[command(flatten)]
    pub new: NewPassword,
}

/// Where a new password comes from.
#[derive(Debug, Default, Args)]
pub struct NewPassword {
    /// Read the new password from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "new_password_command")]
    pub new_password_file: Option<PathBuf>,
    /// Run this command and take what it prints as the new password
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub new_password_command: Option<OsString>,
}

/// `key remove`.
#[derive(Debug, Args)]
pub struct RemoveKeyArgs {
    /// Which key: the first digits of its id
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `key writer add`.
#[derive(Debug, Args)]
pub struct AddWriterArgs {
    /// What to call it in the list
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// The file to write; it must not be there
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
}
