//! Bringing a snapshot back.
//!
//! ```text
//! walk the tree ▸ choose ▸ decide what differs ▸ pieces ─┐ a batch, in pack order
//!                                                        ▼
//!           finish folders, deepest first ◂ hard links ◂ fetch ▸ open ▸ verify ▸ write
//! ```
//!
//! Only files whose bytes differ are written, each under a temporary name until it is whole. What
//! cannot be brought back is a fault of its path and the rest goes on; a full disk, a storage that
//! cannot be reached and a wish to stop end the run.
mod attributes;
mod batch;
mod compare;
mod encoded;
mod execute;
mod file;
mod folders;
mod select;
mod spared;
mod store;
#[cfg(test)]
mod tests;
mod walk;

use crate::error::{Error, ErrorKind, Result};
use crate::interrupt::Interrupt;
use crate::node::Node;
use crate::path::TreePath;
use crate::progress::{Fault, FaultKind, Phase, Progress};
use crate::reader::SnapshotReader;
use crate::repository::Repository;
use crate::snapshot::{Completeness, Snapshot};
use crate::target::Target;
use encoded::Mask;
use globset::GlobSet;
use spared::Unread;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::BlobStore;

/// Faults that are kept with their words; the rest is only counted.
const FAULTS_MAX: usize = 1000;

/// What becomes of a file that already stands in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// Whatever stands in the target stays as it is, folders with their attributes too.
    Never,
    /// A file of the same length is taken as right when its time of last modification is, and is
    /// compared with the stored bytes when it is not. A folder that is not empty stays where the
    /// snapshot has no folder, unless superfluous names are to be removed.
    #[default]
    IfChanged,
    /// Every file is written anew, and takes the place even of a folder that is not empty.
    Always,
}

/// What to bring back, and how.
#[derive(Debug, Default)]
pub struct RestoreOptions {
    /// Only this path and what is below it; it becomes the root of the target (a file: the
    /// target's only entry, under its own name).
    pub subtree: TreePath,
    /// Only paths (seen from `subtree`) that one of these matches, with all below them and the
    /// folders above; `None`: everything. A set without patterns chooses nothing. A folder above that is
    /// there keeps its attributes.
    pub include: Option<GlobSet>,
    /// What becomes of files that are there.
    pub overwrite: Overwrite,
    /// Removes from the target what the snapshot (subtree) does not have; with `include` only
    /// inside folders that it chooses whole. What the snapshot could not read stays, with all that
    /// stands below it; so does what stands beside the folder of a device.
    pub delete: bool,
    /// Counts and compares, and changes nothing.
    pub dry_run: bool,
}

/// What a restore did (in a dry run: would do).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Files written.
    pub written_files: u64,
    /// Their bytes.
    pub written_bytes: u64,
    /// Files whose bytes were already right; their attributes were set.
    pub unchanged_files: u64,
    /// Paths left alone because of [`Overwrite::Never`].
    pub skipped: u64,
    /// Names removed, those that stood in the way among them: a file in the place of a folder, a
    /// folder that was not empty in the place of anything else. A folder counts once, with all
    /// below it.
    pub removed: u64,
    /// Folders, links, further names of a file, pipes, devices made or set. Folders that were there
    /// and keep their attributes are not counted.
    pub others: u64,
    /// Paths that could not be brought back as they were (the first 1000).
    pub faults: Vec<Fault>,
    /// How many there are.
    pub faults_total: u64,
    /// How many of them are files that the store has lost or damaged; a part of the tree that
    /// cannot be read counts as one, whatever it held.
    pub damaged_files: u64,
    /// What the target could not give to many paths, and says once.
    pub remarks: Vec<String>,
}

/// Brings `snapshot` back to `target`.
///
/// # Errors
///
/// `NotFound` when the snapshot has no such subtree, `Damaged` when its tree cannot be read so far
/// as to tell; `Invalid` for `delete` when the snapshot names only some of the paths that it could
/// not read; `NoSpace`, `Interrupted`, and what reading the store meets. What is wrong with single
/// paths is in the report, and so is where the tree could not be read on.
pub fn restore(
    repository: &Repository,
    snapshot: &Snapshot,
    target: &dyn Target,
    options: &RestoreOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<RestoreReport> {
    let view = repository.view(snapshot);
    Run::new(repository, &view, target, options, progress, interrupt)?
        .sparing(&snapshot.completeness)?
        .restore()
}

/// Everything one restore needs, shared by its threads.
struct Run<'a> {
    store: &'a dyn BlobStore,
    view: &'a dyn SnapshotReader,
    target: &'a dyn Target,
    options: &'a RestoreOptions,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    report: Mutex<RestoreReport>,
    /// Hides what stands in the target and is to be encrypted yet.
    mask: Mask,
    /// Groups of hard links whose first file could not be brought back.
    lost_groups: Mutex<HashSet<TreePath>>,
    /// Folders that this run made; those below them, which it made too, are not listed.
    made: Mutex<HashSet<TreePath>>,
    /// What is not removed whatever the options say.
    unread: Unread,
    /// Something was not removed because of `unread`.
    has_spared: AtomicBool,
}

