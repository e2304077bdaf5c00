//! The programs compared, and how each is asked to do the same thing.
mod borg;
mod devsnap;
mod restic;
mod rustic;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf, absolute},
    process::Command,
};

use serde::Serialize;

use crate::args::Args;

/// The password of every repository here: it guards generated data only.
const PASSWORD: &str = "compare";

/// A thing every program is asked to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// A snapshot into an empty repository.
    First,
    /// A snapshot of the same again.
    Unchanged,
    /// A snapshot after a day of use.
    Changed,
    /// Listing snapshots: what opening costs, the key derivation above all.
    Open,
    /// The newest snapshot into an empty folder.
    Restore,
    /// What the program checks when told no more than "check".
    Check,
    /// A check that reads and verifies all stored data.
    CheckData,
    /// A snapshot after one more day of use, many times over.
    Later,
    /// Forgetting the older half of the snapshots.
    Forget,
    /// Freeing what only they needed, as far as each program thinks worth it.
    Prune,
    /// Freeing the rest of it.
    PruneAll,
    /// A check of what is left, reading all.
    CheckLeft,
}

impl Step {
    /// All of them, for tables.
    pub(crate) const ALL: [Step; 12] = [
        Step::First,
        Step::Unchanged,
        Step::Changed,
        Step::Open,
        Step::Restore,
        Step::Check,
        Step::CheckData,
        Step::Later,
        Step::Forget,
        Step::Prune,
        Step::PruneAll,
        Step::CheckLeft,
    ];

    /// Those of the first days, each taken once a run.
    pub(crate) const ONCE: [Step; 7] = {
        let [first, unchanged, changed, open, restore, check, check_data, ..] = Step::ALL;
        [first, unchanged, changed, open, restore, check, check_data]
    };

    pub(crate) fn title(self) -> &'static str {
        match self {
            Step::First => "first snapshot",
            Step::Unchanged => "snapshot, nothing changed",
            Step::Changed => "snapshot after a day of use",
            Step::Open => "open and list snapshots",
            Step::Restore => "restore to an empty folder",
            Step::Check => "check (each program's default; they differ in what they read)",
            Step::CheckData => "check, reading all data",
            Step::Later => "snapshot after each further day of use",
            Step::Forget => "forget the older half of the snapshots",
            Step::Prune => "prune (each program's default; 5 % may stay unused)",
            Step::PruneAll => "prune, leaving nothing unused",
            Step::CheckLeft => "check of what is left, reading all data",
        }
    }

    /// Whether a day passes before the step.
    pub(crate) fn follows_a_day(self) -> bool {
        matches!(self, Step::Changed | Step::Later)
    }

    /// Whether the step makes a snapshot, and so reads the data set; the others read the repository.
    pub(crate) fn is_snapshot(self) -> bool {
        self <= Step::Changed || self == Step::Later
    }
}

/// Where one program works during one run.
pub(crate) struct Site {
    pub(crate) repository: PathBuf,
    pub(crate) cache: PathBuf,
    /// Empty at [`Step::Restore`].
    pub(crate) target: PathBuf,
    pub(crate) data: PathBuf,
    /// How many snapshots [`Step::Forget`] leaves.
    pub(crate) keep: u32,
}

