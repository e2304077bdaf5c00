//! rustic: restic's format and habits, in Rust.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{PASSWORD, Peer, Site, Step};

pub(super) struct Rustic(pub(super) PathBuf);

impl Rustic {
    fn base(&self, site: &Site) -> Command {
        let mut command = Command::new(&self.0);
        command
            .env("RUSTIC_REPOSITORY", &site.repository)
            .env("RUSTIC_PASSWORD", PASSWORD)
            .env("RUSTIC_CACHE_DIR", &site.cache)
            .env("RUSTIC_NO_PROGRESS", "true");
        command
    }
}

impl Peer for Rustic {
    fn name(&self) -> &'static str {
        "rustic"
    }
    fn settings(&self) -> &'static str {
        "defaults (repository version 2, zstd)"
    }
    fn program(&self) -> &Path {
        &self.0
    }
    fn obtain(&self) -> &'static str {
        "cargo install rustic-rs"
    }
    fn init(&self, site: &Site) -> Command {
        let mut command = self.base(site);
        command.arg("init");
        command
    }
    fn command(&self, step: Step, site: &Site) -> Command {
        let mut command = self.base(site);
        match step {
            Step::First | Step::Unchanged | Step::Changed => {
                command.args(["backup", "."]).current_dir(&site.data)
            }
            Step::Open => command.arg("snapshots"),
            Step::Restore => command.args(["restore", "latest"]).arg(&site.target),
            Step::Check => command.arg("check"),
            Step::CheckData => command.args(["check", "--read-data"]),
        };
        command
    }
}
