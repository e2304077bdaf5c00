//! The writer: open, lists, packs, segment, snapshot, a last look, end.
use super::explore::Step;
use super::protocol::{Protocol, State, Variant, WRITERS};
use super::store::{Found, Half, Packs, Seen, Store, pack_of};

/// A writer between two of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Writer {
    at: At,
    /// The session it writes in; the founder is 0.
    pub(super) session: u8,
    retried: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Start,
    /// Looks for a session of its station that never ended.
    Predecessor,
    /// Has seen that its predecessor is open and neither ended nor fenced.
    ClosePredecessor,
    ListMarks,
    ListSnapshots {
        condemned: Packs,
    },
    ListIndex {
        condemned: Packs,
        parent: bool,
    },
    /// Has seen half of the index.
    ListRest {
        condemned: Packs,
        parent: bool,
        half: Half,
    },
    /// Only when the index is listed first.
    ListMarksLate {
        view: Packs,
    },
    /// Has seen the index: looks which packs are there.
    LookAtPacks {
        condemned: Packs,
        parent: bool,
        seen: Seen,
    },
    /// Only when packs are listed first: has seen these.
    ListMarksAfterPacks(Packs),
    ListIndexAfterPacks {
        packs: Packs,
        condemned: Packs,
    },
    /// The packs that it found without a name are named by its segment.
    PutPack {
        adopted: Packs,
    },
    PutSegment {
        names: Packs,
    },
    PutSnapshot,
    LookForFence,
    LookForOpen,
    /// Only when `open` is looked for first.
    LookForFenceLast,
    PutEnd,
    /// Failed: takes its own snapshot back, which nobody else can have made count.
    TakeBack,
    /// Stops without a snapshot.
    PutEndAlone,
    Confirmed,
    Over,
}

impl Writer {
    pub(super) const START: Writer = Writer { at: At::Start, session: 0, retried: false };

    /// Whether it has told its user that the snapshot is saved.
    pub(super) fn has_confirmed(&self) -> bool {
        self.at == At::Confirmed
    }
}