/// One backup program.
pub(crate) trait Peer {
    fn name(&self) -> &'static str;
    /// Settings that bear on the comparison, in words.
    fn settings(&self) -> &'static str;
    fn program(&self) -> &Path;
    /// Where to get it, for whoever reads that it was not run.
    fn obtain(&self) -> &'static str;
    /// Arguments that print the version.
    fn version(&self) -> &'static [&'static str] {
        &["--version"]
    }
    /// The program, told where its repository and cache are.
    fn base(&self, site: &Site) -> Command;
    /// Makes the repository; not measured.
    fn init(&self, site: &Site) -> Command {
        let mut command = self.base(site);
        command.arg("init");
        command
    }
    /// Has `command` make a snapshot, from inside the folder, so that a restore does not repeat
    /// its whole path.
    fn snapshot(&self, command: &mut Command, site: &Site) {
        command.args(["backup", "."]).current_dir(&site.data);
    }
    /// Has `command` restore the newest snapshot.
    fn restore(&self, command: &mut Command, site: &Site) {
        command.args(["restore", "latest", "--target"]).arg(&site.target);
    }
    /// Has `command` free what no snapshot needs, at once.
    fn prune(&self, command: &mut Command) {
        command.arg("prune");
    }
    /// Takes a step; unless a program does otherwise, with restic's words, which most share.
    fn command(&self, step: Step, site: &Site) -> Command {
        let mut command = self.base(site);
        match step {
            Step::First | Step::Unchanged | Step::Changed | Step::Later => {
                self.snapshot(&mut command, site);
            }
            Step::Open => {
                command.arg("snapshots");
            }
            Step::Restore => self.restore(&mut command, site),
            Step::Check => {
                command.arg("check");
            }
            Step::CheckData | Step::CheckLeft => {
                command.args(["check", "--read-data"]);
            }
            Step::Forget => {
                command.args(["forget", "--keep-last"]).arg(site.keep.to_string());
            }
            Step::Prune => self.prune(&mut command),
            Step::PruneAll => {
                self.prune(&mut command);
                command.args(["--max-unused", "0%"]);
            }
        }
        command
    }
}

/// `program` with the three variables that restic and its kin read, under their own prefix.
fn with_variables(program: &Path, prefix: &str, site: &Site) -> Command {
    let mut command = Command::new(program);
    command
        .env(format!("{prefix}_REPOSITORY"), &site.repository)
        .env(format!("{prefix}_PASSWORD"), PASSWORD)
        .env(format!("{prefix}_CACHE_DIR"), &site.cache);
    command
}

/// A program that is there, and one line that says which version.
pub(crate) struct Present {
    pub(crate) peer: Box<dyn Peer>,
    pub(crate) version: String,
}

/// A program that is not compared, and why.
#[derive(Debug, Serialize)]
pub(crate) struct NotRun {
    pub(crate) name: &'static str,
    pub(crate) reason: String,
}

/// Finds which programs there are.
pub(crate) fn find(args: &Args) -> (Vec<Present>, Vec<NotRun>) {
    let (mut present, mut absent) = (Vec::new(), Vec::new());
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    match &args.devsnap {
        Some(path) => peers.push(Box::new(devsnap::Devsnap(wherever(path)))),
        None => absent.push(NotRun { name: "devsnap", reason: "no --devsnap PATH given".into() }),
    }
    peers.push(Box::new(restic::Restic(wherever(&args.restic))));
    peers.push(Box::new(borg::Borg(wherever(&args.borg))));
    peers.push(Box::new(rustic::Rustic(wherever(&args.rustic))));
    for peer in peers {
        match version_of(peer.as_ref()) {
            Ok(version) => present.push(Present { peer, version }),
            Err(reason) => absent.push(NotRun { name: peer.name(), reason }),
        }
    }
    absent.push(NotRun {
        name: "bupstash",
        reason: "this comparison does not know how to drive it yet".into(),
    });
    (present, absent)
}

/// The program, named so that it is found from inside any folder; a bare name is looked for in `PATH`.
fn wherever(program: &Path) -> PathBuf {
    let is_bare = program.components().count() == 1;
    if is_bare { program.to_owned() } else { absolute(program).unwrap_or(program.to_owned()) }
}

fn version_of(peer: &dyn Peer) -> Result<String, String> {
    let program = peer.program().display();
    match Command::new(peer.program()).args(peer.version()).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.lines().next().unwrap_or("version unknown").trim().to_owned())
        }
        Ok(output) => Err(format!("`{program}` does not tell its version ({})", output.status)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("`{program}` is not installed: {}", peer.obtain()))
        }
        Err(error) => Err(format!("`{program}` does not start: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_named_by_a_relative_path_is_found_from_any_folder() {
        assert!(wherever(Path::new("peers/bin/borg")).is_absolute());
        assert!(wherever(Path::new("./borg")).is_absolute());
        assert_eq!(wherever(Path::new("borg")), Path::new("borg"));
    }
}
