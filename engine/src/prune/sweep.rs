//! Mark ▸ wait ▸ save ▸ bury ▸ delete: rules 11 to 15 of `docs/crash-safety.md`.
use super::copy::Copier;
use super::usage::Endangered;
use super::{PruneReport, Roots, Run, refuse_lost};
use crate::backend::ObjectKey;
use crate::error::Result;
use crate::id::PackId;
use crate::index::IndexSegment;
use crate::pack::PackKind;
use crate::progress::Phase;
use crate::repository::{OpenSession, SessionMarks, SweepMark};
use std::collections::BTreeSet;

/// Packs that one mark names at most.
const MARK_PACKS_MAX: usize = 500_000;

impl Run<'_> {
    /// Carries the plan out, and what earlier sweeps have left.
    pub(super) fn sweep(&self, roots: &mut Roots, report: &mut PruneReport) -> Result<()> {
        self.interrupt.check()?;
        let unneeded: BTreeSet<PackId> = report.plan.remove.iter().copied().collect();
        self.repository.forget_adopted(&unneeded);
        self.repository.list_adopted()?;
        let condemned = report.plan.condemned();
        if condemned.is_empty() && self.repository.standing_marks()?.is_empty() {
            return Ok(());
        }
        for packs in condemned.chunks(MARK_PACKS_MAX) {
            self.repository.put_mark(packs)?;
        }
        if condemned.is_empty() {
            // Names nothing, and tells what time the storage has.
            self.repository.put_mark(&[])?;
        }
        let marks = self.repository.standing_marks()?;
        let condemned: BTreeSet<PackId> = marks.iter().flat_map(|m| &m.packs).copied().collect();
        self.wait(&marks, report)?;
        if !report.waits_for.is_empty() {
            report.waiting_packs = condemned.len() as u64;
            return Ok(());
        }
        self.save(&condemned, roots, report)?;
        self.bury(&condemned, report)?;
        for mark in &marks {
            self.repository.finish_mark(&mark.sweep)?;
        }
        // What is condemned is final only while a mark stands: look again.
        self.repository.note_condemned()
    }

    /// Rule 12: no session that may rely on a condemned pack is open any more. One that has not
    /// stirred for long is given up; a clock decides when, never whether it is safe.
    fn wait(&self, marks: &[SweepMark], report: &mut PruneReport) -> Result<()> {
        let sessions = SessionMarks::list(self.repository, "")?;
        // By the storage's own clock: the newest mark was put just now.
        let now_secs = marks.iter().filter_map(|mark| mark.put_at_secs).max();
        for session in self.repository.blocking_sessions(&sessions)? {
            let about = sessions.about(self.repository, session);
            if self.is_dead(&about, now_secs) {
                self.repository.fence(session, &self.options.program)?;
                report.fenced.push(about);
            } else {
                report.waits_for.push(about);
            }
        }
        Ok(())
    }

    fn is_dead(&self, session: &OpenSession, now_secs: Option<i64>) -> bool {
        let (Some(now_secs), Some(last_secs)) = (now_secs, session.last_sign_secs) else {
            return false;
        };
        let silent = u64::try_from(now_secs.saturating_sub(last_secs)).unwrap_or(0);
        silent >= self.options.fence_after.as_secs()
    }

    /// Rules 13 and 14: looks again, from snapshots to marks to index, and copies what would go,
    /// until nothing would.
    fn save(
        &self,
        condemned: &BTreeSet<PackId>,
        roots: &mut Roots,
        report: &mut PruneReport,
    ) -> Result<()> {
        let Run { repository, options, progress, interrupt, scratch } = *self;
        progress.phase(Phase::Reading);
        loop {
            interrupt.check()?;
            self.look(roots)?;
            // They go in the end, whatever is listed now.
            repository.index().add_condemned(condemned.iter().copied());
            let mut endangered = Endangered::find(repository.index(), &mut roots.reach, scratch)?;
            refuse_lost(endangered.lost, endangered.first_lost)?;
            if endangered.count == 0 {
                return Ok(());
            }
            progress.expect(endangered.count, endangered.bytes);
            let copier = Copier { repository, options, progress, interrupt, condemned };
            report.stored_bytes += copier.copy(&mut endangered)?.stored;
        }
    }

    /// Rule 15: hidden first, then deleted.
    fn bury(&self, condemned: &BTreeSet<PackId>, report: &mut PruneReport) -> Result<()> {
        self.interrupt.check()?;
        self.progress.phase(Phase::Finishing);
        let index = self.repository.index();
        // What the store has lost frees nothing.
        let lost = index.standings().into_iter().flatten().filter(|standing| standing.missing);
        let lost: BTreeSet<PackId> = lost.map(|standing| standing.pack.id).collect();
        let mut keys = Vec::new();
        for id in condemned {
            let known = index.live_pack(id);
            if !lost.contains(id) {
                report.removed_packs += u64::from(known.is_some());
                report.removed_bytes += known.map_or(0, |pack| pack.pack_len);
            }
            // One that only another sweeper knew may be of either kind.
            let kinds =
                known.map_or(vec![PackKind::Data, PackKind::Meta], |pack| vec![pack.header.kind]);
            keys.extend(
                kinds.into_iter().map(|kind| ObjectKey::new(kind.object_kind(), id.to_hex())),
            );
        }
        let tombstones = condemned.iter().copied().collect();
        self.repository.put_segment(&IndexSegment { tombstones, ..IndexSegment::default() })?;
        self.repository.forget_adopted(condemned);
        self.repository.remove_objects(&keys, self.interrupt).1
    }
}
