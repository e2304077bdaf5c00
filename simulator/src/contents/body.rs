//! What a file holds: bytes that follow from a seed, a version and a place, made when they are
//! read. No file is ever held whole, so a phone of any size needs little memory.
use super::words;
use crate::backup_files::{hex, plist_bytes};
use crate::random::Random;
use plist::{Dictionary, Uid, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Bytes are made in blocks of this size; a database's pages are as large.
pub const BLOCK: usize = 4096;
const BLOCK_U64: u64 = BLOCK as u64;

/// What kind of bytes a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// Does not compress: photos, films.
    Noise,
    /// Words in lines.
    Text,
    /// A small keyed archive, a valid binary plist.
    Archive,
    /// An SQLite database, as far as its first page and the way it changes go: pages in place.
    Database,
}

/// The content of one file at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The kind.
    pub shape: Shape,
    /// Whose bytes: stays with a file when it is renamed.
    pub seed: u64,
    /// How often it has been changed.
    pub version: u32,
    /// Bytes. More of them with the same version are the same bytes and some at the end.
    pub length: u64,
}

impl Body {
    /// A body of about `length` bytes: a database has whole pages, an archive what it comes to.
    pub fn new(shape: Shape, seed: u64, length: u64) -> Body {
        let mut body = Body { shape, seed, version: 0, length };
        match shape {
            Shape::Database => body.length = length.div_ceil(BLOCK_U64).max(1) * BLOCK_U64,
            Shape::Archive => body.length = len(&archive(seed, 0)),
            Shape::Noise | Shape::Text => {}
        }
        body
    }

    /// The next version. A database changes some pages, everything else changes throughout.
    #[must_use]
    pub fn changed(&self) -> Body {
        let mut body = Body { version: self.version + 1, ..self.clone() };
        if body.shape == Shape::Archive {
            body.length = len(&archive(body.seed, body.version));
        }
        body
    }

    /// The same with `more` bytes at its end (a database: whole pages; an archive stays as it is).
    #[must_use]
    pub fn grown(&self, more: u64) -> Body {
        let mut body = self.clone();
        match self.shape {
            Shape::Archive => {}
            Shape::Database => body.length += more.div_ceil(BLOCK_U64) * BLOCK_U64,
            Shape::Noise | Shape::Text => body.length += more,
        }
        body
    }

    /// Its bytes, from the first.
    pub fn open(&self) -> BodyReader {
        BodyReader { body: self.clone(), at: 0, block: Vec::new(), block_number: None }
    }

