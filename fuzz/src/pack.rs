//! Packs: header, blocks, footer, trailer.
use crate::fixed::{ENCAPSULATED, HERE, SALT, SESSION, SUITE, VERSION, keys, secret, session_key};
use devsnap_engine::id::BlobId;
use devsnap_engine::pack::{
    BLOCK_LEN_MAX, BlobEntry, BlockEntry, HEADER_LEN, PACK_LEN_MAX, PackFooter, PackHeader,
    PackKey, PackKind, TRAILER_LEN, read_trailer,
};
use devsnap_engine::seal::{Codec, Compressor, SealKey, commitment};
use std::sync::OnceLock;

/// The header of the pack that every target here works on.
pub(crate) fn header() -> &'static PackHeader {
    static HEADER: OnceLock<PackHeader> = OnceLock::new();
    HEADER.get_or_init(|| PackHeader {
        kind: PackKind::Data,
        session: SESSION,
        salt: SALT,
        encapsulated: ENCAPSULATED,
        committed: commitment(&session_key().pack_key(&SALT)),
    })
}

/// A header that decodes is spelt the same again.
pub fn pack_header(data: &[u8]) {
    let mut bytes = [0; HEADER_LEN];
    let len = data.len().min(HEADER_LEN);
    bytes[..len].copy_from_slice(&data[..len]);
    if let Ok(header) = PackHeader::decode(&bytes) {
        assert_eq!(header.encode(), bytes);
        let _ = PackKey::find(HERE, &secret(), &header);
    }
}

pub(crate) fn header_seeds() -> Vec<Vec<u8>> {
    let meta = PackHeader { kind: PackKind::Meta, ..*header() };
    vec![header().encode().to_vec(), meta.encode().to_vec()]
}

/// A footer that is found lies between header and trailer. Input: trailer, then the pack's length.
pub fn pack_trailer(data: &[u8]) {
    let mut input = [0; TRAILER_LEN + 8];
    let len = data.len().min(input.len());
    input[..len].copy_from_slice(&data[..len]);
    let (trailer, pack_len) = input.split_at(TRAILER_LEN);
    let trailer = trailer.try_into().expect("because it was split there");
    let pack_len = u64::from_le_bytes(pack_len.try_into().expect("because 8 bytes are left"));
    if let Ok(footer) = read_trailer(trailer, pack_len) {
        assert!(footer.start >= HEADER_LEN as u64 && footer.start <= footer.end);
        assert_eq!(footer.end + TRAILER_LEN as u64, pack_len);
    }
}

pub(crate) fn trailer_seeds() -> Vec<Vec<u8>> {
    let seed = |position: u64, len: u32| {
        let pack_len = position + u64::from(len) + TRAILER_LEN as u64;
        [trailer(position, len).as_slice(), &pack_len.to_le_bytes()].concat()
    };
    vec![seed(124, 1008), seed(32 << 20, 4080), seed(HEADER_LEN as u64, 0)]
}

/// The trailer of a pack whose footer of `len` bytes stands at `position`.
pub(crate) fn trailer(position: u64, len: u32) -> [u8; TRAILER_LEN] {
    let numbers = [position.to_le_bytes().as_slice(), &len.to_le_bytes(), &[0; 4]].concat();
    let trailer = [numbers.as_slice(), b"PACKEND1"].concat();
    trailer.try_into().expect("because that is how long it is")
}

/// Where the footer stands: the pack is as long as a full one.
const POSITION: u64 = 32 << 20;

/// A footer's seal: its key, and what is bound to it.
fn footer_seal(header: &[u8; HEADER_LEN], position: u64) -> (SealKey, Vec<u8>) {
    let salt = &header[28..60];
    let mut hasher = blake3::Hasher::new_keyed(keys().index_key());
    hasher.update(b"devsnap 2026-11 v1 pack footer").update(salt);
    let bound = [HERE.as_bytes().as_slice(), header, &position.to_le_bytes()].concat();
    (SealKey::new(hasher.finalize().as_bytes()), bound)
}

/// The sealed footer with this text in a pack with this header.
pub(crate) fn seal_footer(header: &[u8; HEADER_LEN], position: u64, text: &[u8]) -> Vec<u8> {
    let (key, bound) = footer_seal(header, position);
    let mut sealed = text.to_vec();
    key.seal(0, &bound, &mut sealed);
    sealed
}

/// Blobs lie inside blocks and blocks, in order and apart, inside the pack.
pub(crate) fn check_footer(footer: &PackFooter, position: u64) {
    let mut end = HEADER_LEN as u64;
    for block in &footer.blocks {
        assert!(u64::from(block.offset) >= end, "blocks are in order and apart");
        end = u64::from(block.offset) + u64::from(block.stored_len);
        assert!(end <= position && block.raw_len <= BLOCK_LEN_MAX);
    }
    for blob in &footer.blobs {
        let block = footer.blocks[blob.block as usize];
        assert!(u64::from(blob.offset) + u64::from(blob.len) <= u64::from(block.raw_len));
        assert_ne!(block.stored_len, 0, "a blob is in a block that was written");
    }
}

