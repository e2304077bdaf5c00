//! PBKDF2 (RFC 8018, 5.2) with HMAC, 32 bytes of it, which can be stopped.
//!
//! The crate `pbkdf2` does the first round of each block, with the password and the salt. What
//! follows are millions of HMACs of one digest under one key: two compressions each, from states
//! that are made once. That is done here, because ten million rounds take seconds and the crate
//! cannot be interrupted; so it also costs no copy of a hasher per round.
use ::pbkdf2::pbkdf2_hmac;
use devsnap_engine::interrupt::Interrupt;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// Rounds between two looks at the interrupt: a few milliseconds.
const ROUNDS_AT_A_TIME: u32 = 1 << 14;

/// Bytes of a block of both hashes.
const BLOCK: usize = 64;

/// The state SHA-256 begins with.
///
/// # Source
///
/// FIPS 180-4, 5.3.3.
const SHA256_BEGIN: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The state SHA-1 begins with.
///
/// # Source
///
/// FIPS 180-4, 5.3.1.
const SHA1_BEGIN: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// 32 bytes of PBKDF2-HMAC-SHA256: one block. `None` once `interrupt` is raised.
pub(super) fn hmac_sha256(
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    interrupt: &Interrupt,
) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2_hmac::<Sha256>(password, salt, 1, &mut *key);
    let prf = Prf::new(&key_block::<Sha256>(password), SHA256_BEGIN, sha2::block_api::compress256);
    prf.go_on(&mut *key, rounds, interrupt)?;
    Some(key)
}

/// 32 bytes of PBKDF2-HMAC-SHA1: two blocks, of the second the first 12 bytes. `None` once
/// `interrupt` is raised.
pub(super) fn hmac_sha1(
    password: &[u8],
    salt: &[u8],
    rounds: u32,
    interrupt: &Interrupt,
) -> Option<Zeroizing<[u8; 32]>> {
    let mut blocks = Zeroizing::new([0; 40]);
    pbkdf2_hmac::<Sha1>(password, salt, 1, &mut *blocks);
    let prf = Prf::new(&key_block::<Sha1>(password), SHA1_BEGIN, sha1::block_api::compress);
    for block in blocks.chunks_exact_mut(20) {
        prf.go_on(block, rounds, interrupt)?;
    }
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(&blocks[..32]);
    Some(key)
}

/// The password as HMAC's key: as it is, or hashed when it is longer than a block (RFC 2104).
fn key_block<D: Digest>(password: &[u8]) -> Zeroizing<[u8; BLOCK]> {
    let mut block = Zeroizing::new([0; BLOCK]);
    if password.len() <= BLOCK {
        block[..password.len()].copy_from_slice(password);
    } else {
        let mut hashed = D::digest(password);
        block[..hashed.len()].copy_from_slice(&hashed);
        hashed.as_mut_slice().zeroize();
    }
    block
}

/// HMAC under one key, for messages as long as a digest: its two hashes after their first block.
struct Prf<const WORDS: usize> {
    inner: [u32; WORDS],
    outer: [u32; WORDS],
    compress: fn(&mut [u32; WORDS], &[[u8; BLOCK]]),
}

impl<const WORDS: usize> Prf<WORDS> {
    fn new(
        key: &[u8; BLOCK],
        begin: [u32; WORDS],
        compress: fn(&mut [u32; WORDS], &[[u8; BLOCK]]),
    ) -> Self {
        let after = |pad: u8| {
            let block = Zeroizing::new(key.map(|byte| byte ^ pad));
            let mut state = begin;
            compress(&mut state, std::slice::from_ref(&block));
            state
        };
        Prf { inner: after(0x36), outer: after(0x5c), compress }
    }

    /// Takes a block of PBKDF2 from its first round to its last. `None`: stopped on the way.
    fn go_on(&self, block: &mut [u8], rounds: u32, interrupt: &Interrupt) -> Option<()> {
        let mut digest = Zeroizing::new([0; WORDS]);
        for (word, bytes) in digest.iter_mut().zip(block.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        let mut sum = Zeroizing::new(*digest);
        let mut message = Zeroizing::new(Self::padded_message());
        let mut left = rounds.saturating_sub(1);
        while left > 0 {
            if interrupt.is_raised() {
                return None;
            }
            let now = left.min(ROUNDS_AT_A_TIME);
            for _ in 0..now {
                self.hmac(&mut digest, &mut message);
                for (sum, word) in sum.iter_mut().zip(*digest) {
                    *sum ^= word;
                }
            }
            left -= now;
        }
        for (bytes, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(*sum) {
            *bytes = word.to_be_bytes();
        }
        Some(())
    }

    /// The digest of this key and `digest`, in place.
    fn hmac(&self, digest: &mut [u32; WORDS], message: &mut [[u8; BLOCK]; 1]) {
        for mut state in [self.inner, self.outer] {
            for (bytes, word) in message[0].as_chunks_mut::<4>().0.iter_mut().zip(*digest) {
                *bytes = word.to_be_bytes();
            }
            (self.compress)(&mut state, message);
            *digest = state;
        }
    }

    /// Room for a digest, and behind it the padding of a hash over one block and a digest.
    fn padded_message() -> [[u8; BLOCK]; 1] {
        let mut message = [0; BLOCK];
        message[4 * WORDS] = 0x80;
        let bits = u64::try_from(8 * (BLOCK + 4 * WORDS)).expect("because it is below 1024");
        message[BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
        [message]
    }
}

impl<const WORDS: usize> Drop for Prf<WORDS> {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}
