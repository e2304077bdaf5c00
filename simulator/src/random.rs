//! Chance that can be had again: everything unkind is drawn from one seed.

/// A small generator (SplitMix64). Good enough to be unkind with, and for no secret.
///
/// # Source
///
/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// A generator for one use, e.g. one connection: others' draws do not change its numbers.
    pub fn split(seed: u64, label: &str) -> Random {
        let mut random = Random::new(seed);
        for byte in label.bytes() {
            random.state ^= u64::from(byte);
            random.next();
        }
        random
    }

    /// 64 bits.
    #[allow(clippy::should_implement_trait, reason = "it has no end, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is taken as 1 when it is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Puts `things` in an order of chance.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = self.below(u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1));
            things.swap(last, usize::try_from(other).unwrap_or(last));
        }
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// `bytes` as a version 4 UUID, in capitals as Apple writes them.
pub fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_seed_and_the_label() {
        let draw = |mut random: Random| [random.next(), random.next(), random.below(10)];

        assert_eq!(draw(Random::split(7, "afc 1")), draw(Random::split(7, "afc 1")));
        assert_ne!(draw(Random::split(7, "afc 1")), draw(Random::split(7, "afc 2")));
        assert_ne!(draw(Random::split(7, "afc 1")), draw(Random::split(8, "afc 1")));
        // The first output for seed 1234567 in the authors' test vectors.
        assert_eq!(Random::new(1_234_567).next(), 6_457_827_717_110_365_317);
    }
}
