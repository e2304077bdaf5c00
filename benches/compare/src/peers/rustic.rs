//! rustic: restic's format and habits, in Rust.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Peer, Site, with_variables};

pub(super) struct Rustic(pub(super) PathBuf);

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
    fn base(&self, site: &Site) -> Command {
        let mut command = with_variables(&self.0, "RUSTIC", site);
        command.env("RUSTIC_NO_PROGRESS", "true");
        command
    }
    fn restore(&self, command: &mut Command, site: &Site) {
        // Its target is an argument, not an option.
        command.args(["restore", "latest"]).arg(&site.target);
    }
    fn prune(&self, command: &mut Command) {
        // Else it only marks packs, and a prune a day later deletes them.
        command.args(["prune", "--instant-delete"]);
    }
}
