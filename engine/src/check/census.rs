//! The packs that the index lists against the packs that the store has.
use super::{CheckReport, Severity};
use crate::error::Result;
use crate::id::{BlobId, PackId};
use crate::index::{IndexedPack, KnownPack};
use crate::pack::{BlockEntry, PackKind};
use std::collections::HashMap;

/// A pack as one side knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackOf {
    /// Its name.
    pub(crate) id: PackId,
    /// What it holds.
    pub(crate) kind: PackKind,
    /// Its length in bytes.
    pub(crate) size_bytes: u64,
}

impl PackOf {
    pub(super) fn of(pack: &KnownPack) -> Self {
        PackOf { id: pack.id, kind: pack.header.kind, size_bytes: pack.pack_len }
    }
}

/// What a check needs to know of packs.
pub(crate) trait Packs: Sync {
    /// The packs that segments of the index list and no tombstone takes away.
    fn indexed(&self) -> Result<Vec<PackOf>>;

    /// The packs that the store has.
    fn listed(&self) -> Result<Vec<PackOf>>;

    /// Whether segments list the pack so still, when they are listed once more: it may have been swept.
    fn is_still_indexed(&self, pack: &PackOf) -> Result<bool>;

    /// What the pack says of itself, read from the store; noted where the index says something else.
    /// Error: Damaged, NotFound.
    fn contents(&self, pack: &PackOf) -> Result<IndexedPack>;

    /// As [`Repository::read_blocks`].
    fn read_blocks(&self, pack: &PackOf, blocks: &[(u32, BlockEntry)]) -> Result<Vec<Vec<u8>>>;

    /// All that the pack says it holds was read and is right.
    fn note_sound(&self, pack: IndexedPack) -> Result<()>;

    /// Goes on only if `plain` is the blob `id`: contents and pages are named under different
    /// keys. Error: Damaged.
    fn verify(&self, kind: PackKind, id: &BlobId, plain: &[u8]) -> Result<()>;
}

/// Both sides, held against each other.
pub(super) struct Census {
    /// How many packs the index lists.
    pub(super) indexed: u64,
    /// Those that are where the index says.
    pub(super) whole: Vec<PackOf>,
    /// Those that are not: missing, or of the length that stands here.
    pub(super) bad: Vec<(PackOf, Option<u64>)>,
    /// What the store has and the index does not list.
    pub(super) strays: Vec<PackOf>,
}

impl Census {
    /// Lists both sides and compares them.
    pub(super) fn of(packs: &dyn Packs) -> Result<Census> {
        // What the store has may tell that the index is wrong.
        let listed = packs.listed()?;
        let indexed = packs.indexed()?;
        let count = indexed.len() as u64;
        let mut stored: HashMap<(PackId, PackKind), u64> =
            listed.iter().map(|pack| ((pack.id, pack.kind), pack.size_bytes)).collect();
        let (mut bad, mut whole) = (Vec::new(), Vec::new());
        for pack in indexed {
            match stored.remove(&(pack.id, pack.kind)) {
                Some(size) if size == pack.size_bytes => whole.push(pack),
                _ if !packs.is_still_indexed(&pack)? => {}
                found => bad.push((pack, found)),
            }
        }
        let stray = |((id, kind), size_bytes)| PackOf { id, kind, size_bytes };
        let mut strays: Vec<_> = stored.into_iter().map(stray).collect();
        strays.sort_unstable_by_key(|pack| pack.id);
        Ok(Census { indexed: count, whole, bad, strays })
    }
}

/// Compares both sides and returns the packs that are where the index says.
pub(super) fn check(packs: &dyn Packs, report: &mut CheckReport) -> Result<Vec<PackOf>> {
    let census = Census::of(packs)?;
    report.packs = census.indexed;
    let bad = |(pack, found): (PackOf, Option<u64>)| match (name_of(&pack), found) {
        (name, None) => format!("{name} is missing"),
        (name, Some(size)) => {
            format!("{name} is {size} bytes long and should be {}", pack.size_bytes)
        }
    };
    let stray = |pack: &PackOf| format!("{} is in no segment of the index", name_of(pack));
    report.find_many(Severity::Damage, census.bad.into_iter().map(bad).collect());
    report.find_many(Severity::Notice, census.strays.iter().map(stray).collect());
    Ok(census.whole)
}

/// For people.
pub(super) fn name_of(pack: &PackOf) -> String {
    let kind = match pack.kind {
        PackKind::Meta => "metadata pack",
        PackKind::Data => "pack",
    };
    format!("{kind} {}", pack.id.short())
}
