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

/// Where stations write, a mark is held up for so many times as long as a silent session is waited for
/// at most, whoever gives signs of life: two weeks by default.
const PATIENCE_TIMES: u64 = 7;

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
            self.repository.put_mark(packs, self.options.now_secs)?;
        }
        if condemned.is_empty() {
            // Names nothing, and tells what time the storage has.
            self.repository.put_mark(&[], self.options.now_secs)?;
        }
        let marks = self.repository.standing_marks()?;
        let condemned: BTreeSet<PackId> = marks.iter().flat_map(|m| &m.packs).copied().collect();
        self.wait(&marks, report)?;
        if !report.waits_for.is_empty() {
            report.waiting_packs = condemned.len() as u64;
            return Ok(());
        }
        self.while_they_stand(roots, |roots| self.save(&condemned, roots, report))?;
        self.bury(&condemned, report)?;
        for mark in &marks {
            self.repository.finish_mark(&mark.sweep)?;
        }
        // What is condemned is final only while a mark stands: look again.
        self.repository.note_condemned().map(drop)
    }

    /// Rule 12: no session that may rely on a condemned pack is open any more. One that has not
    /// stirred for long is given up; a clock decides when, never whether it is safe.
    fn wait(&self, marks: &[SweepMark], report: &mut PruneReport) -> Result<()> {
        let sessions = SessionMarks::list(self.repository, "")?;
        // By the storage's own clock: the newest mark was put just now.
        let now_secs = marks.iter().filter_map(|mark| mark.put_at_secs).max();
        let is_held_up = self.is_held_up(marks);
        for session in self.repository.blocking_sessions(&sessions)? {
            let about = sessions.about(self.repository, session);
            if is_held_up || self.is_dead(&about, now_secs) {
                self.repository.fence(session, &self.options.program)?;
                report.fenced.push(about);
            } else {
                report.waits_for.push(about);
            }
        }
        Ok(())
    }

    /// Whether a mark has stood for so long that no session holds it up any more. Anybody who may write
    /// to the storage can put heartbeats in anybody's name; nobody can change when a full key signed
    /// the mark. A station's run that is given up looks, at its end, whether all it stored is there.
    fn is_held_up(&self, marks: &[SweepMark]) -> bool {
        let patience = self.options.fence_after.as_secs().saturating_mul(PATIENCE_TIMES);
        let oldest = marks.iter().map(|mark| mark.marked_at_secs).min();
        let stood = oldest.map_or(0, |oldest| self.options.now_secs.saturating_sub(oldest));
        self.repository.config().has_stations()
            && u64::try_from(stood).is_ok_and(|stood| stood >= patience)
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
