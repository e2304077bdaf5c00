//! Sealing to somebody: a writer makes packs that only the recipient's secret key opens.
//!
//! Per session one HPKE encapsulation (RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, export-only) gives the session key; the 32 encapsulated bytes are repeated in each
//! pack's header, so every pack stands alone.
//!
//! A repository gets a new recipient when its keys are rotated. The new secret is sealed to the key
//! of every slot, which takes the slot's public half alone: nobody's password is needed for it, and
//! who keeps the secrets of a slot that was removed does not get it.
use super::aead::SealKey;
use super::sign::WriterId;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{RepositoryId, SessionId};
use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use std::fmt;
use zeroize::Zeroizing;

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

const SESSION_CONTEXT: &[u8] = b"devsnap 2026-11 v1 session key";
const HANDOVER_CONTEXT: &[u8] = b"devsnap 2026-11 v1 handover key";

/// Length of a secret that was handed over, in bytes: encapsulated key, secret, tag.
const HANDED_LEN: usize = 32 + 32 + 16;

/// An X25519 public key that packs are sealed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecipientPublic(pub [u8; 32]);

/// The X25519 secret key that opens them.
pub struct RecipientSecret(Zeroizing<[u8; 32]>);

/// What a session's pack keys are derived from, and the bytes that let the recipient find it.
pub struct SessionKey {
    key: Zeroizing<[u8; 32]>,
    encapsulated: [u8; 32],
}

impl RecipientSecret {
    /// A new key.
    pub fn generate() -> Self {
        let (secret, _) = X25519HkdfSha256::gen_keypair();
        RecipientSecret(Zeroizing::new(secret.to_bytes().into()))
    }

    /// The key with these bytes.
    ///
    /// # Errors
    ///
    /// They are no X25519 secret key.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self> {
        PrivateKey::from_bytes(&bytes)
            .map_err(|e| Error::new(ErrorKind::Damaged, "reading a recipient key").because(e))?;
        Ok(RecipientSecret(Zeroizing::new(bytes)))
    }

    /// The key's bytes, to be wrapped in a slot.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    pub fn public(&self) -> RecipientPublic {
        RecipientPublic(X25519HkdfSha256::sk_to_pk(&self.private()).to_bytes().into())
    }

    /// The session key that `encapsulated` carries.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) when the bytes are no public key.
    pub fn open_session(
        &self,
        repository: RepositoryId,
        session: SessionId,
        encapsulated: [u8; 32],
    ) -> Result<SessionKey> {
        let key = self.find(&info(repository, session), SESSION_CONTEXT, encapsulated)?;
        Ok(SessionKey { key, encapsulated })
    }

    /// The key that seals a secret which was handed over to this one, the key of `slot`.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) when the bytes are no public key.
    pub fn handover_key(
        &self,
        repository: RepositoryId,
        slot: WriterId,
        encapsulated: [u8; 32],
    ) -> Result<Zeroizing<[u8; 32]>> {
        self.find(&handover_info(repository, slot), HANDOVER_CONTEXT, encapsulated)
    }

    /// The secret that was [handed over](RecipientPublic::hand_over) to this one, the key of `slot`.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged).
    pub fn take_over(
        &self,
        repository: RepositoryId,
        slot: WriterId,
        handed: &[u8],
    ) -> Result<RecipientSecret> {
        let damaged = || Error::new(ErrorKind::Damaged, "opening a recipient key");
        let handed: &[u8; HANDED_LEN] = handed.try_into().map_err(|_| damaged())?;
        let (encapsulated, sealed) = handed.split_first_chunk::<32>().ok_or_else(damaged)?;
        let key = self.handover_key(repository, slot, *encapsulated)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let plain = SealKey::new(&key)
            .open(0, repository.as_bytes(), &mut sealed)
            .map_err(|e| damaged().because(e))?;
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(plain);
        RecipientSecret::from_bytes(*secret)
    }

    fn find(
        &self,
        info: &[u8],
        context: &[u8],
        encapsulated: [u8; 32],
    ) -> Result<Zeroizing<[u8; 32]>> {
        let damaged = |e| Error::new(ErrorKind::Damaged, "opening an encapsulated key").because(e);
        let carried =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&encapsulated).map_err(damaged)?;
        let received = hpke::setup_receiver::<ExportOnlyAead, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private(),
            &carried,
            info,
        )
        .map_err(damaged)?;
        let mut key = Zeroizing::new([0; 32]);
        received.export(context, &mut *key).expect("because 32 bytes can be exported");
        Ok(key)
    }

    fn private(&self) -> PrivateKey {
        PrivateKey::from_bytes(&*self.0).expect("because the bytes were checked when it was made")
    }
}

