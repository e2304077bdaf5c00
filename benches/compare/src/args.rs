//! What can be asked for.
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Parser;

/// Runs devsnap, restic, borg and rustic over the same phone-like folder, and compares them.
#[derive(Debug, Parser)]
#[command(name = "devsnap-compare")]
pub(crate) struct Args {
    /// Work folder: holds the data set (kept and reused), repositories and logs. Needs about six
    /// times the size of the set; every program reads and writes here only
    pub(crate) work: PathBuf,
    /// The devsnap to measure, e.g. target/release/devsnap; without it the peers run alone
    #[arg(long, value_name = "PATH")]
    pub(crate) devsnap: Option<PathBuf>,
    /// The restic to measure
    #[arg(long, value_name = "PATH", default_value = "restic")]
    pub(crate) restic: PathBuf,
    /// The borg to measure
    #[arg(long, value_name = "PATH", default_value = "borg")]
    pub(crate) borg: PathBuf,
    /// The rustic to measure
    #[arg(long, value_name = "PATH", default_value = "rustic")]
    pub(crate) rustic: PathBuf,
    /// Repeats of the whole round; medians and spreads are over them
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Files in the set
    #[arg(long, default_value_t = 40_000)]
    pub(crate) files: u64,
    /// Size of the set, e.g. 4GiB or 256MiB
    #[arg(long, default_value = "4GiB")]
    pub(crate) bytes: ByteSize,
    /// What the set is made from; equal seeds give equal sets
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Make the set again even if it is there. A reused set has aged by one day per earlier run
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Where the full results go [default: compare.json in the work folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
