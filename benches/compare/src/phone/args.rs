//! What can be asked for.
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Parser;

/// Backs the same phone in software up with several hosts, for some days, and compares them.
#[derive(Debug, Parser)]
#[command(name = "devsnap-compare-phone")]
pub(crate) struct Args {
    /// Work folder, on the disk that is measured; needs about ten times the size of the phone
    pub(crate) work: PathBuf,
    /// The devsnap to measure, e.g. target/release/devsnap
    #[arg(long, value_name = "PATH")]
    pub(crate) devsnap: PathBuf,
    /// The simulator, e.g. target/release/devsnap-simulator
    #[arg(long, value_name = "PATH")]
    pub(crate) simulator: PathBuf,
    /// The idevicebackup2 to compare with
    #[arg(long, value_name = "PATH", default_value = "idevicebackup2")]
    pub(crate) idevicebackup2: PathBuf,
    /// The restic that keeps what idevicebackup2 wrote
    #[arg(long, value_name = "PATH", default_value = "restic")]
    pub(crate) restic: PathBuf,
    /// Backups, the first included
    #[arg(long, default_value_t = 2)]
    pub(crate) days: u64,
    /// Files on the phone
    #[arg(long, default_value_t = 20_000)]
    pub(crate) files: u64,
    /// Their size
    #[arg(long, default_value = "2GiB")]
    pub(crate) bytes: ByteSize,
    /// The size of the database of messages, on top
    #[arg(long)]
    pub(crate) messages: Option<ByteSize>,
    /// The phone encrypts with a backup password; devsnap runs with and without knowing it
    #[arg(long)]
    pub(crate) encrypted: bool,
    /// What the phone is made from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}
