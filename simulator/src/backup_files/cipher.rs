//! How a phone encrypts what it sends: AES-256 in CBC mode, a vector of zeros, PKCS#7 padding that
//! is always there, one random key a file; and how it wraps those keys (RFC 3394).
//!
//! Bytes go through piece by piece: no file is ever held whole.
use super::Unreadable;
use aes::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use aes_kw::{KeyInit, KwAes256};

/// A 256-bit key.
pub type Key = [u8; 32];

/// Bytes of a block.
const BLOCK: usize = 16;

/// Bytes of a wrapped key.
pub const WRAPPED_LEN: usize = 40;

/// Bytes of a wrapped key with the class in front: what MBFile and ManifestKey hold.
pub const CLASSED_LEN: usize = 44;

/// Wraps `key` under `with`.
pub fn wrap(with: &Key, key: &Key) -> [u8; WRAPPED_LEN] {
    let mut wrapped = [0; WRAPPED_LEN];
    KwAes256::new(&(*with).into()).wrap_key(key, &mut wrapped).expect("because 32 bytes become 40");
    wrapped
}

/// Opens what [`wrap`] made.
///
/// # Errors
///
/// The wrong key, or changed bytes: the two cannot be told apart.
pub fn unwrap(with: &Key, wrapped: &[u8]) -> Result<Key, Unreadable> {
    if wrapped.len() != WRAPPED_LEN {
        return Err(Unreadable::new(format!("a wrapped key of {} bytes", wrapped.len())));
    }
    let mut key = [0; 32];
    KwAes256::new(&(*with).into())
        .unwrap_key(wrapped, &mut key)
        .map_err(|_| Unreadable::new("a wrapped key does not open"))?;
    Ok(key)
}

/// A fresh key from the operating system.
///
/// # Errors
///
/// The operating system has no random bytes to give.
pub fn random_key() -> Result<Key, Unreadable> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|e| Unreadable::new(format!("no random bytes: {e}")))?;
    Ok(key)
}

/// Encrypts one file from its first byte to its padding.
pub struct Encryptor {
    mode: cbc::Encryptor<aes::Aes256>,
    pending: Vec<u8>,
}

impl Encryptor {
    /// Begins a file.
    pub fn new(key: &Key) -> Encryptor {
        let mode = cbc::Encryptor::new(&(*key).into(), &[0; BLOCK].into());
        Encryptor { mode, pending: Vec::with_capacity(BLOCK) }
    }

    /// Encrypts `bytes`; what does not fill a block waits. Appends to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        if !self.pending.is_empty() {
            let take = rest.len().min(BLOCK - self.pending.len());
            self.pending.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
            if self.pending.len() < BLOCK {
                return;
            }
            let full = std::mem::take(&mut self.pending);
            self.blocks(&full, out);
        }
        let whole = rest.len() / BLOCK * BLOCK;
        self.blocks(&rest[..whole], out);
        self.pending.extend_from_slice(&rest[whole..]);
    }

    /// Pads and ends the file. Appends one block to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let padding = BLOCK - self.pending.len();
        let mut last = std::mem::take(&mut self.pending);
        last.resize(BLOCK, u8::try_from(padding).expect("because it is at most 16"));
        self.blocks(&last, out);
    }

    fn blocks(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(bytes);
        let (blocks, _) = Block::<aes::Aes256>::slice_as_chunks_mut(&mut out[start..]);
        self.mode.encrypt_blocks(blocks);
    }
}

/// Decrypts one file; holds back a block, which may be the padding.
pub struct Decryptor {
    mode: cbc::Decryptor<aes::Aes256>,
    pending: Vec<u8>,
}

impl Decryptor {
    /// Begins a file.
    pub fn new(key: &Key) -> Decryptor {
        let mode = cbc::Decryptor::new(&(*key).into(), &[0; BLOCK].into());
        Decryptor { mode, pending: Vec::with_capacity(2 * BLOCK) }
    }

