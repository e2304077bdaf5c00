//! Recordings: played, and what was before them.
use super::faults::seconds;
use clap::Args;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The recording.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where usbmuxd listens; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub(crate) address: SocketAddr,
    /// How long the host may do nothing while something is left of the recording.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub(crate) idle: Duration,
    /// Runs this as the host; what it prints is shown.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// `parent`.
#[derive(Debug, Args)]
pub(crate) struct Parent {
    /// The recording.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the backup folder is made, named by the phone's made-up UDID.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}
