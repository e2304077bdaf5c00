//! Borg 1.x: zstd level 3, a key in the repository, its faster authentication.
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::{PASSWORD, Peer, Site, Step};

pub(super) struct Borg(pub(super) PathBuf);

impl Peer for Borg {
    fn name(&self) -> &'static str {
        "borg"
    }
    fn settings(&self) -> &'static str {
        "repokey-blake2, --compression zstd,3"
    }
    fn program(&self) -> &Path {
        &self.0
    }
    fn obtain(&self) -> &'static str {
        "pip install borgbackup in a venv (1.4), or apt-get install borgbackup (1.2)"
    }
    fn base(&self, site: &Site) -> Command {
        let mut command = Command::new(&self.0);
        command
            .env("BORG_REPO", &site.repository)
            .env("BORG_PASSPHRASE", PASSWORD)
            .env("BORG_BASE_DIR", &site.cache)
            .env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
        command
    }
    fn init(&self, site: &Site) -> Command {
        let mut command = self.base(site);
        command.args(["init", "--encryption", "repokey-blake2"]);
        command
    }
    fn command(&self, step: Step, site: &Site) -> Command {
        let mut command = self.base(site);
        match step {
            Step::First | Step::Unchanged | Step::Changed | Step::Later => command
                .args(["create", "--compression", "zstd,3"])
                .arg(archive(step))
                .arg(".")
                .current_dir(&site.data),
            Step::Open => command.arg("list"),
            Step::Restore => {
                command.arg("extract").arg(archive(Step::Changed)).current_dir(&site.target)
            }
            Step::Check => command.arg("check"),
            Step::CheckData | Step::CheckLeft => command.args(["check", "--verify-data"]),
            Step::Forget => command.args(["prune", "--keep-last"]).arg(site.keep.to_string()),
            Step::Prune => command.arg("compact"),
            Step::PruneAll => command.args(["compact", "--threshold", "0"]),
        };
        command
    }
}

/// Borg names archives; here by the step that made them, and by the moment where it made several.
fn archive(step: Step) -> OsString {
    let name = format!("::{step:?}").to_lowercase();
    match step {
        Step::Later => format!("{name}-{{now:%Y%m%d%H%M%S%f}}").into(),
        _ => name.into(),
    }
}
