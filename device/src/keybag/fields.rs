//! The fields of a keybag: four letters, a length in four bytes (big-endian), a value.
use std::collections::BTreeMap;

use super::BadKeybag;

/// Four letters.
pub(super) type Tag = [u8; 4];

/// A field's tag and value, and what follows it.
type Field<'a> = (Tag, &'a [u8], &'a [u8]);

/// The first field of `bytes`.
///
/// # Errors
///
/// [`CutShort`](BadKeybag::CutShort): there is less than it claims.
pub(super) fn next_field(bytes: &[u8]) -> Result<Field<'_>, BadKeybag> {
    let (tag, rest) = bytes.split_first_chunk().ok_or(BadKeybag::CutShort)?;
    let (length, rest) = rest.split_first_chunk().ok_or(BadKeybag::CutShort)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BadKeybag::CutShort)?;
    let (value, rest) = rest.split_at_checked(length).ok_or(BadKeybag::CutShort)?;
    Ok((*tag, value, rest))
}

/// The fields of the header or of one class. Of a repeated one the first counts.
#[derive(Default)]
pub(super) struct Group<'a>(BTreeMap<Tag, &'a [u8]>);

impl<'a> Group<'a> {
    pub(super) fn insert(&mut self, tag: Tag, value: &'a [u8]) {
        self.0.entry(tag).or_insert(value);
    }

    pub(super) fn value(&self, tag: &Tag) -> Option<&'a [u8]> {
        self.0.get(tag).copied()
    }

    /// The number under `tag`, called `name` when it is none.
    pub(super) fn number(&self, tag: &Tag, name: &'static str) -> Result<Option<u32>, BadKeybag> {
        let number = |value: &[u8]| value.try_into().map(u32::from_be_bytes);
        let read = self.value(tag).map(number).transpose();
        read.map_err(|_| BadKeybag::NotANumber { tag: name })
    }
}
