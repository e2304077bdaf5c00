//! Into which blocks a file's stream is cut: mostly 32 KiB, but a host must take any.
use super::super::host::{Host, block};
use super::super::stop::Step;
use crate::backup_files::cipher::{Encryptor, Key};
use crate::random::Random;
use std::io::{self, Read};

/// What phones send.
const USUAL: u64 = 32_768;

/// The largest block.
const LARGEST: u64 = 64 << 20;

/// Bytes on their way at once: large blocks are not held.
const PIECE: usize = 32_768;

/// How the blocks of one file are cut.
#[derive(Debug, Clone)]
pub(super) enum Cut {
    /// All of them alike.
    Alike(u64),
    /// Each by chance, up to so many bytes.
    Chance(u64, Random),
}

impl Cut {
    /// For a file of `length` bytes.
    pub(super) fn of(length: u64, odd: bool, random: &mut Random) -> Cut {
        if !odd {
            return Cut::Alike(USUAL);
        }
        match random.below(20) {
            0 if length <= 4096 => Cut::Alike(1),
            0 | 1 => Cut::Chance(5000, Random::new(random.next())),
            2 => Cut::Alike(LARGEST),
            3 => Cut::Chance(LARGEST, Random::new(random.next())),
            4 | 5 => Cut::Chance(100_000, Random::new(random.next())),
            _ => Cut::Alike(USUAL),
        }
    }

    fn next(&mut self) -> u64 {
        match self {
            Cut::Alike(size) => *size,
            Cut::Chance(size, random) => 1 + random.below(*size),
        }
    }
}

/// A file's bytes as the host gets them: encrypted, if there is a key.
pub(super) struct Stored<R> {
    plain: R,
    encryptor: Option<Encryptor>,
    ready: Vec<u8>,
    at: usize,
}

impl<R: Read> Stored<R> {
    /// Reads `plain` and encrypts it under `key`.
    pub(super) fn new(plain: R, key: Option<&Key>) -> Stored<R> {
        let encryptor = key.map(Encryptor::new);
        Stored { plain, encryptor, ready: Vec::new(), at: 0 }
    }
}

impl<R: Read> Read for Stored<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.encryptor.is_none() && self.at == self.ready.len() {
            return self.plain.read(buffer);
        }
        while self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            let mut piece = [0; 4096];
            let count = self.plain.read(&mut piece)?;
            match &mut self.encryptor {
                None => return Ok(0),
                Some(encryptor) if count > 0 => encryptor.push(&piece[..count], &mut self.ready),
                // The padding: the last block there is.
                encryptor => {
                    if let Some(encryptor) = encryptor.take() {
                        encryptor.finish(&mut self.ready);
                    }
                }
            }
        }
        let take = buffer.len().min(self.ready.len() - self.at);
        buffer[..take].copy_from_slice(&self.ready[self.at..self.at + take]);
        self.at += take;
        Ok(take)
    }
}

/// Bytes of a file as the host gets it.
pub(super) fn stored_len(plain: u64, encrypted: bool) -> u64 {
    if encrypted { (plain / 16 + 1) * 16 } else { plain }
}

/// Sends `length` bytes of `from` in blocks; `see` is shown them.
///
/// # Errors
///
/// The connection is gone.
pub(super) fn send(
    host: &mut Host<'_>,
    mut from: impl Read,
    length: u64,
    cut: &mut Cut,
    mut see: impl FnMut(&[u8]),
) -> Step<()> {
    let mut left = length;
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let size = cut.next().min(left);
        host.begin_block(block::DATA, usize::try_from(size).unwrap_or(PIECE))?;
        let mut of_block = size;
        while of_block > 0 {
            let take = usize::try_from(of_block).unwrap_or(PIECE).min(PIECE);
            from.read_exact(&mut piece[..take])?;
            see(&piece[..take]);
            host.wire.bytes(&piece[..take])?;
            of_block -= u64::try_from(take).unwrap_or(of_block);
        }
        left -= size;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bytes_have_the_announced_length() {
        for length in [0usize, 1, 16, 4095, 4096, 10_000] {
            for key in [None, Some([7; 32])] {
                let plain = vec![5; length];
                let mut stored = Vec::new();
                Stored::new(&plain[..], key.as_ref()).read_to_end(&mut stored).unwrap();
                let expected = stored_len(u64::try_from(length).unwrap(), key.is_some());
                assert_eq!(u64::try_from(stored.len()).unwrap(), expected);
                assert_eq!(stored == plain, key.is_none());
            }
        }
    }
}
