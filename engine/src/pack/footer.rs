//! A pack's list of blocks and blobs, and the trailer that says where it is.
//!
//! Footer plaintext: length of the list (4 bytes), the list, then zeros up to a multiple of 1 KiB
//! less the tag, so that its sealed length tells little. The list: number of blocks, and per block
//! gap before it, stored length, raw length; number of blobs, and per blob id (32 bytes), block,
//! offset, length; all numbers varints.
use super::header::{HEADER_END, HEADER_LEN, PackHeader};
use super::{BLOCK_LEN_MAX, BlobEntry, BlockEntry, PACK_LEN_MAX};
use crate::codec::{Decoder, Malformed, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;
use crate::seal::{Keys, SEAL_OVERHEAD, SealKey};
use std::ops::Range;

/// Length of a pack's last part, in bytes.
pub const TRAILER_LEN: usize = 24;

const TRAILER_MAGIC: &[u8; 8] = b"PACKEND1";
const ROUND: usize = 1024;

/// More blocks and blobs than a pack can hold are refused before memory is allocated for them.
const ENTRIES_MAX: usize = 1 << 22;

/// What a pack holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackFooter {
    /// Blocks by ordinal.
    pub blocks: Vec<BlockEntry>,
    /// Blobs, each in one of them.
    pub blobs: Vec<BlobEntry>,
}

impl PackFooter {
    /// Length of the sealed footer, in bytes.
    pub fn sealed_len(&self) -> usize {
        sealed_len(self.encode_list().len())
    }

    /// The sealed footer of the pack with this header, to stand at `position`.
    ///
    /// A pack has one footer: its key seals one text.
    pub fn seal(&self, keys: &Keys, header: &PackHeader, position: u64) -> Vec<u8> {
        let list = self.encode_list();
        let list_len = u32::try_from(list.len()).expect("because a pack is small");
        let mut text = Vec::with_capacity(sealed_len(list.len()));
        text.extend_from_slice(&list_len.to_le_bytes());
        text.extend_from_slice(&list);
        text.resize(sealed_len(list.len()) - SEAL_OVERHEAD, 0);
        footer_key(keys, header).seal(0, &bound(keys, header, position), &mut text);
        text
    }

    /// The footer that was sealed for this header at this position.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn open(keys: &Keys, header: &PackHeader, position: u64, sealed: &[u8]) -> Result<Self> {
        let damaged = || Error::new(ErrorKind::Damaged, "reading a pack's list of blobs");
        let mut sealed = sealed.to_vec();
        let text = footer_key(keys, header)
            .open(0, &bound(keys, header, position), &mut sealed)
            .map_err(|e| damaged().because(e))?;
        PackFooter::decode(text, position).map_err(|e| damaged().because(e))
    }

    /// The list of blocks and blobs, as footers and index segments write it.
    pub fn encode_list(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.blocks.len() * 8 + self.blobs.len() * 40);
        put_varint(&mut out, self.blocks.len() as u64);
        let mut end = HEADER_END;
        for block in &self.blocks {
            let offset = if block.stored_len == 0 { end } else { block.offset };
            put_varint(&mut out, u64::from(offset - end));
            put_varint(&mut out, u64::from(block.stored_len));
            put_varint(&mut out, u64::from(block.raw_len));
            end = offset + block.stored_len;
        }
        put_varint(&mut out, self.blobs.len() as u64);
        for blob in &self.blobs {
            out.extend_from_slice(blob.id.as_bytes());
            for number in [blob.block, blob.offset, blob.len] {
                put_varint(&mut out, u64::from(number));
            }
        }
        out
    }

    fn decode(text: &[u8], position: u64) -> Result<Self, Malformed> {
        let mut text = Decoder::new(text);
        let len = text.u32("list length")? as usize;
        PackFooter::decode_list(text.take(len, "list")?, position)
    }

    /// The footer whose list is `list`, in a pack whose blocks end at `position` at the latest.
    ///
    /// # Errors
    ///
    /// `Malformed` when a block or blob does not lie where it can.
    pub fn decode_list(list: &[u8], position: u64) -> Result<Self, Malformed> {
        let mut list = Decoder::new(list);
        let number = |list: &mut Decoder<'_>, what| {
            u32::try_from(list.varint(what)?).map_err(|_| Malformed(what))
        };
        // A block takes at least 3 bytes of the list and a blob 35: no count can make us allocate
        // more than a small multiple of what was read.
        let count = list.count((list.remaining() / 3).min(ENTRIES_MAX), "block count")?;
        let mut blocks = Vec::with_capacity(count);
        let mut end = u64::from(HEADER_END);
        for _ in 0..count {
            let offset = end + u64::from(number(&mut list, "block offset")?);
            let stored_len = number(&mut list, "block length")?;
            let raw_len = number(&mut list, "raw length")?;
            end = offset + u64::from(stored_len);
            if end > position || raw_len > BLOCK_LEN_MAX {
                return Err(Malformed("block inside its pack"));
            }
            let offset = u32::try_from(offset).map_err(|_| Malformed("block offset"))?;
            blocks.push(BlockEntry { offset, stored_len, raw_len });
        }
        let count = list.count((list.remaining() / 35).min(ENTRIES_MAX), "blob count")?;
        let mut blobs = Vec::with_capacity(count);
        for _ in 0..count {
            let id = BlobId::from_bytes(list.array("blob id")?);
            let block = number(&mut list, "blob block")?;
            let offset = number(&mut list, "blob offset")?;
            let len = number(&mut list, "blob length")?;
            let holder = blocks.get(block as usize).ok_or(Malformed("blob block"))?;
            let fits = offset.checked_add(len).is_some_and(|end| end <= holder.raw_len);
            if !fits || holder.stored_len == 0 {
                return Err(Malformed("blob inside its block"));
            }
            blobs.push(BlobEntry { id, block, offset, len });
        }
        list.finish("end of list")?;
        Ok(PackFooter { blocks, blobs })
    }
}

