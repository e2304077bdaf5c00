//! Which files are worth keeping as plaintext.
//!
//! Photos, films and music never change and do not compress: stored as they come they cost one
//! upload and nothing more, and stored as plaintext they would cost room on this computer until
//! their keys have come. Only the name tells before the content is here.

/// Endings, in lower case, of files that are compressed already and are written once.
const ENDINGS: [&str; 27] = [
    "3gp", "aac", "amr", "avif", "caf", "dng", "flac", "gif", "heic", "heics", "heif", "jpeg",
    "jpg", "m4a", "m4b", "m4p", "m4r", "m4v", "mov", "mp3", "mp4", "opus", "png", "qta", "thm",
    "webm", "webp",
];

/// Whether the file that a device has at `path` is media, by its name.
pub fn is_media(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let ending = name.rsplitn(2, |byte| *byte == b'.').next().filter(|e| e.len() < name.len());
    ending.is_some_and(|ending| {
        ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_told_by_the_end_of_its_name() {
        for path in ["/var/mobile/Media/DCIM/100APPLE/IMG_0001.HEIC", "x.mov", "/.b/6/a.b.JPG"] {
            assert!(is_media(path.as_bytes()), "{path}");
        }
        for path in ["", "/", "/Library/SMS/sms.db", "/jpg", "/a.jpg/b", "mov", ".", "/x.jpg."] {
            assert!(!is_media(path.as_bytes()), "{path}");
        }
    }
}
