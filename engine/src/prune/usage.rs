//! Which stored bytes are needed: what snapshots reach, merged with the index, both sorted.
use super::reach::Reach;
use crate::error::Result;
use crate::id::{BlobId, ID_LEN};
use crate::index::{Index, PackStanding, RowsByBlob, Spot};
use crate::pack::BlockEntry;
use crate::runs::SortedRuns;
use std::path::Path;

/// How much of a pack is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackUse {
    pub(super) standing: PackStanding,
    /// Needed blobs for which this pack is the place that counts.
    pub(super) live_blobs: u64,
    /// What they take of its blocks, in stored bytes.
    pub(super) live_bytes: u64,
    /// What all other blobs take. Header, footer and filler count for neither: storing again what
    /// is needed would not save them.
    pub(super) dead_bytes: u64,
}

/// How much of each pack is needed, and what is needed and lies nowhere.
pub(super) struct Usage {
    /// Packs that exist.
    pub(super) packs: Vec<PackUse>,
    /// Needed blobs that no pack has.
    pub(super) lost: u64,
    /// The first of them.
    pub(super) first_lost: Option<BlobId>,
}

impl PackUse {
    fn of(standing: PackStanding) -> Self {
        PackUse { standing, live_blobs: 0, live_bytes: 0, dead_bytes: 0 }
    }
}

impl Usage {
    /// Merges both sides. Of several places of a needed blob one counts: in a pack that may be
    /// relied on, if there is one.
    ///
    /// # Errors
    ///
    /// This computer's disk.
    pub(super) fn of(index: &Index, reach: &mut Reach) -> Result<Usage> {
        let mut join = Join::new(index, reach)?;
        let mut uses: Vec<Option<PackUse>> =
            join.standings.iter().map(|found| found.map(PackUse::of)).collect();
        let (mut lost, mut first_lost) = (0, None);
        while let Some(needed) = join.next()? {
            if needed.best.is_none() {
                lost += 1;
                first_lost.get_or_insert(needed.id);
            }
            for spot in needed.best.iter().chain(&needed.also) {
                if let Some(Some(pack)) = uses.get_mut(spot.pack as usize) {
                    pack.live_blobs += 1;
                    pack.live_bytes += share(spot);
                }
            }
        }
        for (pack, stored) in uses.iter_mut().zip(join.stored_bytes) {
            if let Some(pack) = pack {
                pack.dead_bytes = stored.saturating_sub(pack.live_bytes);
            }
        }
        Ok(Usage { packs: uses.into_iter().flatten().collect(), lost, first_lost })
    }
}

/// What a blob takes of its block, in stored bytes.
fn share(spot: &Spot) -> u64 {
    let BlockEntry { stored_len, raw_len, .. } = spot.block;
    u64::from(stored_len) * u64::from(spot.len) / u64::from(raw_len.max(1))
}

/// A blob to be copied: pack number, ordinal, offset in the block and length, the block's offset and
/// lengths (big-endian, so that sorting goes pack by pack and block by block), the id.
pub(super) const ENDANGERED_LEN: usize = 7 * 4 + ID_LEN;

/// Needed blobs that lie only in condemned packs, and needed ones that lie nowhere.
pub(super) struct Endangered {
    pub(super) blobs: SortedRuns<ENDANGERED_LEN>,
    pub(super) count: u64,
    /// Their plaintext, in bytes.
    pub(super) bytes: u64,
    pub(super) lost: u64,
    pub(super) first_lost: Option<BlobId>,
}

impl Endangered {
    /// What would be lost if the condemned packs went now.
    ///
    /// # Errors
    ///
    /// This computer's disk.
    pub(super) fn find(index: &Index, reach: &mut Reach, scratch: &Path) -> Result<Endangered> {
        let mut join = Join::new(index, reach)?;
        let mut found = Endangered {
            blobs: SortedRuns::new(scratch),
            count: 0,
            bytes: 0,
            lost: 0,
            first_lost: None,
        };
        while let Some(needed) = join.next()? {
            match needed.best {
                None => {
                    found.lost += 1;
                    found.first_lost.get_or_insert(needed.id);
                }
                Some(spot) if join.standing(&spot).is_some_and(|pack| pack.condemned) => {
                    found.count += 1;
                    found.bytes += u64::from(spot.len);
                    found.blobs.push(record(&needed.id, &spot))?;
                }
                Some(_) => {}
            }
        }
        Ok(found)
    }
}

