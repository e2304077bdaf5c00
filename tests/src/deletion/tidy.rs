//! Tidying: what is left of finished sessions, of finished marks and of merged segments goes.
//!
//! Every removal is decided on a list and carried out later, when the list may long be out of date.
use super::explore::Step;
use super::protocol::{Protocol, State, Variant};
use super::store::{Half, Packs, SWEEPERS, Store};

/// A run that tidies, between two of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Tidier {
    Idle,
    RemoveOpen(u8),
    RemoveFence(u8),
    /// Has seen `end` without `open`: looks whether the snapshot is there.
    LookForSnapshot(u8),
    /// Has seen no snapshot, before it looked for `end`.
    LookForEnd(u8),
    RemoveEnd(u8),
    RemoveMark(u8),
    RemoveDone(u8),
    /// Has seen this snapshot.
    LookForSession(u8),
    /// Its session is over and has no `end`.
    LookForRows(u8),
    LookForRest {
        session: u8,
        half: Half,
    },
    /// The same, among marks first.
    LookForMarks(u8),
    LookForRowsAgain {
        session: u8,
        condemned: Packs,
    },
    PutEndForIt(u8),
    RemoveSnapshot(u8),
}

/// The run that merges segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Merger {
    Start,
    /// Has read the oldest segment (if it was there) and these single ones, and tombstones.
    Read {
        first: Packs,
        single: Packs,
        tombstones: Packs,
    },
    /// Has put the merged segment.
    Put {
        first: Packs,
        single: Packs,
        tombstones: Packs,
    },
    Over,
}

