//! What a chunk size costs: stored bytes and chunks of a phone-like folder, as tables.
//!
//! `cargo run --release -p devsnap-benches --bin chunk-sizes`; the numbers stand in
//! `docs/decisions/0006-chunk-sizes.md`.
//!
//! 1. The engine itself keeps a phone-like folder, day after day, once per pair of sizes.
//! 2. Only the databases of that folder, cut by content and at fixed multiples of their pages:
//!    counted, since the engine does only the latter.
//! 3. The same for databases that SQLite itself has written.
mod counted;
mod cuts;
mod databases;
mod messages;
mod whole;

use std::error::Error as StdError;

use devsnap_engine::chunker::ChunkerParams;
use devsnap_engine::error::Result;
use devsnap_testkit::phone_like::PhoneLike;

/// An eighth of the set that speeds are quoted for, in the same proportions.
const SET: PhoneLike = PhoneLike { seed: 1, files: 5000, total_bytes: 512 << 20 };
const DAYS: u32 = 10;

/// What chunks measure on the average where databases are cut by content too, in KiB.
const TARGETS_KIB: [u32; 6] = [64, 128, 256, 512, 1024, 2048];

fn main() -> Result<(), Box<dyn StdError + Send + Sync>> {
    println!("## 1. The engine over {} MiB, then {DAYS} days\n", SET.total_bytes >> 20);
    whole::table()?;
    println!("\n## 2. Its databases alone, counted\n");
    databases::table()?;
    for usage in messages::USAGES {
        println!("\n## 3. A database written by SQLite: {}\n", usage.name);
        messages::table(&usage)?;
    }
    Ok(())
}

/// Sizes around a target, in the proportions of the present ones: a quarter and four times; and
/// the extent of databases.
fn sizes(target_kib: u32, database_kib: u32) -> Result<ChunkerParams> {
    ChunkerParams::new(target_kib << 8, target_kib << 10, target_kib << 12, database_kib << 10)
}

fn mib(bytes: u64) -> String {
    format!("{}.{}", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024)
}
