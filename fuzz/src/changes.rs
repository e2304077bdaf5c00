//! Inputs for those who have no coverage to guide them: seeds with a few changes.

/// An endless row of changed seeds.
pub struct Changes<'a> {
    random: Random,
    seeds: &'a [Vec<u8>],
}

impl<'a> Changes<'a> {
    /// Changes `seeds`, the same way each time for the same `seed`.
    pub fn new(seed: u64, seeds: &'a [Vec<u8>]) -> Self {
        Changes { random: Random(seed), seeds }
    }

    /// One of the seeds with a few changes; most inputs have one or two.
    pub fn next_input(&mut self) -> Vec<u8> {
        let Changes { random, seeds } = self;
        let mut input = seeds[random.below(seeds.len())].clone();
        let changes = 1 + (random.next().trailing_ones() as usize).min(7);
        for _ in 0..changes {
            random.change(&mut input, seeds);
        }
        input
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
struct Random(u64);

/// Bytes at which decoders turn: ends of varints, lengths, signs, tags, separators.
const TURNING: [u8; 14] = [0, 1, 2, 3, 4, 8, 0x2f, 0x7f, 0x80, 0x81, 0xc0, 0xdf, 0xfe, 0xff];

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, 0 when that is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.near(input.len());
        let len = self.below(16.min(input.len() - at + 1));
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = TURNING[self.below(TURNING.len())],
            2 if at < input.len() => input[at] = self.next() as u8,
            3 if at < input.len() => input[at] = input[at].wrapping_add(1 + 254 * (at as u8 & 1)),
            4 => drop(input.drain(at..at + len)),
            5 => {
                let copy = input[at..at + len].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            6 => {
                let byte = TURNING[self.below(TURNING.len())];
                let count = 1 + self.below(9);
                input.splice(at..at, std::iter::repeat_n(byte, count));
            }
            7 => input.truncate(at),
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let count = self.below(other.len() - from + 1).min(40);
                let end = (at + count).min(input.len());
                input.splice(at..end, other[from..from + count].iter().copied());
            }
        }
    }

    /// A place up to `len`, half of the time among the first 32: that is where lengths stand.
    fn near(&mut self, len: usize) -> usize {
        let end = if self.next() & 1 == 0 { len.min(32) } else { len };
        self.below(end + 1)
    }
}