impl Protocol {
    /// The next steps of tidier `number`.
    pub(super) fn tidier(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let store = &state.store;
        let mut step = |does: &'static str, next: Tidier, change: &dyn Fn(&mut Store)| {
            let mut after = *state;
            after.tidiers[number] = next;
            change(&mut after.store);
            found(Step { who: "tidier", number, does }, after);
        };
        match state.tidiers[number] {
            Tidier::Idle => self.find_work(number, state, found),
            Tidier::RemoveOpen(s) => step("removes open", Tidier::Idle, &|o| o.open &= !(1 << s)),
            Tidier::RemoveFence(s) => {
                step("removes a fence", Tidier::Idle, &|o| o.fence &= !(1 << s))
            }
            Tidier::LookForSnapshot(s) => {
                let there = store.snapshots & (1 << s) != 0;
                let removes = !there || self.rules.has(Variant::EndGoesBeforeSnapshot);
                step(
                    "looks for a snapshot",
                    if removes { Tidier::RemoveEnd(s) } else { Tidier::Idle },
                    &|_| {},
                );
            }
            Tidier::LookForEnd(s) => {
                let there = store.end & (1 << s) != 0;
                step(
                    "looks for end",
                    if there { Tidier::RemoveEnd(s) } else { Tidier::Idle },
                    &|_| {},
                );
            }
            Tidier::RemoveEnd(s) => step("removes end", Tidier::Idle, &|o| o.end &= !(1 << s)),
            Tidier::RemoveMark(m) => {
                step("removes a mark", Tidier::Idle, &|o| o.marks[usize::from(m)] = 0)
            }
            Tidier::RemoveDone(m) => step("removes done", Tidier::Idle, &|o| o.done &= !(1 << m)),
            Tidier::LookForSession(s) => {
                let own = 1 << s;
                let live = store.open & !store.fence & own != 0;
                let unfinished = !live && store.end & own == 0;
                let next = if !unfinished {
                    Tidier::Idle
                } else if self.rules.has(Variant::OthersResolve) {
                    Tidier::LookForMarks(s)
                } else {
                    Tidier::LookForRows(s)
                };
                step("sees a snapshot's session over", next, &|_| {});
            }
            Tidier::LookForRows(session) if self.scope.torn => {
                let next = Tidier::LookForRest { session, half: store.first_half() };
                step("lists half the index", next, &|_| {});
            }
            Tidier::LookForRest { session, half } => {
                let gone = store.both_halves(half) == 0;
                let next = if gone { Tidier::RemoveSnapshot(session) } else { Tidier::Idle };
                step("lists the rest", next, &|_| {});
            }
            Tidier::LookForRows(s) => {
                let next = if store.view() == 0 { Tidier::RemoveSnapshot(s) } else { Tidier::Idle };
                step("lists the index", next, &|_| {});
            }
            Tidier::LookForMarks(session) => {
                let next = Tidier::LookForRowsAgain { session, condemned: store.condemned() };
                step("lists marks", next, &|_| {});
            }
            Tidier::LookForRowsAgain { session, condemned } => {
                let next = if store.view() == 0 {
                    Tidier::RemoveSnapshot(session)
                } else if store.view() & !condemned != 0 {
                    Tidier::PutEndForIt(session)
                } else {
                    Tidier::Idle
                };
                step("lists the index", next, &|_| {});
            }
            Tidier::PutEndForIt(s) => {
                step("puts end for another", Tidier::Idle, &|o| o.end |= 1 << s)
            }
            Tidier::RemoveSnapshot(s) => {
                step("removes a snapshot", Tidier::Idle, &|o| o.snapshots &= !(1 << s));
            }
        }
    }

    /// Whatever one list shows to be removable.
    fn find_work(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let mut find = |does: &'static str, next: Tidier| {
            let mut after = *state;
            after.tidiers[number] = next;
            found(Step { who: "tidier", number, does }, after);
        };
        let store = &state.store;
        let resolves = self.scope.drop_incomplete || self.rules.has(Variant::OthersResolve);
        for session in 0..8_u8 {
            let own = 1 << session;
            let (open, fence, end) =
                (store.open & own != 0, store.fence & own != 0, store.end & own != 0);
            if resolves && store.snapshots & self.scope.judged & own != 0 {
                find("sees a snapshot", Tidier::LookForSession(session));
            }
            if !self.scope.clean {
                continue;
            }
            let fence_first = self.rules.has(Variant::FenceBeforeOpen);
            if open && (end || fence) && !(fence_first && fence) {
                find("sees a session over", Tidier::RemoveOpen(session));
            }
            if fence && (!open || fence_first) {
                find("sees a fence without open", Tidier::RemoveFence(session));
            }
            if end && !open && !self.rules.has(Variant::SnapshotsBeforeSessions) {
                find("sees end without open", Tidier::LookForSnapshot(session));
            }
            let absent = store.snapshots & own == 0;
            if self.rules.has(Variant::SnapshotsBeforeSessions) && absent && session < 2 {
                find("sees no snapshot", Tidier::LookForEnd(session));
            }
        }
        for mark in (0..SWEEPERS).filter(|_| self.scope.clean) {
            let bit = u8::try_from(mark).expect("there are two marks");
            match (store.marks[mark] != 0, store.done & (1 << mark) != 0) {
                (true, true) => find("sees a mark done", Tidier::RemoveMark(bit)),
                (false, true) => find("sees done without a mark", Tidier::RemoveDone(bit)),
                _ => {}
            }
        }
    }

    /// A merge only adds; then what it has merged goes. Tombstones stay for ever.
    pub(super) fn merger(&self, state: &State, found: &mut dyn FnMut(Step, State)) {
        let store = &state.store;
        let mut step = |does: &'static str, next: Merger, change: &dyn Fn(&mut Store)| {
            let mut after = *state;
            after.merger = next;
            change(&mut after.store);
            found(Step { who: "merger", number: 0, does }, after);
        };
        match state.merger {
            Merger::Start => {
                let Store { first, single, tombstones, .. } = *store;
                // What is shown of tombstones needs some: the visit is shorter without the merges before.
                let early = self.rules.has(Variant::MergeDropsTombstones) && tombstones == 0;
                if first | single != 0 && !early {
                    step("reads all segments", Merger::Read { first, single, tombstones }, &|_| {});
                }
            }
            Merger::Read { first, single, tombstones } => {
                let next = Merger::Put { first, single, tombstones };
                step("puts a merged segment", next, &|s| s.merged = (first | single) & !tombstones);
            }
            Merger::Put { first, single, tombstones } => {
                step("deletes what it merged", Merger::Over, &|s| {
                    s.first &= !first;
                    s.single &= !single;
                    if self.rules.has(Variant::MergeDropsTombstones) {
                        s.tombstones &= !tombstones;
                    }
                });
            }
            Merger::Over => {}
        }
    }
}
