//! restic: repository version 2, the first that compresses.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{PASSWORD, Peer, Site, Step};

pub(super) struct Restic(pub(super) PathBuf);

impl Restic {
    fn base(&self, site: &Site) -> Command {
        let mut command = Command::new(&self.0);
        command
            .env("RESTIC_REPOSITORY", &site.repository)
            .env("RESTIC_PASSWORD", PASSWORD)
            .env("RESTIC_CACHE_DIR", &site.cache)
            .arg("--quiet");
        command
    }
}

impl Peer for Restic {
    fn name(&self) -> &'static str {
        "restic"
    }
    fn settings(&self) -> &'static str {
        "repository version 2, compression auto (zstd, default class)"
    }
    fn program(&self) -> &Path {
        &self.0
    }
    fn obtain(&self) -> &'static str {
        "apt-get install restic"
    }
    fn version(&self) -> &'static [&'static str] {
        &["version"]
    }
    fn init(&self, site: &Site) -> Command {
        let mut command = self.base(site);
        command.args(["init", "--repository-version", "2"]);
        command
    }
    fn command(&self, step: Step, site: &Site) -> Command {
        let mut command = self.base(site);
        match step {
            // From inside the folder, so that a restore does not repeat its whole path.
            Step::First | Step::Unchanged | Step::Changed => {
                command.args(["backup", "."]).current_dir(&site.data)
            }
            Step::Open => command.arg("snapshots"),
            Step::Restore => command.args(["restore", "latest", "--target"]).arg(&site.target),
            Step::Check => command.arg("check"),
            Step::CheckData => command.args(["check", "--read-data"]),
        };
        command
    }
}
