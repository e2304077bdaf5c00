//! How fast blocks are sealed and opened, in bytes of plaintext a second on one thread.
//!
//! `cargo bench -p devsnap-benches --bench sealing`
//!
//! Blocks are those the engine makes: one chunk of 1 MiB of a photo or of a database, or a bundle
//! of 256 KiB of plists. For each kind:
//!
//! - `compress`: zstd at level 3 alone, and the choice to keep the frame or not;
//! - `seal`: compress, encrypt, open again and name what came out: all a worker does to a block
//!   between its claim and the packer;
//! - `open`: decrypt, decompress and name: all that reading a block does.
mod clock;

use std::hint::black_box;

use clock::Clock;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use devsnap_benches::samples::Samples;
use devsnap_engine::id::{BlobId, SessionId};
use devsnap_engine::pack::{PackBuilder, PackKey, PackKind};
use devsnap_engine::seal::{Codec, Compressor, Keys};

const CHUNK_LEN: usize = 1 << 20;
const BUNDLE_LEN: usize = 256 << 10;

/// So many blocks are turned to in turn, so that no single one stays in the nearest cache.
const BLOCKS: usize = 16;

fn main() {
    let mut criterion = clock::criterion(30, 4);
    sealing(&mut criterion);
    criterion.final_summary();
}

fn sealing(criterion: &mut Criterion<Clock>) {
    let samples =
        Samples::make(CHUNK_LEN * BLOCKS).expect("because there is room for temporary files");
    let keys = devsnap_benches::keys().expect("because the keys are good ones");
    let key = pack_key(&keys);
    let mut group = criterion.benchmark_group("sealing");
    for (kind, bytes, block_len) in [
        ("photos", &samples.photos, CHUNK_LEN),
        ("databases", &samples.databases, CHUNK_LEN),
        ("plists", &samples.plists, BUNDLE_LEN),
    ] {
        let blocks: Vec<&[u8]> = bytes.chunks_exact(block_len).collect();
        assert!(!blocks.is_empty(), "the set has a whole block of {kind}");
        group.throughput(Throughput::Bytes(block_len as u64));

        let mut compressor = Compressor::new().expect("because a context fits memory");
        let mut turn = blocks.iter().cycle();
        let mut next = || turn.next().expect("because a cycle has no end").to_vec();
        group.bench_function(BenchmarkId::new("compress", kind), |bench| {
            bench.iter_batched(
                &mut next,
                |plain| compressor.compress(plain),
                BatchSize::LargeInput,
            );
        });
        let mut sealer = Sealer { keys: &keys, key: &key, compressor, ordinal: 0 };
        group.bench_function(BenchmarkId::new("seal", kind), |bench| {
            let named = || {
                let plain = next();
                (keys.content_id(&plain), plain)
            };
            bench.iter_batched(named, |(id, plain)| sealer.seal(id, plain), BatchSize::LargeInput);
        });
        let sealed: Vec<_> = blocks.iter().map(|plain| sealer.sealed(plain.to_vec())).collect();
        let mut turn = sealed.iter().cycle();
        group.bench_function(BenchmarkId::new("open", kind), |bench| {
            bench.iter(|| {
                let (ordinal, block) = turn.next().expect("because a cycle has no end");
                let raw_len = u32::try_from(block_len).expect("because a block is small");
                let plain = key.open(*ordinal, block, raw_len).expect("because it was sealed so");
                black_box(keys.content_id(&plain))
            });
        });
    }
    group.finish();
}

/// The key of one pack.
fn pack_key(keys: &Keys) -> std::sync::Arc<PackKey> {
    let session = SessionId::from_bytes([5; 16]);
    let session_key = keys
        .recipient
        .new_session(keys.repository(), session)
        .expect("because the recipient's key is a good one");
    let builder = PackBuilder::new(keys, session, &session_key, PackKind::Data);
    builder.expect("because the system has random bytes").key().clone()
}

/// Does what a worker does, less the index before and the packer behind it.
struct Sealer<'a> {
    keys: &'a Keys,
    key: &'a PackKey,
    compressor: Compressor,
    ordinal: u32,
}

impl Sealer<'_> {
    fn sealed(&mut self, plain: Vec<u8>) -> (u32, Vec<u8>) {
        let (codec, body): (Codec, Vec<u8>) = self.compressor.compress(plain);
        self.ordinal += 1;
        (self.ordinal, self.key.seal(self.ordinal, codec, &body))
    }

    /// The sealed block, proven to open to what `id` names.
    fn seal(&mut self, id: BlobId, plain: Vec<u8>) -> Vec<u8> {
        let raw_len = u32::try_from(plain.len()).expect("because a block is small");
        let (ordinal, sealed) = self.sealed(plain);
        let opened = self.key.open(ordinal, &sealed, raw_len).expect("because it was just sealed");
        assert_eq!(self.keys.content_id(&opened), id, "the memory is faulty");
        sealed
    }
}
