use super::*;
use crate::id::RepositoryId;
use crate::id::SessionId;
use crate::pack::{BlobEntry, BlockEntry, PackFooter, PackHeader, PackKind};
use crate::source::FileStat;

const HERE: RepositoryId = RepositoryId::from_bytes([1; 16]);

fn blob(n: u8) -> BlobId {
    BlobId::from_bytes([n; 32])
}

fn pack(n: u8, blobs: &[u8]) -> IndexedPack {
    let block = BlockEntry { offset: 124, stored_len: 100, raw_len: 1000 };
    let entry = |(i, id): (usize, &u8)| BlobEntry {
        id: blob(*id),
        block: 0,
        offset: i as u32 * 10,
        len: 10,
    };
    IndexedPack {
        id: PackId::from_bytes([n; 32]),
        header: PackHeader {
            kind: PackKind::Data,
            session: SessionId::from_bytes([5; 16]),
            salt: [n; 32],
            encapsulated: [0; 32],
            committed: [0; 32],
        },
        pack_len: 4096,
        footer: PackFooter {
            blocks: vec![block],
            blobs: blobs.iter().enumerate().map(entry).collect(),
        },
    }
}

fn segment(n: u8, packs: Vec<IndexedPack>, tombstones: &[u8]) -> (SegmentId, IndexSegment) {
    let tombstones = tombstones.iter().map(|t| PackId::from_bytes([*t; 32])).collect();
    (SegmentId::from_bytes([n; 32]), IndexSegment { packs, tombstones, is_hearsay: false })
}

#[test]
fn of_many_workers_that_offer_a_blob_one_is_told_to_store_it() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), HERE).unwrap();
    let fresh = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..100 {
                    if index.claim(&blob(n)).unwrap() == Claim::Fresh {
                        fresh.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(fresh.into_inner(), 100);
}

#[test]
fn what_a_crashed_run_stored_is_known_only_once_a_segment_lists_it() {
    let folder = tempfile::tempdir().unwrap();
    {
        let index = Index::open(folder.path(), HERE).unwrap();
        index.record_pack(&pack(1, &[1, 2])).unwrap();
        index.flush_rows().unwrap();
        assert_eq!(index.claim(&blob(1)).unwrap(), Claim::Known, "while the run lives");
    }
    let index = Index::open(folder.path(), HERE).unwrap();
    assert_eq!(index.claim(&blob(1)).unwrap(), Claim::Fresh);
    assert!(index.locate(&blob(1)).unwrap().is_none());
    index.add_segments(&[segment(1, vec![pack(1, &[1, 2])], &[])]).unwrap();
    assert_eq!(index.claim(&blob(2)).unwrap(), Claim::Known);
}

#[test]
fn a_location_is_found_before_and_after_rows_are_flushed_and_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = |index: &Index| index.locate(&blob(2)).unwrap().map(|l| (l.pack, l.offset, l.len));
    let expected = Some((PackId::from_bytes([1; 32]), 10, 10));
    {
        let index = Index::open(folder.path(), HERE).unwrap();
        index.record_pack(&pack(1, &[1, 2])).unwrap();
        assert_eq!(wanted(&index), expected);
        let (id, segment) = segment(1, vec![pack(1, &[1, 2])], &[]);
        index.record_own_segment(id, &segment).unwrap();
        assert_eq!(wanted(&index), expected);
    }
    assert_eq!(wanted(&Index::open(folder.path(), HERE).unwrap()), expected);
}

#[test]
fn a_swept_pack_is_forgotten_and_a_second_copy_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), HERE).unwrap();
    index.add_segments(&[segment(1, vec![pack(1, &[1])], &[])]).unwrap();
    index.add_segments(&[segment(2, vec![pack(2, &[1])], &[1])]).unwrap();
    let found = index.locate(&blob(1)).unwrap().unwrap();
    assert_eq!(found.pack, PackId::from_bytes([2; 32]));
    index.drop_segments(&[SegmentId::from_bytes([2; 32])]).unwrap();
    assert_eq!(index.locate(&blob(1)).unwrap().unwrap().pack, PackId::from_bytes([1; 32]));
}

