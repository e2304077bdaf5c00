//! Photos and videos: a true-looking header, then bytes that nothing compresses.
use std::io::{self, Write};

use super::rng::Rng;

/// Bytes made at a time; a multiple of 8, so that the stream does not depend on it.
const STEP: usize = 256 * 1024;

/// A JFIF header: start of image and the APP0 segment.
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x48\x00\x48\x00\x00";
/// The `ftyp` box of an HEIC still.
const HEIC: &[u8] = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic";
/// The `ftyp` box of a QuickTime-flavoured MP4.
const MP4: &[u8] = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom";

/// The extension and header of the picture or film seeded `seed`: mostly stills, as on phones.
fn format_of(seed: u64) -> (&'static str, &'static [u8]) {
    match Rng::new(seed).below(10) {
        0..=5 => ("HEIC", HEIC),
        6..=7 => ("JPG", JPEG),
        _ => ("MP4", MP4),
    }
}

/// The extension that fits the content seeded `seed`.
pub(super) fn extension(seed: u64) -> &'static str {
    format_of(seed).0
}

/// Writes `size` bytes of a photo or video.
pub(super) fn write_media(size: u64, seed: u64, out: &mut impl Write) -> io::Result<()> {
    write_with_header(format_of(seed).1, size, seed, out)
}

/// Writes `size` bytes of a small JPEG: a thumbnail, a sticker, a cached picture.
pub(super) fn write_thumbnail(size: u64, seed: u64, out: &mut impl Write) -> io::Result<()> {
    write_with_header(JPEG, size, seed, out)
}

fn write_with_header(header: &[u8], size: u64, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let mut rng = Rng::of_part(seed, 1);
    let size = usize::try_from(size).map_err(io::Error::other)?;
    let header = &header[..header.len().min(size)];
    out.write_all(header)?;
    let mut left = size - header.len();
    let mut buffer = vec![0; STEP.min(left)];
    while left > 0 {
        let step = &mut buffer[..STEP.min(left)];
        rng.fill(step);
        out.write_all(step)?;
        left -= step.len();
    }
    Ok(())
}
