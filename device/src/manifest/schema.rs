//! A look at the first page before SQLite is let near the file: SQLite reads the whole schema into
//! memory before it answers anything, and a schema may be as large as the file.
//!
//! # Source
//!
//! The layout is SQLite's "Database File Format" (sqlite.org/fileformat2.html): the header's 100
//! bytes, then the root page of the schema.
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

/// What every plain database begins with.
pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How many pages the schema may take. A real one has seven entries, in one.
const SCHEMA_PAGES_MAX: u16 = 8;

const HEADER_LEN: usize = 100;
const LEAF: u8 = 0x0d;
const INNER: u8 = 0x05;

/// What the first page shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A database whose schema is small.
    Fit,
    /// Not a plain database.
    Foreign,
    /// A database that no device writes.
    Strange(&'static str),
}

/// Looks at `file`'s header and the root of its schema.
pub(super) fn look(file: &mut File) -> io::Result<Shape> {
    let mut start = [0; HEADER_LEN + 12];
    file.seek(SeekFrom::Start(0))?;
    match file.read_exact(&mut start) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Shape::Foreign),
        read => read?,
    }
    if !start.starts_with(MAGIC) {
        return Ok(Shape::Foreign);
    }
    // 1 stands for 65536.
    let page_len = match u16::from_be_bytes([start[16], start[17]]) {
        1 => 65536,
        len if len >= 512 && len.is_power_of_two() => u64::from(len),
        _ => return Ok(Shape::Strange("its page size is none")),
    };
    // Texts are compared as bytes; 1 is UTF-8.
    if start[56..60] != [0, 0, 0, 1] {
        return Ok(Shape::Strange("its texts are not UTF-8"));
    }
    let root = &start[HEADER_LEN..];
    match root[0] {
        LEAF => return Ok(Shape::Fit),
        INNER => {}
        _ => return Ok(Shape::Strange("its schema cannot be read")),
    }
    let cells = u16::from_be_bytes([root[3], root[4]]);
    if cells >= SCHEMA_PAGES_MAX {
        return Ok(Shape::Strange("its schema is far too large"));
    }
    let rightmost = u32::from_be_bytes([root[8], root[9], root[10], root[11]]);
    let mut children = vec![rightmost];
    for cell in 0..u64::from(cells) {
        let pointer = (HEADER_LEN as u64) + 12 + 2 * cell;
        let at = u16::from_be_bytes(bytes_at(file, pointer)?);
        children.push(u32::from_be_bytes(bytes_at(file, at.into())?));
    }
    for child in children {
        let at = u64::from(child).saturating_sub(1) * page_len;
        if bytes_at(file, at)? != [LEAF] {
            return Ok(Shape::Strange("its schema is far too large"));
        }
    }
    Ok(Shape::Fit)
}

/// The bytes at `at`, zeros where the file ends before.
fn bytes_at<const N: usize>(file: &mut File, at: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at))?;
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok([0; N]),
        read => read.map(|()| bytes),
    }
}