#[test]
fn a_blob_in_a_condemned_pack_is_read_but_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), HERE).unwrap();
    index.add_segments(&[segment(1, vec![pack(1, &[1])], &[])]).unwrap();
    index.set_condemned([PackId::from_bytes([1; 32])].into());
    assert!(index.locate(&blob(1)).unwrap().is_some());
    assert!(index.locate_reliable(&blob(1)).unwrap().is_none());
    assert_eq!(index.claim(&blob(1)).unwrap(), Claim::Fresh);
}

#[test]
fn what_was_adopted_from_a_condemned_pack_is_read_but_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), HERE).unwrap();
    index.record_pack(&pack(1, &[1])).unwrap();
    assert_eq!(index.claim(&blob(1)).unwrap(), Claim::Known);
    index.set_condemned([PackId::from_bytes([1; 32])].into());
    assert!(index.locate_reliable(&blob(1)).unwrap().is_none());
    assert_eq!(index.claim(&blob(1)).unwrap(), Claim::Fresh);
    assert_eq!(index.claim(&blob(1)).unwrap(), Claim::Known, "claimed a moment ago");
    assert!(index.locate(&blob(1)).unwrap().is_some(), "and readable meanwhile");
}

#[test]
fn a_damaged_pack_is_remembered_until_it_is_found_whole() {
    let folder = tempfile::tempdir().unwrap();
    let first = PackId::from_bytes([1; 32]);
    let index = Index::open(folder.path(), HERE).unwrap();
    index.add_segments(&[segment(1, vec![pack(1, &[1])], &[])]).unwrap();
    assert!(!index.has_unreliable());
    index.note_damaged(&first, true).unwrap();
    index.note_damaged(&PackId::from_bytes([9; 32]), true).unwrap();
    drop(index);
    let index = Index::open(folder.path(), HERE).unwrap();
    assert!(index.has_unreliable() && index.locate_reliable(&blob(1)).unwrap().is_none());
    index.note_damaged(&first, false).unwrap();
    assert!(!index.has_unreliable(), "a pack that nobody lists is no matter");
    index.set_missing([first].into());
    assert_eq!(index.claim(&blob(1)).unwrap(), Claim::Fresh);
}

#[test]
fn a_second_process_gets_a_second_file_and_a_foreign_or_broken_one_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = Index::open(folder.path(), HERE).unwrap();
    first.add_segments(&[segment(1, vec![pack(1, &[1])], &[])]).unwrap();
    let second = Index::open(folder.path(), HERE).unwrap();
    assert_ne!(first.file(), second.file());
    let file = first.file().to_owned();
    drop((first, second));
    let other = Index::open(folder.path(), RepositoryId::from_bytes([2; 16])).unwrap();
    assert!(other.segments().is_empty());
    drop(other);
    std::fs::write(&file, b"no database").unwrap();
    assert!(Index::open(folder.path(), HERE).unwrap().segments().is_empty());
}

#[test]
fn a_file_is_remembered_only_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path(), HERE).unwrap();
    let stat = FileStat { size_bytes: 1, mtime_nanos: 2, ctime_nanos: 3, inode: 4, device: 5 };
    let path = Path::new("/home/me/photo");
    let known = KnownFile::new(&stat, b"content");
    index.remember_files(vec![(b"/home/me/photo".to_vec(), known)]).unwrap();
    let memory = index.file_memory().unwrap();
    assert!(memory.holds(path, &known));
    assert!(!memory.holds(Path::new("/home/me/other"), &known));
    assert!(!memory.holds(path, &KnownFile::new(&stat, b"other")));
    let later = FileStat { ctime_nanos: 4, ..stat };
    assert!(!memory.holds(path, &KnownFile::new(&later, b"content")));
}
