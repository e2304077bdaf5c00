//! What several say of one pack: disputes, and what settles them.
use super::Index;
use super::tables::{KnownPack, Said};
use crate::id::{PackId, SegmentId};
use std::sync::PoisonError;

impl Index {
    /// What is said of each pack of which different things are said that count as much.
    pub fn disputed(&self) -> Vec<Vec<KnownPack>> {
        self.packs().disputed()
    }

    /// Whether different things are said of the pack that count as much.
    pub fn is_disputed(&self, pack: &PackId) -> bool {
        self.packs().is_disputed(pack)
    }

    /// What is said of the pack that counts; several things when it is disputed.
    pub fn sayings(&self, pack: &PackId) -> Vec<KnownPack> {
        self.packs().counted_of(pack)
    }

    /// Notes what the pack says of itself, for as long as this index is open: what others say of it
    /// counts no more.
    pub fn set_own_word(&self, pack: PackId, said: Said) {
        self.packs.write().unwrap_or_else(PoisonError::into_inner).set_own_word(pack, said);
    }

    /// Whether it is known what the pack says of itself.
    pub fn has_own_word(&self, pack: &PackId) -> bool {
        self.packs().has_own_word(pack)
    }

    /// The segments that say of packs what those do not say of themselves, with the packs.
    pub fn contradicted(&self) -> Vec<(SegmentId, Vec<PackId>)> {
        self.packs().contradicted()
    }
}
