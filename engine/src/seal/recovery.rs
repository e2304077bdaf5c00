//! The recovery key: how it is spelt on paper, and read from it again.
use super::keys::random_array;
use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use zeroize::Zeroizing;

/// 32 random bytes on paper that open everything.
pub struct RecoveryKey(Zeroizing<[u8; 32]>);

/// Crockford's base 32: no I, L, O or U, so that what is read aloud or from handwriting is unique.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHECKSUM_LEN: usize = 3;

impl RecoveryKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bytes.
    pub fn generate() -> Result<Self> {
        Ok(RecoveryKey(Zeroizing::new(random_array()?)))
    }

    /// The bytes that open the slot.
    pub fn phrase(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key for paper: 14 groups of 4 characters, the last ones a checksum of 24 bits.
    pub fn to_paper(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(self.0.to_vec());
        bytes.extend_from_slice(&self.checksum());
        let mut text = Zeroizing::new(String::with_capacity(70));
        for (at, group) in bytes.chunks_exact(5).enumerate() {
            let bits = group.iter().fold(0u64, |bits, &b| bits << 8 | u64::from(b));
            for digit in (0..8).rev() {
                if (at, digit) != (0, 7) && digit % 4 == 3 {
                    text.push('-');
                }
                text.push(char::from(ALPHABET[(bits >> (digit * 5) & 31) as usize]));
            }
        }
        text
    }

    /// The key that `text` spells, in either case, with or without separators, with the letters
    /// that Crockford's alphabet leaves out read as the digits they look like.
    ///
    /// # Errors
    ///
    /// [`WrongPassword`](ErrorKind::WrongPassword) when it is not a recovery key or was misspelt.
    pub fn from_paper(text: &str) -> Result<Self> {
        let wrong = || Error::new(ErrorKind::WrongPassword, "reading the recovery key");
        let mut digits = Zeroizing::new(Vec::with_capacity(56));
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let c = match c.to_ascii_uppercase() {
                'I' | 'L' => '1',
                'O' => '0',
                other => other,
            };
            let digit = ALPHABET.iter().position(|&a| char::from(a) == c).ok_or_else(wrong)?;
            if digits.len() == 56 {
                return Err(wrong());
            }
            digits.push(digit as u64);
        }
        if digits.len() != 56 {
            return Err(wrong());
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(35));
        for group in digits.chunks_exact(8) {
            let bits = group.iter().fold(0u64, |bits, d| bits << 5 | d);
            bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
        }
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&bytes[..32]);
        let key = RecoveryKey(key);
        if bytes[32..] == key.checksum() { Ok(key) } else { Err(wrong()) }
    }

    fn checksum(&self) -> [u8; CHECKSUM_LEN] {
        let hash = blake3::derive_key("devsnap 2026-11 v1 recovery key checksum", &*self.0);
        *hash.first_chunk().expect("because a hash has 32 bytes")
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_recovery_key_is_noticed() {
        let paper = RecoveryKey(Zeroizing::new([0x5a; 32])).to_paper().to_string();
        for at in (0..paper.len()).filter(|at| at % 5 != 4) {
            let mut typo = paper.clone().into_bytes();
            typo[at] = if typo[at] == b'7' { b'8' } else { b'7' };
            assert!(RecoveryKey::from_paper(std::str::from_utf8(&typo).unwrap()).is_err(), "{at}");
        }
        assert!(RecoveryKey::from_paper("").is_err());
        assert!(RecoveryKey::from_paper(&format!("{paper}0")).is_err());
    }
}
