//! The name Apple gives a device, checked once, here.
use std::fmt;

/// Fewest characters of a UDID: 24 hex digits, written by tools that drop the dash.
const LEN_MIN: usize = 24;
/// Most characters of a UDID: the 40 hex digits of devices before 2018.
const LEN_MAX: usize = 40;

/// A device's unique identifier, in the spelling Apple's own software uses for folders.
///
/// Two shapes are known: 40 hex digits in lower case (devices before the A12), and
/// `00008030-001A2B3C4D5E6F78` in upper case. A UDID becomes a path component in snapshots and on
/// disk, so nothing but hex digits and inner dashes, 24 to 40 characters in all, can be one.
///
/// Two spellings of one UDID are equal: `Info.plist` writes the old shape in upper case under one
/// key and in lower case under another, and both must root a snapshot at the same folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Udid(String);

impl Udid {
    /// The UDID that `text` spells in either case, or `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let ends_in_digits = bytes.first().is_some_and(u8::is_ascii_hexdigit)
            && bytes.last().is_some_and(u8::is_ascii_hexdigit);
        let allowed = bytes.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
        if !ends_in_digits || !allowed || !(LEN_MIN..=LEN_MAX).contains(&bytes.len()) {
            return None;
        }
        let is_old_shape = bytes.len() == LEN_MAX && !bytes.contains(&b'-');
        Some(Udid(if is_old_shape { text.to_ascii_lowercase() } else { text.to_ascii_uppercase() }))
    }

    /// The UDID as a folder is named by it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Udid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_spellings_of_a_udid_are_one_udid() {
        let old = "00008030001a2b3c4d5e6f7800008030deadbeef";
        assert_eq!(Udid::parse(old), Udid::parse(&old.to_uppercase()));
        assert_eq!(Udid::parse(old).unwrap().as_str(), old);
        let new = "00008030-001A2B3C4D5E6F78";
        assert_eq!(Udid::parse(&new.to_lowercase()).unwrap().as_str(), new);
    }

    #[test]
    fn what_could_leave_a_folder_is_no_udid() {
        for bad in [
            "",
            "..",
            "../../../../../../../../etc/passwd",
            "00008030/001A2B3C4D5E6F78",
            "00008030-001A2B3C4D5E6F7\0",
            "00008030-001A2B3C4D5E6",
            "00008030-001A2B3C4D5E6F78-",
            "------------------------------",
            "00008030-001A2B3C4D5E6F78 ",
            "０0008030-001A2B3C4D5E6F78",
            "00008030001a2b3c4d5e6f7800008030deadbeef0",
        ] {
            assert_eq!(Udid::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_udid_is_only_hex_and_dashes(text in ".{0,48}|[0-9a-fA-F-]{20,44}") {
            if let Some(udid) = Udid::parse(&text) {
                prop_assert!((24..=40).contains(&udid.as_str().len()));
                prop_assert!(udid.as_str().bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
                prop_assert_eq!(Udid::parse(udid.as_str()), Some(udid.clone()));
            }
        }
    }
}
