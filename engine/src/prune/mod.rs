//! Giving room back: decide first, then mark, wait, save what is needed, bury, delete.
//!
//! The order of steps is that of `docs/crash-safety.md`, rules 11 to 15 and 17 to 20, and was
//! modelled; any of them may be the last one of a process. Whoever prunes next, on whatever
//! computer, finishes what was left.
mod copy;
mod merge;
mod plan;
mod reach;
mod roots;
mod sweep;
mod tidy;
mod usage;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, SnapshotId};
use crate::interrupt::Interrupt;
use crate::progress::{Phase, Progress};
use crate::repository::{OpenSession, Repository, SessionMarks};
use roots::Roots;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;
use usage::Usage;

pub use plan::{MaxUnused, PrunePlan};

/// How to prune.
#[derive(Debug, Clone)]
pub struct PruneOptions {
    /// What may stay unused.
    pub max_unused: MaxUnused,
    /// Only says what would be done.
    pub dry_run: bool,
    /// What a dry run takes for forgotten. Otherwise what is there counts, whatever stands here.
    pub forgotten: BTreeSet<SnapshotId>,
    /// A session that has put no mark for so long is given up if it is in the way.
    pub fence_after: Duration,
    /// Now, by this computer's clock: seconds since 1970.
    pub now_secs: i64,
    /// The program, e.g. `devsnap 0.1.0`.
    pub program: String,
}

/// What a prune did, or (dry) would do.
#[derive(Debug, Default)]
pub struct PruneReport {
    /// What was decided.
    pub plan: PrunePlan,
    /// Packs of earlier sweeps that were left to be finished.
    pub left_packs: u64,
    /// Packs that are gone.
    pub removed_packs: u64,
    /// Their length, in bytes.
    pub removed_bytes: u64,
    /// What was stored again, in bytes as stored.
    pub stored_bytes: u64,
    /// Index segments that were damaged, or said of packs what is not so, and have been replaced.
    pub healed_segments: u64,
    /// Index segments that were merged into others.
    pub merged_segments: u64,
    /// Sessions and sweeps whose marks were removed.
    pub tidied: u64,
    /// Sessions that were given up: they have not stirred for long, or were of this computer and their
    /// process is gone.
    pub fenced: Vec<OpenSession>,
    /// Sessions that must end before the marked packs can go: the next prune deletes them.
    pub waits_for: Vec<OpenSession>,
    /// Packs that wait.
    pub waiting_packs: u64,
    /// Snapshots that count.
    pub snapshots: u64,
    /// Snapshots of runs that never finished: they keep what they hold until they are forgotten.
    pub unfinished: u64,
}

/// Frees what no snapshot needs.
///
/// # Errors
///
/// Nothing that a snapshot needs is lost, whatever the error.
///
/// - [`Damaged`](ErrorKind::Damaged): a snapshot, a tree page or a mark cannot be read, or a blob
///   that a snapshot needs is in no pack. What is not seen to be needed must not be taken for
///   unneeded, so nothing is deleted. What another computer forgets and sweeps meanwhile is no
///   damage: then this looks again.
/// - [`Conflict`](ErrorKind::Conflict): others do so again and again.
/// - [`Denied`](ErrorKind::Denied) with a write-only key.
/// - [`Interrupted`](ErrorKind::Interrupted).
/// - what storing, reading the store and this computer's disk meet.
pub fn prune(
    repository: &Repository,
    options: &PruneOptions,
    progress: &Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<PruneReport> {
    repository.require_full("pruning")?;
    let scratch = repository.scratch()?;
    let mut roots = Roots::new(scratch.path());
    let run = Run { repository, options, progress, interrupt, scratch: scratch.path() };
    let mut report = PruneReport::default();
    if !options.dry_run {
        report.fenced = repository.fence_dead(&options.program)?;
    }
    run.while_they_stand(&mut roots, |roots| run.plan(roots, &mut report))?;
    if options.dry_run {
        return Ok(report);
    }
    run.sweep(&mut roots, &mut report)?;
    report.healed_segments = run.remove_damaged_segments(&roots)?;
    report.healed_segments += repository.replace_wrong_sayings()?;
    progress.phase(Phase::Finishing);
    report.merged_segments = merge::merge(repository, interrupt)?;
    report.tidied = tidy::tidy(repository)?;
    repository.index().drop_buried_rows()?;
    Ok(report)
}

/// One call of [`prune`].
struct Run<'a> {
    repository: &'a Repository,
    options: &'a PruneOptions,
    progress: &'a Arc<dyn Progress>,
    interrupt: &'a Interrupt,
    scratch: &'a std::path::Path,
}

impl Run<'_> {
    /// Looks at everything and decides.
    fn plan(&self, roots: &mut Roots, report: &mut PruneReport) -> Result<()> {
        self.progress.phase(Phase::CheckingStructure);
        let sessions = SessionMarks::list(self.repository, "")?;
        let open: HashSet<_> = self.repository.blocking_sessions(&sessions)?.into_iter().collect();
        let snapshots = self.look(roots)?;
        report.snapshots = snapshots.named.len() as u64;
        report.unfinished = snapshots.unconfirmed.len() as u64;
        // Of what is disputed nothing may be given up, and segments that lie go with this run.
        self.repository.settle_all()?;
        let usage = Usage::of(self.repository.index(), &mut roots.reach)?;
        refuse_lost(usage.lost, usage.first_lost)?;
        report.plan = PrunePlan::choose(&usage.packs, &open, self.options.max_unused);
        report.left_packs =
            usage.packs.iter().filter(|pack| pack.standing.condemned).count() as u64;
        Ok(())
    }

    /// Damaged segments go once other ones list the packs that they listed; unless they open when
    /// they are read once more, since what was damaged may have been the reading.
    fn remove_damaged_segments(&self, roots: &Roots) -> Result<u64> {
        let mut removed = 0;
        for segment in roots.damaged_segments.iter().flatten() {
            let Ok(id) = segment.name().parse() else { continue };
            match self.repository.read_segment(&id) {
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    self.repository.backend().remove(segment)?;
                    removed += 1;
                }
                _ => {}
            }
        }
        Ok(removed)
    }
}

/// Something that a snapshot needs lies nowhere: that is damage, and not the time to delete.
fn refuse_lost(lost: u64, first: Option<BlobId>) -> Result<()> {
    let Some(first) = first else { return Ok(()) };
    Err(Error::new(ErrorKind::Damaged, "looking for what snapshots need").because(format!(
        "{lost} blobs are in no pack, first: {}; nothing was deleted. A new snapshot of the same \
         folder or device stores again what it still has",
        first.short()
    )))
}
