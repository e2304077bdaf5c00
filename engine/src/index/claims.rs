//! Who stores a blob: decided once, in one step, under one lock.
use super::tables::Spot;
use super::{Index, IndexSegment, IndexedPack, known, spots};
use crate::error::Result;
use crate::id::{BlobId, SegmentId};
use std::collections::HashMap;
use std::sync::PoisonError;

/// Rows of stored packs are kept in memory until there are this many, and then written sorted.
const WAITING_MAX: usize = 100_000;

/// Answer to "may I store this blob?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a fresh claim obliges the caller to store the blob"]
pub enum Claim {
    /// Nobody has it and nobody is storing it. The caller now must.
    Fresh,
    /// It is stored, or another worker is storing it.
    Known,
}

/// Blobs of this session that the file does not know yet.
#[derive(Default)]
pub(super) struct Claims {
    /// `None`: claimed, its pack is not stored yet.
    held: HashMap<BlobId, Option<Spot>>,
    stored: usize,
}

impl Claims {
    pub(super) fn stored(&self, id: &BlobId) -> Option<Spot> {
        self.held.get(id).copied().flatten()
    }
}

impl Index {
    /// Claims the right to store `id`: the one place where duplicates are decided.
    ///
    /// Looking up and claiming are one step under one lock, so of any number of workers that
    /// offer the same blob exactly one is told [`Claim::Fresh`]. A blob that lies only in
    /// condemned packs is fresh. Claims live in memory only: rows are written when a pack is
    /// stored, so a crashed run leaves no false "known".
    ///
    /// # Errors
    ///
    /// The file could not be read.
    pub fn claim(&self, id: &BlobId) -> Result<Claim> {
        let mut claims = self.claims();
        match claims.held.get(id) {
            Some(None) => return Ok(Claim::Known),
            Some(Some(spot)) if self.packs().is_reliable(spot.pack) => return Ok(Claim::Known),
            Some(Some(_)) => {
                // Read from a pack that nothing may rely on: its row goes where such rows are.
                drop(claims);
                self.flush_rows()?;
                claims = self.claims();
            }
            None => {}
        }
        let spots = self.spots_in_file(id)?;
        let packs = self.packs();
        if spots.iter().any(|spot| packs.is_reliable(spot.pack)) {
            return Ok(Claim::Known);
        }
        claims.held.insert(*id, None);
        Ok(Claim::Fresh)
    }

    /// Notes that this session's `pack` is stored, durably.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn record_pack(&self, pack: &IndexedPack) -> Result<()> {
        self.record(pack, false)
    }

    /// Notes that `pack` was found in the store, where anybody may have put it: it can be read, and
    /// nothing new is built on it.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn record_found_pack(&self, pack: &IndexedPack) -> Result<()> {
        self.record(pack, true)
    }

    fn record(&self, pack: &IndexedPack, is_hearsay: bool) -> Result<()> {
        let number = {
            let known = known(pack, is_hearsay);
            let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
            let (number, new) = packs.number_of(known);
            if new {
                self.write(&[(number, known)], &mut [], &[], &[])?;
            }
            packs.add_own(number);
            number
        };
        if is_hearsay {
            // Beside what this session knows of its own packs, never in its place.
            let mut rows: Vec<_> = spots(pack, number).map(|(id, spot)| spot.row(&id)).collect();
            return self.write(&[], &mut rows, &[], &[]);
        }
        let full = {
            let mut claims = self.claims();
            for (id, spot) in spots(pack, number) {
                if claims.held.insert(id, Some(spot)).flatten().is_none() {
                    claims.stored += 1;
                }
            }
            claims.stored >= WAITING_MAX
        };
        if full { self.flush_rows() } else { Ok(()) }
    }

    /// Writes the rows that wait in memory.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn flush_rows(&self) -> Result<()> {
        let mut claims = self.claims();
        let waiting = claims.held.iter().filter_map(|(id, spot)| Some((*id, (*spot)?)));
        let mut rows: Vec<_> = waiting.map(|(id, spot)| spot.row(&id)).collect();
        self.write(&[], &mut rows, &[], &[])?;
        claims.held.retain(|_, spot| spot.is_none());
        claims.stored = 0;
        Ok(())
    }

    /// Notes that a segment of this session, listing packs already recorded, is stored.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn record_own_segment(&self, id: SegmentId, segment: &IndexSegment) -> Result<()> {
        self.flush_rows()?;
        let mut list = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        let (mut packs, mut new_packs) = (Vec::new(), Vec::new());
        for pack in &segment.packs {
            let known = known(pack, segment.is_hearsay);
            let (number, new) = list.number_of(known);
            packs.push(number);
            if new {
                new_packs.push((number, known));
            }
        }
        let refers = super::Refers { packs, tombstones: segment.tombstones.clone() };
        self.write(&new_packs, &mut [], &[(id, refers.clone())], &[])?;
        list.add_segment(id, refers);
        Ok(())
    }

    /// How many blobs are claimed whose packs are not stored yet.
    pub fn outstanding_claims(&self) -> usize {
        self.claims().held.values().filter(|spot| spot.is_none()).count()
    }

    /// Gives up all claims whose packs were never stored: a run has failed.
    pub fn forget_claims(&self) {
        self.claims().held.retain(|_, spot| spot.is_some());
    }
}
