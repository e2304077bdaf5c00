//! ChaCha20-Poly1305 under keys that are used for one object only.
//!
//! Nonces are counters within one key, never random and never read from the store, so there is no
//! birthday bound and no way to make us use one twice. ChaCha20-Poly1305 does not commit to its
//! key (a ciphertext can be made that opens under two), so wherever a key is found by trial or
//! comes from outside, its [`commitment`] is compared first.
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::fmt;

/// How much longer a sealed text is than its plaintext: the tag, in bytes.
pub const SEAL_OVERHEAD: usize = 16;

/// Bytes that were not sealed with this key, number and associated data, or not left as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seal does not open")]
pub struct NotAuthentic;

/// A ChaCha20-Poly1305 key (RFC 8439) whose nonces are numbers given out by its owner.
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// The key with these bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("because the key has 32 bytes");
        SealKey(LessSafeKey::new(key))
    }

    /// Encrypts `text` in place and appends the tag. `number` must never repeat under this key.
    pub fn seal(&self, number: u64, associated: &[u8], text: &mut Vec<u8>) {
        self.0
            .seal_in_place_append_tag(nonce(number), Aad::from(associated), text)
            .expect("because a block is far below the cipher's limit of 256 GiB");
    }

    /// Decrypts `sealed` in place and returns the part of it that is plaintext.
    ///
    /// # Errors
    ///
    /// [`NotAuthentic`]; the buffer's content is then meaningless.
    pub fn open<'a>(
        &self,
        number: u64,
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], NotAuthentic> {
        let aad = Aad::from(associated);
        self.0.open_in_place(nonce(number), aad, sealed).map_err(|_| NotAuthentic)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(secret)")
    }
}

/// The 96-bit nonce of RFC 8439: the number as 8 little-endian bytes, then 4 zero bytes.
fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// A public value that only this key has: compared before anything is opened with a key.
pub fn commitment(key: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("devsnap 2026-11 v1 key commitment", key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20poly1305::aead::{Aead, KeyInit, Payload};

    #[test]
    fn a_second_implementation_opens_what_we_seal() {
        let mut text = b"photos and messages".to_vec();
        SealKey::new(&[7; 32]).seal(0x0102_0304, b"bound", &mut text);
        let oracle = chacha20poly1305::ChaCha20Poly1305::new(&[7; 32].into());
        let nonce = [4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let opened = oracle.decrypt(&nonce.into(), Payload { msg: &text, aad: b"bound" }).unwrap();
        assert_eq!(opened, b"photos and messages");
    }

    #[test]
    fn any_other_number_data_key_or_byte_is_refused() {
        let mut sealed = b"photos and messages".to_vec();
        SealKey::new(&[7; 32]).seal(1, b"bound", &mut sealed);
        let opens = |key: u8, number, bound: &[u8], sealed: &[u8]| {
            SealKey::new(&[key; 32]).open(number, bound, &mut sealed.to_vec()).is_ok()
        };
        assert!(opens(7, 1, b"bound", &sealed));
        assert!(!opens(8, 1, b"bound", &sealed));
        assert!(!opens(7, 2, b"bound", &sealed));
        assert!(!opens(7, 1, b"bounD", &sealed));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(!opens(7, 1, b"bound", &changed), "byte {at}");
        }
        assert!(!opens(7, 1, b"bound", &sealed[..15]));
    }
}
