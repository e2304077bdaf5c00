//! devsnap, through its command line.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{PASSWORD, Peer, Site, Step};

pub(super) struct Devsnap(pub(super) PathBuf);

impl Devsnap {
    fn base(&self, site: &Site) -> Command {
        let mut command = Command::new(&self.0);
        command
            .env("DEVSNAP_REPOSITORY", &site.repository)
            .env("DEVSNAP_PASSWORD", PASSWORD)
            .env("DEVSNAP_CACHE_DIR", &site.cache);
        command
    }
}

impl Peer for Devsnap {
    fn name(&self) -> &'static str {
        "devsnap"
    }
    fn settings(&self) -> &'static str {
        "defaults"
    }
    fn program(&self) -> &Path {
        &self.0
    }
    fn obtain(&self) -> &'static str {
        "cargo build --release -p devsnap"
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
                command.arg("snapshot").arg(&site.data)
            }
            Step::Open => command.arg("snapshots"),
            Step::Restore => command.args(["restore", "latest", "--target"]).arg(&site.target),
            Step::Check => command.arg("check"),
            Step::CheckData => command.args(["check", "--read-data"]),
        };
        command
    }
}
