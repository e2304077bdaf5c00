//! Measurements of the engine: Criterion benches in `benches/`, and binaries that each print a
//! table a decision rests on.
//!
//! Here is what they share: bytes of known kinds, fixed keys, and a repository in memory.
pub mod samples;
pub mod store;

use devsnap_engine::error::Result;
use devsnap_engine::id::RepositoryId;
use devsnap_engine::seal::{Keys, RecipientSecret, RootSecret, Signer};

/// The same keys in every run, so that every run cuts and names alike.
///
/// # Errors
///
/// None that is known: the bytes are good ones.
pub fn keys() -> Result<Keys> {
    let recipient = RecipientSecret::from_bytes([3; 32])?;
    let root = RootSecret::from_bytes([2; 32]);
    let repository = RepositoryId::from_bytes([1; 16]);
    Ok(Keys::full(repository, &root, recipient, Signer::from_seed(&[4; 32])))
}
