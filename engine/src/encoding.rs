//! How an Apple device encrypts the files of a backup with a backup password, and back.
//!
//! AES-256 in CBC mode, a vector of zeros, PKCS#7 padding that is always there, one key a file: the
//! bytes follow from plaintext and key alone (protocol facts: `docs/format.md`, "Encoding"). So a
//! repository keeps the plaintext, which compresses and deduplicates, and reading a file encrypts
//! it again. Nothing here authenticates: what is stored is sealed, and what comes from a device is
//! encrypted again and compared before its plaintext stands for it.
use aes::Aes256;
use aes::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use std::io::{self, ErrorKind, Read, Write};
use zeroize::Zeroizing;

/// Bytes of one block of the cipher, and of the longest padding.
const BLOCK: usize = 16;

/// Bytes that a reader asks its source for at a time; whole blocks.
const STRETCH: usize = 64 << 10;

/// How long the encrypted file is whose plaintext has `plain_len` bytes: filled to whole blocks of 16
/// bytes, with one more when it fills them already.
pub fn encoded_len(plain_len: u64) -> u64 {
    (plain_len / BLOCK as u64 + 1).saturating_mul(BLOCK as u64)
}

/// Encrypts one file piece by piece, from its first byte to its padding.
pub struct Encryptor {
    mode: cbc::Encryptor<Aes256>,
    /// Plaintext that does not fill a block yet.
    pending: Zeroizing<Vec<u8>>,
}

impl Encryptor {
    /// Begins a file.
    pub fn new(file_key: &[u8; 32]) -> Self {
        let mode = cbc::Encryptor::new(&(*file_key).into(), &[0; BLOCK].into());
        Encryptor { mode, pending: Zeroizing::new(Vec::with_capacity(BLOCK)) }
    }

    /// Appends to `out` what `plain` completes.
    pub fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.pending);
        out.extend_from_slice(plain);
        let whole = (out.len() - start) / BLOCK * BLOCK;
        self.pending.clear();
        self.pending.extend_from_slice(&out[start + whole..]);
        out.truncate(start + whole);
        self.encrypt(&mut out[start..]);
    }

    /// Appends the last block to `out`: what is left, and the padding.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.pending);
        let padding = BLOCK - self.pending.len();
        out.resize(start + BLOCK, u8::try_from(padding).expect("because it is at most 16"));
        self.encrypt(&mut out[start..]);
    }

    fn encrypt(&mut self, whole_blocks: &mut [u8]) {
        let (blocks, _) = Block::<Aes256>::slice_as_chunks_mut(whole_blocks);
        self.mode.encrypt_blocks(blocks);
    }
}

/// The encrypted bytes of a file whose plaintext `R` gives.
pub struct Encrypting<R> {
    plain: R,
    /// `None` when the padding has been given.
    cipher: Option<Encryptor>,
    stretch: Zeroizing<Vec<u8>>,
    ready: Ready,
}

impl<R: Read> Encrypting<R> {
    /// Reads `plain` to its end.
    pub fn new(plain: R, file_key: &[u8; 32]) -> Self {
        let cipher = Some(Encryptor::new(file_key));
        let stretch = Zeroizing::new(vec![0; STRETCH]);
        Encrypting { plain, cipher, stretch, ready: Ready::default() }
    }
}

impl<R: Read> Read for Encrypting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !into.is_empty() {
            let Some(cipher) = &mut self.cipher else { return Ok(0) };
            let read = read_once(&mut self.plain, &mut self.stretch)?;
            let out = self.ready.refill();
            match read {
                0 => self.cipher.take().map(|cipher| cipher.finish(out)).unwrap_or_default(),
                read => cipher.push(&self.stretch[..read], out),
            }
        }
        self.ready.read(into)
    }
}

/// The plaintext of a file whose encrypted bytes `R` gives.
///
/// Reading fails with [`InvalidData`](ErrorKind::InvalidData) at the end of what is no such file: not
/// of whole blocks, empty, or with a padding that no device writes. What was read until then is
/// nothing to rely on.
pub struct Decrypting<R> {
    sealed: R,
    mode: cbc::Decryptor<Aes256>,
    /// Encrypted bytes: the last block of a file is held back, since it tells where the file ends.
    held: Vec<u8>,
    is_at_end: bool,
    keeps_bad_padding: bool,
    ready: Ready,
}

