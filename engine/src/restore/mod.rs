//! Bringing a snapshot back. (Skeleton.)
#![allow(missing_docs, clippy::unimplemented, unused)]
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::path::TreePath;
use crate::progress::{Fault, Progress};
use crate::repository::Repository;
use crate::snapshot::Snapshot;
use crate::target::Target;
use globset::GlobSet;
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    Never,
    #[default]
    IfChanged,
    Always,
}
#[derive(Default)]
pub struct RestoreOptions {
    /// Only this path and what is below it; it becomes the root of the target (a file: the target's only entry, under its own name).
    pub subtree: TreePath,
    /// Only paths (seen from `subtree`) that one of these matches, with all below them and the folders above; empty = everything.
    pub include: Option<GlobSet>,
    pub overwrite: Overwrite,
    /// Removes from the target what the snapshot (subtree) does not have.
    pub delete: bool,
    pub dry_run: bool,
}
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Files written (in a dry run: that would be), with their bytes.
    pub written_files: u64,
    pub written_bytes: u64,
    /// Files whose bytes were already right.
    pub unchanged_files: u64,
    /// Left alone because of `Overwrite::Never`.
    pub skipped: u64,
    pub removed: u64,
    /// Folders, links, pipes, devices made or set.
    pub others: u64,
    /// Paths that could not be brought back as they were (first 1000) and their number.
    pub faults: Vec<Fault>,
    pub faults_total: u64,
}
pub fn restore(
    repository: &Repository,
    snapshot: &Snapshot,
    target: &dyn Target,
    options: &RestoreOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RestoreReport> {
    unimplemented!()
}
