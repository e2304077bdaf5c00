//! A look at a binary list's tables before the reader allocates what they claim.
//!
//! The reader keeps eight bytes for each object and, while a collection is open, up to 32 for each
//! child, where the file needs but one: a list within its length limit could still ask for a
//! gigabyte. Here nothing is allocated. Whether strings are UTF-8, references are cyclic and the
//! like is left to the reader.
//!
//! # Source
//!
//! The layout is that of Apple's `CFBinaryPList.c`: magic, objects, a table of offsets, and a
//! trailer of 32 bytes.
use super::{BadPlist, PlistLimits};

/// The first bytes of every binary list.
pub(super) const MAGIC: &[u8] = b"bplist00";

const TRAILER_LEN: usize = 32;

/// Checks that neither the object table nor any collection is larger than the limits allow.
pub(super) fn check(bytes: &[u8], limits: &PlistLimits) -> Result<(), BadPlist> {
    let body_len = bytes
        .len()
        .checked_sub(TRAILER_LEN)
        .filter(|&len| len >= MAGIC.len())
        .ok_or(BadPlist::Malformed)?;
    let (body, trailer) = bytes.split_at(body_len);
    let offset_len = usize::from(trailer[6]);
    let objects = big_endian(&trailer[8..16]);
    let table_start = big_endian(&trailer[24..32]);
    if !matches!(offset_len, 1 | 2 | 3 | 4 | 8) {
        return Err(BadPlist::Malformed);
    }
    if objects > limits.values_max as u64 {
        return Err(BadPlist::TooManyValues { max: limits.values_max });
    }
    let table_len = usize::try_from(objects)
        .ok()
        .and_then(|objects| objects.checked_mul(offset_len))
        .ok_or(BadPlist::Malformed)?;
    let table = usize::try_from(table_start)
        .ok()
        .and_then(|start| body.get(start..start.checked_add(table_len)?))
        .ok_or(BadPlist::Malformed)?;
    for offset in table.chunks_exact(offset_len).map(big_endian) {
        let object = usize::try_from(offset)
            .ok()
            .and_then(|offset| body.get(offset..))
            .ok_or(BadPlist::Malformed)?;
        if children(object)? > limits.values_max as u64 {
            return Err(BadPlist::TooManyValues { max: limits.values_max });
        }
    }
    Ok(())
}

/// How many references a collection says it has per kind; 0 for anything else.
fn children(object: &[u8]) -> Result<u64, BadPlist> {
    let (&marker, rest) = object.split_first().ok_or(BadPlist::Malformed)?;
    match (marker >> 4, marker & 0x0f) {
        (0xa | 0xd, 0xf) => {
            let (&size, rest) = rest.split_first().ok_or(BadPlist::Malformed)?;
            // Only the low two bits, as the reader does: both must see the same number.
            let len = 1usize << (size & 0x03);
            rest.get(..len).map(big_endian).ok_or(BadPlist::Malformed)
        }
        (0xa | 0xd, few) => Ok(few.into()),
        _ => Ok(0),
    }
}

/// The number that up to eight bytes spell, most significant first.
fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