impl Protocol {
    /// The next step of writer `number`.
    pub(super) fn writer(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let writer = state.writers[number];
        let session = writer.session;
        let mut step = |does: &'static str, at: At, change: &dyn Fn(&mut Store)| {
            let mut after = *state;
            after.writers[number].at = at;
            change(&mut after.store);
            found(Step { who: "writer", number, does }, after);
        };
        let own = 1_u8 << session;
        let store = &state.store;
        match writer.at {
            At::Start => self.open(number, state, found),
            At::Predecessor => {
                let seen = store.blocking() & (1 << state.writers[0].session);
                let alive = seen & !1 != 0;
                let next = if alive { At::ClosePredecessor } else { self.first_list() };
                step("looks for its predecessor", next, &|_| {});
            }
            At::ClosePredecessor => {
                let before = 1 << state.writers[0].session;
                let ends = self.rules.has(Variant::SuccessorEnds)
                    || self.rules.has(Variant::SuccessorEndsAndWriterLooks);
                if ends {
                    step("puts end for its predecessor", self.first_list(), &|s| s.end |= before);
                } else {
                    step("fences its predecessor", self.first_list(), &|s| s.fence |= before);
                }
            }
            At::ListMarks if self.rules.has(Variant::PacksBeforeMarks) => {
                step("lists packs", At::ListMarksAfterPacks(store.packs), &|_| {});
            }
            At::ListMarks => {
                let condemned = store.condemned();
                step("lists marks", At::ListSnapshots { condemned }, &|_| {});
            }
            At::ListSnapshots { condemned } => {
                let parent = self.scope.inherit && store.counting(self.rules) != 0;
                let next = At::ListIndex { condemned, parent };
                step("lists snapshots", next, &|_| {});
            }
            At::ListIndex { condemned, .. } if self.rules.has(Variant::IndexBeforeMarks) => {
                let _ = condemned;
                step("lists the index", At::ListMarksLate { view: store.view() }, &|_| {});
            }
            At::ListIndex { condemned, parent } if self.scope.torn => {
                let half = At::ListRest { condemned, parent, half: store.first_half() };
                step("lists half the index", half, &|_| {});
            }
            At::ListRest { condemned, parent, half } => {
                let next = self.seen(store.seen_in_halves(half), condemned, parent);
                step("lists the rest", next, &|_| {});
            }
            At::ListIndex { condemned, parent } => {
                let next = self.seen(store.seen(), condemned, parent);
                step("lists the index", next, &|_| {});
                if self.scope.again && next == At::PutSnapshot {
                    let next = At::PutPack { adopted: 0 };
                    step("lists the index and reuses nothing", next, &|_| {});
                }
            }
            At::LookAtPacks { condemned, parent, seen } => {
                let next = self.adopt(store.looked_at(seen), condemned, parent);
                step("lists packs", next, &|_| {});
            }
            At::ListMarksAfterPacks(packs) => {
                let next = At::ListIndexAfterPacks { packs, condemned: store.condemned() };
                step("lists marks", next, &|_| {});
            }
            At::ListIndexAfterPacks { packs, condemned } => {
                let then = Store { packs, ..*store };
                let next = self.adopt(then.looked_at(store.seen()), condemned, false);
                step("lists the index", next, &|_| {});
            }
            At::ListMarksLate { view } => {
                let next = self.reuse(view, store.condemned(), false);
                step("lists marks", next, &|_| {});
            }
            At::PutPack { adopted } => {
                let names = adopted | pack_of(session);
                step("puts a pack", At::PutSegment { names }, &|s| s.packs |= pack_of(session));
            }
            At::PutSegment { names } => {
                step("puts a segment", At::PutSnapshot, &|s| s.single |= names);
            }
            At::PutSnapshot => {
                step("puts its snapshot", At::LookForFence, &|s| s.snapshots |= own);
            }
            At::LookForFence => self.last_look(number, state, found),
            At::LookForOpen => {
                let next = if store.open & own != 0 { At::PutEnd } else { At::TakeBack };
                step("looks for its open", next, &|_| {});
            }
            At::LookForFenceLast => {
                let next = if store.fence & own == 0 { At::PutEnd } else { At::TakeBack };
                step("looks for a fence", next, &|_| {});
            }
            At::PutEnd => step("puts end, says saved", At::Confirmed, &|s| s.end |= own),
            At::TakeBack => {
                let mut after = *state;
                let does = if self.scope.take_back {
                    after.store.snapshots &= !own;
                    "fails, deletes its snapshot"
                } else {
                    "fails, leaves its snapshot"
                };
                after.writers[number].at = At::Over;
                if self.scope.retry && !writer.retried {
                    after.writers[number] = Writer { at: At::Start, session, retried: true };
                }
                found(Step { who: "writer", number, does }, after);
            }
            At::PutEndAlone => step("puts end without a snapshot", At::Over, &|s| s.end |= own),
            At::Confirmed | At::Over => {}
        }
        if self.scope.stop
            && matches!(writer.at, At::PutPack { .. } | At::PutSegment { .. } | At::PutSnapshot)
        {
            let mut after = *state;
            after.writers[number].at = At::PutEndAlone;
            found(Step { who: "writer", number, does: "stops" }, after);
        }
    }

    fn open(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let retried = state.writers[number].retried;
        let session = 1 + number + if retried { WRITERS } else { 0 };
        let session = u8::try_from(session).expect("there are at most seven sessions");
        let at = if retried && self.rules.has(Variant::RetriesUnchecked) {
            At::PutSnapshot
        } else if self.scope.successor && number == 1 && !retried {
            At::Predecessor
        } else {
            self.first_list()
        };
        let mut after = *state;
        after.store.open |= 1 << session;
        after.writers[number] = Writer { at, session, retried };
        found(Step { who: "writer", number, does: "puts open" }, after);
    }

    fn first_list(&self) -> At {
        if self.rules.has(Variant::IndexBeforeMarks) {
            At::ListIndex { condemned: 0, parent: false }
        } else {
            At::ListMarks
        }
    }

    /// Has seen the index; goes on to look at packs, or decides.
    fn seen(&self, seen: Seen, condemned: Packs, parent: bool) -> At {
        match self.scope.looks {
            true => At::LookAtPacks { condemned, parent, seen },
            false => self.reuse(seen.view, condemned, parent),
        }
    }

    /// What is missing counts as condemned; what nobody names is known from now on, and named by the next segment.
    fn adopt(&self, found: Found, condemned: Packs, parent: bool) -> At {
        let Found { sound, unlisted: adopted, missing } = found;
        let trusts = self.rules.has(Variant::WriterTrustsRows);
        let known = if trusts { sound | adopted | missing } else { sound | adopted };
        let lost = if trusts { 0 } else { missing };
        let mut next = self.reuse(known, condemned | lost, parent);
        if self.rules.has(Variant::AdoptsCondemned) && adopted != 0 {
            next = At::PutSnapshot;
        }
        match next {
            At::PutPack { .. } => At::PutPack { adopted },
            At::PutSnapshot if adopted != 0 => At::PutSegment { names: adopted },
            next => next,
        }
    }

    /// Whether `X` may be taken as stored; if not, it is stored again.
    fn reuse(&self, view: Packs, condemned: Packs, parent: bool) -> At {
        let condemned = if self.rules.has(Variant::ReusesCondemned) { 0 } else { condemned };
        let inherits = parent && (condemned == 0 || self.rules.has(Variant::InheritsUnchecked));
        let stores = !inherits && view & !condemned == 0;
        if stores { At::PutPack { adopted: 0 } } else { At::PutSnapshot }
    }

    /// The first half of the last look: `fence` before `open`, because clean-up removes `open` before `fence`.
    fn last_look(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let own = 1_u8 << state.writers[number].session;
        let store = &state.store;
        let mut step = |does: &'static str, at: At| {
            let mut after = *state;
            after.writers[number].at = at;
            found(Step { who: "writer", number, does }, after);
        };
        if self.rules.has(Variant::IgnoresFence) {
            return step("does not look for a fence", At::PutEnd);
        }
        if self.rules.has(Variant::OpenBeforeFence) || self.rules.has(Variant::OneListForBoth) {
            let is_open = store.open & own != 0;
            step("looks for its open", if is_open { At::LookForFenceLast } else { At::TakeBack });
        }
        if !self.rules.has(Variant::OpenBeforeFence) {
            let looks = self.rules.has(Variant::SuccessorEndsAndWriterLooks);
            let ended = looks && store.end & own != 0;
            let fails = store.fence & own != 0 || ended;
            step("looks for a fence", if fails { At::TakeBack } else { At::LookForOpen });
        }
    }
}
