//! Words, as messages, notes and logs use them, and log files made of them.
use std::io::{self, Write};

use super::rng::{Rng, whole};

/// Commonest first: [`word`] picks early ones far more often, as languages do.
const WORDS: &[&str] = &[
    "the",
    "I",
    "you",
    "to",
    "a",
    "and",
    "it",
    "is",
    "of",
    "in",
    "that",
    "we",
    "at",
    "me",
    "for",
    "on",
    "ok",
    "so",
    "my",
    "not",
    "be",
    "have",
    "was",
    "are",
    "this",
    "with",
    "can",
    "but",
    "do",
    "just",
    "what",
    "will",
    "see",
    "home",
    "yes",
    "no",
    "time",
    "good",
    "today",
    "there",
    "when",
    "get",
    "about",
    "like",
    "know",
    "going",
    "tomorrow",
    "back",
    "out",
    "later",
    "love",
    "work",
    "call",
    "here",
    "now",
    "think",
    "come",
    "want",
    "dinner",
    "need",
    "up",
    "photo",
    "morning",
    "really",
    "thanks",
    "night",
    "school",
    "train",
    "meeting",
    "send",
    "tonight",
    "weekend",
    "ticket",
    "picture",
    "house",
    "coffee",
    "kitchen",
    "birthday",
    "holiday",
    "garden",
    "airport",
    "doctor",
    "message",
    "address",
    "number",
    "children",
    "together",
    "wonderful",
    "yesterday",
    "question",
    "appointment",
    "restaurant",
    "grandmother",
    "delivery",
    "password",
    "insurance",
    "neighbour",
    "photograph",
    "conversation",
    "apartment",
    "reservation",
    "unfortunately",
];

/// One word; the n-th commonest about proportional to 1/n.
pub(super) fn word(rng: &mut Rng) -> &'static str {
    // The length of the list to a uniform power gives ranks with density 1/rank.
    let rank = usize::try_from(whole((WORDS.len() as f64).powf(rng.unit()))).unwrap_or(1);
    WORDS[rank.clamp(1, WORDS.len()) - 1]
}

/// Appends `words` words, separated by spaces.
pub(super) fn sentence(rng: &mut Rng, words: usize, out: &mut Vec<u8>) {
    for position in 0..words {
        if position > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word(rng).as_bytes());
    }
}

const PROCESSES: &[&str] =
    &["SpringBoard", "locationd", "mediaserverd", "apsd", "cloudd", "photoanalysisd", "backupd"];
const SUBSYSTEMS: &[&str] =
    &["com.apple.network", "com.apple.CoreData", "com.apple.push", "com.apple.media", "default"];

/// Writes `size` bytes of a system log.
pub(super) fn write_log(size: u64, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let mut rng = Rng::new(seed);
    let mut second = 1_790_000_000 + rng.below(10_000_000);
    let (mut left, mut line) = (size, Vec::with_capacity(256));
    while left > 0 {
        line.clear();
        second += rng.below(4);
        write!(
            line,
            "{second}.{:06} {}[{}] <Notice> ({}): ",
            rng.below(1_000_000),
            rng.pick(PROCESSES),
            60 + rng.below(900),
            rng.pick(SUBSYSTEMS),
        )?;
        let words = 4 + rng.index(12);
        sentence(&mut rng, words, &mut line);
        line.push(b'\n');
        let keep = usize::try_from(left).unwrap_or(usize::MAX).min(line.len());
        out.write_all(&line[..keep])?;
        left -= keep as u64;
    }
    Ok(())
}
