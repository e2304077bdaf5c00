//! What a demo proves: a restored day is the phone of that day.
use super::desk::Kept;
use super::phone::files_in_backup;
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use devsnap_engine::folder::{FolderTarget, TargetOptions};
use devsnap_engine::repository::Repository;
use devsnap_engine::restore::{RestoreOptions, restore};
use devsnap_simulator::contents::Truth;
use devsnap_simulator::contents::compare::{Equal, compare};
use std::collections::BTreeSet;
use std::path::Path;

/// All days together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Proved {
    /// Files.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

impl Proved {
    pub(super) fn add(&mut self, equal: Equal) {
        self.files += equal.files;
        self.bytes += equal.bytes;
    }
}

/// Restores a day into `folder`, and compares what came back with what the phone had then.
///
/// # Errors
///
/// What a restore meets; something differs.
pub(super) fn restored_and_equal(
    session: &Session<'_>,
    repository: &Repository,
    kept: &Kept,
    folder: &Path,
) -> Result<Equal, Failure> {
    let target = FolderTarget::open(folder, &TargetOptions { create: true })?;
    let watch = session.report.watch();
    let snapshot = &kept.named.snapshot;
    let options = RestoreOptions::default();
    let done = restore(repository, snapshot, &target, &options, &watch, session.interrupt);
    drop(watch);
    let done = done?;
    session.report.faults(&done.faults, done.faults_total);
    if done.faults_total > 0 {
        return Err(differs("not everything could be brought back"));
    }
    let backup = kept.truth.backup.as_ref();
    let set = folder.join(backup.map_or("", |backup| &backup.udid));
    let mut may_go_on = || !session.interrupt.is_raised();
    let equal = compare(&set, None, &kept.truth, &mut may_go_on)
        .map_err(|difference| differs(&difference.0))?;
    if files(&kept.truth) != files(&kept.phone) {
        return Err(differs("the backup is not what was on the phone"));
    }
    Ok(equal)
}

/// The files in a backup: where they are, and which bytes they have.
fn files(truth: &Truth) -> BTreeSet<(&str, &str, Option<&str>)> {
    files_in_backup(truth)
        .map(|item| (&*item.domain, &*item.relative_path, item.sha256.as_deref()))
        .collect()
}

fn differs(how: &str) -> Failure {
    Failure::new(ExitCode::Damaged, format!("what came back is not what was kept: {how}"))
}
