//! The local index at 100 000 blobs: recording, looking up, bringing level, opening.
//!
//! `cargo bench -p devsnap-benches --bench index`
//!
//! The file lies in the folder for temporary files. What commits (`record`, `add_segments`) waits
//! for that disk: with `TMPDIR=/dev/shm` it waits for none, and the numbers are those of the
//! processor.
mod clock;

use std::hint::black_box;
use std::path::Path;

use clock::Clock;
use criterion::{BatchSize, BenchmarkGroup, Throughput};
use devsnap_engine::id::{BlobId, PackId, RepositoryId, SegmentId, SessionId};
use devsnap_engine::index::{Claim, Index, IndexSegment, IndexedPack};
use devsnap_engine::pack::{BlobEntry, BlockEntry, HEADER_LEN, PackFooter, PackHeader, PackKind};
use devsnap_engine::seal::Keys;
use tempfile::TempDir;

const BLOBS: u64 = 100_000;
/// A pack of 32 MiB that holds small files and chunks mixed.
const BLOBS_PER_PACK: u64 = 500;
/// Blobs that share a block.
const BLOBS_PER_BLOCK: u64 = 10;
const PACKS_PER_SEGMENT: usize = 20;

/// Looked up in one go.
const LOOK_UPS: u64 = 1000;

fn main() {
    let mut criterion = clock::criterion(10, 6);
    let keys = devsnap_benches::keys().expect("because the keys are good ones");
    let packs: Vec<IndexedPack> = (0..BLOBS / BLOBS_PER_PACK).map(pack).collect();
    let mut group = criterion.benchmark_group("index");
    writing(&mut group, &keys, &packs);
    looking_up(&mut group, &keys, &packs);
    group.finish();
    criterion.final_summary();
}

fn writing(group: &mut BenchmarkGroup<'_, Clock>, keys: &Keys, packs: &[IndexedPack]) {
    group.throughput(Throughput::Elements(BLOBS));
    group.bench_function("record", |bench| {
        let record = |empty: Opened| {
            for pack in packs {
                empty.index.record_pack(pack).expect("because the disk has room");
            }
            empty.index.flush_rows().expect("because the disk has room");
            empty
        };
        bench.iter_batched(|| Opened::new(keys), record, BatchSize::PerIteration);
    });

    let segments = segments(packs);
    group.bench_function("add_segments", |bench| {
        let add = |empty: Opened| {
            empty.index.add_segments(&segments).expect("because the disk has room");
            empty
        };
        bench.iter_batched(|| Opened::new(keys), add, BatchSize::PerIteration);
    });

    let sealed: Vec<Vec<u8>> = segments
        .iter()
        .map(|(_, segment)| segment.seal(keys).expect("because it is short enough"))
        .collect();
    let ours = keys.signer.public();
    let certified = |public: &[u8; 32]| (*public == ours).then(|| keys.signer.writer());
    group.bench_function("open_segments", |bench| {
        bench.iter(|| {
            for object in &sealed {
                let opened = IndexSegment::open(keys, object, certified);
                black_box(opened.expect("because it was sealed so"));
            }
        });
    });
}

fn looking_up(group: &mut BenchmarkGroup<'_, Clock>, keys: &Keys, packs: &[IndexedPack]) {
    let full = Opened::new(keys);
    full.index.add_segments(&segments(packs)).expect("because the disk has room");
    // Names are hashes: one number after another is any place in the table.
    let held: Vec<BlobId> = (0..LOOK_UPS).map(|n| blob(n * BLOBS / LOOK_UPS)).collect();
    let foreign: Vec<BlobId> = (0..LOOK_UPS).map(|n| blob(BLOBS + n)).collect();

    group.throughput(Throughput::Elements(LOOK_UPS));
    group.bench_function("locate_hit", |bench| {
        bench.iter(|| {
            for id in &held {
                let found = full.index.locate(id).expect("because the file can be read");
                assert!(black_box(found).is_some(), "it was recorded");
            }
        });
    });
    group.bench_function("locate_miss", |bench| {
        bench.iter(|| {
            for id in &foreign {
                let found = full.index.locate(id).expect("because the file can be read");
                assert!(black_box(found).is_none(), "nobody recorded it");
            }
        });
    });
    group.bench_function("claim_known", |bench| {
        bench.iter(|| {
            for id in &held {
                let claim = full.index.claim(id).expect("because the file can be read");
                assert_eq!(black_box(claim), Claim::Known);
            }
        });
    });
    group.bench_function("claim_fresh", |bench| {
        let claim = |_| {
            for id in &foreign {
                let claim = full.index.claim(id).expect("because the file can be read");
                assert_eq!(black_box(claim), Claim::Fresh);
            }
        };
        bench.iter_batched(|| full.index.forget_claims(), claim, BatchSize::PerIteration);
    });

    let Opened { index, folder } = full;
    drop(index);
    group.throughput(Throughput::Elements(BLOBS));
    group.bench_function("open", |bench| {
        bench.iter(|| {
            let index = Index::open(folder.path(), keys.repository());
            black_box(index.expect("because the file can be read"))
        });
    });
}

/// An index in a folder of its own. Fields drop in order: the file is closed before it goes.
struct Opened {
    index: Index,
    folder: TempDir,
}

impl Opened {
    /// An empty one.
    fn new(keys: &Keys) -> Opened {
        let folder = tempfile::tempdir().expect("because there is a folder for temporary files");
        Opened { index: open(folder.path(), keys.repository()), folder }
    }
}

fn open(folder: &Path, repository: RepositoryId) -> Index {
    Index::open(folder, repository).expect("because the folder is empty")
}

/// The name of blob number `n`: as scattered as real ones.
fn blob(n: u64) -> BlobId {
    BlobId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

fn number(n: u64) -> u32 {
    u32::try_from(n).expect("because all numbers here are small")
}

/// Pack number `n` of those that hold all blobs, as a segment lists it.
fn pack(n: u64) -> IndexedPack {
    const BLOB_LEN: u32 = 8 << 10;
    const STORED_LEN: u32 = 48 << 10;
    let header_len = number(HEADER_LEN as u64);
    let blocks = BLOBS_PER_PACK / BLOBS_PER_BLOCK;
    let block = |ordinal| BlockEntry {
        offset: header_len + number(ordinal) * STORED_LEN,
        stored_len: STORED_LEN,
        raw_len: BLOB_LEN * number(BLOBS_PER_BLOCK),
    };
    let entry = |place| BlobEntry {
        id: blob(n * BLOBS_PER_PACK + place),
        block: number(place / BLOBS_PER_BLOCK),
        offset: BLOB_LEN * number(place % BLOBS_PER_BLOCK),
        len: BLOB_LEN,
    };
    let hash = *blake3::hash(&n.to_be_bytes()).as_bytes();
    IndexedPack {
        id: PackId::from_bytes(hash),
        header: PackHeader {
            kind: PackKind::Data,
            session: SessionId::from_bytes([5; 16]),
            salt: hash,
            encapsulated: [6; 32],
            committed: hash,
        },
        pack_len: 4 << 20,
        footer: PackFooter {
            blocks: (0..blocks).map(block).collect(),
            blobs: (0..BLOBS_PER_PACK).map(entry).collect(),
        },
    }
}

fn segments(packs: &[IndexedPack]) -> Vec<(SegmentId, IndexSegment)> {
    let segment = |(n, packs): (usize, &[IndexedPack])| {
        let id = SegmentId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes());
        (id, IndexSegment { packs: packs.to_vec(), ..IndexSegment::default() })
    };
    packs.chunks(PACKS_PER_SEGMENT).enumerate().map(segment).collect()
}
