//! Cutting contents where the content itself says so, and databases where their pages end.
//!
//! SQLite overwrites pages where they stand and never moves them by a few bytes, so its files are
//! cut every so many pages ([`database`]): decision 0006 has the measurements. All else is cut by
//! content. There a cut depends on the bytes just before it and on nothing else, so an insertion moves cuts only
//! near itself, and equal stretches of different files become equal chunks. The rule is FastCDC
//! 2020 (Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based
//! Storage Systems", IEEE TPDS 31(9)) with normalisation level 2, over gear tables made from the
//! repository's key.
//!
//! Keyed tables raise the bar against recognising a file by its chunk sizes and do not close it
//! (Truong et al., "Breaking and Fixing Content-Defined Chunking", eprint 2025/558): the sizes
//! themselves are hidden by packs, not here.
mod database;
mod params;

use fastcdc::v2020::{Normalization, cut_gear, select_masks};
use std::sync::Arc;

pub use params::ChunkerParams;

const LEVEL: Normalization = Normalization::Level2;

/// The tables and sizes that decide cuts: one per repository, shared by all streams.
#[derive(Clone)]
pub struct Cutter(Arc<Tables>);

struct Tables {
    params: ChunkerParams,
    gear: [u64; 256],
    gear_shifted: [u64; 256],
    mask_strict: u64,
    mask_loose: u64,
}

impl Cutter {
    /// The cutter of a repository: table `version 1` is the BLAKE3 XOF of its gear key, 256
    /// little-endian words.
    pub fn new(params: ChunkerParams, gear_key: &[u8; 32]) -> Self {
        let mut words = [0; 256 * 8];
        let mut hasher = blake3::Hasher::new_derive_key("devsnap 2026-11 v1 gear table");
        hasher.update(gear_key);
        hasher.finalize_xof().fill(&mut words);
        let gear: [u64; 256] = std::array::from_fn(|i| {
            let word = words[i * 8..].first_chunk().expect("because the table holds 256 words");
            u64::from_le_bytes(*word)
        });
        let (mask_strict, mask_loose) = select_masks(params.target_bytes() as usize, LEVEL);
        let gear_shifted = gear.map(|word| word << 1);
        Cutter(Arc::new(Tables { params, gear, gear_shifted, mask_strict, mask_loose }))
    }

    /// The sizes it cuts to.
    pub fn params(&self) -> ChunkerParams {
        self.0.params
    }

    /// Length of the first chunk of `bytes`, when the content ends where `bytes` end or `bytes`
    /// hold at least the largest chunk.
    fn first_cut(&self, bytes: &[u8]) -> usize {
        let t = &*self.0;
        let (_, len) = cut_gear(
            bytes,
            t.params.min_bytes() as usize,
            t.params.target_bytes() as usize,
            t.params.max_bytes() as usize,
            t.mask_strict,
            t.mask_loose,
            t.mask_strict << 1,
            t.mask_loose << 1,
            &t.gear,
            &t.gear_shifted,
        );
        len
    }
}

/// Cuts one content that arrives piece by piece.
///
/// Holds at most two largest chunks.
pub struct Chunker {
    cutter: Cutter,
    cuts: Cuts,
    waiting: Vec<u8>,
    /// Where in `waiting` the next chunk begins.
    start: usize,
}

/// Where one content is cut.
#[derive(Clone, Copy)]
enum Cuts {
    /// Its beginning is not here yet.
    Undecided,
    ByContent,
    /// Every so many bytes.
    Every(usize),
}

impl Chunker {
    /// Begins a content.
    pub fn new(cutter: Cutter) -> Self {
        Chunker { cutter, cuts: Cuts::Undecided, waiting: Vec::new(), start: 0 }
    }

