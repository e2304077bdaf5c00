//! Laying out a pack while it is written. No input or output: the caller appends the bytes.
use super::footer::{PackFooter, trailer};
use super::header::{HEADER_END, PackHeader, PackKey, PackKind};
use super::{BlobEntry, BlockEntry, TRAILER_LEN};
use crate::error::Result;
use crate::id::{BlobId, SessionId};
use crate::seal::{Keys, SessionKey, random_array};
use std::sync::Arc;

/// Full packs are rounded up to a multiple of this many bytes.
const ROUND: u64 = 64 * 1024;

/// How the size of a finished pack is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To 64 KiB: the pack is full, its size says nothing anyway.
    Full,
    /// By Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PoPETs 2019):
    /// a session's last packs, whose size would tell how much there was; at most 12 % more.
    Last,
}

/// Where a block goes, and the number it is sealed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The block's ordinal: its nonce.
    pub ordinal: u32,
    /// Where it begins, in bytes from the start of the pack.
    pub offset: u32,
    /// Its sealed length, in bytes.
    pub stored_len: u32,
}

/// What follows the last block.
pub struct Ending {
    /// Filler, sealed footer and trailer, to be appended.
    pub bytes: Vec<u8>,
    /// What the footer says.
    pub footer: PackFooter,
    /// Length of the whole pack, in bytes.
    pub pack_len: u64,
}

/// A pack that is being filled.
pub struct PackBuilder {
    header: PackHeader,
    key: Arc<PackKey>,
    footer: PackFooter,
    end: u32,
}

impl PackBuilder {
    /// Begins a pack of `kind` in a session.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn new(
        keys: &Keys,
        session: SessionId,
        session_key: &SessionKey,
        kind: PackKind,
    ) -> Result<Self> {
        let salt = random_array()?;
        let (header, key) = PackKey::create(keys.repository(), session, session_key, kind, salt);
        let end = HEADER_END;
        Ok(PackBuilder { header, key: Arc::new(key), footer: PackFooter::default(), end })
    }

    /// The first bytes of the pack.
    pub fn header(&self) -> &PackHeader {
        &self.header
    }

    /// Seals this pack's blocks.
    pub fn key(&self) -> &Arc<PackKey> {
        &self.key
    }

    /// Bytes taken so far, header included.
    pub fn len(&self) -> u64 {
        u64::from(self.end)
    }

    /// Whether no block was taken yet.
    pub fn is_empty(&self) -> bool {
        self.footer.blocks.is_empty()
    }

    /// Gives out the next place. Its ordinal is spent now, whatever becomes of the block: no
    /// nonce is ever used for two texts.
    pub fn take(&mut self, stored_len: u32) -> Place {
        let ordinal = u32::try_from(self.footer.blocks.len()).expect("because a pack is small");
        let place = Place { ordinal, offset: self.end, stored_len };
        self.footer.blocks.push(BlockEntry::default());
        self.end += stored_len;
        place
    }

    /// Notes what was written at a place: blobs as (name, offset in the plaintext, length).
    pub fn record(&mut self, place: Place, raw_len: u32, blobs: &[(BlobId, u32, u32)]) {
        let Place { ordinal, offset, stored_len } = place;
        self.footer.blocks[ordinal as usize] = BlockEntry { offset, stored_len, raw_len };
        let entry = |&(id, offset, len)| BlobEntry { id, block: ordinal, offset, len };
        self.footer.blobs.extend(blobs.iter().map(entry));
    }

    /// Ends the pack.
    ///
    /// # Errors
    ///
    /// No random bytes for the filler.
    pub fn finish(self, keys: &Keys, rounding: Rounding) -> Result<Ending> {
        let end = u64::from(self.end);
        let footer_len = self.footer.sealed_len();
        let bare = end + (footer_len + TRAILER_LEN) as u64;
        let pack_len = match rounding {
            Rounding::Full => bare.next_multiple_of(ROUND),
            Rounding::Last => padme(bare),
        };
        let filler = usize::try_from(pack_len - bare).expect("because a pack fits memory");
        let mut bytes = vec![0; filler];
        let seed: [u8; 32] = random_array()?;
        blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut bytes);
        let position = end + filler as u64;
        bytes.extend_from_slice(&self.footer.seal(keys, &self.header, position));
        bytes.extend_from_slice(&trailer(position, footer_len));
        Ok(Ending { bytes, footer: self.footer, pack_len })
    }
}

