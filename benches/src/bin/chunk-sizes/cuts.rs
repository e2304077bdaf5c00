//! The ways of cutting that are compared.
use std::convert::Infallible;

use devsnap_engine::chunker::{Chunker, Cutter};
use devsnap_engine::error::Result;
use devsnap_engine::seal::Keys;

use crate::{TARGETS_KIB, sizes};

/// Bytes per page of a database.
const PAGE_LEN: usize = 4096;

/// Lengths of extents, in pages: 8 KiB to 1 MiB.
const EXTENTS_PAGES: [usize; 7] = [2, 4, 8, 16, 32, 64, 256];

/// How a file is cut.
pub(crate) enum Cuts {
    /// Where its content says so.
    ByContent(Cutter),
    /// Every so many bytes from its beginning, a multiple of its pages.
    Fixed(usize),
}

impl Cuts {
    /// All that are compared, with their names.
    pub(crate) fn all(keys: &Keys) -> Result<Vec<(String, Cuts)>> {
        let mut all = Vec::new();
        for target_kib in TARGETS_KIB {
            let cutter = Cutter::new(sizes(target_kib, 32)?, keys.gear_key());
            all.push((format!("content, {target_kib} KiB"), Cuts::ByContent(cutter)));
        }
        for pages in EXTENTS_PAGES {
            let len = pages * PAGE_LEN;
            all.push((format!("fixed, {} KiB", len >> 10), Cuts::Fixed(len)));
        }
        Ok(all)
    }

    /// The chunks of `file`, in order.
    pub(crate) fn cut(&self, file: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Cuts::Fixed(len) => file.chunks(*len).map(<[u8]>::to_vec).collect(),
            Cuts::ByContent(cutter) => {
                let mut chunks = Vec::new();
                let mut emit = |chunk| {
                    chunks.push(chunk);
                    Ok::<_, Infallible>(())
                };
                // What does not begin like a database is not cut like one.
                let mut disguised = file.to_vec();
                if let Some(first) = disguised.first_mut() {
                    *first ^= 0xff;
                }
                let mut chunker = Chunker::new(cutter.clone());
                let Ok(()) = chunker.push(&disguised, &mut emit);
                let Ok(()) = chunker.finish(&mut emit);
                chunks
            }
        }
    }
}
