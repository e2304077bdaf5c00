//! restic: repository version 2, the first that compresses.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Peer, Site, with_variables};

pub(super) struct Restic(pub(super) PathBuf);

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
    fn base(&self, site: &Site) -> Command {
        let mut command = with_variables(&self.0, "RESTIC", site);
        command.arg("--quiet");
        command
    }
    fn init(&self, site: &Site) -> Command {
        let mut command = self.base(site);
        command.args(["init", "--repository-version", "2"]);
        command
    }
}
