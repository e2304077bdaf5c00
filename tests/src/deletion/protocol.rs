//! The whole protocol: who takes part, which rule is broken on purpose, and what must never happen.
use super::explore::{Model, Step};
use super::heal::Healer;
use super::store::{OLDEST, SECOND, SWEEPERS, Sessions, Store};
use super::sweeper::Sweeper;
use super::tidy::{Merger, Tidier};
use super::writer::Writer;

/// A rule broken on purpose. Each must be found to lose data, or the model could not see the loss it rules out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// A writer lists the index before the marks.
    IndexBeforeMarks,
    /// A sweeper's last look lists the index before the marks.
    SweeperIndexBeforeMarks,
    /// A writer reuses what lies in condemned packs.
    ReusesCondemned,
    /// A writer that starts again after a fence trusts what it knew before.
    RetriesUnchecked,
    /// A writer takes over a parent's content although there are marks.
    InheritsUnchecked,
    /// A writer does not look for a fence before its `end`.
    IgnoresFence,
    /// A writer looks for its `open` first and for a fence after it.
    OpenBeforeFence,
    /// The next run of a station puts `end` for its predecessor.
    SuccessorEnds,
    /// The same, and a writer that finds an `end` fails.
    SuccessorEndsAndWriterLooks,
    /// A sweeper waits for nobody.
    NoWait,
    /// A sweeper does not look at snapshots again before it deletes.
    NoSecondLook,
    /// The snapshot of a fenced session holds nothing in place.
    FencedIsNoRoot,
    /// A sweeper puts `done` before the tombstone.
    DoneBeforeTombstone,
    /// A sweeper puts no tombstone and rewrites segments without the deleted packs.
    /// Merges then bring rows back to life.
    NoTombstone,
    /// Fences are removed with `done`.
    FencesGoWithDone,
    /// Clean-up of a fenced session removes the fence before `open`.
    FenceBeforeOpen,
    /// A snapshot counts when its session has its `end` or has been cleaned up.
    CountsWhenCleanedUp,
    /// Clean-up removes `end` while the snapshot is there.
    EndGoesBeforeSnapshot,
    /// Clean-up looks for the snapshot first and for `end` after it.
    SnapshotsBeforeSessions,
    /// Somebody else puts `end` for a complete snapshot of a fenced session, and deletes one with a blob without a row.
    OthersResolve,
    /// A merge drops the tombstones it has read.
    MergeDropsTombstones,
    /// A writer looks for `fence` and `open` with one list, which may meet them in either order.
    OneListForBoth,
    /// A writer reuses what a row names without a look whether the pack is there.
    WriterTrustsRows,
    /// A sweeper's last look takes what a row names for stored.
    SweeperTrustsRows,
    /// A sweeper looks at packs when it begins, and in its last look only if a segment cannot be read then.
    LooksOnlyWhenUnreadable,
    /// A writer reuses a pack that no segment names, though a mark does.
    AdoptsCondemned,
    /// A writer lists packs before it lists marks.
    PacksBeforeMarks,
}

/// The rules in force: the protocol, with at most one rule broken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules(pub(super) Option<Variant>);

impl Rules {
    pub(super) fn has(self, variant: Variant) -> bool {
        self.0 == Some(variant)
    }
}

/// Room for writers.
pub(super) const WRITERS: usize = 3;
/// Room for tidiers.
pub(super) const TIDIERS: usize = 2;

/// Who takes part. What is not asked for does not happen, and costs no states.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) writers: usize,
    pub(super) sweepers: usize,
    /// Runs that clean up finished sessions and marks, over and over.
    pub(super) tidiers: usize,
    /// Tidiers clean up; else they only resolve or drop snapshots.
    pub(super) clean: bool,
    /// One run that merges all segments and deletes the superseded ones.
    pub(super) merge: bool,
    /// `X` lies in a second pack too, named by the same segment.
    pub(super) two_packs: bool,
    /// Writers and sweepers list packs after the index: what is not there counts as no location, and what no
    /// segment names is read from the packs themselves and named anew.
    pub(super) looks: bool,
    /// `X` lies in a second pack too, which no segment names: a run that was cut off has left it.
    pub(super) stray: bool,
    /// How many segments may go bad, one by one, whenever it hurts most.
    pub(super) damages: u8,
    /// One run that names again what a segment that went bad had named, and removes it.
    pub(super) heal: bool,
    /// Whose snapshots may be forgotten.
    pub(super) forgettable: Sessions,
    /// Whose snapshots tidiers look at, one by one.
    pub(super) judged: Sessions,
    /// A list of `index/` is no view of one moment: tombstones and merged segments are seen first, the rest later.
    pub(super) torn: bool,
    /// A writer may store `X` again though it could reuse it.
    pub(super) again: bool,
    /// A writer that fails starts once more, in a new session.
    pub(super) retry: bool,
    /// A writer that fails deletes its snapshot; else it leaves it, as one that dies does.
    pub(super) take_back: bool,
    /// A writer may take over the content of a snapshot that counts.
    pub(super) inherit: bool,
    /// A writer may stop before its snapshot and put its `end`.
    pub(super) stop: bool,
    /// Writer 1 is the next run of writer 0's station.
    pub(super) successor: bool,
    /// Tidiers delete unfinished snapshots that lack a row.
    pub(super) drop_incomplete: bool,
}

