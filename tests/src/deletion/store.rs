//! The stored objects, and what may be concluded from a list of them.
use super::protocol::Rules;
use super::protocol::Variant;

/// A set of packs, one bit each. Every pack of the model holds the one content `X`.
pub(super) type Packs = u16;
/// A set of sessions, one bit each.
pub(super) type Sessions = u8;

/// How many sweepers, and so marks, the model has room for.
pub(super) const SWEEPERS: usize = 2;
/// How many packs a sweeper may write before it gives up.
pub(super) const COPIES: u8 = 2;

/// The pack in which `X` lies at the start.
pub(super) const OLDEST: Packs = 0b01;
/// A second pack with `X`, named by the same segment as the first, in scopes that ask for it.
pub(super) const SECOND: Packs = 0b10;
/// The session, long over, that wrote the first snapshot.
pub(super) const FOUNDER: Sessions = 1;

/// The pack that `session` writes when it finds nothing to reuse.
pub(super) fn pack_of(session: u8) -> Packs {
    1 << (1 + session)
}

/// The pack that sweeper `sweeper` writes as its copy number `copy`.
pub(super) fn copy_of(sweeper: usize, copy: u8) -> Packs {
    0b1000_0000_0000_0000 >> (sweeper * usize::from(COPIES) + usize::from(copy))
}

/// Everything on the storage; and at the end what the world remembers, to judge by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Store {
    pub(super) packs: Packs,
    /// Packs named by a segment of their own.
    pub(super) single: Packs,
    /// What the oldest segment names; 0 when it is gone.
    pub(super) first: Packs,
    /// What the merged segment names; 0 when there is none.
    pub(super) merged: Packs,
    /// Packs named by a tombstone.
    pub(super) tombstones: Packs,
    pub(super) open: Sessions,
    pub(super) end: Sessions,
    pub(super) fence: Sessions,
    /// Sessions whose snapshot is stored. Each snapshot reaches `X`.
    pub(super) snapshots: Sessions,
    /// What each mark condemns; 0 when it is not there.
    pub(super) marks: [Packs; SWEEPERS],
    /// Marks with a `done`, one bit each.
    pub(super) done: u8,
    /// Snapshots that counted at some moment.
    pub(super) counted: Sessions,
    /// Snapshots that a person or a policy has removed.
    pub(super) forgotten: Sessions,
}

/// The part of a torn list of `index/` that is seen first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Half {
    merged: Packs,
    tombstones: Packs,
}

impl Store {
    /// One snapshot in one or two packs of one segment; its session has ended.
    pub(super) fn at_the_start(packs: Packs) -> Store {
        Store {
            packs,
            single: 0,
            first: packs,
            merged: 0,
            tombstones: 0,
            open: FOUNDER,
            end: FOUNDER,
            fence: 0,
            snapshots: FOUNDER,
            marks: [0; SWEEPERS],
            done: 0,
            counted: FOUNDER,
            forgotten: 0,
        }
    }

    /// The packs that a list of `index/` says hold `X`: all rows minus the packs named by tombstones.
    pub(super) fn view(&self) -> Packs {
        (self.single | self.first | self.merged) & !self.tombstones
    }

    /// What a torn list of `index/` sees first: a tombstone put later is missed, and so is a merged segment.
    pub(super) fn first_half(&self) -> Half {
        Half { merged: self.merged, tombstones: self.tombstones }
    }

    /// What a torn list shows in the end: a segment that was merged and deleted meanwhile is missed.
    pub(super) fn both_halves(&self, half: Half) -> Packs {
        (self.single | self.first | half.merged) & !half.tombstones
    }

    /// The packs that marks without `done` name.
    pub(super) fn condemned(&self) -> Packs {
        let mut packs = 0;
        for (number, mark) in self.marks.iter().enumerate() {
            if self.done & (1 << number) == 0 {
                packs |= mark;
            }
        }
        packs
    }

    /// Sessions that a sweeper has to wait for, or fence.
    pub(super) fn blocking(&self) -> Sessions {
        self.open & !self.end & !self.fence
    }

    /// The snapshots that readers show and trust.
    pub(super) fn counting(&self, rules: Rules) -> Sessions {
        let mut over = self.end;
        if rules.has(Variant::CountsWhenCleanedUp) {
            over |= !(self.open | self.fence | self.end);
        }
        self.snapshots & over
    }

    /// The snapshots that hold content in place.
    pub(super) fn roots(&self, rules: Rules) -> Sessions {
        if rules.has(Variant::FencedIsNoRoot) {
            return self.snapshots & !(self.fence & !self.end);
        }
        self.snapshots
    }

    pub(super) fn describe(&self) -> String {
        let names = |bits: u16| -> String {
            let set: Vec<_> =
                (0..16).filter(|bit| bits & (1 << bit) != 0).map(|b| b.to_string()).collect();
            format!("{{{}}}", set.join(","))
        };
        let mut told = format!(
            "packs {} rows {}",
            names(self.packs),
            names(self.single | self.first | self.merged)
        );
        let sessions = |s: Sessions| u16::from(s);
        for (name, set) in [
            ("tombstones", self.tombstones),
            ("open", sessions(self.open)),
            ("end", sessions(self.end)),
            ("fence", sessions(self.fence)),
            ("snapshots", sessions(self.snapshots)),
            ("mark0", self.marks[0]),
            ("mark1", self.marks[1]),
            ("done", u16::from(self.done)),
        ] {
            if set != 0 {
                told.push_str(&format!(" {name} {}", names(set)));
            }
        }
        told
    }
}