    /// Decrypts what is certain not to be the last block. Appends to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.pending.extend_from_slice(bytes);
        let ready = self.pending.len().saturating_sub(1) / BLOCK * BLOCK;
        let start = out.len();
        out.extend_from_slice(&self.pending[..ready]);
        let (blocks, _) = Block::<aes::Aes256>::slice_as_chunks_mut(&mut out[start..]);
        self.mode.decrypt_blocks(blocks);
        self.pending.drain(..ready);
    }

    /// Ends the file and takes the padding off. Appends at most 15 bytes to `out`.
    ///
    /// # Errors
    ///
    /// The length is no multiple of 16, or the padding is not one.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if self.pending.len() != BLOCK {
            return Err(Unreadable::new("the length of a ciphertext is no multiple of 16"));
        }
        let (blocks, _) = Block::<aes::Aes256>::slice_as_chunks_mut(&mut self.pending);
        self.mode.decrypt_blocks(blocks);
        let padding = usize::from(self.pending[BLOCK - 1]);
        let kept = BLOCK.checked_sub(padding).filter(|kept| *kept < BLOCK);
        let kept = kept.ok_or_else(|| Unreadable::new("the padding is not one"))?;
        if self.pending[kept..].iter().any(|byte| usize::from(*byte) != padding) {
            return Err(Unreadable::new("the padding is not one"));
        }
        out.extend_from_slice(&self.pending[..kept]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    fn counting_key() -> Key {
        std::array::from_fn(|i| u8::try_from(i).unwrap())
    }

    fn encrypt(key: &Key, plain: &[u8], piece: usize) -> Vec<u8> {
        let mut encryptor = Encryptor::new(key);
        let mut out = Vec::new();
        for part in plain.chunks(piece) {
            encryptor.push(part, &mut out);
        }
        encryptor.finish(&mut out);
        out
    }

    fn decrypt(key: &Key, cipher: &[u8], piece: usize) -> Result<Vec<u8>, Unreadable> {
        let mut decryptor = Decryptor::new(key);
        let mut out = Vec::new();
        for part in cipher.chunks(piece) {
            decryptor.push(part, &mut out);
        }
        decryptor.finish(&mut out)?;
        Ok(out)
    }

    #[test]
    fn ciphertexts_are_the_known_ones() {
        let key = counting_key();
        assert_eq!(hex(&encrypt(&key, b"", 1)), "9f3b7504926f8bd36e3118e903a4cd4a");
        assert_eq!(hex(&encrypt(&key, b"hello, backup\n", 3)), "146ffb0481f027db505cbf0a59b8575a");
        assert_eq!(
            hex(&encrypt(&key, &[0; 32], 7)),
            "f29000b62a499fd0a9f39a6add2e7780d4e96925c0bfcffb52f8a187ee774aabc32891ed466e6f98c14d6514ed9d1e5b"
        );
    }

    #[test]
    fn any_length_in_any_pieces_comes_back() {
        let key = counting_key();
        for length in [0usize, 1, 15, 16, 17, 31, 32, 33, 1000, 4096] {
            let plain: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            for piece in [1, 5, 16, 17, 5000] {
                let cipher = encrypt(&key, &plain, piece);
                assert_eq!(cipher.len(), (length / 16 + 1) * 16);
                assert_eq!(decrypt(&key, &cipher, piece).unwrap(), plain, "{length} by {piece}");
            }
        }
    }

    #[test]
    fn a_wrong_key_or_a_cut_is_an_error() {
        let key = counting_key();
        let cipher = encrypt(&key, b"hello, backup\n", 100);
        assert!(decrypt(&[9; 32], &cipher, 16).is_err());
        assert!(decrypt(&key, &cipher[..15], 16).is_err());
        assert!(decrypt(&key, &[], 16).is_err());
    }

    #[test]
    fn a_wrapped_key_is_the_known_one_and_opens_with_its_key_only() {
        let wrapped = wrap(&[0xC3; 32], &counting_key());
        assert_eq!(
            hex(&wrapped),
            "15b95309719eeabc4c55ce80fac83e38c3d81ba0fc077b9aabbc67c1b8312a69e72f8e1ef8624d1b"
        );
        assert_eq!(unwrap(&[0xC3; 32], &wrapped).unwrap(), counting_key());
        assert!(unwrap(&[0xC4; 32], &wrapped).is_err());
        assert!(unwrap(&[0xC3; 32], &wrapped[..39]).is_err());
    }
}
