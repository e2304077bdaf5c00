//! The states that were seen, each once, and from where each was found first.
//!
//! A set of the standard library would hold every state a second time; the large scopes have a hundred million.
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

/// Seen states by number, in the order in which they were found.
pub(super) struct Visited<S> {
    states: Vec<S>,
    came_from: Vec<u32>,
    /// Numbers of states, where their hash says or in the next free place behind; a power of two, at most half full.
    slots: Vec<u32>,
}

const FREE: u32 = u32::MAX;

impl<S: Copy + Eq + Hash> Visited<S> {
    /// The first state is its own predecessor.
    pub(super) fn beginning_with(first: S) -> Self {
        let mut visited =
            Visited { states: Vec::new(), came_from: Vec::new(), slots: vec![FREE; 1024] };
        visited.add(first, 0);
        visited
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn state(&self, number: usize) -> S {
        self.states[number]
    }

    pub(super) fn came_from(&self, number: usize) -> usize {
        self.came_from[number] as usize
    }

    /// Adds a state that is one step behind another, unless it was seen.
    pub(super) fn add(&mut self, state: S, came_from: usize) {
        let mut slot = slot_of(&state, self.slots.len());
        while self.slots[slot] != FREE {
            if self.states[self.slots[slot] as usize] == state {
                return;
            }
            slot = (slot + 1) % self.slots.len();
        }
        let small = |number: usize| u32::try_from(number).expect("because memory ends before that");
        self.slots[slot] = small(self.states.len());
        self.states.push(state);
        self.came_from.push(small(came_from));
        if self.states.len() * 2 > self.slots.len() {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let mut slots = vec![FREE; self.slots.len() * 2];
        for (number, state) in (0..).zip(&self.states) {
            let mut slot = slot_of(state, slots.len());
            while slots[slot] != FREE {
                slot = (slot + 1) % slots.len();
            }
            slots[slot] = number;
        }
        self.slots = slots;
    }
}

fn slot_of<S: Hash>(state: &S, slots: usize) -> usize {
    let hash = BuildHasherDefault::<Mixer>::default().hash_one(state);
    // The remainder by the number of slots, which fits.
    usize::try_from(hash % (slots as u64)).unwrap_or(0)
}

/// A multiply-and-rotate hash: states are our own, so nobody chooses them to collide.
#[derive(Default)]
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }
    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
    fn write_isize(&mut self, value: isize) {
        self.mix(value.cast_unsigned() as u64);
    }
}
