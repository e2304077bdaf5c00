//! The second model: index segments that name several packs.
//!
//! Kept as it was, state for state. It shows why a sweep puts tombstones and never rewrites rows.
use super::explore::{Model, Step};

/// A set of packs, one bit each.
type Packs = u16;
type Sessions = u16;

const WRITERS: usize = 2;
const SWEEPERS: usize = 2;
const FOUNDER: Sessions = 1;
/// The two packs of the oldest segment.
const OLDEST: Packs = 0b11;
/// One segment at the start, one for each writer, one for each sweeper that rewrites.
const SEGMENTS: usize = 1 + WRITERS + SWEEPERS;
/// A segment that is there, though it may name nothing.
const THERE: Packs = 1 << 15;

type Segments = [Packs; SEGMENTS];

/// Who takes part, and whether a sweep puts tombstones or replaces segments.
pub(super) struct Merging {
    pub(super) writers: usize,
    pub(super) sweepers: usize,
    pub(super) tombstones: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Store {
    packs: Packs,
    segments: Segments,
    tombstones: [Packs; SWEEPERS],
    open: Sessions,
    end: Sessions,
    fence: Sessions,
    snapshots: Sessions,
    confirmed: Sessions,
    marks: [Packs; SWEEPERS],
    done: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum WriterAt {
    Start,
    Marks,
    Index,
    PutPack,
    PutSegment,
    PutSnapshot,
    Check,
    PutEnd,
    Failed,
    Confirmed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Writer {
    at: WriterAt,
    condemned: Packs,
    view: Packs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum SweeperAt {
    Start,
    Snapshots,
    Marks { in_use: bool },
    Index { in_use: bool },
    PutMark,
    Sessions,
    Wait,
    Snapshots2,
    Marks2 { in_use: bool },
    Index2 { in_use: bool },
    Hide { listed: Segments },
    DeleteSegments { listed: Segments },
    DeletePacks,
    PutDone,
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Sweeper {
    at: SweeperAt,
    condemns: Packs,
    noted: u16,
}

/// The store and where everybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    store: Store,
    writers: [Writer; WRITERS],
    sweepers: [Sweeper; SWEEPERS],
    forgotten: bool,
}

fn session_of(writer: usize) -> Sessions {
    1 << (1 + writer)
}

fn pack_of(writer: usize) -> Packs {
    1 << (2 + writer)
}

fn named(segments: &Segments) -> Packs {
    segments.iter().fold(0, |all, segment| all | segment) & !THERE
}

impl Store {
    fn view(&self) -> Packs {
        self.tombstones.iter().fold(named(&self.segments), |view, tombstone| view & !tombstone)
    }

    fn condemned(&self) -> Packs {
        (0..SWEEPERS).filter(|m| self.done & (1 << m) == 0).fold(0, |all, m| all | self.marks[m])
    }
}

impl Model for Merging {
    type State = State;

    fn initial(&self) -> State {
        let mut segments = [0; SEGMENTS];
        segments[0] = OLDEST | THERE;
        State {
            store: Store {
                packs: OLDEST,
                segments,
                tombstones: [0; SWEEPERS],
                open: FOUNDER,
                end: FOUNDER,
                fence: 0,
                snapshots: FOUNDER,
                confirmed: 0,
                marks: [0; SWEEPERS],
                done: 0,
            },
            writers: [Writer { at: WriterAt::Start, condemned: 0, view: 0 }; WRITERS],
            sweepers: [Sweeper { at: SweeperAt::Start, condemns: 0, noted: 0 }; SWEEPERS],
            forgotten: false,
        }
    }

    fn successors(&self, state: &State, found: &mut dyn FnMut(Step, State)) {
        if !state.forgotten {
            let mut after = *state;
            after.store.snapshots &= !FOUNDER;
            after.forgotten = true;
            found(Step { who: "session", number: 0, does: "has its snapshot forgotten" }, after);
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
        let promised = store.confirmed | store.snapshots & FOUNDER;
        (promised != 0 && store.view() & store.packs == 0)
            .then_some("a confirmed snapshot has no content any more")
    }

    fn describe(&self, state: &State) -> String {
        let s = &state.store;
        let segments: Vec<_> =
            s.segments.iter().filter(|x| **x != 0).map(|x| format!("{:b}", x & !THERE)).collect();
        format!(
            "packs {:b} segments [{}] tombstones {:b} {:b} open {:b} end {:b} fence {:b} snapshots {:b} marks {:b} {:b} done {:b}",
            s.packs,
            segments.join(" "),
            s.tombstones[0],
            s.tombstones[1],
            s.open,
            s.end,
            s.fence,
            s.snapshots,
            s.marks[0],
            s.marks[1],
            s.done
        )
    }
}

impl Merging {
    fn writer(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let mut after = *state;
        let (store, own) = (&mut after.store, session_of(number));
        let Writer { at, mut condemned, mut view } = state.writers[number];
        let (does, next) = match at {
            WriterAt::Start => {
                store.open |= own;
                ("puts open", WriterAt::Marks)
            }
            WriterAt::Marks => {
                condemned = store.condemned();
                ("lists marks", WriterAt::Index)
            }
            WriterAt::Index => {
                view = store.view();
                let reuses = view & !condemned != 0;
                ("lists the index", if reuses { WriterAt::PutSnapshot } else { WriterAt::PutPack })
            }
            WriterAt::PutPack => {
                store.packs |= pack_of(number);
                ("puts a pack", WriterAt::PutSegment)
            }
            WriterAt::PutSegment => {
                store.segments[1 + number] = pack_of(number) | THERE;
                ("puts a segment", WriterAt::PutSnapshot)
            }
            WriterAt::PutSnapshot => {
                store.snapshots |= own;
                ("puts its snapshot", WriterAt::Check)
            }
            WriterAt::Check => {
                let fenced = store.fence & own != 0;
                ("looks for a fence", if fenced { WriterAt::Failed } else { WriterAt::PutEnd })
            }
            WriterAt::PutEnd => {
                store.end |= own;
                store.confirmed |= own;
                ("puts end", WriterAt::Confirmed)
            }
            WriterAt::Failed | WriterAt::Confirmed => return,
        };
        after.writers[number] = Writer { at: next, condemned, view };
        found(Step { who: "writer", number, does }, after);
    }

    fn sweeper(&self, number: usize, state: &State, found: &mut dyn FnMut(Step, State)) {
        let Sweeper { at, condemns, noted } = state.sweepers[number];
        let store = &state.store;
        let in_use = store.snapshots != 0;
        let mut changed = *store;
        let mut step =
            |does: &'static str, store: Store, at: SweeperAt, condemns: Packs, noted: u16| {
                let mut after = *state;
                after.store = store;
                after.sweepers[number] = Sweeper { at, condemns, noted };
                found(Step { who: "sweeper", number, does }, after);
            };
        match at {
            SweeperAt::Start => step("begins", changed, SweeperAt::Snapshots, condemns, noted),
            SweeperAt::Snapshots => {
                step("lists snapshots", changed, SweeperAt::Marks { in_use }, condemns, noted);
            }
            SweeperAt::Marks { in_use } => {
                step(
                    "lists marks",
                    changed,
                    SweeperAt::Index { in_use },
                    condemns,
                    store.condemned(),
                );
            }
            SweeperAt::Index { in_use } => {
                for packs in choices(in_use, store.view() & !noted) {
                    let next = if packs == 0 { SweeperAt::Stop } else { SweeperAt::PutMark };
                    step("chooses packs", changed, next, packs, 0);
                }
            }
            SweeperAt::PutMark => {
                changed.marks[number] = condemns;
                step("puts its mark", changed, SweeperAt::Sessions, condemns, 0);
            }
            SweeperAt::Sessions => {
                let open = store.open & !store.end;
                step("lists sessions", changed, SweeperAt::Wait, condemns, open);
            }
            SweeperAt::Wait => {
                let waits = noted & !store.end & !store.fence;
                if waits == 0 {
                    step("waits no more", changed, SweeperAt::Snapshots2, condemns, 0);
                }
                for session in (0..=WRITERS).filter(|session| waits & (1 << session) != 0) {
                    changed.fence = store.fence | 1 << session;
                    step("fences a session", changed, at, condemns, noted);
                }
            }
            SweeperAt::Snapshots2 => {
                step("lists snapshots again", changed, SweeperAt::Marks2 { in_use }, condemns, 0);
            }
            SweeperAt::Marks2 { in_use } => {
                let listed = store.condemned();
                step("lists marks again", changed, SweeperAt::Index2 { in_use }, condemns, listed);
            }
            SweeperAt::Index2 { in_use } => {
                if in_use && store.view() & !(noted | condemns) == 0 {
                    changed.done |= 1 << number;
                    step("gives its packs back", changed, SweeperAt::Stop, 0, 0);
                } else {
                    let next = SweeperAt::Hide { listed: store.segments };
                    step("lists the index again", changed, next, condemns, noted);
                }
            }
            SweeperAt::Hide { .. } if self.tombstones => {
                changed.tombstones[number] = condemns;
                step("puts a tombstone", changed, SweeperAt::DeletePacks, condemns, 0);
            }
            SweeperAt::Hide { listed } => {
                changed.segments[1 + WRITERS + number] = named(&listed) & !condemns | THERE;
                let next = SweeperAt::DeleteSegments { listed };
                step("puts one segment for all it listed", changed, next, condemns, noted);
            }
            SweeperAt::DeleteSegments { listed } => {
                for (segment, was) in changed.segments.iter_mut().zip(listed) {
                    if *segment == was {
                        *segment = 0;
                    }
                }
                step(
                    "deletes the segments it listed",
                    changed,
                    SweeperAt::DeletePacks,
                    condemns,
                    0,
                );
            }
            SweeperAt::DeletePacks => {
                changed.packs &= !condemns;
                step("deletes packs", changed, SweeperAt::PutDone, condemns, 0);
            }
            SweeperAt::PutDone => {
                changed.done |= 1 << number;
                step("puts done", changed, SweeperAt::Stop, 0, 0);
            }
            SweeperAt::Stop => {}
        }
    }
}

/// The sets of packs a sweeper may condemn: all, or all but one that stays for content in use.
fn choices(in_use: bool, view: Packs) -> Vec<Packs> {
    if !in_use {
        return vec![view];
    }
    if view == 0 {
        return vec![0];
    }
    (0..16).filter(|pack| view & (1 << pack) != 0).map(|pack| view & !(1 << pack)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::explore::explore;
    use super::*;

    #[test]
    fn tombstones_lose_nothing_in_as_many_states_as_the_first_proof() {
        for (writers, sweepers, states) in [(1, 2, 113_147), (2, 1, 40_681)] {
            let verdict = explore(&Merging { writers, sweepers, tombstones: true });
            verdict.assert_safe(&format!("segments, {writers} writers, {sweepers} sweepers"));
            assert_eq!(verdict.states, states);
        }
    }

    #[test]
    fn a_sweep_that_replaces_segments_brings_a_deleted_pack_back_to_life() {
        let verdict = explore(&Merging { writers: 1, sweepers: 2, tombstones: false });
        verdict.assert_loses("segments, replaced");
    }
}