/// One writer and one sweeper.
pub(super) const SMALL: Scope = Scope {
    writers: 1,
    sweepers: 1,
    tidiers: 0,
    clean: true,
    merge: false,
    two_packs: false,
    looks: false,
    stray: false,
    damages: 0,
    heal: false,
    forgettable: Sessions::MAX,
    judged: Sessions::MAX,
    torn: false,
    again: false,
    retry: false,
    take_back: false,
    inherit: false,
    stop: false,
    successor: false,
    drop_incomplete: false,
};

/// The protocol over one scope.
pub(super) struct Protocol {
    pub(super) scope: Scope,
    pub(super) rules: Rules,
}

/// The store and where everybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) writers: [Writer; WRITERS],
    pub(super) sweepers: [Sweeper; SWEEPERS],
    pub(super) tidiers: [Tidier; TIDIERS],
    pub(super) merger: Merger,
    pub(super) healer: Healer,
}

impl Model for Protocol {
    type State = State;

    fn initial(&self) -> State {
        State {
            store: Store::at_the_start(
                if self.scope.two_packs { OLDEST | SECOND } else { OLDEST },
                if self.scope.stray { SECOND } else { 0 },
                self.scope.damages,
            ),
            writers: [Writer::START; WRITERS],
            sweepers: [Sweeper::START; SWEEPERS],
            tidiers: [Tidier::Idle; TIDIERS],
            merger: Merger::Start,
            healer: Healer::Start,
        }
    }

    fn successors(&self, state: &State, found: &mut dyn FnMut(Step, State)) {
        let mut found = |step: Step, mut after: State| {
            after.store.counted |= after.store.counting(self.rules);
            found(step, after);
        };
        self.forget(state, &mut found);
        for number in 0..self.scope.writers {
            self.writer(number, state, &mut found);
        }
        for number in 0..self.scope.sweepers {
            self.sweeper(number, state, &mut found);
        }
        for number in 0..self.scope.tidiers {
            self.tidier(number, state, &mut found);
        }
        if self.scope.merge {
            self.merger(state, &mut found);
        }
        if self.scope.heal {
            self.healer(state, &mut found);
        }
        state.store.damaged(&mut |does, store| {
            found(Step { who: "the medium", number: 0, does }, State { store, ..*state });
        });
    }

    fn violated(&self, state: &State) -> Option<&'static str> {
        let store = &state.store;
        let counting = store.counting(self.rules);
        // Who looks at packs reads those that nobody names, too.
        let readable = if self.scope.looks { !store.tombstones } else { store.view() };
        if counting != 0 && readable & store.packs == 0 {
            return Some("a snapshot counts and its content is gone");
        }
        let gone = |promised: Sessions| promised & !counting & !store.forgotten != 0;
        if gone(store.counted) {
            return Some("a snapshot that counted was not forgotten and counts no more");
        }
        for writer in &state.writers {
            if writer.has_confirmed() && gone(1 << writer.session) {
                return Some("a writer said \"saved\" and the snapshot does not count");
            }
        }
        None
    }

    fn describe(&self, state: &State) -> String {
        state.store.describe()
    }
}

impl Protocol {
    /// A person or a policy removes a snapshot, finished or not, whenever it likes.
    fn forget(&self, state: &State, found: &mut dyn FnMut(Step, State)) {
        for session in 0..8_u8 {
            if state.store.snapshots & self.scope.forgettable & (1 << session) == 0 {
                continue;
            }
            let mut after = *state;
            after.store.snapshots &= !(1 << session);
            after.store.forgotten |= 1 << session;
            found(Step { who: "somebody", number: 0, does: "forgets a snapshot" }, after);
        }
    }
}
