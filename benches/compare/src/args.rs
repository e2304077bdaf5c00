//! What can be asked for.
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Parser;

use crate::peers::Step;

/// Runs devsnap, restic, borg and rustic over the same phone-like folder, and compares them.
#[derive(Debug, Parser)]
#[command(name = "devsnap-compare")]
pub(crate) struct Args {
    /// Work folder: holds the data set (kept and reused), repositories and logs. Needs about ten
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
    /// Further days after the checks, a snapshot each; then half of all snapshots are forgotten and
    /// the repository is pruned. 17 make twenty snapshots
    #[arg(long, default_value_t = 17)]
    pub(crate) days: u32,
    /// Leaves out everything between the first snapshot and the further days
    #[arg(long)]
    pub(crate) only_days: bool,
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

impl Args {
    /// What each program is asked to do in a run, in order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let once: &[Step] = if self.only_days { &[Step::First] } else { &Step::ONCE };
        let mut steps = once.to_vec();
        if self.days > 0 {
            steps.extend((0..self.days).map(|_| Step::Later));
            steps.extend([Step::Forget, Step::Prune, Step::PruneAll, Step::CheckLeft]);
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_makes_twenty_snapshots_and_forgets_half_of_them() {
        let args = Args::parse_from(["devsnap-compare", "work"]);
        let steps = args.steps();
        let made = steps.iter().filter(|step| step.is_snapshot()).count();
        assert_eq!((made, steps.last()), (20, Some(&Step::CheckLeft)));

        let few =
            Args::parse_from(["devsnap-compare", "work", "--only-days", "--days", "3"]).steps();
        assert_eq!((few.len(), few[0], few[1]), (8, Step::First, Step::Later));
        let none = Args::parse_from(["devsnap-compare", "work", "--days", "0"]).steps();
        assert_eq!(none, Step::ONCE);
    }
}
