use super::census::{self, PackOf, Packs};
use super::{CheckReport, Severity, data};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, PackId, SessionId};
use crate::index::IndexedPack;
use crate::interrupt::Interrupt;
use crate::pack::{BlobEntry, BlockEntry, PackFooter, PackHeader, PackKind};
use crate::progress::Silent;

/// A blob is named by its first byte; block `n` of a pack is 10 bytes of `n`.
struct Shelf {
    indexed: Vec<PackOf>,
    listed: Vec<PackOf>,
    damaged_block: Option<u32>,
    /// A pack that is swept while the check is under way.
    swept: PackOf,
}

fn pack(number: u8, size_bytes: u64) -> PackOf {
    PackOf { id: PackId::from_bytes([number; 32]), kind: PackKind::Data, size_bytes }
}

impl Packs for Shelf {
    fn note_sound(&self, _: IndexedPack) -> Result<()> {
        Ok(())
    }

    fn indexed(&self) -> Result<Vec<PackOf>> {
        Ok(self.indexed.clone())
    }
    fn listed(&self) -> Result<Vec<PackOf>> {
        Ok(self.listed.clone())
    }
    fn is_still_indexed(&self, pack: &PackOf) -> Result<bool> {
        Ok(*pack != self.swept)
    }
    fn contents(&self, pack: &PackOf) -> Result<IndexedPack> {
        let block = |n: u32| BlockEntry { offset: 124 + n * 20, stored_len: 20, raw_len: 10 };
        let blob = |n: u8| BlobEntry {
            id: BlobId::from_bytes([n; 32]),
            block: u32::from(n),
            offset: 2,
            len: 4,
        };
        let (blocks, blobs) = ((0..3).map(block).collect(), (0..3).map(blob).collect());
        let header = PackHeader {
            kind: pack.kind,
            session: SessionId::from_bytes([0; 16]),
            salt: [0; 32],
            encapsulated: [0; 32],
            committed: [0; 32],
        };
        let footer = PackFooter { blocks, blobs };
        Ok(IndexedPack { id: pack.id, header, pack_len: pack.size_bytes, footer })
    }
    fn read_blocks(&self, _: &PackOf, blocks: &[(u32, BlockEntry)]) -> Result<Vec<Vec<u8>>> {
        if blocks.iter().any(|(ordinal, _)| self.damaged_block == Some(*ordinal)) {
            return Err(Error::new(ErrorKind::Damaged, "opening"));
        }
        Ok(blocks.iter().map(|(ordinal, _)| vec![*ordinal as u8; 10]).collect())
    }
    fn verify(&self, _: PackKind, id: &BlobId, plain: &[u8]) -> Result<()> {
        if plain.iter().all(|byte| *byte == id.as_bytes()[0]) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Damaged, "verifying"))
    }
}

#[test]
fn missing_and_short_packs_are_damage_and_unlisted_ones_a_notice() {
    let indexed = vec![pack(1, 100), pack(2, 100), pack(3, 100), pack(5, 100)];
    let listed = vec![pack(1, 100), pack(2, 99), pack(4, 100)];
    let shelf = Shelf { indexed, listed, damaged_block: None, swept: pack(5, 100) };
    let mut report = CheckReport::default();
    let whole = census::check(&shelf, &mut report).unwrap();
    assert_eq!(whole, [pack(1, 100)]);
    let severities: Vec<_> = report.findings.iter().map(|f| f.severity).collect();
    assert_eq!(severities, [Severity::Damage, Severity::Damage, Severity::Notice]);
    assert!(report.findings[0].sentence.contains("99 bytes"));
    assert!(report.findings[1].sentence.contains("03030303 is missing"));
}

#[test]
fn a_damaged_block_is_one_sentence_and_its_neighbours_are_still_read() {
    for (damaged_block, read_bytes, findings) in [(None, 12, 0), (Some(1), 8, 1)] {
        let (indexed, listed, swept) = (Vec::new(), Vec::new(), pack(5, 100));
        let shelf = Shelf { indexed, listed, damaged_block, swept };
        let mut report = CheckReport::default();
        let interrupt = Interrupt::new();
        data::check(&shelf, &[pack(1, 100)], 100, &mut report, &Silent, &interrupt).unwrap();
        assert_eq!((report.read_bytes, report.findings.len()), (read_bytes, findings));
        assert_eq!(report.is_damaged(), findings > 0);
    }
}

#[test]
fn a_share_of_packs_grows_with_the_percentage_and_never_changes_its_mind() {
    let ids: Vec<PackId> = (0u32..1000)
        .map(|n| PackId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes()))
        .collect();
    let count = |percent| ids.iter().filter(|id| data::is_chosen(id, percent)).count();
    assert_eq!(count(100), 1000);
    assert!((50..150).contains(&count(10)), "{}", count(10));
    assert!(ids.iter().all(|id| !data::is_chosen(id, 10) || data::is_chosen(id, 20)));
}

#[test]
fn many_like_findings_end_in_their_number() {
    let mut report = CheckReport::default();
    report.find_many(Severity::Notice, vec!["x".to_owned(); 25]);
    assert_eq!(report.findings.len(), 21);
    assert_eq!(report.findings[20].sentence, "5 more like the last");
}
