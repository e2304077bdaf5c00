//! The whole local index in order, for whoever has to look at every blob.
use super::tables::{BLOBS, Spot, blob_key};
use super::{Index, KnownPack, local, redb_failed};
use crate::error::Result;
use crate::id::BlobId;
use redb::{Durability, Range, ReadableDatabase};
use std::collections::HashSet;
use std::sync::PoisonError;

const DOING: &str = "reading the local index";

/// A pack that exists, and what may be expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackStanding {
    /// The pack.
    pub pack: KnownPack,
    /// A sweeper has marked it.
    pub condemned: bool,
    /// The store does not have it, or not in its length.
    pub missing: bool,
    /// Some of its bytes did not open when they were read.
    pub damaged: bool,
    /// Nobody who may be relied on vouches for what it holds.
    pub hearsay: bool,
    /// Different things are said of it, and nobody knows yet which is right.
    pub disputed: bool,
}

impl PackStanding {
    /// Whether what is written now may rely on it.
    pub fn is_reliable(&self) -> bool {
        !(self.condemned || self.missing || self.damaged || self.hearsay || self.disputed)
    }
}

/// Blobs in rising order of their ids, each with all places where it was stored, those in packs
/// that are gone included.
pub struct RowsByBlob {
    rows: Range<'static, &'static [u8; 36], &'static [u8; 24]>,
    ahead: Option<(BlobId, Spot)>,
}

impl RowsByBlob {
    /// The next blob; its places replace what is in `spots`.
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn next_blob(&mut self, spots: &mut Vec<Spot>) -> Result<Option<BlobId>> {
        spots.clear();
        let Some((id, first)) =
            self.ahead.take().map_or_else(|| self.row(), |row| Ok(Some(row)))?
        else {
            return Ok(None);
        };
        spots.push(first);
        while let Some((next, spot)) = self.row()? {
            if next != id {
                self.ahead = Some((next, spot));
                break;
            }
            spots.push(spot);
        }
        Ok(Some(id))
    }

    fn row(&mut self) -> Result<Option<(BlobId, Spot)>> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        let (key, value) = local!(DOING, row)?;
        let id = key.value().first_chunk().copied().expect("because a key begins with an id");
        Ok(Some((BlobId::from_bytes(id), Spot::of_row(key.value(), value.value()))))
    }
}

impl Index {
    /// Every pack by its number; `None` for one that is gone, and for what a station says of a pack
    /// that somebody vouches for who may be relied on.
    pub fn standings(&self) -> Vec<Option<PackStanding>> {
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        let packs = self.packs();
        let standing = |pack: &KnownPack| PackStanding {
            pack: *pack,
            condemned: packs.is_condemned(&pack.id),
            missing: doubts.is_missing(&pack.id),
            damaged: doubts.is_damaged(&pack.id),
            hearsay: pack.is_hearsay,
            disputed: packs.is_disputed(&pack.id),
        };
        (0..packs.numbers()).map(|number| packs.counted(number).map(standing)).collect()
    }

    /// All blobs.
    ///
    /// # Errors
    ///
    /// The file could not be read or written: rows that wait in memory are written first.
    pub fn rows_by_blob(&self) -> Result<RowsByBlob> {
        self.flush_rows()?;
        let read = local!(DOING, self.database.begin_read())?;
        let table = local!(DOING, read.open_table(BLOBS))?;
        let first = blob_key(&BlobId::from_bytes([0; 32]), 0);
        let rows = local!(DOING, table.range::<&[u8; 36]>(&first..))?;
        Ok(RowsByBlob { rows, ahead: None })
    }

    /// Drops the rows of packs that tombstones bury, when they are a third of all packs this file
    /// has ever known: they cost room and nothing else.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn drop_buried_rows(&self) -> Result<()> {
        const DOING: &str = "writing the local index";
        let gone: HashSet<u32> = {
            let packs = self.packs();
            (0..packs.numbers()).filter(|number| packs.live(*number).is_none()).collect()
        };
        if gone.len() * 3 < self.packs().numbers() as usize {
            return Ok(());
        }
        let mut write = local!(DOING, self.database.begin_write())?;
        local!(DOING, write.set_durability(Durability::Immediate))?;
        {
            let mut table = local!(DOING, write.open_table(BLOBS))?;
            let number = |key: &[u8; 36]| {
                let bytes = key.last_chunk().expect("because a key ends in a pack number");
                u32::from_be_bytes(*bytes)
            };
            local!(DOING, table.retain(|key, _| !gone.contains(&number(key))))?;
        }
        local!(DOING, write.commit())?;
        self.reopen_rows()
    }
}
