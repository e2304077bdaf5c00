//! Small objects under the index key: snapshots, segments, sessions, notes, marks, config bodies.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `DEVSNAPO` |
//! | 8 | 2 | format version |
//! | 10 | 1 | suite: 1 |
//! | 11 | 1 | what the object is ([`ObjectKind`] code) |
//! | 12 | 32 | salt, random |
//! | 44 | 32 | commitment to the object's key |
//! | 76 | – | sealed: codec (1), raw length (4), body |
//!
//! The object's key is BLAKE3 of the salt under the index key; it seals one text, number 0. The
//! header and the repository's id are bound as associated data, so an object moved to another
//! repository or read as another kind does not open.
use super::aead::{SEAL_OVERHEAD, SealKey, commitment};
use super::block::{Codec, Compressor, decompress};
use super::keys::{Keys, random_array};
use super::{FORMAT_VERSION, SUITE};
use crate::backend::ObjectKind;
use crate::codec::{Decoder, Malformed};
use crate::error::{Error, ErrorKind, Result};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Length of the part that is not sealed, in bytes.
pub const OBJECT_HEADER_LEN: usize = 76;

const MAGIC: &[u8; 8] = b"DEVSNAPO";

/// Seals `plain` as an object of `kind`.
///
/// # Errors
///
/// No random bytes, or no memory for compression.
pub fn seal_object(keys: &Keys, kind: ObjectKind, plain: &[u8]) -> Result<Vec<u8>> {
    let raw_len = u32::try_from(plain.len())
        .map_err(|_| Error::new(ErrorKind::Invalid, "sealing an object over 4 GiB"))?;
    let salt = random_array::<32>()?;
    let key = object_key(keys, &salt);
    let mut object = Vec::with_capacity(OBJECT_HEADER_LEN + plain.len() + SEAL_OVERHEAD);
    object.extend_from_slice(MAGIC);
    object.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    object.extend_from_slice(&[SUITE, code_of(kind)]);
    object.extend_from_slice(&salt);
    object.extend_from_slice(&commitment(&key));

    let (codec, body) = Compressor::new()?.compress(plain.to_vec());
    let mut text = Vec::with_capacity(5 + body.len() + SEAL_OVERHEAD);
    text.push(u8::from(codec == Codec::Zstd));
    text.extend_from_slice(&raw_len.to_le_bytes());
    text.extend_from_slice(&body);
    SealKey::new(&key).seal(0, &associated(keys, &object), &mut text);
    object.extend_from_slice(&text);
    Ok(object)
}

/// The plaintext of an object of `kind`, at most `max_bytes` long.
///
/// # Errors
///
/// [`TooNew`](ErrorKind::TooNew) for a later format version; [`Damaged`](ErrorKind::Damaged) when
/// the object is not one, is of another kind, repository or key, or was changed.
pub fn open_object(
    keys: &Keys,
    kind: ObjectKind,
    object: &[u8],
    max_bytes: usize,
) -> Result<Vec<u8>> {
    let damaged = || Error::new(ErrorKind::Damaged, format!("opening a {kind:?} object"));
    let bad = |malformed: Malformed| damaged().because(malformed);
    let mut header = Decoder::new(object);
    if header.array("magic").map_err(bad)? != *MAGIC {
        return Err(damaged().because(Malformed("magic")));
    }
    let version = header.u16("format version").map_err(bad)?;
    let suite = header.u8("suite").map_err(bad)?;
    if version != FORMAT_VERSION || suite != SUITE {
        return Err(Error::new(ErrorKind::TooNew, format!("opening a {kind:?} object")));
    }
    if header.u8("kind").map_err(bad)? != code_of(kind) {
        return Err(damaged().because(Malformed("kind")));
    }
    let salt = header.array("salt").map_err(bad)?;
    let key = object_key(keys, &salt);
    let committed: [u8; 32] = header.array("commitment").map_err(bad)?;
    if !bool::from(committed.ct_eq(&commitment(&key))) {
        return Err(damaged().because(Malformed("key commitment")));
    }
    let mut sealed = header.take(header.remaining(), "sealed text").map_err(bad)?.to_vec();
    let text = SealKey::new(&key)
        .open(0, &associated(keys, &object[..OBJECT_HEADER_LEN]), &mut sealed)
        .map_err(|e| damaged().because(e))?;

    let mut text = Decoder::new(text);
    let codec = match text.u8("codec").map_err(bad)? {
        0 => Codec::Raw,
        1 => Codec::Zstd,
        _ => return Err(damaged().because(Malformed("codec"))),
    };
    let raw_len = text.u32("raw length").map_err(bad)? as usize;
    if raw_len > max_bytes {
        return Err(damaged().because(Malformed("raw length")));
    }
    decompress(codec, text.take(text.remaining(), "body").map_err(bad)?, raw_len)
}

fn object_key(keys: &Keys, salt: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(*blake3::keyed_hash(keys.index_key(), salt).as_bytes())
}

fn associated(keys: &Keys, header: &[u8]) -> Vec<u8> {
    [keys.repository().as_bytes().as_slice(), header].concat()
}

/// The byte that says what a sealed object is; no object opens as another kind.
pub const fn code_of(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::Config => 1,
        ObjectKind::Session => 2,
        ObjectKind::Snapshot => 3,
        ObjectKind::Note => 4,
        ObjectKind::IndexSegment => 5,
        ObjectKind::MetaPack => 6,
        ObjectKind::DataPack => 7,
        ObjectKind::Gc => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::super::recipient::RecipientSecret;
    use super::super::{RootSecret, Signer};
    use super::*;
    use crate::id::RepositoryId;

    fn keys(repository: u8) -> Keys {
        Keys::full(
            RepositoryId::from_bytes([repository; 16]),
            &RootSecret::from_bytes([5; 32]),
            RecipientSecret::from_bytes([6; 32]).unwrap(),
            Signer::from_seed(&[7; 32]),
        )
    }

    #[test]
    fn an_object_opens_only_whole_in_its_repository_and_as_its_kind() {
        let plain = b"snapshot ".repeat(40);
        let object = seal_object(&keys(1), ObjectKind::Snapshot, &plain).unwrap();
        assert!(object.len() < plain.len());
        let open = |keys: &Keys, kind, object: &[u8], max| {
            open_object(keys, kind, object, max).map_err(|e| e.kind())
        };
        assert_eq!(open(&keys(1), ObjectKind::Snapshot, &object, 1000), Ok(plain));
        let damaged = Err(ErrorKind::Damaged);
        assert_eq!(open(&keys(2), ObjectKind::Snapshot, &object, 1000), damaged);
        assert_eq!(open(&keys(1), ObjectKind::Note, &object, 1000), damaged);
        assert_eq!(open(&keys(1), ObjectKind::Snapshot, &object, 100), damaged);
        for len in 0..object.len() {
            assert!(open(&keys(1), ObjectKind::Snapshot, &object[..len], 1000).is_err(), "{len}");
        }
        for at in 0..object.len() {
            let mut changed = object.clone();
            changed[at] ^= 0x10;
            assert!(open(&keys(1), ObjectKind::Snapshot, &changed, 1000).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_later_version_is_named_as_such() {
        let mut object = seal_object(&keys(1), ObjectKind::Note, b"x").unwrap();
        object[8] = 2;
        let error = open_object(&keys(1), ObjectKind::Note, &object, 10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooNew);
    }
}