/// The same footer as it is written: where an ordinal stands that was spent in vain is not kept.
pub(crate) fn as_written(footer: &PackFooter) -> PackFooter {
    let mut footer = footer.clone();
    let mut end = HEADER_LEN as u32;
    for block in &mut footer.blocks {
        if block.stored_len == 0 {
            block.offset = end;
        }
        end = block.offset + block.stored_len;
    }
    footer
}

/// A footer that opens is sound and is sealed so that it opens again. Input: the footer's
/// plaintext.
pub fn pack_footer(data: &[u8]) {
    let _ = PackFooter::open(keys(), header(), POSITION, data);
    let sealed = seal_footer(&header().encode(), POSITION, data);
    let Ok(footer) = PackFooter::open(keys(), header(), POSITION, &sealed) else {
        return;
    };
    check_footer(&footer, POSITION);
    let again = footer.seal(keys(), header(), POSITION);
    let again = PackFooter::open(keys(), header(), POSITION, &again).expect("because it was read");
    assert_eq!(again, as_written(&footer));
}

pub(crate) fn footer_seeds() -> Vec<Vec<u8>> {
    footer_seeds_at(POSITION)
}

/// Plaintexts of footers that stand at `position`.
pub(crate) fn footer_seeds_at(position: u64) -> Vec<Vec<u8>> {
    let (key, bound) = footer_seal(&header().encode(), position);
    let plaintext = |footer: PackFooter| {
        let mut sealed = footer.seal(keys(), header(), position);
        let opened = key.open(0, &bound, &mut sealed);
        opened.expect("because it was sealed above").to_vec()
    };
    footers().map(plaintext).to_vec()
}

/// An empty footer, and one with a block that was never written.
pub(crate) fn footers() -> [PackFooter; 2] {
    let blocks = vec![
        BlockEntry { offset: 124, stored_len: 5017, raw_len: 9000 },
        BlockEntry::default(),
        BlockEntry { offset: 6000, stored_len: 300, raw_len: 283 },
    ];
    let blob = |id: u8, block, offset, len| BlobEntry {
        id: BlobId::from_bytes([id; 32]),
        block,
        offset,
        len,
    };
    let blobs = vec![blob(1, 0, 0, 4000), blob(2, 0, 4000, 5000), blob(3, 2, 0, 283)];
    [PackFooter::default(), PackFooter { blocks, blobs }]
}

/// A list of blocks and blobs has one spelling, but for the places of blocks that were never
/// written. Input: where the blocks end (4 bytes), the list.
pub fn pack_list(data: &[u8]) {
    let Some((position, list)) = data.split_first_chunk::<4>() else {
        return;
    };
    let position = u64::from(u32::from_le_bytes(*position)).min(PACK_LEN_MAX);
    let Ok(footer) = PackFooter::decode_list(list, position) else {
        return;
    };
    check_footer(&footer, position);
    let kept = as_written(&footer);
    let again = footer.encode_list();
    if kept == footer {
        assert_eq!(again, list);
    }
    assert_eq!(PackFooter::decode_list(&again, position), Ok(kept));
}

pub(crate) fn pack_list_seeds() -> Vec<Vec<u8>> {
    let seed =
        |footer: PackFooter| [6400u32.to_le_bytes().as_slice(), &footer.encode_list()].concat();
    footers().map(seed).to_vec()
}

/// A block that opens has the length that was promised. Input: that length (4 bytes), then the
/// block's text: codec and body.
pub fn block(data: &[u8]) {
    static KEY: OnceLock<PackKey> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let found = PackKey::find(HERE, &secret(), header());
        found.expect("because the header commits to the key it leads to")
    });
    let Some((raw_len, text)) = data.split_first_chunk::<4>() else {
        return;
    };
    let raw_len = u32::from_le_bytes(*raw_len);
    let mut sealed = text.to_vec();
    let bound = [HERE.as_bytes().as_slice(), &VERSION, &[SUITE, 7], &SALT].concat();
    SealKey::new(&session_key().pack_key(&SALT)).seal(11, &bound, &mut sealed);
    if let Ok(plain) = key.open(11, &sealed, raw_len) {
        assert_eq!(plain.len(), raw_len as usize);
        assert!(raw_len <= BLOCK_LEN_MAX);
    }
}

pub(crate) fn block_seeds() -> Vec<Vec<u8>> {
    let mut compressor = Compressor::new().expect("because there is memory for one");
    let mut seed = |plain: Vec<u8>| {
        let len = (plain.len() as u32).to_le_bytes();
        let (codec, body) = compressor.compress(plain);
        [len.as_slice(), &[u8::from(codec == Codec::Zstd)], &body].concat()
    };
    vec![
        seed(b"a message".to_vec()),
        seed(b"all work and no play ".repeat(100)),
        seed(vec![0; 100_000]),
        seed((0..3000u32).flat_map(|n| (n * n).to_le_bytes()).collect()),
    ]
}
