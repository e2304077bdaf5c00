//! Names of stored things: 32-byte hashes and 16-byte random ids, each kind its own type.
//!
//! The bug that typed ids prevent is quiet: a pack's id looked up in the blob table is simply
//! "not stored", and a backup stores everything again.
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// Length of a content hash, in bytes.
pub const ID_LEN: usize = 32;

/// A 32-byte hash that names a thing of kind `Of`.
pub struct Id<Of> {
    bytes: [u8; ID_LEN],
    of: PhantomData<fn() -> Of>,
}

/// Kinds an [`Id`] can name; never constructed.
pub mod kind {
    /// A chunk, a small content, or a tree page: keyed hash of its plaintext.
    pub enum Blob {}
    /// A pack: hash of its stored bytes.
    pub enum Pack {}
    /// A snapshot object: hash of its stored bytes.
    pub enum Snapshot {}
    /// An index or tombstone segment: hash of its stored bytes.
    pub enum Segment {}
    /// A note on a snapshot: hash of its stored bytes.
    pub enum Note {}
}

/// Names a blob: BLAKE3-256 of its plaintext under a key of the repository.
pub type BlobId = Id<kind::Blob>;
/// Names a pack: BLAKE3-256 of its stored bytes.
pub type PackId = Id<kind::Pack>;
/// Names a snapshot: BLAKE3-256 of its stored bytes.
pub type SnapshotId = Id<kind::Snapshot>;
/// Names an index segment: BLAKE3-256 of its stored bytes.
pub type SegmentId = Id<kind::Segment>;
/// Names a note: BLAKE3-256 of its stored bytes.
pub type NoteId = Id<kind::Note>;

impl<Of> Id<Of> {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
        Id { bytes, of: PhantomData }
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
        &self.bytes
    }

    /// The id as 64 lower-case hex digits.
    pub fn to_hex(&self) -> String {
        hex(&self.bytes)
    }

    /// The first 8 hex digits, as shown to people.
    pub fn short(&self) -> String {
        hex(&self.bytes[..4])
    }
}

impl<Of> Clone for Id<Of> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Of> Copy for Id<Of> {}
impl<Of> PartialEq for Id<Of> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<Of> Eq for Id<Of> {}
impl<Of> PartialOrd for Id<Of> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<Of> Ord for Id<Of> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<Of> std::hash::Hash for Id<Of> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}
impl<Of> fmt::Display for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}
impl<Of> fmt::Debug for Id<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// Text that is not an id in lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id in hex digits")]
pub struct NotAnId;

impl<Of> FromStr for Id<Of> {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Ok(Id::from_bytes(unhex(text).ok_or(NotAnId)?))
    }
}

/// Names one stay of a writer (128 random bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

/// Names a repository for ever (128 random bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryId([u8; 16]);

macro_rules! random_id {
    ($name:ident) => {
        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                $name(bytes)
            }
            /// The id's bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
            /// The id as 32 lower-case hex digits.
            pub fn to_hex(&self) -> String {
                hex(&self.0)
            }
            /// The first 8 hex digits, as shown to people.
            pub fn short(&self) -> String {
                hex(&self.0[..4])
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.short())
            }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Ok($name(unhex(text).ok_or(NotAnId)?))
            }
        }
    };
}
random_id!(SessionId);
random_id!(RepositoryId);

/// `bytes` as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The bytes that `text` spells in lower-case hex, when it is exactly `N` bytes long.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let digit = |d: u8| match d {
        b'0'..=b'9' => Some(d - b'0'),
        b'a'..=b'f' => Some(d - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_survives_the_round_trip_and_nothing_else_parses() {
        let id = BlobId::from_bytes(std::array::from_fn(|i| u8::try_from(i * 7 % 256).unwrap()));
        assert_eq!(id.to_hex().parse::<BlobId>(), Ok(id));
        assert_eq!(id.short().len(), 8);
        for wrong in ["", "00", &"g".repeat(64), &"A".repeat(64), &"0".repeat(66)] {
            assert_eq!(wrong.parse::<BlobId>(), Err(NotAnId), "{wrong}");
        }
    }
}