impl<R: Read> Decrypting<R> {
    /// Reads `sealed` to its end.
    pub fn new(sealed: R, file_key: &[u8; 32]) -> Self {
        let mode = cbc::Decryptor::new(&(*file_key).into(), &[0; BLOCK].into());
        let (held, ready) = (Vec::with_capacity(STRETCH + BLOCK), Ready::default());
        Decrypting { sealed, mode, held, is_at_end: false, keeps_bad_padding: false, ready }
    }

    /// Gives the last block as it is when its padding is none: files are said to have been seen
    /// that were cut off while they were sent, and what is left of them is worth having.
    #[must_use]
    pub fn keeping_bad_padding(mut self) -> Self {
        self.keeps_bad_padding = true;
        self
    }

    fn fill(&mut self) -> io::Result<()> {
        let start = self.held.len();
        self.held.resize(start + STRETCH, 0);
        let read = read_once(&mut self.sealed, &mut self.held[start..]);
        self.held.truncate(start + read.as_ref().map_or(0, |read| *read));
        self.is_at_end = read? == 0;
        let whole = match self.is_at_end {
            true if self.held.is_empty() || !self.held.len().is_multiple_of(BLOCK) => {
                return Err(not_encrypted("its length is not one of encrypted files"));
            }
            true => self.held.len(),
            false => self.held.len().saturating_sub(1) / BLOCK * BLOCK,
        };
        let out = self.ready.refill();
        out.extend_from_slice(&self.held[..whole]);
        self.held.drain(..whole);
        let (blocks, _) = Block::<Aes256>::slice_as_chunks_mut(out);
        self.mode.decrypt_blocks(blocks);
        if self.is_at_end {
            match padding_of(out) {
                Some(padding) => out.truncate(out.len() - padding),
                None if self.keeps_bad_padding => {}
                None => return Err(not_encrypted("it does not end as encrypted files do")),
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Decrypting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.is_at_end && !into.is_empty() {
            self.fill()?;
        }
        self.ready.read(into)
    }
}

fn not_encrypted(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.to_owned())
}

/// How many bytes at the end of `plain` are padding; `None` when they are none that a device writes.
fn padding_of(plain: &[u8]) -> Option<usize> {
    let last = *plain.last()?;
    let len = usize::from(last);
    let padding = plain.len().checked_sub(len).and_then(|start| plain.get(start..))?;
    let is_padding = (1..=BLOCK).contains(&len) && padding.iter().all(|byte| *byte == last);
    is_padding.then_some(len)
}

fn read_once(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Bytes that are done and not yet given.
#[derive(Default)]
struct Ready {
    bytes: Zeroizing<Vec<u8>>,
    at: usize,
}

impl Ready {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn refill(&mut self) -> &mut Vec<u8> {
        self.at = 0;
        self.bytes.clear();
        &mut self.bytes
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self.bytes[self.at..];
        let read = rest.read(into)?;
        self.at += read;
        Ok(read)
    }
}

/// Copies `sealed` decrypted to `plain`; whether encrypting that again gives the same bytes. Not when
/// it is no encrypted file at all.
///
/// # Errors
///
/// `sealed` could not be read, `plain` not be written.
pub fn decrypt_exactly(
    mut sealed: impl Read,
    file_key: &[u8; 32],
    plain: &mut dyn Write,
) -> io::Result<bool> {
    let mut compared = Compared { sealed: &mut sealed, hash: blake3::Hasher::new() };
    let mut decrypting = Decrypting::new(&mut compared, file_key);
    let mut again = Again { cipher: Encryptor::new(file_key), hash: blake3::Hasher::new() };
    let mut stretch = Zeroizing::new(vec![0; STRETCH]);
    let mut out = Vec::with_capacity(STRETCH + BLOCK);
    loop {
        let read = match decrypting.read(&mut stretch) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::InvalidData => return Ok(false),
            Err(error) => return Err(error),
        };
        out.clear();
        if read == 0 {
            again.cipher.finish(&mut out);
            again.hash.update(&out);
            return Ok(again.hash.finalize() == compared.hash.finalize());
        }
        plain.write_all(&stretch[..read])?;
        again.cipher.push(&stretch[..read], &mut out);
        again.hash.update(&out);
    }
}

/// What passes, named on its way.
struct Compared<R> {
    sealed: R,
    hash: blake3::Hasher,
}

impl<R: Read> Read for Compared<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.sealed.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}

