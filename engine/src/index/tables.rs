//! What stands in the redb file: every table, key and value.
//!
//! | table | key | value |
//! |---|---|---|
//! | `blobs` | blob id (32), pack number (4, big-endian) | block offset, stored length, raw length, ordinal, offset in the block, length (6 × 4) |
//! | `packs` | pack number (4) | pack id (32), header (124), length (8), what is said of it (16), 1 if it is hearsay: one row for each saying |
//! | `segments` | segment id (32) | numbers of the packs it lists, behind their count; ids of the packs it buries |
//! | `snapshots` | snapshot id (32) | the object as stored: sealed |
//! | `notes` | note id (32) | the object as stored: sealed |
//! | `files` | path of a file on this computer | what it looked like when it was read: see [`FileMemory`](super::FileMemory) |
//! | `pages` | page id (32) | a tree page of this station, sealed under a key of its own |
//! | `meta` | a word | schema version, repository id, whether listings were lost, ids of packs that did not open |
//!
//! Keys and values are bytes of our own layout, so that no change of redb's encodings matters.
//! Numbers are little-endian where not said otherwise.
use crate::codec::{Decoder, Malformed, put_varint};
use crate::id::{BlobId, PackId, SegmentId};
use crate::pack::{BlobLocation, BlockEntry, HEADER_LEN, PackHeader};
use redb::TableDefinition;

/// Version of these tables; a file of another version is dropped and made anew.
pub(super) const SCHEMA: &[u8] = b"devsnap index 4";

pub(super) const BLOBS: TableDefinition<'_, &[u8; 36], &[u8; 24]> = TableDefinition::new("blobs");
pub(super) const PACKS: TableDefinition<'_, &[u8; 4], &[u8; PACK_ROW]> =
    TableDefinition::new("packs");
pub(super) const SEGMENTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("segments");
pub(super) const SNAPSHOTS: TableDefinition<'_, &[u8; 32], &[u8]> =
    TableDefinition::new("snapshots");
pub(super) const NOTES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("notes");
pub(super) const FILES: TableDefinition<'_, &[u8], &[u8; 72]> = TableDefinition::new("files");
pub(super) const PAGES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("pages");
pub(super) const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");

/// Length of a row of `packs`, in bytes.
const PACK_ROW: usize = 32 + HEADER_LEN + 8 + 16 + 1;

/// Stands for all that somebody says of a pack: header, length and list, hashed.
pub type Said = [u8; 16];

/// A row of `blobs`, key and value.
pub(super) type BlobRow = ([u8; 36], [u8; 24]);

/// Where a blob is, with the pack by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The pack's number in this file.
    pub pack: u32,
    /// The block that holds it.
    pub block: BlockEntry,
    /// Which block of the pack that is.
    pub ordinal: u32,
    /// Where the blob begins in the block's plaintext, in bytes.
    pub offset: u32,
    /// Its length, in bytes.
    pub len: u32,
}

impl Spot {
    pub(super) fn row(&self, id: &BlobId) -> BlobRow {
        let mut value = [0; 24];
        let numbers = [
            self.block.offset,
            self.block.stored_len,
            self.block.raw_len,
            self.ordinal,
            self.offset,
            self.len,
        ];
        for (bytes, number) in value.chunks_exact_mut(4).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        (blob_key(id, self.pack), value)
    }

    pub(super) fn of_row(key: &[u8; 36], value: &[u8; 24]) -> Spot {
        let number = |at: usize| {
            let bytes = value[at * 4..].first_chunk().expect("because the value holds six numbers");
            u32::from_le_bytes(*bytes)
        };
        let pack = key.last_chunk().expect("because a key ends in a pack number");
        Spot {
            pack: u32::from_be_bytes(*pack),
            block: BlockEntry { offset: number(0), stored_len: number(1), raw_len: number(2) },
            ordinal: number(3),
            offset: number(4),
            len: number(5),
        }
    }

    pub(super) fn located_in(&self, pack: PackId) -> BlobLocation {
        let Spot { block, ordinal, offset, len, .. } = *self;
        BlobLocation { pack, block, ordinal, offset, len }
    }
}

