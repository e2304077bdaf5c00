//! Telling an SQLite database by its beginning.
//!
//! "Database File Format", section 1.3 (sqlite.org/fileformat2.html): the magic string stands in
//! bytes 0 to 15, the page size in bytes 16 and 17, big-endian, a power of two from 512 to 32768,
//! or 1 for 65536.

/// The database header, in bytes.
pub(super) const HEADER_LEN: usize = 100;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How long the extents of this database are, in bytes: whole pages, `usual` if a page is not
/// longer than that. Nothing if it is none.
pub(super) fn extent_len(beginning: &[u8], usual: u32) -> Option<usize> {
    let rest = beginning.strip_prefix(MAGIC)?;
    let page_len = match u16::from_be_bytes(*rest.first_chunk()?) {
        1 => 65536,
        len if len.is_power_of_two() && len >= 512 => usize::from(len),
        _ => return None,
    };
    Some(page_len.max(usual as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_whole_pages() {
        let database = |page: [u8; 2]| [&MAGIC[..], &page, &[0; 82]].concat();
        for (page, len) in [
            ([0x10, 0x00], Some(32768)),
            ([0x02, 0x00], Some(32768)),
            ([0x80, 0x00], Some(32768)),
            ([0x00, 0x01], Some(65536)),
            ([0x00, 0x00], None),
            ([0x01, 0x00], None),
            ([0x10, 0x01], None),
        ] {
            assert_eq!(extent_len(&database(page), 32768), len, "{page:?}");
        }
        assert_eq!(extent_len(&database([0x10, 0x00])[..17], 32768), None);
        assert_eq!(extent_len(b"SQLite format 3, a poem", 32768), None);
        assert_eq!(extent_len(b"", 32768), None);
    }
}
