//! Keys and names that never change, so that an input does the same on every machine.
use devsnap_engine::id::{RepositoryId, SessionId};
use devsnap_engine::seal::{Keys, RecipientSecret, RootSecret, SessionKey, Signer};
use std::sync::OnceLock;

pub(crate) const HERE: RepositoryId = RepositoryId::from_bytes([1; 16]);
pub(crate) const SESSION: SessionId = SessionId::from_bytes([5; 16]);
pub(crate) const SALT: [u8; 32] = [9; 32];

/// The version and suite that stand in every header.
pub(crate) const VERSION: [u8; 2] = [1, 0];
pub(crate) const SUITE: u8 = 1;

/// The keys of a full slot.
pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys::full(HERE, &RootSecret::from_bytes([2; 32]), secret(), signer()))
}

pub(crate) fn secret() -> RecipientSecret {
    RecipientSecret::from_bytes([3; 32]).expect("because any 32 bytes are an X25519 secret")
}

pub(crate) fn signer() -> Signer {
    Signer::from_seed(&[4; 32])
}

/// The 32 bytes that lead to the session's key: a valid public key, of nobody.
pub(crate) const ENCAPSULATED: [u8; 32] = [7; 32];

pub(crate) fn session_key() -> &'static SessionKey {
    static KEY: OnceLock<SessionKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let opened = secret().open_session(HERE, SESSION, ENCAPSULATED);
        opened.expect("because the encapsulated bytes are a public key")
    })
}