pub(super) fn blob_key(id: &BlobId, pack: u32) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(id.as_bytes());
    key[32..].copy_from_slice(&pack.to_be_bytes());
    key
}

/// What is known of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownPack {
    /// The pack.
    pub id: PackId,
    /// Its first bytes: what it holds, who wrote it, and how its key is found.
    pub header: PackHeader,
    /// Its length, in bytes.
    pub pack_len: u64,
    /// All that is said of it: two who say the same of a pack have the same here.
    pub said: Said,
    /// Nobody has vouched for this who may be relied on: it may be read, and nothing new may be
    /// built on it.
    pub is_hearsay: bool,
}

impl KnownPack {
    pub(super) fn encode(&self) -> [u8; PACK_ROW] {
        let mut value = [0; PACK_ROW];
        value[..32].copy_from_slice(self.id.as_bytes());
        value[32..32 + HEADER_LEN].copy_from_slice(&self.header.encode());
        value[32 + HEADER_LEN..PACK_ROW - 17].copy_from_slice(&self.pack_len.to_le_bytes());
        value[PACK_ROW - 17..PACK_ROW - 1].copy_from_slice(&self.said);
        value[PACK_ROW - 1] = u8::from(self.is_hearsay);
        value
    }

    pub(super) fn decode(value: &[u8; PACK_ROW]) -> Result<Self, Malformed> {
        let mut from = Decoder::new(value);
        Ok(KnownPack {
            id: PackId::from_bytes(from.array("pack id")?),
            header: PackHeader::decode(&from.array("pack header")?)
                .map_err(|_| Malformed("pack header"))?,
            pack_len: from.u64("pack length")?,
            said: from.array("what is said of a pack")?,
            is_hearsay: from.u8("hearsay")? != 0,
        })
    }
}

/// What a recorded segment refers to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Refers {
    pub(super) packs: Vec<u32>,
    pub(super) tombstones: Vec<PackId>,
}

impl Refers {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(10 + self.packs.len() * 5 + self.tombstones.len() * 32);
        put_varint(&mut value, self.packs.len() as u64);
        for pack in &self.packs {
            put_varint(&mut value, u64::from(*pack));
        }
        for pack in &self.tombstones {
            value.extend_from_slice(pack.as_bytes());
        }
        value
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder::new(value);
        let count = from.count(from.remaining(), "pack count")?;
        let mut refers = Refers::default();
        for _ in 0..count {
            let number = u32::try_from(from.varint("pack number")?);
            refers.packs.push(number.map_err(|_| Malformed("pack number"))?);
        }
        while !from.is_empty() {
            refers.tombstones.push(PackId::from_bytes(from.array("tombstone")?));
        }
        Ok(refers)
    }
}

/// A segment's id as a key.
pub(super) fn segment_key(id: &SegmentId) -> &[u8; 32] {
    id.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;
    use crate::pack::PackKind;

    #[test]
    fn rows_survive_the_round_trip() {
        let block = BlockEntry { offset: 1, stored_len: 2, raw_len: 3 };
        let spot = Spot { pack: 0x0102_0304, block, ordinal: 4, offset: 5, len: 6 };
        let (key, value) = spot.row(&BlobId::from_bytes([7; 32]));
        assert_eq!(Spot::of_row(&key, &value), spot);
        let pack = KnownPack {
            id: PackId::from_bytes([1; 32]),
            header: PackHeader {
                kind: PackKind::Meta,
                session: SessionId::from_bytes([2; 16]),
                salt: [3; 32],
                encapsulated: [4; 32],
                committed: [5; 32],
            },
            pack_len: 1 << 40,
            said: [6; 16],
            is_hearsay: true,
        };
        assert_eq!(KnownPack::decode(&pack.encode()), Ok(pack));
        let refers = Refers { packs: vec![0, 300, u32::MAX], tombstones: vec![pack.id] };
        assert_eq!(Refers::decode(&refers.encode()), Ok(refers));
    }
}
