//! How fast contents are cut, in bytes a second, beside two yardsticks.
//!
//! `cargo bench -p devsnap-benches --bench chunking`
//!
//! - `engine`: [`Chunker`] with a repository's keyed tables, fed as a file is read, 256 KiB at a
//!   time. It copies every byte twice: into its window and into the chunk it hands over.
//! - `fastcdc`: the crate's own cutter with its public tables and the same sizes, over bytes that
//!   lie in memory whole. It copies nothing.
//! - `naming`: keyed BLAKE3 of each MiB, on one thread: what is done to every byte next.
mod clock;

use std::convert::Infallible;
use std::hint::black_box;

use clock::Clock;
use criterion::{BenchmarkId, Criterion, Throughput};
use devsnap_benches::samples::Samples;
use devsnap_engine::chunker::{Chunker, ChunkerParams, Cutter};
use fastcdc::v2020::{FastCDC, Normalization};

const SAMPLE_LEN: usize = 32 << 20;

/// What the engine asks of the kernel at a time.
const READ_LEN: usize = 256 << 10;

fn main() {
    let mut criterion = clock::criterion(30, 4);
    chunking(&mut criterion);
    criterion.final_summary();
}

fn chunking(criterion: &mut Criterion<Clock>) {
    let samples = Samples::make(SAMPLE_LEN).expect("because there is room for temporary files");
    let keys = devsnap_benches::keys().expect("because the keys are good ones");
    let cutter = Cutter::new(ChunkerParams::STANDARD, keys.gear_key());
    let mut group = criterion.benchmark_group("chunking");
    for (kind, bytes) in [("photos", &samples.photos), ("databases", &samples.databases)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(BenchmarkId::new("engine", kind), bytes, |bench, bytes| {
            bench.iter(|| cut_as_read(&cutter, bytes));
        });
        group.bench_with_input(BenchmarkId::new("fastcdc", kind), bytes, |bench, bytes| {
            bench.iter(|| cut_by_crate(bytes));
        });
        group.bench_with_input(BenchmarkId::new("naming", kind), bytes, |bench, bytes| {
            bench.iter(|| {
                for piece in bytes.chunks(1 << 20) {
                    black_box(keys.content_id(piece));
                }
            });
        });
    }
    group.finish();
}

fn cut_as_read(cutter: &Cutter, bytes: &[u8]) {
    let mut emit = |chunk: Vec<u8>| {
        black_box(chunk);
        Ok::<_, Infallible>(())
    };
    let mut chunker = Chunker::new(cutter.clone());
    for piece in bytes.chunks(READ_LEN) {
        let Ok(()) = chunker.push(piece, &mut emit);
    }
    let Ok(()) = chunker.finish(&mut emit);
}

fn cut_by_crate(bytes: &[u8]) {
    let sizes = ChunkerParams::STANDARD;
    let cuts = FastCDC::with_level(
        bytes,
        sizes.min_bytes() as usize,
        sizes.target_bytes() as usize,
        sizes.max_bytes() as usize,
        Normalization::Level2,
    );
    for cut in cuts {
        black_box(cut);
    }
}
