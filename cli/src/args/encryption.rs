//! Whether a device encrypts its backups, and with which password.
use super::device::duration;
use super::{BackupPasswordArgs, DeviceChoice, NewBackupPasswordArgs, RecordArgs};
use clap::{Args, Subcommand};
use std::time::Duration;

/// `encryption`.
#[derive(Debug, Subcommand)]
pub enum EncryptionCommand {
    /// Tell which of the attached devices encrypt their backups
    Status(DeviceChoice),
    /// Have a device encrypt its backups with a password from now on
    On(EncryptionOnArgs),
    /// Have a device no longer encrypt its backups
    Off(EncryptionOffArgs),
    /// Change the password that a device encrypts its backups with
    ChangePassword(ChangeBackupPasswordArgs),
    /// Try a backup password against a snapshot, without the device
    Verify(EncryptionVerifyArgs),
}

/// How a device is dealt with.
#[derive(Debug, Args)]
pub struct EncryptionDeviceArgs {
    /// Which.
    #[command(flatten)]
    pub choice: DeviceChoice,
    /// Wait so long for the device to be attached, for "Trust" and for the passcode, e.g. 90s or
    /// 2h30m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Whether it is recorded.
    #[command(flatten)]
    pub recording: RecordArgs,
}

/// `encryption on`.
#[derive(Debug, Args)]
pub struct EncryptionOnArgs {
    /// The device.
    #[command(flatten)]
    pub device: EncryptionDeviceArgs,
    /// Its password from now on.
    #[command(flatten)]
    pub new: NewBackupPasswordArgs,
}

/// `encryption off`.
#[derive(Debug, Args)]
pub struct EncryptionOffArgs {
    /// The device.
    #[command(flatten)]
    pub device: EncryptionDeviceArgs,
    /// Its password so far.
    #[command(flatten)]
    pub old: BackupPasswordArgs,
}

/// `encryption change-password`.
#[derive(Debug, Args)]
pub struct ChangeBackupPasswordArgs {
    /// The device.
    #[command(flatten)]
    pub device: EncryptionDeviceArgs,
    /// Its password so far.
    #[command(flatten)]
    pub old: BackupPasswordArgs,
    /// Its password from now on.
    #[command(flatten)]
    pub new: NewBackupPasswordArgs,
}

/// `encryption verify`.
#[derive(Debug, Args)]
pub struct EncryptionVerifyArgs {
    /// Which snapshot: latest, latest~2, id, tag or date [default: the newest of the device]
    #[arg(value_name = "SNAP", conflicts_with = "device")]
    pub snapshot: Option<String>,
    /// Which device: its name or UDID; it need not be attached [default: the only one there are
    /// snapshots of]
    #[arg(short, long, value_name = "NAME|UDID")]
    #[arg(visible_alias = "udid", visible_short_alias = 'u')]
    pub device: Option<String>,
    /// The password.
    #[command(flatten)]
    pub password: BackupPasswordArgs,
}
