//! Compression of one block, before it is sealed.
//!
//! zstd at level 3 passes incompressible data (photos, video, ciphertext) at several gigabytes a
//! second, so nothing is probed beforehand; the frame is kept only when it saves at least a 32nd,
//! so that reading such data back costs no decompression.
use crate::error::{Error, ErrorKind, Result};

/// The zstd level of every block: on phone data higher levels cost several times the time for a
/// few per cent (`docs/decisions/`).
const LEVEL: i32 = 3;

/// How a block's plaintext was written before it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As it is.
    Raw,
    /// One zstd frame without dictionary.
    Zstd,
}

/// A zstd context; one per worker, since making one costs more than compressing a small block.
pub struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    /// A context at the level every block is compressed with.
    ///
    /// # Errors
    ///
    /// zstd could not allocate.
    pub fn new() -> Result<Self> {
        zstd::bulk::Compressor::new(LEVEL)
            .map(Compressor)
            .map_err(|e| Error::local("preparing compression", e))
    }

    /// `plain` as it should be sealed, with room for a tag behind it.
    pub fn compress(&mut self, plain: Vec<u8>) -> (Codec, Vec<u8>) {
        let worth = plain.len() - plain.len() / 32;
        let mut frame = Vec::with_capacity(zstd::zstd_safe::compress_bound(plain.len()) + 16);
        match self.0.compress_to_buffer(&plain, &mut frame) {
            Ok(_) if frame.len() < worth => {
                frame.shrink_to(frame.len() + 16);
                (Codec::Zstd, frame)
            }
            _ => (Codec::Raw, plain),
        }
    }
}

/// The plaintext of a block: exactly `raw_len` bytes.
///
/// # Errors
///
/// [`Damaged`](ErrorKind::Damaged) when it has another length; no more than `raw_len` bytes are
/// ever allocated, whatever the frame claims.
pub fn decompress(codec: Codec, stored: &[u8], raw_len: usize) -> Result<Vec<u8>> {
    let damaged = || Error::new(ErrorKind::Damaged, "decompressing a block");
    let plain = match codec {
        Codec::Raw => stored.to_vec(),
        Codec::Zstd => zstd::bulk::decompress(stored, raw_len).map_err(|e| damaged().because(e))?,
    };
    if plain.len() == raw_len { Ok(plain) } else { Err(damaged()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_compressed_only_when_it_pays() {
        let mut compressor = Compressor::new().unwrap();
        let text = b"all work and no play ".repeat(500);
        let (codec, stored) = compressor.compress(text.clone());
        assert_eq!(codec, Codec::Zstd);
        assert!(stored.len() < text.len() / 10);
        assert_eq!(decompress(codec, &stored, text.len()).unwrap(), text);

        let mut noise = vec![0; 10_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let (codec, stored) = compressor.compress(noise.clone());
        assert_eq!((codec, stored), (Codec::Raw, noise));
        assert_eq!(compressor.compress(Vec::new()), (Codec::Raw, Vec::new()));
    }

    #[test]
    fn a_bomb_is_refused_at_the_length_that_was_promised() {
        let (codec, frame) = Compressor::new().unwrap().compress(vec![0; 64 << 20]);
        assert_eq!(codec, Codec::Zstd);
        assert!(frame.len() < 10_000);
        assert_eq!(decompress(codec, &frame, 1000).unwrap_err().kind(), ErrorKind::Damaged);
        assert_eq!(decompress(Codec::Raw, b"ab", 3).unwrap_err().kind(), ErrorKind::Damaged);
    }
}
