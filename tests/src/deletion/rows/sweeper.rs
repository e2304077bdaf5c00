//! The sweeper: what is in use, mark, wait or fence, look again, copy, delete rows and packs, done.
use super::{COPIES, Packs, Rows, SWEEPERS, Sessions, State, Store, Variant, WRITERS, copy_of};
use crate::deletion::explore::Step;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SweeperAt {
    Start,
    Snapshots,
    Marks,
    Index,
    PutMark,
    LookForMarks,
    Sessions,
    Wait,
    Snapshots2,
    Marks2,
    Index2,
    PutCopy,
    PutCopyRow,
    DeleteRows,
    DeletePacks,
    PutDone,
    Stop,
}

/// Whose mark a sweeper works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mark {
    /// Its own, with the sessions that were open when it began.
    Own(Sessions),
    Other(u8),
}

/// What a sweeper remembers from one request to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Noted {
    Set(u16),
    InUse(bool),
    InUseAnd(bool, Packs),
    Copy(Packs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sweeper {
    pub(super) at: SweeperAt,
    pub(super) mark: Mark,
    pub(super) condemns: Noted,
    pub(super) noted: Noted,
}

impl Noted {
    fn set(self) -> u16 {
        match self {
            Noted::Set(set) => set,
            other => panic!("a set is noted here, not {other:?}"),
        }
    }
}

impl Rows {
    pub(super) fn sweeper(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let now = state.sweepers[number];
        let store = &state.store;
        let mut step = |does: &'static str, sweeper: Sweeper, store: Store| {
            let mut after = *state;
            after.store = store;
            after.sweepers[number] = sweeper;
            found(Step { who: "sweeper", number, does }, after);
        };
        let (own_or_other, empty) = (now.mark, Noted::Set(0));
        let gid = match own_or_other {
            Mark::Own(_) => number,
            Mark::Other(other) => usize::from(other),
        };
        let mut changed = *store;
        let (does, next) = match now.at {
            SweeperAt::Start => {
                for other in (0..SWEEPERS).filter(|mark| store.has_mark(*mark)) {
                    let mark = Mark::Other(u8::try_from(other).expect("there are two marks"));
                    let condemns = Noted::Set(store.marks[other]);
                    let next = Sweeper { at: SweeperAt::Sessions, mark, condemns, ..now };
                    step("takes up another's mark", next, *store);
                }
                let mark = Mark::Own(store.open & !store.end & !store.fence);
                ("lists sessions", Sweeper { at: SweeperAt::Snapshots, mark, ..now })
            }
            SweeperAt::Snapshots => {
                let condemns = Noted::InUse(self.in_use(store));
                ("lists snapshots", Sweeper { at: SweeperAt::Marks, condemns, ..now })
            }
            SweeperAt::Marks => {
                let noted = Noted::Set(store.condemned());
                ("lists marks", Sweeper { at: SweeperAt::Index, noted, ..now })
            }
            SweeperAt::Index => {
                for packs in choices(&now, store) {
                    let next = match packs {
                        Some(packs) if packs != 0 => Sweeper {
                            at: SweeperAt::PutMark,
                            condemns: Noted::Set(packs),
                            noted: empty,
                            ..now
                        },
                        Some(packs) => Sweeper {
                            at: SweeperAt::Stop,
                            condemns: Noted::Set(packs),
                            noted: empty,
                            ..now
                        },
                        None => Sweeper { at: SweeperAt::Stop, noted: empty, ..now },
                    };
                    step("chooses packs", next, *store);
                }
                return;
            }
            SweeperAt::PutMark => {
                changed.marks[gid] = now.condemns.set();
                ("puts its mark", Sweeper { at: SweeperAt::LookForMarks, ..now })
            }
            SweeperAt::LookForMarks => ("goes on", Sweeper { at: SweeperAt::Sessions, ..now }),
            SweeperAt::Sessions => {
                let noted = Noted::Set(store.open & !store.end);
                ("lists sessions again", Sweeper { at: SweeperAt::Wait, noted, ..now })
            }
            SweeperAt::Wait => {
                let no_wait = self.is(Variant::NoWait);
                let waits = if no_wait { 0 } else { now.noted.set() & !store.end & !store.fence };
                for session in (0..=WRITERS).filter(|session| waits & (1 << session) != 0) {
                    let fenced = Store { fence: store.fence | 1 << session, ..*store };
                    step("fences a session", now, fenced);
                }
                if waits != 0 {
                    return;
                }
                ("waits no more", Sweeper { at: SweeperAt::Snapshots2, ..now })
            }
            SweeperAt::Snapshots2 if self.is(Variant::NoRelist) => {
                ("does not look again", Sweeper { at: SweeperAt::DeleteRows, ..now })
            }
            SweeperAt::Snapshots2 => {
                let noted = Noted::InUse(self.in_use(store));
                ("lists snapshots again", Sweeper { at: SweeperAt::Marks2, noted, ..now })
            }
            SweeperAt::Marks2 => {
                let Noted::InUse(in_use) = now.noted else { panic!("use is noted here") };
                let rows_first = self.is(Variant::IndexThenMarks);
                let listed = if rows_first { store.rows } else { store.condemned() };
                let noted = Noted::InUseAnd(in_use, listed);
                ("lists once more", Sweeper { at: SweeperAt::Index2, noted, ..now })
            }
            SweeperAt::Index2 => {
                let Noted::InUseAnd(in_use, listed) = now.noted else {
                    panic!("a list is noted here")
                };
                let (rows, condemned) = if self.is(Variant::IndexThenMarks) {
                    (listed, store.condemned())
                } else {
                    (store.rows, listed)
                };
                let lost = in_use && rows & !(condemned | now.condemns.set()) == 0;
                let at = if lost { SweeperAt::PutCopy } else { SweeperAt::DeleteRows };
                ("decides", Sweeper { at, noted: empty, ..now })
            }
            SweeperAt::PutCopy => {
                if store.rows & store.packs == 0 {
                    (
                        "finds nothing to copy",
                        Sweeper { at: SweeperAt::Snapshots2, noted: empty, ..now },
                    )
                } else if store.copies[number] < COPIES {
                    let pack = copy_of(number, store.copies[number]);
                    changed.packs |= pack;
                    changed.copies[number] += 1;
                    (
                        "puts a copy",
                        Sweeper { at: SweeperAt::PutCopyRow, noted: Noted::Copy(pack), ..now },
                    )
                } else {
                    ("gives up", Sweeper { at: SweeperAt::Stop, noted: empty, ..now })
                }
            }
            SweeperAt::PutCopyRow => {
                let Noted::Copy(pack) = now.noted else { panic!("a copy is noted here") };
                changed.rows |= pack;
                ("puts the copy's row", Sweeper { at: SweeperAt::Snapshots2, noted: empty, ..now })
            }
            SweeperAt::DeleteRows => {
                changed.rows &= !now.condemns.set();
                ("deletes rows", Sweeper { at: SweeperAt::DeletePacks, ..now })
            }
            SweeperAt::DeletePacks => {
                changed.packs &= !now.condemns.set();
                ("deletes packs", Sweeper { at: SweeperAt::PutDone, ..now })
            }
            SweeperAt::PutDone => {
                changed.done |= 1 << gid;
                if self.is(Variant::FenceCleanup) {
                    changed.fence = 0;
                }
                ("puts done", Sweeper { at: SweeperAt::Stop, ..now })
            }
            SweeperAt::Stop => return,
        };
        step(does, next, changed);
    }
}

/// The sets of packs a sweeper may condemn; nothing at all when content is in use and has no row outside other marks.
fn choices(sweeper: &Sweeper, store: &Store) -> Vec<Option<Packs>> {
    let Mark::Own(protected) = sweeper.mark else { panic!("only for an own mark") };
    let Noted::InUse(in_use) = sweeper.condemns else { panic!("use is noted here") };
    let rows = store.rows & !sweeper.noted.set();
    let candidates = rows & !store.owned_by(protected);
    if !in_use || rows & !candidates != 0 {
        return vec![Some(candidates)];
    }
    if rows == 0 {
        return vec![None];
    }
    (0..16).filter(|p| candidates & (1 << p) != 0).map(|p| Some(candidates & !(1 << p))).collect()
}
