//! Lists of chunks: each page is looked into once, however many contents and pages name it.
//!
//! A page may name one page many times, and so may that: a few pages can stand for more chunks than
//! anybody can count. What a page leads to depends on nothing but its bytes, so what was found of it
//! holds wherever it is named again with the same length.
use super::seen::SeenSet;
use super::structure::{Blobs, is_chunk_stored, is_loss};
use crate::error::Result;
use crate::id::BlobId;
use crate::interrupt::Interrupt;
use crate::node::ChunkRef;
use crate::tree::{LIST_DEPTH_MAX, list_page};
use std::path::Path;

/// What is known of lists.
pub(super) struct Lists<'a, B> {
    store: &'a B,
    interrupt: &'a Interrupt,
    /// Pages under which all is stored, and those under which something is not; each with the length
    /// that was said of it.
    whole: SeenSet,
    lacking: SeenSet,
}

impl<'a, B: Blobs> Lists<'a, B> {
    pub(super) fn new(store: &'a B, scratch: &Path, interrupt: &'a Interrupt) -> Self {
        let (whole, lacking) = (SeenSet::new(scratch), SeenSet::new(scratch));
        Lists { store, interrupt, whole, lacking }
    }

    /// Whether all chunks under the list page `id` of `level` are stored, `len` bytes in all. Each that
    /// is looked up is counted in `blobs`.
    ///
    /// # Errors
    ///
    /// The store cannot be read just now, this computer's disk, `Interrupted`; a page that is lost or
    /// damaged is none.
    pub(super) fn is_whole(
        &mut self,
        id: BlobId,
        level: u8,
        len: u64,
        blobs: &mut u64,
    ) -> Result<bool> {
        self.interrupt.check()?;
        let key = key_of(&id, level, len);
        if self.whole.contains(&key)? {
            return Ok(true);
        }
        if level > LIST_DEPTH_MAX || self.lacking.contains(&key)? {
            return Ok(false);
        }
        // No deeper than levels, which fall.
        let is_whole = self.look_into(id, level, len, blobs)?;
        let seen = if is_whole { &mut self.whole } else { &mut self.lacking };
        seen.insert(key)?;
        Ok(is_whole)
    }

    fn look_into(&mut self, id: BlobId, level: u8, len: u64, blobs: &mut u64) -> Result<bool> {
        let items = match list_page(self.store, id, level) {
            Ok(items) => items,
            Err(error) if is_loss(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let sum = items.iter().try_fold(0u64, |sum, (_, len)| sum.checked_add(*len));
        if sum != Some(len) {
            return Ok(false);
        }
        for (id, len) in items {
            let is_whole = match (level.checked_sub(1), u32::try_from(len)) {
                (Some(below), _) => self.is_whole(id, below, len, blobs)?,
                (None, Ok(len)) => {
                    *blobs += 1;
                    is_chunk_stored(self.store, ChunkRef { id, len })?
                }
                (None, Err(_)) => false,
            };
            if !is_whole {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn key_of(id: &BlobId, level: u8, len: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.as_bytes()).update(&[level]).update(&len.to_le_bytes());
    *hasher.finalize().as_bytes()
}
