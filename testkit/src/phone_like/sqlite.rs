//! Files built like SQLite databases: a true header, and leaf pages full of message-like rows.
//!
//! Not openable: there are no interior pages and no schema. What a backup engine sees is right:
//! the magic, 4096-byte pages with their cells packed from the end, rows of text with ids and
//! times between them, pictures in some pages, and changes that replace pages where they stand.
//!
//! # Source
//!
//! The database file format, <https://www.sqlite.org/fileformat2.html>: sections 1.3 (header), 1.6
//! (b-tree pages) and 2.1 (records).
use std::io::{self, Write};

use super::{rng::Rng, text::sentence};

/// Bytes per page, as on every iPhone.
pub(super) const PAGE: usize = 4096;

/// Of a hundred pages, how many hold pictures or other blobs instead of rows.
const BLOB_PAGES_PERCENT: u64 = 8;

/// What stands around the text in an archived attributed string: the same in every row, which is
/// much of why real message databases compress as well as they do.
const BODY_BEFORE: &[u8] =
    b"\x04\x0bstreamtyped\x81\xe8\x03\x84\x01@\x84\x84\x84\x12NSAttributedString\
\x00\x84\x84\x08NSObject\x00\x85\x92\x84\x84\x84\x08NSString\x01\x94\x84\x01+";
const BODY_AFTER: &[u8] = b"\x86\x84\x02iI\x01\x92\x84\x84\x84\x0cNSDictionary\x00\x94\x84\x01i\x01\x92\x84\
\x96\x96\x1d__kIMMessagePartAttributeName\x86\x92\x84\x84\x84\x08NSNumber\x00\x84\x84\x07NSValue\x00\x94";

/// One page.
pub(super) type Page = [u8; PAGE];

/// Writes a database of `pages` pages.
pub(super) fn write_database(pages: u64, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let mut page = [0; PAGE];
    for number in 0..pages {
        if number == 0 {
            fill_first_page(seed, pages, 1, &mut page);
        } else {
            fill_page(seed, number, 0, &mut page);
        }
        out.write_all(&page)?;
    }
    Ok(())
}

/// Makes the first page: the database header and a few rows. `changes` is the change counter.
pub(super) fn fill_first_page(seed: u64, pages: u64, changes: u32, page: &mut Page) {
    fill_leaf(&mut Rng::of_part(seed, 0), 0, 100, page);
    page[..16].copy_from_slice(b"SQLite format 3\0");
    page[16..18].copy_from_slice(&[0x10, 0x00]);
    // Versions 2: written through a write-ahead log, as phones do. Then payload fractions.
    page[18..24].copy_from_slice(&[2, 2, 0, 64, 32, 32]);
    page[24..28].copy_from_slice(&changes.to_be_bytes());
    page[28..32].copy_from_slice(&u32::try_from(pages).unwrap_or(u32::MAX).to_be_bytes());
    // Schema format 4 and UTF-8; what the change counter was valid for, and the library's version.
    page[44..48].copy_from_slice(&4_u32.to_be_bytes());
    page[56..60].copy_from_slice(&1_u32.to_be_bytes());
    page[92..96].copy_from_slice(&changes.to_be_bytes());
    page[96..100].copy_from_slice(&3_043_002_u32.to_be_bytes());
}

/// Makes page `number`, not the first, as it is after `revision` rewrites.
///
/// A rewrite keeps the page's rows up to a point and replaces those after it, as an update in the
/// middle of a table does.
pub(super) fn fill_page(seed: u64, number: u64, revision: u64, page: &mut Page) {
    let mut rng = Rng::of_part(seed, number);
    if rng.chance(BLOB_PAGES_PERCENT) {
        // An overflow page: the number of the next one, then content.
        rng = Rng::of_part(seed ^ revision, number);
        rng.fill(page);
        page[..4].copy_from_slice(&u32::try_from(number + 2).unwrap_or(0).to_be_bytes());
        return;
    }
    fill_leaf(&mut rng, number * 40, 0, page);
    if revision > 0 {
        let cut = 8 + rng.index(PAGE / 2);
        let mut fresh = [0; PAGE];
        fill_leaf(
            &mut Rng::of_part(seed ^ super::rng::mix(revision), number),
            number * 40,
            0,
            &mut fresh,
        );
        page[cut..].copy_from_slice(&fresh[cut..]);
    }
}

/// Fills `page` from `start` with a table leaf whose first row has id `row`.
fn fill_leaf(rng: &mut Rng, mut row: u64, start: usize, page: &mut Page) {
    page.fill(0);
    let mut cells = 0_usize;
    let mut content = PAGE;
    let mut cell = Vec::with_capacity(512);
    loop {
        row += 1;
        cell.clear();
        push_row(rng, row, &mut cell);
        let pointers_end = start + 8 + 2 * (cells + 1);
        if content < pointers_end + cell.len() {
            break;
        }
        content -= cell.len();
        page[content..content + cell.len()].copy_from_slice(&cell);
        put_u16(page, pointers_end - 2, content);
        cells += 1;
    }
    page[start] = 0x0d;
    put_u16(page, start + 3, cells);
    put_u16(page, start + 5, content);
}

fn put_u16(page: &mut Page, at: usize, value: usize) {
    let value = u16::try_from(value).expect("because offsets in a page are below 4096");
    page[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Appends one row: (GUID text, message text, the text with its attributes, two times, a small
/// foreign key).
fn push_row(rng: &mut Rng, row: u64, out: &mut Vec<u8>) {
    let mut text = Vec::with_capacity(160);
    let words = 3 + rng.index(24);
    sentence(rng, words, &mut text);
    // 60 s apart on average, in nanoseconds since 2001, as `sms.db` counts.
    let date = (700_000_000 + row * 60 + rng.below(60)) * 1_000_000_000;

    let mut record = Vec::with_capacity(512);
    let body = [BODY_BEFORE, &text, BODY_AFTER].concat();
    let (text_len, body_len) = (text.len() as u64, body.len() as u64);
    let types = [36 * 2 + 13, text_len * 2 + 13, body_len * 2 + 12, 6, 6, 1];
    let mut header = Vec::with_capacity(12);
    types.iter().for_each(|kind| push_varint(*kind, &mut header));
    push_varint(header.len() as u64 + 1, &mut record);
    record.extend_from_slice(&header);
    record.extend_from_slice(guid(rng).as_bytes());
    record.extend_from_slice(&text);
    record.extend_from_slice(&body);
    record.extend_from_slice(&date.to_be_bytes());
    record.extend_from_slice(&(date + 1_000_000_000 * rng.below(30)).to_be_bytes());
    record.push(rng.below(40).to_le_bytes()[0]);

    push_varint(record.len() as u64, out);
    push_varint(row, out);
    out.extend_from_slice(&record);
}

fn guid(rng: &mut Rng) -> String {
    let hex = rng.hex(32).to_uppercase();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// SQLite's variable-length integer: big-endian groups of seven bits. Enough for values below 2^56.
fn push_varint(value: u64, out: &mut Vec<u8>) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let bits = (value >> (group * 7)).to_le_bytes()[0] & 0x7f;
        out.push(if group > 0 { bits | 0x80 } else { bits });
    }
}
