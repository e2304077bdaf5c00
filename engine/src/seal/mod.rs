//! Making bytes unreadable and unforgeable, and back: keys, compression, encryption, signatures.
//!
//! ```text
//! password ─Argon2id─▶ slot ─▶ root secret ─BLAKE3 derive_key─▶ id keys · chunker · page cuts · index key · root signature
//!                        └────▶ slot's key ─HPKE─▶ recipient secrets (X25519)
//!                                                   └─HPKE─▶ session key ─salt─▶ pack key ─▶ sealed blocks
//! ```
//!
//! What only a writer may do needs the recipient's public key; what only a reader may do needs its
//! secret key. Everything a writer needs besides (names, cuts, index) hangs on keys that say
//! nothing about contents. `docs/format.md` has every byte; `docs/threat-model.md` what it buys.
mod aead;
mod block;
mod keys;
mod object;
mod recipient;
mod recovery;
mod sign;
mod slot;
mod writer_key;

/// Version of every sealed layout. A reader refuses a later one by name.
pub const FORMAT_VERSION: u16 = 1;

/// The suite of algorithms: ChaCha20-Poly1305, BLAKE3, X25519 with HKDF-SHA256, Ed25519, zstd.
pub const SUITE: u8 = 1;

pub use aead::{NotAuthentic, SEAL_OVERHEAD, SealKey, commitment};
pub use block::{Codec, Compressor, decompress};
pub use keys::{Keys, RootSecret, random_array};
pub use object::{OBJECT_HEADER_LEN, code_of, open_object, seal_object};
pub use recipient::{RecipientPublic, RecipientSecret, SessionKey};
pub use recovery::RecoveryKey;
pub use sign::{
    Certificate, SIGNATURE_LEN, Signer, WriterId, WriterRole, open_record, sign_record,
    verify_signature,
};
pub use slot::{KdfCost, RECIPIENTS_MAX, Slot, SlotKind, SlotSecrets};
pub use writer_key::WriterKey;
