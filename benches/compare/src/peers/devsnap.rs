//! devsnap, through its command line.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Peer, Site, with_variables};

pub(super) struct Devsnap(pub(super) PathBuf);

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
    fn base(&self, site: &Site) -> Command {
        with_variables(&self.0, "DEVSNAP", site)
    }
    fn snapshot(&self, command: &mut Command, site: &Site) {
        command.arg("snapshot").arg(&site.data);
    }
}
