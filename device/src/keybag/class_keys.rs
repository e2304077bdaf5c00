//! What an open keybag holds, and the keys of files that it opens.
use std::collections::BTreeMap;
use std::fmt;

use aes_kw::{KeyInit, KwAes256};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a key of 32 that is wrapped (RFC 3394).
const WRAPPED_LEN: usize = 40;

/// 32 bytes, wiped when they are dropped.
type Key = Zeroizing<[u8; 32]>;

/// The class keys that the password alone opens.
///
/// Wiped when dropped; `Debug` shows none.
#[derive(Clone, Default)]
pub struct ClassKeys(BTreeMap<u32, ClassKey>);

/// The key of one protection class.
#[derive(Clone)]
struct ClassKey {
    key: Key,
    /// The public half, where the key is the secret half of a pair.
    public: Option<[u8; 32]>,
}

/// The key of one file, or of `Manifest.db`: AES-256.
///
/// Wiped when dropped; `Debug` does not show it.
#[derive(Clone)]
pub struct FileKey(Zeroizing<[u8; 32]>);

impl FileKey {
    /// Its bytes; whoever copies them wipes them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(hidden)")
    }
}

impl fmt::Debug for ClassKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClassKeys({} hidden)", self.0.len())
    }
}

impl ClassKeys {
    /// Two entries of one class: the first counts.
    pub(super) fn insert(&mut self, class: u32, key: Key, public: Option<[u8; 32]>) {
        self.0.entry(class).or_insert(ClassKey { key, public });
    }

    /// The classes whose keys are here.
    #[cfg(test)]
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }

    /// Opens what `ManifestKey` and an `EncryptionKey` hold: the number of a class (4 bytes,
    /// little-endian), and a key under that class's key.
    ///
    /// `None`: no such class is here, or the bytes are not a key under it.
    pub fn unwrap(&self, wrapped: &[u8]) -> Option<FileKey> {
        let (class, wrapped) = wrapped.split_first_chunk::<4>()?;
        let ClassKey { key, public } = self.0.get(&u32::from_le_bytes(*class))?;
        let file_key = match (wrapped.split_first_chunk::<32>(), public) {
            (Some((ephemeral, rest)), Some(public)) if rest.len() == WRAPPED_LEN => {
                open(&agreed(key, ephemeral, public), rest)
            }
            _ => open(key, wrapped),
        };
        file_key.map(FileKey)
    }
}

/// Opens a key of 32 bytes under `kek` (RFC 3394); `None` when it does not open, be it for the key
/// or for the bytes: the two cannot be told apart.
pub(super) fn open(kek: &Key, wrapped: &[u8]) -> Option<Key> {
    if wrapped.len() != WRAPPED_LEN {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    KwAes256::new((&**kek).into()).unwrap_key(wrapped, &mut *key).ok()?;
    Some(key)
}

/// The key both sides of a pair agree on: SHA-256 over a counter of one, the shared secret and the
/// two public keys. Not seen in a backup so far.
///
/// # Source
///
/// The iphone-dataprotection project, on Apple's class `CompleteUnlessOpen`.
fn agreed(secret: &Key, ephemeral: &[u8; 32], public: &[u8; 32]) -> Key {
    let shared = Zeroizing::new(x25519_dalek::x25519(**secret, *ephemeral));
    let mut hashed = Sha256::new()
        .chain_update(1_u32.to_be_bytes())
        .chain_update(shared.as_slice())
        .chain_update(ephemeral)
        .chain_update(public)
        .finalize();
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&hashed);
    hashed.as_mut_slice().zeroize();
    key
}