/// What is encrypted again.
struct Again {
    cipher: Encryptor,
    hash: blake3::Hasher,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives what it has in pieces of odd lengths.
    struct Torn<'a>(&'a [u8], usize);

    impl Read for Torn<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = (self.1 * 7 + 13) % 5003 + 1;
            let len = self.1.min(into.len());
            self.0.read(&mut into[..len])
        }
    }

    fn key(text: &str) -> [u8; 32] {
        let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap();
        std::array::from_fn(byte)
    }

    fn encrypted(plain: &[u8], key: &[u8; 32]) -> Vec<u8> {
        let mut out = Vec::new();
        Encrypting::new(Torn(plain, 0), key).read_to_end(&mut out).unwrap();
        out
    }

    fn decrypted(sealed: &[u8], key: &[u8; 32]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decrypting::new(Torn(sealed, 0), key).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn files_are_encrypted_as_other_implementations_do_it() {
        // With a vector of zeros the first block is that of ECB: NIST SP 800-38A, F.1.5. The rest
        // is what `openssl enc -aes-256-cbc -K 0001…1f -iv 00…00` makes.
        let nist = key("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let block = key("6bc1bee22e409f96e93d7e117393172a00000000000000000000000000000000");
        let first = "f3eed1bdb5d2a03c064b5a7e3db181f8";
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&encrypted(&block[..16], &nist)[..16]), first);
        let counting: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
        for (plain, sealed) in [
            (&b""[..], "9f3b7504926f8bd36e3118e903a4cd4a"),
            (b"hello, backup\n", "146ffb0481f027db505cbf0a59b8575a"),
            (
                &[0; 32],
                "f29000b62a499fd0a9f39a6add2e7780d4e96925c0bfcffb52f8a187ee774aabc32891ed466e6f98c1\
                 4d6514ed9d1e5b",
            ),
        ] {
            assert_eq!(hex(&encrypted(plain, &counting)), sealed);
        }
    }

    proptest! {
        #[test]
        fn what_was_encrypted_comes_back_and_is_as_long_as_was_said(
            plain in proptest::collection::vec(any::<u8>(), 0..300),
            repeat in 1usize..300,
            key: [u8; 32],
        ) {
            let plain = plain.repeat(repeat);
            let sealed = encrypted(&plain, &key);
            prop_assert_eq!(sealed.len() as u64, encoded_len(plain.len() as u64));
            prop_assert_eq!(&decrypted(&sealed, &key).unwrap(), &plain);
            let mut copy = Vec::new();
            prop_assert!(decrypt_exactly(Torn(&sealed, 3), &key, &mut copy).unwrap());
            prop_assert_eq!(copy, plain);
        }

        #[test]
        fn what_is_taken_for_exact_always_is(
            mut sealed in proptest::collection::vec(any::<u8>(), 0..100),
            make_whole: bool,
            key: [u8; 32],
        ) {
            if make_whole {
                sealed.truncate(sealed.len() / BLOCK * BLOCK);
            }
            let mut plain = Vec::new();
            if decrypt_exactly(Torn(&sealed, 0), &key, &mut plain).unwrap() {
                prop_assert_eq!(encrypted(&plain, &key), sealed);
            } else {
                prop_assert!(decrypted(&sealed, &key).is_err());
            }
        }
    }

    #[test]
    fn bytes_of_no_encrypted_file_are_refused_or_kept_as_they_are() {
        let key = [7; 32];
        let sealed = encrypted(&[b'x'; 100], &key);
        for len in [0, 1, 15, 17, 100] {
            let error = decrypted(&sealed[..len], &key).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{len} bytes");
        }
        // Cut off at a block: no padding there.
        let cut = &sealed[..96];
        assert_eq!(decrypted(cut, &key).unwrap_err().kind(), ErrorKind::InvalidData);
        let mut kept = Vec::new();
        Decrypting::new(cut, &key).keeping_bad_padding().read_to_end(&mut kept).unwrap();
        assert_eq!(kept, [b'x'; 96]);
    }

    #[test]
    fn an_error_of_the_source_is_passed_on_and_is_no_end() {
        struct Broken(usize);
        impl Read for Broken {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 > 3 {
                    return Err(io::Error::new(ErrorKind::ConnectionReset, "gone"));
                }
                into[..16].fill(1);
                Ok(16)
            }
        }
        let mut out = Vec::new();
        let error = Decrypting::new(Broken(0), &[0; 32]).read_to_end(&mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = Encrypting::new(Broken(0), &[0; 32]).read_to_end(&mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = decrypt_exactly(Broken(0), &[0; 32], &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
