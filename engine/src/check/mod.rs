//! Holding a store against itself. (Skeleton.)
#![allow(missing_docs, clippy::unimplemented, unused)]
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::repository::Repository;
#[derive(Default)]
pub struct CheckOptions {
    /// Reads this share of the data packs too, in per cent (1 to 100).
    pub read_data_percent: Option<u8>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Costs room or time, loses nothing: `snapshot` heals it.
    Notice,
    /// Something cannot be restored.
    Damage,
}
#[derive(Debug, Clone)]
pub struct Finding {
    pub severity: Severity,
    /// One sentence: what and which.
    pub sentence: String,
}
#[derive(Debug, Default)]
pub struct CheckReport {
    pub findings: Vec<Finding>,
    pub snapshots: u64,
    pub packs: u64,
    pub blobs: u64,
    pub read_bytes: u64,
}
impl CheckReport {
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Damage)
    }
}
pub fn check(
    repository: &Repository,
    options: &CheckOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<CheckReport> {
    unimplemented!()
}