impl RecipientPublic {
    /// A new session key that only this recipient finds again.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) when this is no X25519 public key.
    pub fn new_session(&self, repository: RepositoryId, session: SessionId) -> Result<SessionKey> {
        let (key, encapsulated) = self.encapsulate(&info(repository, session), SESSION_CONTEXT)?;
        Ok(SessionKey { key, encapsulated })
    }

    /// Seals `secret` so that only the holder of this key, which is that of `slot`, gets it.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) when this is no X25519 public key.
    pub fn hand_over(
        &self,
        repository: RepositoryId,
        slot: WriterId,
        secret: &RecipientSecret,
    ) -> Result<Vec<u8>> {
        let info = handover_info(repository, slot);
        let (key, encapsulated) = self.encapsulate(&info, HANDOVER_CONTEXT)?;
        // Room for the tag, so that growing does not leave a copy of the secret behind.
        let mut sealed = Vec::with_capacity(HANDED_LEN);
        sealed.extend_from_slice(secret.as_bytes());
        SealKey::new(&key).seal(0, repository.as_bytes(), &mut sealed);
        Ok([encapsulated.as_slice(), &sealed].concat())
    }

    fn encapsulate(&self, info: &[u8], context: &[u8]) -> Result<(Zeroizing<[u8; 32]>, [u8; 32])> {
        let damaged = |e| Error::new(ErrorKind::Damaged, "reading a recipient key").because(e);
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&self.0).map_err(damaged)?;
        let (carried, sent) = hpke::setup_sender::<ExportOnlyAead, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            info,
        )
        .map_err(damaged)?;
        let mut key = Zeroizing::new([0; 32]);
        sent.export(context, &mut *key).expect("because 32 bytes can be exported");
        Ok((key, carried.to_bytes().into()))
    }
}

impl SessionKey {
    /// The bytes for pack headers.
    pub fn encapsulated(&self) -> [u8; 32] {
        self.encapsulated
    }

    /// The key of the pack with this salt.
    pub fn pack_key(&self, salt: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*blake3::keyed_hash(&self.key, salt).as_bytes())
    }
}

impl fmt::Debug for RecipientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecipientSecret(secret)")
    }
}
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(secret)")
    }
}

/// Binds the encapsulation to its place: moved to another repository or session it opens nothing.
fn info(repository: RepositoryId, session: SessionId) -> Vec<u8> {
    [b"devsnap 2026-11 v1 pack session".as_slice(), repository.as_bytes(), session.as_bytes()]
        .concat()
}

/// Binds what is handed over to one slot of one repository.
fn handover_info(repository: RepositoryId, slot: WriterId) -> Vec<u8> {
    [b"devsnap 2026-11 v1 recipient for a slot".as_slice(), repository.as_bytes(), &slot.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipient_finds_the_session_key_and_only_in_its_place() {
        let (repository, session) =
            (RepositoryId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
        let secret = RecipientSecret::generate();
        let made = secret.public().new_session(repository, session).unwrap();
        let find = |secret: &RecipientSecret, session| {
            let found = secret.open_session(repository, session, made.encapsulated()).unwrap();
            found.pack_key(&[5; 32])
        };
        assert_eq!(find(&secret, session), made.pack_key(&[5; 32]));
        assert_ne!(find(&secret, SessionId::from_bytes([3; 16])), made.pack_key(&[5; 32]));
        assert_ne!(find(&RecipientSecret::generate(), session), made.pack_key(&[5; 32]));
        assert_ne!(made.pack_key(&[5; 32]), made.pack_key(&[6; 32]));
    }

    #[test]
    fn a_secret_is_handed_over_to_one_slot_of_one_repository() {
        let (here, there) = (RepositoryId::from_bytes([1; 16]), RepositoryId::from_bytes([2; 16]));
        let (slot, other) = (WriterId([1; 16]), WriterId([2; 16]));
        let (key, secret) = (RecipientSecret::generate(), RecipientSecret::generate());
        let handed = key.public().hand_over(here, slot, &secret).unwrap();
        let taken = key.take_over(here, slot, &handed).unwrap();
        assert_eq!(taken.as_bytes(), secret.as_bytes());
        let refused = |key: &RecipientSecret, repository, slot, handed: &[u8]| {
            let taken = key.take_over(repository, slot, handed);
            taken.err().map(|e| e.kind()) == Some(ErrorKind::Damaged)
        };
        assert!(refused(&RecipientSecret::generate(), here, slot, &handed));
        assert!(refused(&key, there, slot, &handed));
        assert!(refused(&key, here, other, &handed));
        assert!(refused(&key, here, slot, &handed[1..]));
        for at in 0..handed.len() {
            let mut changed = handed.clone();
            changed[at] ^= 1;
            assert!(refused(&key, here, slot, &changed), "byte {at}");
        }
    }
}