/// The trailer of a pack whose sealed footer of this length stands at `position`.
pub(super) fn trailer(position: u64, footer_len: usize) -> [u8; TRAILER_LEN] {
    let mut out = [0; TRAILER_LEN];
    out[..8].copy_from_slice(&position.to_le_bytes());
    let len = u32::try_from(footer_len).expect("because a pack is small");
    out[8..12].copy_from_slice(&len.to_le_bytes());
    out[16..].copy_from_slice(TRAILER_MAGIC);
    out
}

/// Where the sealed footer of a pack of `pack_len` bytes is, by its last [`TRAILER_LEN`] bytes.
///
/// # Errors
///
/// [`Damaged`](ErrorKind::Damaged) unless it lies between header and trailer and ends at the
/// trailer.
pub fn read_trailer(bytes: &[u8; TRAILER_LEN], pack_len: u64) -> Result<Range<u64>> {
    let bad = |m: Malformed| Error::new(ErrorKind::Damaged, "reading a pack's trailer").because(m);
    let mut trailer = Decoder::new(bytes);
    let position = trailer.u64("footer position").map_err(bad)?;
    let len = u64::from(trailer.u32("footer length").map_err(bad)?);
    let zero = trailer.u32("zero").map_err(bad)?;
    let magic: [u8; 8] = trailer.array("magic").map_err(bad)?;
    let end = position.checked_add(len).ok_or(bad(Malformed("footer position")))?;
    let whole = end.checked_add(TRAILER_LEN as u64) == Some(pack_len);
    let inside = position >= HEADER_LEN as u64 && pack_len <= PACK_LEN_MAX;
    if magic != *TRAILER_MAGIC || zero != 0 || !whole || !inside {
        return Err(bad(Malformed("trailer")));
    }
    Ok(position..end)
}

fn sealed_len(list_len: usize) -> usize {
    (4 + list_len + SEAL_OVERHEAD).next_multiple_of(ROUND)
}

fn footer_key(keys: &Keys, header: &PackHeader) -> SealKey {
    let mut hasher = blake3::Hasher::new_keyed(keys.index_key());
    hasher.update(b"devsnap 2026-11 v1 pack footer");
    hasher.update(&header.salt);
    SealKey::new(hasher.finalize().as_bytes())
}

fn bound(keys: &Keys, header: &PackHeader, position: u64) -> Vec<u8> {
    let position = position.to_le_bytes();
    [keys.repository().as_bytes().as_slice(), &header.encode(), &position].concat()
}