    /// Takes the next bytes and hands over each chunk that is now certain.
    ///
    /// # Errors
    ///
    /// Whatever `emit` returns; the content is then of no use.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        mut emit: impl FnMut(Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let max = self.cutter.0.params.max_bytes() as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            // Twice the largest chunk at most, so that moving the tail forward is rare.
            let room = (2 * max).saturating_sub(self.waiting.len());
            let (now, later) = rest.split_at(rest.len().min(room.max(1)));
            self.waiting.extend_from_slice(now);
            rest = later;
            if matches!(self.cuts, Cuts::Undecided) && self.waiting.len() >= database::HEADER_LEN {
                self.decide();
            }
            while self.waiting.len() - self.start >= self.certain_len() {
                let chunk = self.take_chunk();
                emit(chunk)?;
            }
            if self.start >= max {
                self.waiting.drain(..self.start);
                self.start = 0;
            }
        }
        Ok(())
    }

    /// Ends the content and hands over its last chunks; an empty content has none.
    ///
    /// # Errors
    ///
    /// Whatever `emit` returns.
    pub fn finish<E>(mut self, mut emit: impl FnMut(Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        if matches!(self.cuts, Cuts::Undecided) {
            self.decide();
        }
        while self.start < self.waiting.len() {
            let chunk = self.take_chunk();
            emit(chunk)?;
        }
        Ok(())
    }

    fn decide(&mut self) {
        let params = self.cutter.0.params;
        self.cuts = match database::extent_len(&self.waiting, params.database_bytes()) {
            Some(len) => Cuts::Every(len.min(params.max_bytes() as usize)),
            None => Cuts::ByContent,
        };
    }

    /// With this many bytes waiting, the next chunk is certain.
    fn certain_len(&self) -> usize {
        match self.cuts {
            Cuts::Every(len) => len,
            Cuts::Undecided | Cuts::ByContent => self.cutter.0.params.max_bytes() as usize,
        }
    }

    fn take_chunk(&mut self) -> Vec<u8> {
        let rest = &self.waiting[self.start..];
        let len = match self.cuts {
            Cuts::Every(len) => len.min(rest.len()),
            Cuts::Undecided | Cuts::ByContent => self.cutter.first_cut(rest),
        };
        if self.start == 0 && len == self.waiting.len() && self.waiting.capacity() <= 2 * len {
            // A small file, or the tail of a large one: no copy, unless much room would go with it
            // that nobody counts.
            return std::mem::take(&mut self.waiting);
        }
        let chunk = rest[..len].to_vec();
        self.start += len;
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn small() -> Cutter {
        Cutter::new(ChunkerParams::new(256, 1024, 4096, 2048).unwrap(), &[7; 32])
    }

    /// Bytes of no pattern, the same on every machine.
    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn cut(cutter: &Cutter, content: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        let mut emit = |chunk| {
            chunks.push(chunk);
            Ok::<_, Infallible>(())
        };
        let mut chunker = Chunker::new(cutter.clone());
        for piece in content.chunks(piece) {
            chunker.push(piece, &mut emit).unwrap();
        }
        chunker.finish(&mut emit).unwrap();
        chunks
    }

    #[test]
    fn cut_points_are_those_of_every_earlier_version() {
        let lens: Vec<usize> =
            cut(&small(), &noise(20_000, 1), 20_000).iter().map(Vec::len).collect();
        assert_eq!(lens, GOLDEN, "changed cuts would store every content again");
    }
    const GOLDEN: [usize; 20] = [
        841, 1140, 1148, 427, 1306, 1230, 1170, 1352, 410, 1528, 1261, 1027, 1348, 1049, 851, 1140,
        263, 581, 1636, 292,
    ];

    /// What SQLite begins a file with, and noise.
    fn database(len: usize, seed: u64) -> Vec<u8> {
        let mut bytes = noise(len, seed);
        bytes[..18].copy_from_slice(b"SQLite format 3\0\x04\x00");
        bytes
    }

    #[test]
    fn a_database_is_cut_where_its_pages_end() {
        for piece in [1, 99, 100, 5000, 50_000] {
            let lens: Vec<usize> =
                cut(&small(), &database(9000, 1), piece).iter().map(Vec::len).collect();
            assert_eq!(lens, [2048, 2048, 2048, 2048, 808], "in pieces of {piece}");
        }
    }

    #[test]
    fn a_page_that_changed_makes_one_new_chunk() {
        let before = database(200_000, 2);
        let mut after = before.clone();
        after[100_352..101_376].fill(0x55);
        let (before, after) = (cut(&small(), &before, 4096), cut(&small(), &after, 4096));
        assert_eq!(after.iter().filter(|chunk| !before.contains(chunk)).count(), 1);
    }

    #[test]
    fn another_key_cuts_elsewhere() {
        let other = Cutter::new(small().params(), &[8; 32]);
        let content = noise(50_000, 1);
        assert_ne!(cut(&small(), &content, 4096), cut(&other, &content, 4096));
    }

    #[test]
    fn an_insertion_changes_only_chunks_near_it() {
        let before = noise(200_000, 2);
        let mut after = before.clone();
        after.insert(100_000, 0x55);
        let (before, after) = (cut(&small(), &before, 4096), cut(&small(), &after, 4096));
        let kept = after.iter().filter(|chunk| before.contains(chunk)).count();
        assert!(
            after.len() - kept <= 4,
            "{} of {} chunks are new",
            after.len() - kept,
            after.len()
        );
    }

    proptest! {
        #[test]
        fn cuts_do_not_depend_on_how_the_content_arrives(
            len in 0usize..30_000, piece in 1usize..9000, seed: u64, is_database: bool,
        ) {
            let is_database = is_database && len >= 18;
            let content = if is_database { database(len, seed) } else { noise(len, seed) };
            let chunks = cut(&small(), &content, piece);
            prop_assert_eq!(&chunks, &cut(&small(), &content, len.max(1)));
            prop_assert_eq!(chunks.concat(), content);
            for chunk in chunks.iter().rev().skip(1) {
                prop_assert!((256..=4096).contains(&chunk.len()));
            }
            prop_assert!(chunks.last().is_none_or(|last| (1..=4096).contains(&last.len())));
        }
    }
}
