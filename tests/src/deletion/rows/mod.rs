//! The first model: one index row per pack, no tombstones, no clean-up.
//!
//! It was the first proof of sessions, marks and fences and is kept as it was, state for state: sweepers judge what is
//! in use before they mark, and registers keep what is no longer needed. [`super::protocol`] is wider and leaves that out.
//!
//! The store and the verdict are here; [`writer`] and [`sweeper`] take steps, and [`claims`] are the tests.
mod claims;
mod sweeper;
mod writer;

use super::explore::{Model, Step};
use sweeper::{Mark, Noted, Sweeper, SweeperAt};
use writer::{Writer, WriterAt};

/// A set of packs, one bit each.
type Packs = u16;
/// A set of sessions, one bit each. Writer `w` has session `w + 1`.
type Sessions = u16;

const WRITERS: usize = 2;
const SWEEPERS: usize = 2;
const FOUNDER: Sessions = 1;
const OLDEST: Packs = 1;
const COPIES: u8 = 2;

/// A rule broken on purpose; [`InheritsChecked`](Variant::InheritsChecked) is the one that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// A writer lists the index before the marks.
    IndexFirst,
    /// A writer reuses what lies in condemned packs.
    ReuseCondemned,
    /// A writer does not look for a fence before its end.
    NoFenceCheck,
    /// A sweeper waits for nobody.
    NoWait,
    /// A sweeper does not look at snapshots again.
    NoRelist,
    /// A fenced session's snapshot holds nothing in place.
    FencedNotRoot,
    /// Fences go with `done`.
    FenceCleanup,
    /// A sweeper's second look lists the index before the marks.
    IndexThenMarks,
    /// A writer takes over a parent's content unseen.
    Inherit,
    /// A writer takes over a parent's content when there are no marks.
    InheritsChecked,
}

/// Who takes part, and what is broken.
pub(super) struct Rows {
    pub(super) writers: usize,
    pub(super) sweepers: usize,
    pub(super) variant: Option<Variant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Store {
    packs: Packs,
    rows: Packs,
    /// Whose pack it is, said once and never removed.
    owned: Packs,
    open: Sessions,
    end: Sessions,
    fence: Sessions,
    snapshots: Sessions,
    confirmed: Sessions,
    marks: [Packs; SWEEPERS],
    done: u8,
    copies: [u8; SWEEPERS],
}

/// The store and where everybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    store: Store,
    writers: [Writer; WRITERS],
    sweepers: [Sweeper; SWEEPERS],
}

fn pack_of(writer: usize) -> Packs {
    1 << (1 + writer)
}

fn session_of(writer: usize) -> Sessions {
    1 << (1 + writer)
}

fn copy_of(sweeper: usize, copy: u8) -> Packs {
    1 << (1 + WRITERS + sweeper * usize::from(COPIES) + usize::from(copy))
}

impl Store {
    fn has_mark(&self, mark: usize) -> bool {
        self.marks[mark] != 0 && self.done & (1 << mark) == 0
    }

    fn condemned(&self) -> Packs {
        (0..SWEEPERS).filter(|mark| self.has_mark(*mark)).fold(0, |all, m| all | self.marks[m])
    }

    /// The packs written by any of `sessions`.
    fn owned_by(&self, sessions: Sessions) -> Packs {
        // Packs and sessions of the founder and of the writers have the same numbers; copies belong to nobody.
        self.owned & sessions & ((1 << (1 + WRITERS)) - 1)
    }
}

impl Model for Rows {
    type State = State;

    fn initial(&self) -> State {
        let writer = Writer { at: WriterAt::Start, condemned: 0, view: 0 };
        let (mark, empty) = (Mark::Own(0), Noted::Set(0));
        let sweeper = Sweeper { at: SweeperAt::Start, mark, condemns: empty, noted: empty };
        State {
            store: Store {
                packs: OLDEST,
                rows: OLDEST,
                owned: OLDEST,
                open: FOUNDER,
                end: FOUNDER,
                fence: 0,
                snapshots: FOUNDER,
                confirmed: 0,
                marks: [0; SWEEPERS],
                done: 0,
                copies: [0; SWEEPERS],
            },
            writers: [writer; WRITERS],
            sweepers: [sweeper; SWEEPERS],
        }
    }

    fn successors(&self, state: &State, found: &mut dyn FnMut(Step, State)) {
        let finished = state.store.snapshots & state.store.end;
        for session in (0..=WRITERS).filter(|session| finished & (1 << session) != 0) {
            let mut after = *state;
            after.store.snapshots &= !(1 << session);
            found(
                Step { who: "session", number: session, does: "has its snapshot forgotten" },
                after,
            );
        }
        for number in 0..self.writers {
            self.writer(number, state, found);
        }
        for number in 0..self.sweepers {
            self.sweeper(number, state, found);
        }
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        let store = &state.store;
        let promised = store.snapshots & (store.confirmed | FOUNDER);
        (promised != 0 && store.rows & store.packs == 0)
            .then_some("a confirmed snapshot has no content any more")
    }

    fn describe(&self, state: &State) -> String {
        let s = &state.store;
        format!(
            "packs {:b} rows {:b} open {:b} end {:b} fence {:b} snapshots {:b} marks {:b} {:b} done {:b}",
            s.packs, s.rows, s.open, s.end, s.fence, s.snapshots, s.marks[0], s.marks[1], s.done
        )
    }
}

impl Rows {
    fn is(&self, variant: Variant) -> bool {
        self.variant == Some(variant)
    }

    fn in_use(&self, store: &Store) -> bool {
        let fenced = if self.is(Variant::FencedNotRoot) { store.fence & !store.end } else { 0 };
        store.snapshots & !fenced != 0
    }
}
