//! Keys and names that never change, so that an input does the same on every machine.
use devsnap_engine::backend::ObjectKind;
use devsnap_engine::id::{RepositoryId, SessionId};
use devsnap_engine::seal::{
    Keys, OBJECT_HEADER_LEN, RecipientSecret, RootSecret, SealKey, SessionKey, Signer, WriterId,
    code_of, commitment, open_object, open_record,
};
use std::sync::OnceLock;

pub(crate) const HERE: RepositoryId = RepositoryId::from_bytes([1; 16]);
pub(crate) const SESSION: SessionId = SessionId::from_bytes([5; 16]);
pub(crate) const SALT: [u8; 32] = [9; 32];

/// The version and suite that stand in every header.
pub(crate) const VERSION: [u8; 2] = [1, 0];
pub(crate) const SUITE: u8 = 1;

/// How many bytes stand before what is signed: public key and signature.
pub(crate) const SIGNED_LEN: usize = 96;

/// The keys of a full slot.
pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys::full(HERE, &root(), secret(), signer()))
}

pub(crate) fn root() -> RootSecret {
    RootSecret::from_bytes([2; 32])
}

pub(crate) fn secret() -> RecipientSecret {
    RecipientSecret::from_bytes([3; 32]).expect("because any 32 bytes are an X25519 secret")
}

pub(crate) fn signer() -> Signer {
    Signer::from_seed(&[4; 32])
}

/// Vouches for the one writer there is.
pub(crate) fn certified(public: &[u8; 32]) -> Option<WriterId> {
    (*public == keys().signer.public()).then(|| keys().signer.writer())
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

/// `body` behind its writer and the signature for `purpose`.
pub(crate) fn signed(purpose: &str, body: &[u8]) -> Vec<u8> {
    let signature = keys().signer.sign(HERE, purpose, body);
    [keys().signer.public().as_slice(), &signature, body].concat()
}

/// An object that opens to `text`: codec, raw length, body.
pub(crate) fn object_around(kind: ObjectKind, text: &[u8]) -> Vec<u8> {
    let key = *blake3::keyed_hash(keys().index_key(), &SALT).as_bytes();
    let kind = [SUITE, code_of(kind)];
    let header = [b"DEVSNAPO".as_slice(), &VERSION, &kind, &SALT, &commitment(&key)].concat();
    assert_eq!(header.len(), OBJECT_HEADER_LEN);
    let mut sealed = text.to_vec();
    let bound = [HERE.as_bytes().as_slice(), &header].concat();
    SealKey::new(&key).seal(0, &bound, &mut sealed);
    [header, sealed].concat()
}

/// An object that holds `plain`, not compressed.
pub(crate) fn object_of(kind: ObjectKind, plain: &[u8]) -> Vec<u8> {
    let len = u32::try_from(plain.len()).expect("because inputs are short").to_le_bytes();
    object_around(kind, &[[0].as_slice(), &len, plain].concat())
}

/// The body of a record that its writer signed and sealed.
pub(crate) fn body_of(kind: ObjectKind, purpose: &str, object: &[u8]) -> Vec<u8> {
    let record = open_object(keys(), kind, object, 64 << 20).expect("because it was just sealed");
    let (_, body) = open_record(&record, HERE, purpose, certified).expect("because of the keys");
    body.to_vec()
}
