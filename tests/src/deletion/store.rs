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
    /// How many segments may still go bad.
    pub(super) damages_left: u8,
    /// A segment that cannot be read lies there for all to see.
    pub(super) unreadable: bool,
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

/// What a list of `index/` says: packs with a row and no tombstone, and packs with a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    pub(super) view: Packs,
    pub(super) buried: Packs,
}

/// What a list of packs adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// In the view, and there.
    pub(super) sound: Packs,
    /// There, and named by no segment.
    pub(super) unlisted: Packs,
    /// In the view, and not there.
    pub(super) missing: Packs,
}

impl Store {
    /// One snapshot in the packs of one segment, beside packs that none names; its session has ended.
    pub(super) fn at_the_start(named: Packs, stray: Packs, damages_left: u8) -> Store {
        Store {
            packs: named | stray,
            single: 0,
            first: named,
            merged: 0,
            tombstones: 0,
            open: FOUNDER,
            end: FOUNDER,
            fence: 0,
            snapshots: FOUNDER,
            marks: [0; SWEEPERS],
            done: 0,
            damages_left,
            unreadable: false,
            counted: FOUNDER,
            forgotten: 0,
        }
    }

    /// The packs that a list of `index/` says hold `X`: all rows minus the packs named by tombstones.
    pub(super) fn view(&self) -> Packs {
        (self.single | self.first | self.merged) & !self.tombstones
    }

    /// A list of `index/`, tombstones apart.
    pub(super) fn seen(&self) -> Seen {
        Seen { view: self.view(), buried: self.tombstones }
    }

    /// What a torn list of `index/` sees first: a tombstone put later is missed, and so is a merged segment.
    pub(super) fn first_half(&self) -> Half {
        Half { merged: self.merged, tombstones: self.tombstones }
    }

    /// What a torn list shows in the end: a segment that was merged and deleted meanwhile is missed.
    pub(super) fn both_halves(&self, half: Half) -> Packs {
        (self.single | self.first | half.merged) & !half.tombstones
    }

    /// The same, tombstones apart.
    pub(super) fn seen_in_halves(&self, half: Half) -> Seen {
        Seen { view: self.both_halves(half), buried: half.tombstones }
    }

    /// Every store that is left when one more segment cannot be read: what it named is not named any more.
    pub(super) fn damaged(&self, found: &mut dyn FnMut(&'static str, Store)) {
        if self.damages_left == 0 {
            return;
        }
        let worse = Store { damages_left: self.damages_left - 1, unreadable: true, ..*self };
        if self.first != 0 {
            found("spoils the oldest segment", Store { first: 0, ..worse });
        }
        if self.merged != 0 {
            found("spoils the merged segment", Store { merged: 0, ..worse });
        }
        if self.tombstones != 0 {
            found("spoils the tombstones", Store { tombstones: 0, ..worse });
        }
        for pack in (0..16).map(|bit| 1 << bit).filter(|pack| self.single & pack != 0) {
            found("spoils a segment", Store { single: self.single & !pack, ..worse });
        }
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

    /// A list of packs, held against a view of the index that was listed before it.
    pub(super) fn looked_at(&self, seen: Seen) -> Found {
        let unlisted = self.packs & !seen.view & !seen.buried;
        Found { sound: seen.view & self.packs, unlisted, missing: seen.view & !self.packs }
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
            ("unreadable", u16::from(self.unreadable)),
        ] {
            if set != 0 {
                told.push_str(&format!(" {name} {}", names(set)));
            }
        }
        told
    }
}
