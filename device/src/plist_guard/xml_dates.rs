//! A look at the dates of an XML list before the reader parses them.
//!
//! The reader accepts any RFC 3339 date and moves it to UTC, and panics when that leaves the years
//! it can hold. Apple's software writes UTC only, so anything but plain `2026-11-01T20:04:00Z`
//! is refused, including digits hidden in entities or split by comments.
use super::BadPlist;

/// Checks that the text of every date element is digits and `-:T`, ends in `Z`, and that the
/// element's end follows at once.
///
/// The scan looks at every `<`, so it sees at least the elements that the reader sees. What it
/// sees besides (dates in comments) is held to the same rule, which costs nothing real.
pub(super) fn check(bytes: &[u8]) -> Result<(), BadPlist> {
    let mut rest = bytes;
    while let Some(start) = rest.iter().position(|&b| b == b'<') {
        rest = &rest[start + 1..];
        // A name that runs into the next `<` ends here: what follows is looked at from there, and
        // no byte twice.
        let name_len = rest.iter().position(|b| b" \t\r\n/><".contains(b)).unwrap_or(rest.len());
        let opens_a_date = name_len > 0 && rest[..name_len].ends_with(b"date");
        if opens_a_date && !is_plain_date_element(&rest[name_len..]) {
            return Err(BadPlist::BadDate);
        }
    }
    Ok(())
}

/// Whether `rest`, from the end of a date's tag name, is `>`, a plain UTC date, `</`.
fn is_plain_date_element(rest: &[u8]) -> bool {
    let Some(text) = rest.strip_prefix(b">") else { return false };
    let len = text.iter().position(|&b| b == b'<').unwrap_or(text.len());
    let (date, end) = text.split_at(len);
    let Some(local) = date.strip_suffix(b"Z") else { return false };
    local.iter().all(|b| b.is_ascii_digit() || b"-:T.".contains(b)) && end.starts_with(b"</")
}
