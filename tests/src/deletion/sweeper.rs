//! The sweeper: mark, wait or fence, look again, copy what is still needed, tombstone, delete, done.
use super::explore::Step;
use super::protocol::{Protocol, State, Variant};
use super::store::{COPIES, Found, Half, Packs, SWEEPERS, Seen, Sessions, Store, copy_of};

/// A sweeper between two of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sweeper {
    at: At,
    /// The mark it works on: its own, or one that another began.
    mark: u8,
    /// What that mark condemns.
    condemns: Packs,
    copies: u8,
    /// Packs of the view that were not there when it began; noted only where they are not looked for again.
    missing: Packs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Start,
    /// Names packs that no segment names.
    Adopt {
        packs: Packs,
        own: bool,
    },
    PutMark,
    ListSessions,
    /// Waits for these, or fences them.
    Wait(Sessions),
    /// Has seen that this session is still open.
    PutFence {
        waits: Sessions,
        session: u8,
    },
    ListSnapshots,
    ListMarks {
        needed: bool,
    },
    ListIndex {
        needed: bool,
        condemned: Packs,
    },
    /// Has seen half of the index.
    ListRest {
        needed: bool,
        condemned: Packs,
        half: Half,
    },
    /// Has seen the index: looks which packs are there.
    LookAtPacks {
        needed: bool,
        condemned: Packs,
        seen: Seen,
    },
    /// Only when the index is listed first.
    ListMarksLate {
        needed: bool,
        view: Packs,
    },
    CopyPack,
    CopySegment(Packs),
    PutTombstone,
    DeletePacks,
    PutDone,
    Over,
}

impl Sweeper {
    pub(super) const START: Sweeper =
        Sweeper { at: At::Start, mark: 0, condemns: 0, copies: 0, missing: 0 };
    const OVER: Sweeper = Sweeper { at: At::Over, ..Sweeper::START };
}

