//! The snapshots that a run has walked: looked for in the order that makes it safe, and walked anew
//! when other computers take them away meanwhile.
use super::Run;
use super::reach::{self, Reach};
use crate::backend::{ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::SnapshotId;
use crate::repository::Snapshots;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// How often a run looks anew because what it had walked went meanwhile.
const LOOKS_MAX: usize = 8;

/// The snapshots that were walked, and what they reach.
pub(super) struct Roots {
    walked: HashSet<SnapshotId>,
    pub(super) reach: Reach,
    /// All snapshots that were there when this began, or since, and how many packs were buried when it
    /// began.
    seen: BTreeSet<SnapshotId>,
    buried: Option<usize>,
    /// As they were when this run began.
    pub(super) damaged_segments: Option<BTreeSet<ObjectKey>>,
}

impl Roots {
    pub(super) fn new(scratch: &Path) -> Self {
        Roots {
            walked: HashSet::new(),
            reach: Reach::new(scratch),
            seen: BTreeSet::new(),
            buried: None,
            damaged_segments: None,
        }
    }

    /// Forgets what was walked, and not which segments were damaged at the beginning.
    fn begin_anew(&mut self, scratch: &Path) {
        let damaged_segments = self.damaged_segments.take();
        *self = Roots { damaged_segments, ..Roots::new(scratch) };
    }
}

impl Run<'_> {
    /// Does `work`. Where it fails because something is lost, and a snapshot that it looked at has gone
    /// or a pack has been buried, another computer may have swept what it walked: then it is done
    /// from the beginning, with what there is now. What is lost while nothing goes is damage.
    ///
    /// # Errors
    ///
    /// Those of `work`; [`Conflict`](ErrorKind::Conflict) when others do so again and again.
    pub(super) fn while_they_stand<T>(
        &self,
        roots: &mut Roots,
        mut work: impl FnMut(&mut Roots) -> Result<T>,
    ) -> Result<T> {
        for _ in 0..LOOKS_MAX {
            match work(roots) {
                Err(error) if reach::is_loss(&error) && self.has_moved(roots)? => {
                    roots.begin_anew(self.scratch);
                }
                done => return done,
            }
        }
        Err(Error::new(ErrorKind::Conflict, "looking through the snapshots").because(
            "others forget and delete while this looks, again and again; nothing was deleted here",
        ))
    }

    fn has_moved(&self, roots: &Roots) -> Result<bool> {
        let mut there = BTreeSet::new();
        for listed in self.repository.backend().list(ObjectKind::Snapshot, "") {
            there.extend(listed?.key.name().parse::<SnapshotId>().ok());
        }
        if !roots.seen.is_subset(&there) {
            return Ok(true);
        }
        self.repository.level_index()?;
        Ok(roots.buried.is_some_and(|before| self.repository.index().buried_packs() > before))
    }

    /// Lists snapshots, then marks, then the index, which is rule 13's order; then adds what
    /// snapshots reach that were not walked yet. Every snapshot object is a root, finished or not.
    pub(super) fn look(&self, roots: &mut Roots) -> Result<Snapshots> {
        let mut snapshots = self.repository.snapshots()?;
        let all = snapshots.named.iter().chain(&snapshots.unconfirmed);
        roots.seen.extend(all.map(|named| named.id));
        if self.options.dry_run {
            snapshots.named.retain(|named| !self.options.forgotten.contains(&named.id));
            snapshots.unconfirmed.retain(|named| !self.options.forgotten.contains(&named.id));
        }
        if let Some((name, error)) = snapshots.unreadable.first() {
            let doing = format!("reading snapshot {}", name.get(..8).unwrap_or(name));
            return Err(Error::new(ErrorKind::Damaged, doing).because(format!(
                "it may need anything, so nothing is deleted ({error}); `devsnap check` tells more"
            )));
        }
        let damaged = self.level()?;
        roots.buried.get_or_insert(self.repository.index().buried_packs());
        // Packs that are gone must not pass for stored: tombstones may be among what cannot be read, or
        // was and is healed by now, and a run that never ended may name what it likes.
        self.repository.note_missing_packs()?;
        let known = roots.damaged_segments.get_or_insert_with(|| damaged.clone());
        if let Some(new) = damaged.difference(known).next() {
            // What it listed has not been listed again by this run.
            return Err(Error::new(ErrorKind::Damaged, format!("reading {new}"))
                .because("it was damaged while this was under way; run again"));
        }
        for (named, gaps) in [
            (&snapshots.named, reach::Gaps::Refused),
            (&snapshots.unconfirmed, reach::Gaps::Passed),
        ] {
            let new: Vec<_> = named.iter().filter(|n| !roots.walked.contains(&n.id)).collect();
            let trees = new.iter().filter_map(|named| named.snapshot.root);
            let progress = &**self.progress;
            roots.reach.add(self.repository, trees, gaps, progress, self.interrupt)?;
            roots.walked.extend(new.iter().map(|named| named.id));
        }
        Ok(snapshots)
    }

    /// Marks first, then the index. Answers with segments that are damaged: the packs they listed
    /// have been read themselves.
    fn level(&self) -> Result<BTreeSet<ObjectKey>> {
        let level = self.repository.bring_level()?;
        let mut damaged = BTreeSet::new();
        for (name, error) in level.unreadable_segments {
            match error.kind() {
                ErrorKind::Damaged => {
                    damaged.insert(ObjectKey::new(ObjectKind::IndexSegment, name));
                }
                // Superseded since it was listed.
                ErrorKind::NotFound => {}
                kind => {
                    let doing = format!("reading index segment {}", name.get(..8).unwrap_or(&name));
                    return Err(Error::new(kind, doing).because(error));
                }
            }
        }
        Ok(damaged)
    }
}
