//! Sizes a repository cuts its contents to, stored in its config.
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Smallest, usual and largest chunk, and the extent of databases, in bytes.
///
/// They come from the config and so from the store: [`new`](ChunkerParams::new) is the only way to
/// have one, and decoding goes through it, because the chunking library checks nothing in release
/// builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct ChunkerParams {
    min_bytes: u32,
    target_bytes: u32,
    max_bytes: u32,
    database_bytes: u32,
}

impl ChunkerParams {
    /// 256 KiB, 1 MiB, 4 MiB, and 32 KiB of a database: measured in `docs/decisions/0006`.
    pub const STANDARD: ChunkerParams = ChunkerParams {
        min_bytes: 256 << 10,
        target_bytes: 1 << 20,
        max_bytes: 4 << 20,
        database_bytes: 32 << 10,
    };

    /// Checked sizes.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) unless all are even, the target is a power of two, and
    /// 64 ≤ min, min < target < max, min ≤ 1 MiB, target ≤ 4 MiB, max ≤ 16 MiB: the
    /// bounds of the `fastcdc` crate's 2020 version. The extent of databases is a power of two too,
    /// from 512 bytes, SQLite's smallest page, to the largest chunk.
    pub fn new(
        min_bytes: u32,
        target_bytes: u32,
        max_bytes: u32,
        database_bytes: u32,
    ) -> Result<Self> {
        let even = (min_bytes | target_bytes | max_bytes) & 1 == 0;
        let fits = (64..=1 << 20).contains(&min_bytes)
            && (256..=4 << 20).contains(&target_bytes)
            && (1024..=16 << 20).contains(&max_bytes);
        let ordered = min_bytes < target_bytes && target_bytes < max_bytes;
        let powers = target_bytes.is_power_of_two() && database_bytes.is_power_of_two();
        let whole_pages = (512..=max_bytes).contains(&database_bytes);
        if even && fits && ordered && powers && whole_pages {
            return Ok(ChunkerParams { min_bytes, target_bytes, max_bytes, database_bytes });
        }
        Err(Error::new(ErrorKind::Invalid, "reading chunk sizes (out of range)"))
    }

    /// No chunk but a content's last is shorter.
    pub fn min_bytes(self) -> u32 {
        self.min_bytes
    }

    /// What chunks measure on the average, about.
    pub fn target_bytes(self) -> u32 {
        self.target_bytes
    }

    /// No chunk is longer.
    pub fn max_bytes(self) -> u32 {
        self.max_bytes
    }

    /// Length of a database's chunks, unless its pages are longer.
    pub fn database_bytes(self) -> u32 {
        self.database_bytes
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    min_bytes: u32,
    target_bytes: u32,
    max_bytes: u32,
    database_bytes: u32,
    /// How gear tables are made from the key, and which masks go with them.
    table_version: u32,
}

impl From<ChunkerParams> for Written {
    fn from(p: ChunkerParams) -> Written {
        let ChunkerParams { min_bytes, target_bytes, max_bytes, database_bytes } = p;
        Written { min_bytes, target_bytes, max_bytes, database_bytes, table_version: 1 }
    }
}

impl TryFrom<Written> for ChunkerParams {
    type Error = Error;
    fn try_from(w: Written) -> Result<Self> {
        if w.table_version != 1 {
            return Err(Error::new(ErrorKind::TooNew, "reading chunk sizes"));
        }
        ChunkerParams::new(w.min_bytes, w.target_bytes, w.max_bytes, w.database_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_would_break_the_chunker_cannot_be_made() {
        assert!(ChunkerParams::new(256, 1024, 4096, 512).is_ok());
        for (min, target, max) in [
            (0, 1024, 4096),
            (255, 1024, 4096),
            (256, 1000, 4096),
            (256, 1024, 4095),
            (1024, 1024, 4096),
            (256, 4096, 4096),
            (256, 8 << 20, 16 << 20),
            (2 << 20, 4 << 20, 16 << 20),
            (256, 1024, u32::MAX - 1),
        ] {
            assert!(ChunkerParams::new(min, target, max, 1024).is_err(), "{min} {target} {max}");
        }
        for database in [0, 256, 3000, 8192, 1 << 31] {
            assert!(ChunkerParams::new(256, 1024, 4096, database).is_err(), "{database}");
        }
    }

    #[test]
    fn decoding_checks_sizes_too() {
        let good = rmp_serde::to_vec_named(&ChunkerParams::STANDARD).unwrap();
        let back: ChunkerParams = rmp_serde::from_slice(&good).unwrap();
        assert_eq!(back, ChunkerParams::STANDARD);
        let absurd = Written {
            min_bytes: 1,
            target_bytes: 0,
            max_bytes: 7,
            database_bytes: 3,
            table_version: 1,
        };
        let absurd = rmp_serde::to_vec_named(&absurd).unwrap();
        assert!(rmp_serde::from_slice::<ChunkerParams>(&absurd).is_err());
    }
}
