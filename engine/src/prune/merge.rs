//! Fewer, larger index segments: whoever opens the repository fetches each of them once.
use crate::backend::{ObjectKey, ObjectKind};
use crate::error::{ErrorKind, Result};
use crate::id::SegmentId;
use crate::index::IndexSegment;
use crate::interrupt::Interrupt;
use crate::repository::{Repository, SEGMENT_BLOBS};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// As many segments of one size are merged into one; so each row is written about once per level.
const MERGED: usize = 8;

/// Segments up to this size are of the lowest level, in bytes; each level is [`MERGED`] times the
/// one below.
const LOWEST_LEVEL_BYTES: u64 = 32 << 10;

/// Segments from this size on stay as they are, in bytes: merged segments are closed at about 10
/// MiB, so merging large ones would write them again, no fewer, with every prune.
const LARGE_BYTES: u64 = 4 << 20;

/// Merges segments of equal size where there are many (rule 20 of `docs/crash-safety.md`: the
/// merged one is there before the others go, and tombstones are carried over for ever). Rows of
/// packs that tombstones bury are left out: no view has them. How many segments went.
///
/// # Errors
///
/// What reading and storing meets; a segment that is damaged stays and is no error.
pub(super) fn merge(repository: &Repository, interrupt: &Interrupt) -> Result<u64> {
    let mut levels: BTreeMap<u32, Vec<SegmentId>> = BTreeMap::new();
    for listed in repository.backend().list(ObjectKind::IndexSegment, "") {
        let listed = listed?;
        if let (Ok(id), Some(level)) = (listed.key.name().parse(), level_of(listed.size_bytes)) {
            levels.entry(level).or_default().push(id);
        }
    }
    let mut went = drop_superseded(repository)?;
    for segments in levels.into_values().filter(|segments| segments.len() >= MERGED) {
        went += merge_these(repository, &segments, interrupt)?;
    }
    Ok(went)
}

/// Removes what stations said of packs that others vouch for by now; how many segments.
fn drop_superseded(repository: &Repository) -> Result<u64> {
    let superseded = repository.index().superseded_hearsay();
    for id in &superseded {
        repository.backend().remove(&ObjectKey::new(ObjectKind::IndexSegment, id.to_hex()))?;
    }
    repository.index().drop_segments(&superseded)?;
    Ok(superseded.len() as u64)
}

/// `None` for one that is large enough.
fn level_of(size_bytes: u64) -> Option<u32> {
    let times = size_bytes.div_ceil(LOWEST_LEVEL_BYTES).max(1);
    (size_bytes < LARGE_BYTES).then(|| times.ilog(MERGED as u64))
}

fn merge_these(
    repository: &Repository,
    segments: &[SegmentId],
    interrupt: &Interrupt,
) -> Result<u64> {
    let mut writer = Writer { repository, merged: IndexSegment::default(), blobs: 0 };
    let (mut superseded, mut listed, mut buried) = (Vec::new(), HashSet::new(), BTreeSet::new());
    for id in segments {
        interrupt.check()?;
        let segment = match repository.read_segment(id) {
            Ok(segment) => segment,
            Err(e) if matches!(e.kind(), ErrorKind::Damaged | ErrorKind::NotFound) => continue,
            Err(e) => return Err(e),
        };
        // A station builds on what it listed itself; merged by us it would be hearsay to it too.
        if segment.is_hearsay {
            continue;
        }
        buried.extend(segment.tombstones);
        for pack in segment.packs {
            // Of a disputed pack all that is said of it is carried over.
            if !repository.index().is_buried(&pack.id) && listed.insert((pack.id, pack.said())) {
                writer.push(pack)?;
            }
        }
        superseded.push(*id);
    }
    writer.merged.tombstones = buried.into_iter().collect();
    writer.put()?;
    for id in &superseded {
        repository.backend().remove(&ObjectKey::new(ObjectKind::IndexSegment, id.to_hex()))?;
    }
    repository.index().drop_segments(&superseded)?;
    Ok(superseded.len() as u64)
}

/// Puts merged segments as they fill.
struct Writer<'a> {
    repository: &'a Repository,
    merged: IndexSegment,
    blobs: usize,
}

impl Writer<'_> {
    fn push(&mut self, pack: crate::index::IndexedPack) -> Result<()> {
        self.blobs += pack.footer.blobs.len();
        self.merged.packs.push(pack);
        if self.blobs >= SEGMENT_BLOBS { self.put() } else { Ok(()) }
    }

    fn put(&mut self) -> Result<()> {
        let merged = std::mem::take(&mut self.merged);
        self.blobs = 0;
        if merged == IndexSegment::default() {
            return Ok(());
        }
        self.repository.put_new_segment(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_segment_is_of_a_higher_level_than_its_parts() {
        for bytes in [1, 1000, LOWEST_LEVEL_BYTES, LOWEST_LEVEL_BYTES + 1, LARGE_BYTES - 1] {
            let merged = bytes.max(LOWEST_LEVEL_BYTES) * MERGED as u64;
            let (before, after) = (level_of(bytes), level_of(merged));
            assert!(before.is_some() && (after.is_none() || after > before), "{bytes}");
        }
        assert_eq!(level_of(LARGE_BYTES), None, "large ones are not written again and again");
    }
}
