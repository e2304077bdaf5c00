//! A small PNG of one colour, made by hand: an app's icon.

/// Width and height, in pixels.
const SIDE: u32 = 60;

/// An icon in the colour `rgb`.
///
/// # Source
///
/// PNG (ISO/IEC 15948); the image data is one stored block of DEFLATE (RFC 1951) in a zlib stream
/// (RFC 1950).
pub(super) fn png(rgb: [u8; 3]) -> Vec<u8> {
    let mut row = vec![0];
    row.extend(rgb.repeat(SIDE as usize));
    let rows = row.repeat(SIDE as usize);

    let mut header = SIDE.to_be_bytes().to_vec();
    header.extend(SIDE.to_be_bytes());
    // Eight bits, true colour, nothing interlaced.
    header.extend([8, 2, 0, 0, 0]);

    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &stored_zlib(&rows));
    chunk(&mut png, *b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], body: &[u8]) {
    let length = u32::try_from(body.len()).expect("because an icon is small");
    png.extend(length.to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(body);
    let sum = crc32(&png[start..]);
    png.extend(sum.to_be_bytes());
}

fn stored_zlib(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("because an icon is small");
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend(bytes);
    stream.extend(adler32(bytes).to_be_bytes());
    stream
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 }
        })
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }

    #[test]
    fn an_icon_begins_as_a_png_and_ends_as_one() {
        let png = png([1, 2, 3]);

        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0DIHDR\0\0\0\x3C\0\0\0\x3C"));
        // The sum of the empty last chunk is the same in every PNG.
        assert!(png.ends_with(b"\0\0\0\0IEND\xAE\x42\x60\x82"));
    }
}
