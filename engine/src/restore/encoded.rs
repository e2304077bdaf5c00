//! Files that are stored as plaintext and come back encrypted for a device.
//!
//! Each encrypted byte depends on all before it, and pieces come in the order of packs. So a file of
//! several pieces is put together first and encrypted in place when it is whole. What lies in the
//! target meanwhile is masked with bytes that only this run knows: the plaintext of a person's
//! messages must not be left on a disk that was to hold them encrypted.
use super::Run;
use crate::encoding::Encryptor;
use crate::error::{Error, ErrorKind, Result};
use crate::target::FileTicket;
use zeroize::Zeroizing;

/// Bytes that are encrypted at a time.
const STRETCH: usize = 256 << 10;

/// Hides what one run has not finished.
pub(super) struct Mask(Zeroizing<[u8; 32]>);

impl Mask {
    /// # Errors
    ///
    /// The operating system has no random bytes to give.
    pub(super) fn new() -> Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|e| {
            Error::new(ErrorKind::LocalDisk, "drawing random bytes").because(e.to_string())
        })?;
        Ok(Mask(key))
    }

    /// Puts the mask on bytes at `offset` of a file, or takes it off.
    pub(super) fn apply(&self, file: FileTicket, offset: u64, bytes: &mut [u8]) {
        let mut mask = blake3::Hasher::new_keyed(&self.0);
        let mut mask = mask.update(&file.0.to_le_bytes()).finalize_xof();
        mask.set_position(offset);
        let mut some = [0; 4096];
        for stretch in bytes.chunks_mut(some.len()) {
            let some = &mut some[..stretch.len()];
            mask.fill(some);
            stretch.iter_mut().zip(some).for_each(|(byte, mask)| *byte ^= *mask);
        }
    }
}

/// All of a file at once, encrypted.
pub(super) fn whole(plain: &[u8], file_key: &[u8; 32]) -> Vec<u8> {
    let mut cipher = Encryptor::new(file_key);
    let mut sealed = Vec::with_capacity(plain.len() + 16);
    cipher.push(plain, &mut sealed);
    cipher.finish(&mut sealed);
    sealed
}

/// Encrypts a file in place whose `plain_len` bytes stand masked in the target.
///
/// # Errors
///
/// The target failed; somebody asked to stop. The file is then the caller's to abandon.
pub(super) fn in_place(
    run: &Run<'_>,
    file: FileTicket,
    plain_len: u64,
    file_key: &[u8; 32],
) -> Result<()> {
    let mut cipher = Encryptor::new(file_key);
    let mut plain = Zeroizing::new(vec![0; STRETCH]);
    let mut sealed = Vec::with_capacity(STRETCH + 16);
    let (mut read, mut written) = (0, 0);
    while read < plain_len {
        run.interrupt.check()?;
        let len = usize::try_from(plain_len - read).unwrap_or(usize::MAX).min(STRETCH);
        let plain = &mut plain[..len];
        run.target.read_piece(file, read, plain)?;
        run.mask.apply(file, read, plain);
        read += len as u64;
        sealed.clear();
        cipher.push(plain, &mut sealed);
        // Never beyond what was read: a block that is not full waits for the next stretch.
        run.target.replace_piece(file, written, &sealed)?;
        written += sealed.len() as u64;
    }
    sealed.clear();
    cipher.finish(&mut sealed);
    run.target.replace_piece(file, written, &sealed)
}
