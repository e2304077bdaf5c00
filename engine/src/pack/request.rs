//! Blobs grouped so that a pack is read with few requests: neighbouring blocks with one.
use super::{BlobLocation, BlockEntry};
use crate::id::PackId;
use std::ops::Range;

/// Bytes read for nothing between two wanted blocks rather than asking twice.
const GAP_MAX: u32 = 256 * 1024;

/// Blocks of one pack that are read with one request, and what is wanted in them.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The pack.
    pub pack: PackId,
    /// Ordinal and entry, ascending by offset; none overlaps another.
    pub blocks: Vec<(u32, BlockEntry)>,
    /// What is wanted of each block, as a range of what [`requests`] was given.
    pub pieces: Vec<Range<usize>>,
}

impl Request {
    /// Bytes from the start of the first block to the end of the last.
    pub fn span(&self) -> u64 {
        self.blocks.last().map_or(0, |(_, last)| self.span_with(last))
    }

    /// Bytes of all blocks once they are opened.
    pub fn raw_len(&self) -> u64 {
        self.blocks.iter().map(|(_, block)| u64::from(block.raw_len)).sum()
    }

    /// The span, were `block` the last.
    fn span_with(&self, block: &BlockEntry) -> u64 {
        let start = self.blocks.first().map_or(block.offset, |(_, first)| first.offset);
        (u64::from(block.offset) + u64::from(block.stored_len)).saturating_sub(u64::from(start))
    }

    /// Whether `block` is near enough, and the whole small enough, for one request.
    fn may_take(&self, location: &BlobLocation, bytes_max: u64) -> bool {
        let Some((_, last)) = self.blocks.last() else {
            return false;
        };
        let block = &location.block;
        let end = last.offset.saturating_add(last.stored_len);
        location.pack == self.pack
            // A block that overlaps the last one is an index that lies: it gets its own request.
            && block.offset >= end
            && block.offset - end <= GAP_MAX
            && self.span_with(block) <= bytes_max
            && self.raw_len() + u64::from(block.raw_len) <= bytes_max
    }
}

impl BlobLocation {
    /// By this, blobs stand in the order in which packs are read.
    pub fn reading_order(&self) -> (PackId, u32, u32, u32) {
        (self.pack, self.block.offset, self.ordinal, self.offset)
    }
}

/// Groups places in their [reading order](BlobLocation::reading_order) into requests of at most
/// `bytes_max` bytes, stored and plain; a block longer than that is a request of its own.
pub fn requests<'a>(
    places: impl IntoIterator<Item = &'a BlobLocation>,
    bytes_max: u64,
) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for (index, location) in places.into_iter().enumerate() {
        let block = (location.ordinal, location.block);
        let one = index..index + 1;
        match requests.last_mut() {
            Some(last) if last.pack == location.pack && last.blocks.last() == Some(&block) => {
                let range = last.pieces.last_mut().expect("because each block has its pieces");
                range.end = index + 1;
            }
            Some(last) if last.may_take(location, bytes_max) => {
                last.blocks.push(block);
                last.pieces.push(one);
            }
            _ => requests.push(Request {
                pack: location.pack,
                blocks: vec![block],
                pieces: vec![one],
            }),
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn location(pack: u8, ordinal: u32, offset: u32, len: u32) -> BlobLocation {
        let block = BlockEntry { offset, stored_len: len, raw_len: len };
        BlobLocation { pack: PackId::from_bytes([pack; 32]), block, ordinal, offset: 0, len }
    }

    #[test]
    fn requests_bridge_small_gaps_and_stop_at_large_ones_other_packs_and_their_size() {
        let near = 100 + 256 * 1024;
        let places = [
            location(1, 0, 0, 100),
            location(1, 0, 0, 100),
            location(1, 1, near, 100),
            location(1, 2, near + 100 + 256 * 1024 + 1, 100),
            location(2, 0, 0, 600_000),
            location(2, 1, 600_000, 600_000),
        ];
        let found = requests(&places, 1_000_000);
        let ordinals = |request: &Request| -> Vec<u32> {
            request.blocks.iter().map(|(ordinal, _)| *ordinal).collect()
        };
        let all: Vec<_> = found.iter().map(ordinals).collect();
        assert_eq!(all, [vec![0, 1], vec![2], vec![0], vec![1]]);
        assert_eq!(found[0].pieces, [0..2, 2..3]);
        assert_eq!((found[0].span(), found[0].raw_len()), (u64::from(near) + 100, 200));
    }

    proptest! {
        /// An index may say anything.
        #[test]
        fn each_place_is_in_one_request_which_is_small_enough_and_in_order(
            places in proptest::collection::vec((0u8..3, 0u32..5, any::<u32>(), any::<u32>()), 0..40),
            bytes_max in 0u64..1 << 33,
        ) {
            let mut places: Vec<_> =
                places.into_iter().map(|(pack, n, at, len)| location(pack, n, at, len)).collect();
            places.sort_by_key(BlobLocation::reading_order);
            let mut next = 0;
            for request in requests(&places, bytes_max) {
                prop_assert_eq!(request.blocks.len(), request.pieces.len());
                prop_assert!(request.blocks.len() == 1 || request.span().max(request.raw_len()) <= bytes_max);
                let mut end = 0;
                for ((ordinal, block), pieces) in request.blocks.iter().zip(&request.pieces) {
                    prop_assert!(u64::from(block.offset) >= end);
                    end = u64::from(block.offset) + u64::from(block.stored_len);
                    prop_assert!(pieces.start == next && pieces.end > next);
                    next = pieces.end;
                    for place in &places[pieces.clone()] {
                        prop_assert_eq!((place.ordinal, place.block), (*ordinal, *block));
                        prop_assert_eq!(place.pack, request.pack);
                    }
                }
            }
            prop_assert_eq!(next, places.len());
        }
    }
}