    /// SHA-256 of its bytes, in hex.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let mut reader = self.open();
        let mut buffer = vec![0; 16 * BLOCK];
        loop {
            // Making bytes cannot fail.
            match reader.read(&mut buffer).unwrap_or(0) {
                0 => return hex(&hash.finalize()),
                n => hash.update(&buffer[..n]),
            }
        }
    }

    fn block(&self, number: u64, out: &mut Vec<u8>) {
        out.clear();
        match self.shape {
            Shape::Archive => out.extend_from_slice(&archive(self.seed, self.version)),
            Shape::Noise => noise(self.chance(number, self.version), number, out),
            Shape::Text => text(self.chance(number, self.version), out),
            Shape::Database if number == 0 => self.first_page(out),
            Shape::Database => page(self.chance(number, self.page_version(number)), out),
        }
    }

    fn chance(&self, block: u64, version: u32) -> Random {
        let mut random = Random::new(self.seed ^ block.wrapping_mul(0xA24B_AED4_963E_E407));
        let mixed = random.next();
        Random::new(mixed ^ (u64::from(version) << 40))
    }

    /// The version in which a page was last written: each version writes some, by chance.
    fn page_version(&self, page: u64) -> u32 {
        let written = |version: &u32| {
            let share = 5 + Random::new(self.seed ^ u64::from(*version)).below(55);
            self.chance(page, *version).below(1000) < share
        };
        (1..=self.version).rev().find(written).unwrap_or(0)
    }

    /// The first page: the header of an SQLite file, then rows. Every version writes it, for its
    /// counter of changes.
    fn first_page(&self, out: &mut Vec<u8>) {
        let pages = u32::try_from(self.length / BLOCK_U64).unwrap_or(u32::MAX);
        let counter = self.version + 1;
        out.extend_from_slice(b"SQLite format 3\0");
        out.extend_from_slice(&[0x10, 0, 2, 2, 0, 64, 32, 32]);
        for field in [counter, pages, 0, 0, 1, 4, 0, 0, 1, 0, 0] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.resize(92, 0);
        out.extend_from_slice(&counter.to_be_bytes());
        out.extend_from_slice(&3_054_001u32.to_be_bytes());
        let mut rest = Vec::with_capacity(BLOCK);
        page(self.chance(0, 0), &mut rest);
        out.extend_from_slice(&rest[..BLOCK - out.len()]);
    }
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn noise(mut random: Random, number: u64, out: &mut Vec<u8>) {
    while out.len() < BLOCK {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    if number == 0 {
        out[..12].copy_from_slice(b"\0\0\0\x18ftypheic");
    }
}

fn text(mut random: Random, out: &mut Vec<u8>) {
    while out.len() < BLOCK {
        let word = words::pick(&mut random, words::PLAIN);
        out.extend_from_slice(word.as_bytes());
        out.push(if random.one_in(12) { b'\n' } else { b' ' });
    }
    out.truncate(BLOCK);
}

/// A page of a table: a header, pointers, free space in the middle, rows at the end.
fn page(mut random: Random, out: &mut Vec<u8>) {
    let rows = 8 + random.below(24);
    let free = usize::try_from(200 + random.below(1200)).unwrap_or(200);
    out.extend_from_slice(&[0x0D, 0, 0, 0]);
    out.extend_from_slice(&u32::try_from(rows).unwrap_or(8).to_be_bytes());
    for _ in 0..rows {
        let pointer = u16::try_from(random.below(4096)).unwrap_or(0);
        out.extend_from_slice(&pointer.to_be_bytes());
    }
    out.resize(out.len() + free, 0);
    while out.len() < BLOCK {
        out.extend_from_slice(&[0x81, 0x05, 0x06, 0x17]);
        out.extend_from_slice(&random.next().to_be_bytes());
        for _ in 0..4 + random.below(12) {
            out.extend_from_slice(words::pick(&mut random, words::PLAIN).as_bytes());
            out.push(b' ');
        }
    }
    out.truncate(BLOCK);
}

/// A small keyed archive like those that fill a phone: some hundred bytes.
fn archive(seed: u64, version: u32) -> Vec<u8> {
    let mut random = Random::new(seed ^ (u64::from(version) << 40));
    let mut objects = vec![Value::from("$null"), Value::from("$null")];
    let mut record = Dictionary::new();
    for _ in 0..3 + random.below(6) {
        let key = words::pick(&mut random, words::PLAIN);
        let value = words::pick(&mut random, words::PLAIN);
        let uid = u64::try_from(objects.len()).unwrap_or(2);
        objects.push(Value::from(format!("{value}-{:x}", random.next())));
        record.insert(format!("NS.{key}"), Value::Uid(Uid::new(uid)));
    }
    record.insert("NS.time".into(), Value::Real(f64::from(version) + 0.5));
    objects[1] = Value::Dictionary(record);
    let mut top = Dictionary::new();
    top.insert("root".into(), Value::Uid(Uid::new(1)));
    let mut archive = Dictionary::new();
    archive.insert("$version".into(), Value::from(100_000u64));
    archive.insert("$archiver".into(), Value::from("NSKeyedArchiver"));
    archive.insert("$top".into(), Value::Dictionary(top));
    archive.insert("$objects".into(), Value::Array(objects));
    plist_bytes::binary(&Value::Dictionary(archive))
}

/// Reads a body, block by block.
pub struct BodyReader {
    body: Body,
    at: u64,
    block: Vec<u8>,
    block_number: Option<u64>,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.body.length - self.at;
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        // An archive is one block, of its own length.
        let size = if self.body.shape == Shape::Archive { u64::MAX } else { BLOCK_U64 };
        let number = self.at / size;
        if self.block_number != Some(number) {
            self.body.block(number, &mut self.block);
            self.block_number = Some(number);
        }
        let from = usize::try_from(self.at % size).unwrap_or(0);
        let ready = &self.block[from..];
        let take = ready.len().min(buffer.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
        buffer[..take].copy_from_slice(&ready[..take]);
        self.at += u64::try_from(take).unwrap_or(0);
        Ok(take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(body: &Body) -> Vec<u8> {
        let mut bytes = Vec::new();
        body.open().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn pages_that_differ(a: &[u8], b: &[u8]) -> usize {
        a.chunks(BLOCK).zip(b.chunks(BLOCK)).filter(|(a, b)| a != b).count()
    }

    #[test]
    fn a_body_has_its_length_and_the_same_bytes_however_it_is_read() {
        for shape in [Shape::Noise, Shape::Text, Shape::Archive, Shape::Database] {
            for length in [0, 1, 4095, 4096, 4097, 20_000] {
                let body = Body::new(shape, 7, length);
                let whole = bytes(&body);
                assert_eq!(len(&whole), body.length, "{shape:?} {length}");

                let mut slowly = Vec::new();
                let mut reader = body.open();
                let mut piece = [0; 1000];
                while let n @ 1.. = reader.read(&mut piece).unwrap() {
                    slowly.extend_from_slice(&piece[..n]);
                }
                assert_eq!(slowly, whole);
            }
        }
    }

    #[test]
    fn a_database_changes_some_pages_in_place_and_begins_like_one() {
        let first = Body::new(Shape::Database, 3, 400 * BLOCK_U64);
        let second = first.changed();
        let third = second.changed();
        let (first, second, third) = (bytes(&first), bytes(&second), bytes(&third));

        assert!(first.starts_with(b"SQLite format 3\0"));
        assert_ne!(first[24..28], second[24..28], "the counter of changes");
        for (a, b) in [(&first, &second), (&second, &third)] {
            let changed = pages_that_differ(a, b);
            assert!((2..60).contains(&changed), "{changed} pages");
        }
    }

    #[test]
    fn grown_bytes_are_the_old_ones_and_more() {
        let text = Body::new(Shape::Text, 5, 5000);
        let grown = text.grown(777);

        assert_eq!(bytes(&grown)[..5000], bytes(&text));
        assert_eq!(grown.length, 5777);
    }

    #[test]
    fn archives_are_plists_and_change_with_their_version() {
        let first = Body::new(Shape::Archive, 9, 0);

        plist::Value::from_reader(io::Cursor::new(bytes(&first))).unwrap();
        assert_ne!(bytes(&first), bytes(&first.changed()));
        assert!((200..1200).contains(&first.length), "{}", first.length);
    }
}
