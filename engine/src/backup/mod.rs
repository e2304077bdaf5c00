//! Making a snapshot. (Skeleton.)
#![allow(missing_docs, clippy::unimplemented, unused)]
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::node::Time;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::snapshot::{Named, Origin};
use crate::source::{Faults, Source};
pub struct BackupOptions {
    pub origin: Origin,
    pub tags: Vec<String>,
    pub taken_at: Time,
    pub utc_offset_secs: i32,
    /// E.g. `devsnap 0.1.0`.
    pub program: String,
    /// Reads, cuts and names everything, stores nothing.
    pub dry_run: bool,
}
pub struct BackupReport {
    /// The snapshot (its totals are the counts); in a dry run one that was not stored.
    pub named: Named,
    pub faults: Faults,
}
/// Errors: SourceFailed (the source's error as cause), Interrupted, Fenced, NoSpace, Unreachable, Denied, Damaged, LocalDisk.
pub fn create_snapshot(
    repository: &Repository,
    source: &mut dyn Source,
    options: &BackupOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<BackupReport> {
    unimplemented!()
}
