//! A stretch of the index as it is kept on the backend: which packs hold which blobs, and which
//! packs are gone.
//!
//! Plaintext: the writer's public key and signature (purpose `index segment`), then 1 if its packs
//! are hearsay and 0 if not, number of packs, and per pack id (32 bytes), header (124), length, and its list of blocks and blobs (as
//! [`PackFooter`] writes it, behind its length); then number of tombstones, and per
//! tombstone the id of a pack. Numbers are varints. All of it is sealed as one object.
//!
//! Segments only ever add. A sweep names the packs it deletes in a tombstone and rewrites nothing:
//! rewriting was modelled and loses data (`docs/crash-safety.md`).
use super::tables::Said;
use crate::backend::ObjectKind;
use crate::codec::{Decoder, Malformed, put_bytes, put_varint};
use crate::error::{Error, ErrorKind, Result};
use crate::id::PackId;
use crate::pack::{PACK_LEN_MAX, PackFooter, PackHeader};
use crate::seal::{Keys, WriterId, open_object, open_record, seal_object, sign_record};

/// The longest segment, in bytes, before it is sealed.
pub const SEGMENT_LEN_MAX: usize = 64 << 20;

/// The longest list of one pack, in bytes.
pub(crate) const LIST_LEN_MAX: usize = 32 << 20;

const PURPOSE: &str = "index segment";

/// What a segment says of one pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedPack {
    /// The pack.
    pub id: PackId,
    /// Its first bytes: what it holds, who wrote it, and how its key is found without reading it.
    pub header: PackHeader,
    /// Its length, in bytes.
    pub pack_len: u64,
    /// Its blocks and blobs.
    pub footer: PackFooter,
}

impl IndexedPack {
    /// Stands for all of it but the name.
    pub fn said(&self) -> Said {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.header.encode());
        hasher.update(&self.pack_len.to_le_bytes());
        hasher.update(&self.footer.encode_list());
        *hasher.finalize().as_bytes().first_chunk().expect("because a hash has 32 bytes")
    }
}

/// Rows that were added, and packs that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexSegment {
    /// Packs with all they hold.
    pub packs: Vec<IndexedPack>,
    /// Packs that a sweep deletes; they stay gone whatever other segments say.
    pub tombstones: Vec<PackId>,
    /// Nobody who may be relied on has vouched for the packs: they were found without a segment in a
    /// store that stations write to, or a station lists them. They may be read; nothing new may be
    /// built on them.
    pub is_hearsay: bool,
}

impl IndexSegment {
    /// The signed and sealed object.
    ///
    /// # Errors
    ///
    /// No random bytes; [`Invalid`](ErrorKind::Invalid) for what [`open`](Self::open) would refuse:
    /// past [`SEGMENT_LEN_MAX`], or one pack's list past 32 MiB.
    pub fn seal(&self, keys: &Keys) -> Result<Vec<u8>> {
        let mut body = vec![u8::from(self.is_hearsay)];
        put_varint(&mut body, self.packs.len() as u64);
        for pack in &self.packs {
            body.extend_from_slice(pack.id.as_bytes());
            body.extend_from_slice(&pack.header.encode());
            put_varint(&mut body, pack.pack_len);
            let list = pack.footer.encode_list();
            if list.len() > LIST_LEN_MAX {
                let what = "sealing an index segment with a list over 32 MiB";
                return Err(Error::new(ErrorKind::Invalid, what));
            }
            put_bytes(&mut body, &list);
        }
        put_varint(&mut body, self.tombstones.len() as u64);
        for pack in &self.tombstones {
            body.extend_from_slice(pack.as_bytes());
        }
        let record = sign_record(&keys.signer, keys.repository(), PURPOSE, &body);
        if record.len() > SEGMENT_LEN_MAX {
            return Err(Error::new(ErrorKind::Invalid, "sealing an index segment over 64 MiB"));
        }
        seal_object(keys, ObjectKind::IndexSegment, &record)
    }

    /// The segment that `object` is, when a certified writer signed it.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged); [`TooNew`](ErrorKind::TooNew) for a later format.
    pub fn open(
        keys: &Keys,
        object: &[u8],
        certified: impl FnOnce(&[u8; 32]) -> Option<WriterId>,
    ) -> Result<(WriterId, Self)> {
        let record = open_object(keys, ObjectKind::IndexSegment, object, SEGMENT_LEN_MAX)?;
        let (writer, body) = open_record(&record, keys.repository(), PURPOSE, certified)?;
        let segment = IndexSegment::decode(body)
            .map_err(|e| Error::new(ErrorKind::Damaged, "reading an index segment").because(e))?;
        Ok((writer, segment))
    }

    fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut from = Decoder::new(body);
        let is_hearsay = match from.u8("hearsay")? {
            0 => false,
            1 => true,
            _ => return Err(Malformed("hearsay")),
        };
        // A pack takes at least 158 bytes, a tombstone 32: no count allocates more than was read.
        let count = from.count(from.remaining() / 158, "pack count")?;
        let mut packs = Vec::with_capacity(count);
        for _ in 0..count {
            let id = PackId::from_bytes(from.array("pack id")?);
            let header = PackHeader::decode(&from.array("pack header")?)
                .map_err(|_| Malformed("pack header"))?;
            let pack_len = from.varint("pack length")?;
            if pack_len > PACK_LEN_MAX {
                return Err(Malformed("pack length"));
            }
            let list = from.bytes(LIST_LEN_MAX, "list of blobs")?;
            let footer = PackFooter::decode_list(list, pack_len)?;
            packs.push(IndexedPack { id, header, pack_len, footer });
        }
        let count = from.count(from.remaining() / 32, "tombstone count")?;
        let mut tombstones = Vec::with_capacity(count);
        for _ in 0..count {
            tombstones.push(PackId::from_bytes(from.array("tombstone")?));
        }
        from.finish("end of segment")?;
        Ok(IndexSegment { packs, tombstones, is_hearsay })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BlobId, RepositoryId, SessionId};
    use crate::pack::{BlobEntry, BlockEntry, PackKind};
    use crate::seal::{RecipientSecret, RootSecret, Signer};
    use proptest::prelude::*;

    fn keys(signer: u8) -> Keys {
        let recipient = RecipientSecret::from_bytes([3; 32]).unwrap();
        let root = RootSecret::from_bytes([2; 32]);
        let here = RepositoryId::from_bytes([1; 16]);
        Keys::full(here, &root, recipient, Signer::from_seed(&[signer; 32]))
    }

    fn segment() -> IndexSegment {
        let blocks = vec![
            BlockEntry { offset: 124, stored_len: 500, raw_len: 900 },
            BlockEntry { offset: 700, stored_len: 60, raw_len: 43 },
        ];
        let blob = |n: u8, block, offset, len| BlobEntry {
            id: BlobId::from_bytes([n; 32]),
            block,
            offset,
            len,
        };
        let blobs = vec![blob(1, 0, 0, 400), blob(2, 0, 400, 500), blob(3, 1, 0, 43)];
        let pack = IndexedPack {
            id: PackId::from_bytes([9; 32]),
            header: PackHeader {
                kind: PackKind::Data,
                session: SessionId::from_bytes([8; 16]),
                salt: [1; 32],
                encapsulated: [2; 32],
                committed: [3; 32],
            },
            pack_len: 4096,
            footer: PackFooter { blocks, blobs },
        };
        let tombstones = vec![PackId::from_bytes([7; 32])];
        IndexSegment { packs: vec![pack], tombstones, is_hearsay: false }
    }

    #[test]
    fn a_segment_opens_as_it_was_sealed_and_only_for_a_certified_writer() {
        let keys = keys(4);
        let sealed = segment().seal(&keys).unwrap();
        let ours = keys.signer.public();
        let known = |public: &[u8; 32]| (*public == ours).then(|| keys.signer.writer());
        let (writer, opened) = IndexSegment::open(&keys, &sealed, known).unwrap();
        assert_eq!((writer, opened), (keys.signer.writer(), segment()));
        let hearsay = IndexSegment { is_hearsay: true, ..segment() };
        let opened = IndexSegment::open(&keys, &hearsay.seal(&keys).unwrap(), known).unwrap();
        assert_eq!(opened.1, hearsay);
        let stranger = IndexSegment::open(&keys, &sealed, |_| None).unwrap_err();
        assert_eq!(stranger.kind(), ErrorKind::Damaged);
    }

    #[test]
    fn a_blob_outside_its_pack_is_refused() {
        let mut wrong = segment();
        wrong.packs[0].pack_len = 600;
        let sealed = wrong.seal(&keys(4)).unwrap();
        let opened = IndexSegment::open(&keys(4), &sealed, |_| Some(keys(4).signer.writer()));
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Damaged);
    }

    #[test]
    fn a_segment_that_nobody_could_open_is_not_sealed() {
        let entry = |n: u64| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_le_bytes());
            BlobEntry { id: BlobId::from_bytes(id), block: 0, offset: 0, len: 1 }
        };
        let mut segment = segment();
        segment.packs[0].footer.blobs = (0..1_200_000).map(entry).collect();
        assert_eq!(segment.seal(&keys(4)).unwrap_err().kind(), ErrorKind::Invalid);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = IndexSegment::decode(&bytes);
        }
    }
}