/// Rounds up so that only the highest log₂ log₂ bits of the length show.
fn padme(len: u64) -> u64 {
    let exponent = len.max(2).ilog2();
    let kept = exponent.max(2).ilog2() + 1;
    let mask = (1u64 << exponent.saturating_sub(kept)) - 1;
    (len + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::super::{HEADER_LEN, PackFooter, read_trailer};
    use super::*;
    use crate::error::ErrorKind;
    use crate::id::RepositoryId;
    use crate::seal::{Codec, RecipientSecret, RootSecret, Signer};
    use proptest::prelude::*;

    const HERE: RepositoryId = RepositoryId::from_bytes([1; 16]);

    fn keys() -> Keys {
        let recipient = RecipientSecret::from_bytes([3; 32]).unwrap();
        Keys::full(HERE, &RootSecret::from_bytes([2; 32]), recipient, Signer::from_seed(&[4; 32]))
    }

    /// A pack of these blocks, each one blob.
    fn pack(blocks: &[&[u8]], rounding: Rounding) -> Vec<u8> {
        let keys = keys();
        let session = SessionId::from_bytes([5; 16]);
        let session_key = keys.recipient.new_session(HERE, session).unwrap();
        let mut builder = PackBuilder::new(&keys, session, &session_key, PackKind::Data).unwrap();
        let mut bytes = builder.header().encode().to_vec();
        for block in blocks {
            let place = builder.take(PackKey::sealed_len(block.len()) as u32);
            let sealed = builder.key().seal(place.ordinal, Codec::Raw, block);
            assert_eq!(
                (sealed.len(), bytes.len()),
                (place.stored_len as usize, place.offset as usize)
            );
            bytes.extend_from_slice(&sealed);
            let len = block.len() as u32;
            builder.record(place, len, &[(keys.content_id(block), 0, len)]);
        }
        let ending = builder.finish(&keys, rounding).unwrap();
        bytes.extend_from_slice(&ending.bytes);
        assert_eq!(bytes.len() as u64, ending.pack_len);
        bytes
    }

    /// Reads everything back as a stranger with the keys would.
    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let short = || crate::error::Error::new(ErrorKind::Damaged, "reading a short pack");
        let keys = keys();
        let header = PackHeader::decode(bytes.first_chunk().ok_or_else(short)?)?;
        let place = read_trailer(bytes.last_chunk().ok_or_else(short)?, bytes.len() as u64)?;
        let range = place.start as usize..place.end as usize;
        let footer = PackFooter::open(&keys, &header, place.start, &bytes[range])?;
        let secret = keys.recipient_secret.as_ref().unwrap();
        let key = PackKey::find(HERE, secret, &header)?;
        let mut blobs = Vec::new();
        for blob in &footer.blobs {
            let block = footer.blocks[blob.block as usize];
            let stored = &bytes[block.offset as usize..][..block.stored_len as usize];
            let plain = key.open(blob.block, stored, block.raw_len)?;
            let plain = plain[blob.offset as usize..][..blob.len as usize].to_vec();
            assert_eq!(keys.content_id(&plain), blob.id);
            blobs.push(plain);
        }
        Ok(blobs)
    }

    #[test]
    fn what_was_packed_is_read_back_from_the_pack_alone() {
        let blocks: [&[u8]; 3] = [b"photo", &[9; 70_000], b"message"];
        for rounding in [Rounding::Full, Rounding::Last] {
            assert_eq!(read(&pack(&blocks, rounding)).unwrap(), blocks.map(<[u8]>::to_vec));
        }
        assert_eq!(pack(&blocks, Rounding::Full).len() as u64 % ROUND, 0);
    }

    #[test]
    fn a_changed_byte_anywhere_but_in_the_filler_is_noticed() {
        let whole = pack(&[b"photo", b"message"], Rounding::Full);
        let place = read_trailer(whole.last_chunk().unwrap(), whole.len() as u64).unwrap();
        let blocks_end = HEADER_LEN + 2 * 17 + b"photo".len() + b"message".len();
        for at in (0..blocks_end).chain(place.start as usize..whole.len()) {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            assert!(read(&changed).is_err(), "byte {at}");
        }
        for len in [0, 10, HEADER_LEN, HEADER_LEN + TRAILER_LEN, whole.len() - 1] {
            assert!(read(&whole[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn an_ordinal_that_was_spent_in_vain_is_no_block() {
        let keys = keys();
        let session = SessionId::from_bytes([5; 16]);
        let session_key = keys.recipient.new_session(HERE, session).unwrap();
        let mut builder = PackBuilder::new(&keys, session, &session_key, PackKind::Meta).unwrap();
        let vain = builder.take(0);
        let place = builder.take(100);
        assert_eq!((vain.ordinal, place.ordinal), (0, 1));
        builder.record(place, 83, &[]);
        let ending = builder.finish(&keys, Rounding::Last).unwrap();
        assert_eq!(ending.footer.blocks[0].stored_len, 0);
    }

    #[test]
    fn padding_adds_at_most_an_eighth() {
        for len in (1u64..5000).chain([1 << 20, (1 << 20) + 1, 33_554_433]) {
            let padded = padme(len);
            assert!(padded >= len && padded - len <= len / 8, "{len} → {padded}");
            assert_eq!(padme(padded), padded);
        }
    }

    proptest! {
        #[test]
        fn no_trailer_or_header_makes_the_reader_panic(
            trailer: [u8; TRAILER_LEN], len: u64, header in proptest::collection::vec(any::<u8>(), HEADER_LEN),
        ) {
            let _ = read_trailer(&trailer, len);
            let _ = PackHeader::decode(header.as_slice().first_chunk().unwrap());
        }
    }
}