impl Protocol {
    /// The next step of sweeper `number`.
    pub(super) fn sweeper(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let sweeper = state.sweepers[number];
        let Sweeper { at, mark, condemns, .. } = sweeper;
        let store = &state.store;
        let mut step = |does: &'static str, at: At, change: &dyn Fn(&mut Store)| {
            let mut after = *state;
            after.sweepers[number].at = at;
            if at == At::Over {
                after.sweepers[number] = Sweeper::OVER;
            }
            change(&mut after.store);
            found(Step { who: "sweeper", number, does }, after);
        };
        match at {
            At::Start => self.choose(number, state, found),
            At::Adopt { packs, own } => {
                let next = if own { At::PutMark } else { At::ListSessions };
                step("puts a segment for packs that none names", next, &|s| s.single |= packs);
            }
            At::PutMark => {
                let next = if self.rules.has(Variant::NoWait) {
                    At::ListSnapshots
                } else {
                    At::ListSessions
                };
                step("puts a mark", next, &|s| s.marks[usize::from(mark)] = condemns);
            }
            At::ListSessions => step("lists sessions", At::Wait(store.blocking()), &|_| {}),
            At::Wait(waits) => {
                let still = waits & store.blocking();
                if still == 0 {
                    step("waits for nobody any more", self.second_look(), &|_| {});
                }
                for session in (0..8).filter(|session| still & (1 << session) != 0) {
                    step("loses patience", At::PutFence { waits, session }, &|_| {});
                }
            }
            At::PutFence { waits, session } => {
                step("fences a session", At::Wait(waits), &|s| s.fence |= 1 << session);
            }
            At::ListSnapshots => {
                let needed = store.roots(self.rules) != 0;
                step("lists snapshots", At::ListMarks { needed }, &|_| {});
            }
            At::ListMarks { needed } if self.rules.has(Variant::SweeperIndexBeforeMarks) => {
                step("lists the index", At::ListMarksLate { needed, view: store.view() }, &|_| {});
            }
            At::ListMarks { needed } => {
                let condemned = store.condemned() | condemns;
                step("lists marks", At::ListIndex { needed, condemned }, &|_| {});
            }
            At::ListIndex { needed, condemned } if self.scope.torn => {
                let half = At::ListRest { needed, condemned, half: store.first_half() };
                step("lists half the index", half, &|_| {});
            }
            At::ListRest { needed, condemned, half } => {
                let next =
                    self.look(&sweeper, store, needed, condemned, store.seen_in_halves(half));
                step("lists the rest", next, &|_| {});
            }
            At::ListIndex { needed, condemned } => {
                let next = self.look(&sweeper, store, needed, condemned, store.seen());
                step("lists the index", next, &|_| {});
            }
            At::LookAtPacks { needed, condemned, seen } => {
                let Found { sound, unlisted, missing } = store.looked_at(seen);
                let trusts = self.rules.has(Variant::SweeperTrustsRows);
                let known = if trusts { sound | missing } else { sound };
                let next = self.judge(needed, known, condemned);
                step("lists packs", next, &|_| {});
                // What was put since it began it may know and may not.
                let knowing = self.judge(needed, known | unlisted, condemned);
                if knowing != next {
                    step("lists packs and reads those that none names", knowing, &|_| {});
                }
            }
            At::ListMarksLate { needed, view } => {
                let next = self.judge(needed, view, store.condemned() | condemns);
                step("lists marks", next, &|_| {});
            }
            At::CopyPack => self.copy(number, state, found),
            At::CopySegment(pack) => {
                step("puts the copy's segment", At::ListSnapshots, &|s| s.single |= pack);
            }
            At::PutTombstone if self.rules.has(Variant::NoTombstone) => {
                step("rewrites the segments", At::DeletePacks, &|s| {
                    s.single &= !condemns;
                    s.first &= !condemns;
                    s.merged &= !condemns;
                });
            }
            At::PutTombstone => {
                let early = self.rules.has(Variant::DoneBeforeTombstone);
                let next = if early { At::Over } else { At::DeletePacks };
                step("puts a tombstone", next, &|s| {
                    s.tombstones |= condemns;
                    if early {
                        s.packs &= !condemns;
                    }
                });
            }
            At::DeletePacks => step("deletes packs", At::PutDone, &|s| s.packs &= !condemns),
            At::PutDone => {
                let early = self.rules.has(Variant::DoneBeforeTombstone);
                let next = if early { At::PutTombstone } else { At::Over };
                step("puts done", next, &|s| {
                    s.done |= 1 << mark;
                    if self.rules.has(Variant::FencesGoWithDone) {
                        s.fence = 0;
                    }
                });
            }
            At::Over => {}
        }
    }

    /// Condemns any packs at all that no mark names yet, or goes on with a mark that another began.
    ///
    /// A real sweeper condemns what it takes for unused, or for worth rewriting. That nothing is lost whatever is
    /// condemned shows that this judgement, made before anyone is waited for, is about cost and not about safety.
    fn choose(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let mut step = |does: &'static str, sweeper: Sweeper| {
            let mut after = *state;
            after.sweepers[number] = sweeper;
            found(Step { who: "sweeper", number, does }, after);
        };
        let store = &state.store;
        let Found { unlisted, missing, .. } = store.looked_at(store.seen());
        let unlisted = if self.scope.looks { unlisted } else { 0 };
        let notes = self.rules.has(Variant::LooksOnlyWhenUnreadable);
        let begun = Sweeper { missing: if notes { missing } else { 0 }, ..Sweeper::START };
        let free = (store.packs | store.view()) & !store.condemned();
        let mark = u8::try_from(number).expect("there are two sweepers");
        let mut packs = free;
        while packs != 0 {
            let chosen = Sweeper { at: At::PutMark, mark, condemns: packs, ..begun };
            if unlisted & !packs == 0 {
                step("chooses packs", chosen);
            }
            // What is given up as unneeded is not named first; what is to be copied is.
            for names in [unlisted & !packs, unlisted] {
                if names != 0 {
                    let at = At::Adopt { packs: names, own: true };
                    step("chooses packs, and some to name", Sweeper { at, ..chosen });
                }
            }
            packs = (packs - 1) & free;
        }
        for number in 0..SWEEPERS {
            let condemns = store.marks[number];
            if condemns != 0 && store.done & (1 << number) == 0 {
                let mark = u8::try_from(number).expect("there are two marks");
                let at = match unlisted {
                    0 => At::ListSessions,
                    packs => At::Adopt { packs, own: false },
                };
                step("takes up another's mark", Sweeper { at, mark, condemns, ..begun });
            }
        }
    }

    /// Has seen the index; goes on to look at packs, or decides.
    fn look(
        &self,
        sweeper: &Sweeper,
        store: &Store,
        needed: bool,
        condemned: Packs,
        seen: Seen,
    ) -> At {
        let unreadable = store.unreadable || !self.rules.has(Variant::LooksOnlyWhenUnreadable);
        match self.scope.looks && unreadable {
            true => At::LookAtPacks { needed, condemned, seen },
            false => self.judge(needed, seen.view & !sweeper.missing, condemned),
        }
    }

    fn second_look(&self) -> At {
        if self.rules.has(Variant::NoSecondLook) { At::PutTombstone } else { At::ListSnapshots }
    }

    /// A blob that a snapshot needs, with no location outside condemned packs, is copied; then all is looked at again.
    fn judge(&self, needed: bool, view: Packs, condemned: Packs) -> At {
        if needed && view & !condemned == 0 {
            At::CopyPack
        } else if self.rules.has(Variant::DoneBeforeTombstone) {
            At::PutDone
        } else {
            At::PutTombstone
        }
    }

    /// Copies out of its own condemned packs; when those are gone, another sweeper has finished the mark and there is
    /// nothing left to save from them.
    fn copy(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let sweeper = state.sweepers[number];
        let mut after = *state;
        let does = if state.store.packs & sweeper.condemns == 0 {
            after.sweepers[number].at = At::PutTombstone;
            "finds its condemned packs gone"
        } else if sweeper.copies == COPIES {
            after.sweepers[number] = Sweeper::OVER;
            "gives up"
        } else {
            let pack = copy_of(number, sweeper.copies);
            after.store.packs |= pack;
            after.sweepers[number].copies += 1;
            after.sweepers[number].at = At::CopySegment(pack);
            "copies into a new pack"
        };
        found(Step { who: "sweeper", number, does }, after);
    }
}