fn record(id: &BlobId, spot: &Spot) -> [u8; ENDANGERED_LEN] {
    let Spot { pack, block, ordinal, offset, len } = *spot;
    let numbers = [pack, ordinal, offset, len, block.offset, block.stored_len, block.raw_len];
    let mut record = [0; ENDANGERED_LEN];
    for (bytes, number) in record.chunks_exact_mut(4).zip(numbers) {
        bytes.copy_from_slice(&number.to_be_bytes());
    }
    record[ENDANGERED_LEN - ID_LEN..].copy_from_slice(id.as_bytes());
    record
}

/// The blob and its place that a record of [`Endangered`] names.
pub(super) fn read_record(record: &[u8; ENDANGERED_LEN]) -> (BlobId, Spot) {
    let number = |at: usize| {
        let bytes = record[at * 4..].first_chunk().expect("because a record holds seven numbers");
        u32::from_be_bytes(*bytes)
    };
    let id = record.last_chunk().copied().expect("because a record ends in an id");
    let block = BlockEntry { offset: number(4), stored_len: number(5), raw_len: number(6) };
    let spot =
        Spot { pack: number(0), block, ordinal: number(1), offset: number(2), len: number(3) };
    (BlobId::from_bytes(id), spot)
}

/// A needed blob and the place that counts.
struct Needed {
    id: BlobId,
    best: Option<Spot>,
    /// Other places that stay, because the best one may not hold what it says.
    also: Vec<Spot>,
}

/// Needed blobs with their places: two sorted sides, gone through together.
struct Join<'a> {
    standings: Vec<Option<PackStanding>>,
    needed: crate::runs::Merge<'a, ID_LEN>,
    rows: RowsByBlob,
    spots: Vec<Spot>,
    /// The blob that `spots` are places of.
    at: Option<BlobId>,
    /// What the blobs that were passed take of their packs, needed or not, by pack number.
    stored_bytes: Vec<u64>,
}

impl<'a> Join<'a> {
    fn new(index: &Index, reach: &'a mut Reach) -> Result<Self> {
        let rows = index.rows_by_blob()?;
        let standings = index.standings();
        let stored_bytes = vec![0; standings.len()];
        let (needed, spots) = (reach.sorted()?, Vec::new());
        let mut join = Join { standings, needed, rows, spots, at: None, stored_bytes };
        join.advance()?;
        Ok(join)
    }

    /// Goes on to the next blob of the index.
    fn advance(&mut self) -> Result<()> {
        self.at = self.rows.next_blob(&mut self.spots)?;
        for spot in &self.spots {
            if let Some(stored) = self.stored_bytes.get_mut(spot.pack as usize) {
                *stored += share(spot);
            }
        }
        Ok(())
    }

    fn standing(&self, spot: &Spot) -> Option<&PackStanding> {
        self.standings.get(spot.pack as usize)?.as_ref()
    }

    fn next(&mut self) -> Result<Option<Needed>> {
        let Some(id) = self.needed.next().transpose()? else {
            while self.at.is_some() {
                self.advance()?;
            }
            return Ok(None);
        };
        let id = BlobId::from_bytes(id);
        while self.at.is_some_and(|at| at < id) {
            self.advance()?;
        }
        let here: &[Spot] = if self.at == Some(id) { &self.spots } else { &[] };
        // One that is on its way out can be copied while it opens, so it comes before one that does not
        // open everywhere; and last one that only a station speaks for, which may not hold what it
        // says.
        let rank = |spot: &&Spot| match self.standing(spot) {
            Some(pack) if pack.missing => None,
            Some(pack) => Some((pack.hearsay, pack.damaged, pack.condemned)),
            None => None,
        };
        let mut ranked: Vec<_> =
            here.iter().filter_map(|spot| Some((rank(&spot)?, spot.pack, *spot))).collect();
        ranked.sort_unstable_by_key(|(rank, pack, _)| (*rank, *pack));
        let is_sure = matches!(ranked.first(), Some(((false, false, _), ..)));
        let mut places = ranked.into_iter().map(|(_, _, spot)| spot);
        let best = places.next();
        let also = if is_sure { Vec::new() } else { places.collect() };
        Ok(Some(Needed { id, best, also }))
    }
}
