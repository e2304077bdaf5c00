//! What is fuzzed: every decoder of bytes that come from a store, a file or a person.
//!
//! Each target is one function over bytes, named after its decoder. It must not panic, and what a
//! decoder accepts must hold what its documentation says: bytes that decode are spelt again the
//! same way, positions lie inside what they point into, keys rise. Seals and signatures would keep
//! a fuzzer out, so a target seals or signs its input with keys it knows, restating the layout of
//! `docs/format.md` instead of calling the engine's encoder: a change of the format fails here.
//!
//! ```text
//! cargo run --release --bin soak -- [SECONDS PER TARGET] [SEED] [TARGET…]    stable Rust, no coverage
//! cargo fuzz run --features libfuzzer TARGET                                 nightly, coverage-guided
//! ```
mod edits;
mod fixed;
mod pack;
mod records;
mod seal;
mod snapshot;
mod tree;

pub use edits::edits;
pub use pack::{block, pack_footer, pack_header, pack_trailer};
pub use records::{chunker_params, content, holes, node, object_name, path, xattrs};
pub use seal::{object, recovery_key, slot};
pub use snapshot::snapshot;
pub use tree::page;

/// One decoder under test.
pub struct Target {
    /// The decoder's name, which is also the fuzz target's.
    pub name: &'static str,
    /// Feeds it; panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Valid inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target, by name.
pub const TARGETS: &[Target] = &[
    Target { name: "block", run: block, seeds: pack::block_seeds },
    Target { name: "chunker_params", run: chunker_params, seeds: records::chunker_params_seeds },
    Target { name: "content", run: content, seeds: records::content_seeds },
    Target { name: "edits", run: edits, seeds: edits::seeds },
    Target { name: "holes", run: holes, seeds: records::holes_seeds },
    Target { name: "node", run: node, seeds: records::node_seeds },
    Target { name: "object", run: object, seeds: seal::object_seeds },
    Target { name: "object_name", run: object_name, seeds: records::object_name_seeds },
    Target { name: "pack_footer", run: pack_footer, seeds: pack::footer_seeds },
    Target { name: "pack_header", run: pack_header, seeds: pack::header_seeds },
    Target { name: "pack_trailer", run: pack_trailer, seeds: pack::trailer_seeds },
    Target { name: "page", run: page, seeds: tree::seeds },
    Target { name: "path", run: path, seeds: records::path_seeds },
    Target { name: "recovery_key", run: recovery_key, seeds: seal::recovery_key_seeds },
    Target { name: "slot", run: slot, seeds: seal::slot_seeds },
    Target { name: "snapshot", run: snapshot, seeds: snapshot::seeds },
    Target { name: "xattrs", run: xattrs, seeds: records::xattrs_seeds },
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_seed_keeps_every_promise() {
        for target in super::TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            seeds.iter().for_each(|seed| (target.run)(seed));
        }
    }
}
