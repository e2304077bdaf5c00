//! Sealing to somebody: a writer makes packs that only the recipient's secret key opens.
//!
//! Per session one HPKE encapsulation (RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, export-only) gives the session key; the 32 encapsulated bytes are repeated in each
//! pack's header, so every pack stands alone.
use crate::error::{Error, ErrorKind, Result};
use crate::id::{RepositoryId, SessionId};
use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use std::fmt;
use zeroize::Zeroizing;

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

const EXPORT_CONTEXT: &[u8] = b"devsnap 2026-11 v1 session key";

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
        let damaged = |e| Error::new(ErrorKind::Damaged, "opening a session's key").because(e);
        let carried =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&encapsulated).map_err(damaged)?;
        let context = hpke::setup_receiver::<ExportOnlyAead, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.private(),
            &carried,
            &info(repository, session),
        )
        .map_err(damaged)?;
        let mut key = Zeroizing::new([0; 32]);
        context.export(EXPORT_CONTEXT, &mut *key).expect("because 32 bytes can be exported");
        Ok(SessionKey { key, encapsulated })
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
        let damaged = |e| Error::new(ErrorKind::Damaged, "reading the recipient key").because(e);
        let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&self.0).map_err(damaged)?;
        let (carried, context) =
            hpke::setup_sender::<ExportOnlyAead, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &public,
                &info(repository, session),
            )
            .map_err(damaged)?;
        let mut key = Zeroizing::new([0; 32]);
        context.export(EXPORT_CONTEXT, &mut *key).expect("because 32 bytes can be exported");
        Ok(SessionKey { key, encapsulated: carried.to_bytes().into() })
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
}