impl<'a> Run<'a> {
    fn new(
        store: &'a dyn BlobStore,
        view: &'a dyn SnapshotReader,
        target: &'a dyn Target,
        options: &'a RestoreOptions,
        progress: &'a dyn Progress,
        interrupt: &'a Interrupt,
    ) -> Result<Self> {
        Ok(Run {
            store,
            view,
            target,
            options,
            progress,
            interrupt,
            report: Mutex::default(),
            mask: Mask::new()?,
            lost_groups: Mutex::default(),
            made: Mutex::default(),
            unread: Unread::default(),
            has_spared: AtomicBool::new(false),
        })
    }

    /// Leaves alone, while removing, what the snapshot could not read.
    fn sparing(mut self, completeness: &Completeness) -> Result<Self> {
        if self.options.delete {
            self.unread = Unread::of(completeness)?;
        }
        Ok(self)
    }

    fn restore(self) -> Result<RestoreReport> {
        let subtree = &self.options.subtree;
        let is_there = subtree.is_root()
            || self.view.entry(subtree)?.is_some()
            || self.view.walk(subtree).next().transpose()?.is_some();
        if !is_there {
            return Err(Error::new(ErrorKind::NotFound, format!("looking for {subtree}")));
        }
        self.progress.phase(Phase::Comparing);
        walk::Walk::new(&self).run()?;
        if !self.options.dry_run {
            folders::finish(&self)?;
            self.tally(|report| report.remarks = self.target.remarks());
            self.target.sync(self.looks_at_all())?;
        }
        if self.has_spared.load(Ordering::Relaxed) {
            let remark =
                "nothing was removed where the snapshot could not read; `show SNAP` says where";
            self.tally(|report| report.remarks.push(remark.to_owned()));
        }
        Ok(self.report.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether every file that comes back was compared or written, so that what an earlier restore
    /// may have left half done is settled.
    fn looks_at_all(&self) -> bool {
        self.is_everything() && self.options.overwrite != Overwrite::Never
    }

    /// Whether no parts were asked for.
    fn is_everything(&self) -> bool {
        self.options.include.is_none()
    }

    fn tally(&self, count: impl FnOnce(&mut RestoreReport)) {
        count(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn lost_groups(&self) -> MutexGuard<'_, HashSet<TreePath>> {
        self.lost_groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) -> MutexGuard<'_, HashSet<TreePath>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that there was no folder at `place` and that now there is.
    fn note_made(&self, place: &TreePath) {
        let mut made = self.made();
        if !is_below(&made, place) {
            made.insert(place.clone());
        }
    }

    /// Whether the folder at `place` is given the snapshot's attributes. One that was there keeps
    /// its own when nothing that is there may change, and when only something in it was asked for.
    fn sets_folder(&self, place: &TreePath, is_whole: bool) -> bool {
        (is_whole && self.options.overwrite != Overwrite::Never) || is_below(&self.made(), place)
    }

    fn fault(&self, path: &TreePath, kind: FaultKind, reason: impl Into<String>) {
        let fault = Fault { path: path.clone(), kind, reason: reason.into() };
        self.progress.fault(&fault);
        self.tally(|report| {
            report.faults_total += 1;
            if report.faults.len() < FAULTS_MAX {
                report.faults.push(fault);
            }
        });
    }

    /// A file that was to be written and is not; its other names cannot be made either.
    fn lost_file(&self, place: &TreePath, node: &Node, kind: FaultKind, reason: &str) {
        if let Some(group) = &node.hard_link {
            self.lost_groups().insert(group.clone());
        }
        if kind == FaultKind::Unreadable {
            self.tally(|report| report.damaged_files += 1);
        }
        self.fault(place, kind, reason);
    }

    /// Attributes that were lost in the store or that the target cannot hold.
    fn notes(&self, place: &TreePath, lost: Vec<String>, notes: Vec<String>) {
        if !lost.is_empty() {
            self.fault(place, FaultKind::Unreadable, lost.join("; "));
        }
        if !notes.is_empty() {
            self.fault(place, FaultKind::Unsupported, notes.join("; "));
        }
    }

    /// Goes on after a failure of the target that concerns one path.
    fn target_trouble(&self, error: Error) -> Result<()> {
        match error.kind() {
            ErrorKind::NoSpace | ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// A path that the target could not take; goes on unless no other would be taken either.
    fn target_fault(&self, path: &TreePath, error: Error) -> Result<()> {
        self.fault(path, FaultKind::Unsupported, format!("{error:?}"));
        self.target_trouble(error)
    }
}

/// Whether `place` is one of `folders` or lies below one.
fn is_below(folders: &HashSet<TreePath>, place: &TreePath) -> bool {
    place.and_above().any(|at| folders.contains(&at))
}

/// Whether stored bytes are lost, as opposed to a store that cannot be read just now.
fn is_loss(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound | ErrorKind::TooNew)
}
