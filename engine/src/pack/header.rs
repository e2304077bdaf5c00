//! A pack's first bytes, and the key they lead to.
use super::BLOCK_LEN_MAX;
use crate::backend::ObjectKind;
use crate::codec::{Decoder, Malformed};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{RepositoryId, SessionId};
use crate::seal::{
    Codec, FORMAT_VERSION, NotAuthentic, RecipientSecret, SEAL_OVERHEAD, SUITE, SealKey,
    SessionKey, code_of, commitment, decompress,
};
use subtle::ConstantTimeEq;

/// Length of a pack's header, in bytes.
pub const HEADER_LEN: usize = 124;

/// Where the first block begins: the same number, as positions in a pack are written.
pub(super) const HEADER_END: u32 = 124;
const _: () = assert!(HEADER_LEN == HEADER_END as usize, "blocks begin behind the header");

const MAGIC: &[u8; 8] = b"DEVSNAPP";

/// What a pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PackKind {
    /// Tree pages and id lists: read often, never in cold storage.
    Meta,
    /// Contents.
    Data,
}

impl PackKind {
    /// The kind of object such a pack is stored as.
    pub const fn object_kind(self) -> ObjectKind {
        match self {
            PackKind::Meta => ObjectKind::MetaPack,
            PackKind::Data => ObjectKind::DataPack,
        }
    }

    /// The byte that says which kind it is.
    pub const fn code(self) -> u8 {
        code_of(self.object_kind())
    }

    /// The kind that `code` says.
    pub fn of_code(code: u8) -> Option<Self> {
        [PackKind::Meta, PackKind::Data].into_iter().find(|kind| kind.code() == code)
    }
}

/// Who wrote a pack, and how its key is found.
///
/// Magic `DEVSNAPP` (8 bytes), format version (2), suite (1), kind (1), session (16), salt (32),
/// encapsulated session key (32), commitment to the pack's key (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackHeader {
    /// What it holds.
    pub kind: PackKind,
    /// The session that wrote it.
    pub session: SessionId,
    /// Random; makes the pack's keys its own.
    pub salt: [u8; 32],
    /// Leads the recipient to the session's key.
    pub encapsulated: [u8; 32],
    /// Commitment to the pack's key.
    pub committed: [u8; 32],
}

impl PackHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let parts: [&[u8]; 7] = [
            MAGIC,
            &FORMAT_VERSION.to_le_bytes(),
            &[SUITE, self.kind.code()],
            self.session.as_bytes(),
            &self.salt,
            &self.encapsulated,
            &self.committed,
        ];
        let mut at = 0;
        for part in parts {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        out
    }

    /// The header that a pack's first [`HEADER_LEN`] bytes spell.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged); [`TooNew`](ErrorKind::TooNew) for a later format.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self> {
        let bad =
            |m: Malformed| Error::new(ErrorKind::Damaged, "reading a pack's header").because(m);
        let mut header = Decoder::new(bytes);
        if header.array("magic").map_err(bad)? != *MAGIC {
            return Err(bad(Malformed("magic")));
        }
        let version = header.u16("version").map_err(bad)?;
        if version != FORMAT_VERSION || header.u8("suite").map_err(bad)? != SUITE {
            return Err(Error::new(ErrorKind::TooNew, "reading a pack's header"));
        }
        let kind = PackKind::of_code(header.u8("kind").map_err(bad)?);
        let kind = kind.ok_or_else(|| bad(Malformed("kind")))?;
        Ok(PackHeader {
            kind,
            session: SessionId::from_bytes(header.array("session").map_err(bad)?),
            salt: header.array("salt").map_err(bad)?,
            encapsulated: header.array("encapsulated key").map_err(bad)?,
            committed: header.array("commitment").map_err(bad)?,
        })
    }
}

/// Seals and opens the blocks of one pack.
pub struct PackKey {
    key: SealKey,
    /// Repository, format version, kind and salt; the ordinal is the nonce.
    bound: Vec<u8>,
}

impl PackKey {
    /// The key of a new pack, and its header.
    pub(super) fn create(
        repository: RepositoryId,
        session: SessionId,
        session_key: &SessionKey,
        kind: PackKind,
        salt: [u8; 32],
    ) -> (PackHeader, PackKey) {
        let key = session_key.pack_key(&salt);
        let header = PackHeader {
            kind,
            session,
            salt,
            encapsulated: session_key.encapsulated(),
            committed: commitment(&key),
        };
        (header, PackKey { key: SealKey::new(&key), bound: bound(repository, &header) })
    }

    /// The key of a stored pack.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) when the header does not lead `recipient` to the key it
    /// commits to.
    pub fn find(
        repository: RepositoryId,
        recipient: &RecipientSecret,
        header: &PackHeader,
    ) -> Result<PackKey> {
        let session_key =
            recipient.open_session(repository, header.session, header.encapsulated)?;
        let key = session_key.pack_key(&header.salt);
        if !bool::from(commitment(&key).ct_eq(&header.committed)) {
            return Err(Error::new(ErrorKind::Damaged, "finding a pack's key")
                .because("it was sealed to another recipient"));
        }
        Ok(PackKey { key: SealKey::new(&key), bound: bound(repository, header) })
    }

    /// Length of a sealed block, in bytes, whose body has `body_len`.
    pub const fn sealed_len(body_len: usize) -> usize {
        1 + body_len + SEAL_OVERHEAD
    }

    /// Seals one block. Each ordinal is used once.
    pub fn seal(&self, ordinal: u32, codec: Codec, body: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(Self::sealed_len(body.len()));
        text.push(u8::from(codec == Codec::Zstd));
        text.extend_from_slice(body);
        self.key.seal(u64::from(ordinal), &self.bound, &mut text);
        text
    }

    /// The plaintext of a sealed block: exactly `raw_len` bytes.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn open(&self, ordinal: u32, sealed: &[u8], raw_len: u32) -> Result<Vec<u8>> {
        let damaged = || Error::new(ErrorKind::Damaged, format!("opening block {ordinal}"));
        if raw_len > BLOCK_LEN_MAX {
            return Err(damaged().because(Malformed("raw length")));
        }
        let mut sealed = sealed.to_vec();
        let text = self
            .key
            .open(u64::from(ordinal), &self.bound, &mut sealed)
            .map_err(|e: NotAuthentic| damaged().because(e))?;
        let (codec, body) = match text.split_first() {
            Some((0, body)) => (Codec::Raw, body),
            Some((1, body)) => (Codec::Zstd, body),
            _ => return Err(damaged().because(Malformed("codec"))),
        };
        decompress(codec, body, raw_len as usize)
    }
}

fn bound(repository: RepositoryId, header: &PackHeader) -> Vec<u8> {
    let version = FORMAT_VERSION.to_le_bytes();
    let kind = [SUITE, header.kind.code()];
    [repository.as_bytes().as_slice(), &version, &kind, &header.salt].concat()
}
