//! The writer: open, lists, packs, segment, snapshot, a last look, end.
use super::explore::Step;
use super::protocol::{Protocol, State, Variant, WRITERS};
use super::store::{Half, Packs, Store, pack_of};

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
    PutPack,
    PutSegment,
    PutSnapshot,
    LookForFence,
    LookForOpen,
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
                let next = self.reuse(store.both_halves(half), condemned, parent);
                step("lists the rest", next, &|_| {});
            }
            At::ListIndex { condemned, parent } => {
                let next = self.reuse(store.view(), condemned, parent);
                step("lists the index", next, &|_| {});
                if self.scope.again && next == At::PutSnapshot {
                    step("lists the index and reuses nothing", At::PutPack, &|_| {});
                }
            }
            At::ListMarksLate { view } => {
                let next = self.reuse(view, store.condemned(), false);
                step("lists marks", next, &|_| {});
            }
            At::PutPack => {
                step("puts a pack", At::PutSegment, &|s| s.packs |= pack_of(session));
            }
            At::PutSegment => {
                step("puts a segment", At::PutSnapshot, &|s| s.single |= pack_of(session));
            }
            At::PutSnapshot => {
                step("puts its snapshot", At::LookForFence, &|s| s.snapshots |= own);
            }
            At::LookForFence => self.last_look(number, state, found),
            At::LookForOpen => {
                let passes = store.open & own != 0;
                if self.rules.has(Variant::OpenBeforeFence) {
                    let next = if store.fence & own == 0 { At::PutEnd } else { At::TakeBack };
                    step("looks for a fence", next, &|_| {});
                } else {
                    let next = if passes { At::PutEnd } else { At::TakeBack };
                    step("looks for its open", next, &|_| {});
                }
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
        if self.scope.stop && matches!(writer.at, At::PutPack | At::PutSegment | At::PutSnapshot) {
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

    /// Whether `X` may be taken as stored; if not, it is stored again.
    fn reuse(&self, view: Packs, condemned: Packs, parent: bool) -> At {
        let condemned = if self.rules.has(Variant::ReusesCondemned) { 0 } else { condemned };
        let inherits = parent && (condemned == 0 || self.rules.has(Variant::InheritsUnchecked));
        if inherits || view & !condemned != 0 { At::PutSnapshot } else { At::PutPack }
    }

    /// The first half of the last look: `fence` before `open`, because clean-up removes `open` before `fence`.
    fn last_look(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let own = 1_u8 << state.writers[number].session;
        let store = &state.store;
        let (does, next) = if self.rules.has(Variant::IgnoresFence) {
            ("does not look for a fence", At::PutEnd)
        } else if self.rules.has(Variant::OpenBeforeFence) {
            (
                "looks for its open",
                if store.open & own != 0 { At::LookForOpen } else { At::TakeBack },
            )
        } else {
            let ended =
                self.rules.has(Variant::SuccessorEndsAndWriterLooks) && store.end & own != 0;
            let fails = store.fence & own != 0 || ended;
            ("looks for a fence", if fails { At::TakeBack } else { At::LookForOpen })
        };
        let mut after = *state;
        after.writers[number].at = next;
        found(Step { who: "writer", number, does }, after);
    }
}
