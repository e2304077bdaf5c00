//! What is fuzzed: every decoder of bytes that come from a store, a file or a person.
//!
//! Each target is one function over bytes, named after its decoder. It must not panic, and what a
//! decoder accepts must hold what its documentation says: bytes that decode are spelt again the
//! same way, positions lie inside what they point into, keys rise. Seals and signatures would keep
//! a fuzzer out, so a target seals or signs its input with keys it knows, restating the layout of
//! `docs/format.md` instead of calling the engine's encoder: a change of the format fails here.
//!
//! ```text
//! cargo run --release --bin soak -- [SECONDS | RUNSx] [SEED] [TARGET…]       stable Rust, no coverage
//! fuzz/guided MINUTES TARGET…                                                 nightly, coverage-guided
//! ```
mod backup_session;
mod changes;
mod config;
mod conversation;
mod device;
mod edits;
mod fixed;
mod keybag;
mod list;
mod lockdown;
mod manifest;
mod marks;
mod memory;
mod note;
mod pack;
mod recording;
mod records;
mod seal;
mod segment;
mod snapshot;
mod tape;
mod tree;
mod typed;

pub use backup_session::backup_session;
pub use changes::Changes;
pub use config::config;
pub use conversation::{
    afc_answer, backup_path, devicelink_message, file_stream, pair_record, usbmuxd_message,
};
pub use device::{backup_set, plist, udid};
pub use edits::edits;
pub use keybag::keybag;
pub use list::list;
pub use lockdown::lockdown_answer;
pub use manifest::{manifest_rows, mbfile};
pub use marks::{session_mark, session_marks, stored_pack, sweep_mark};
pub use note::note;
pub use pack::{block, pack_footer, pack_header, pack_list, pack_trailer};
pub use recording::recording;
pub use records::{chunker_params, content, holes, node, object_name, path, xattrs};
pub use seal::{object, recovery_key, slot, writer_key};
pub use segment::segment;
pub use snapshot::snapshot;
pub use tree::page;
pub use typed::{location, selector, within};

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
    Target { name: "afc_answer", run: afc_answer, seeds: conversation::afc_answer_seeds },
    Target { name: "backup_path", run: backup_path, seeds: conversation::backup_path_seeds },
    Target { name: "backup_session", run: backup_session, seeds: backup_session::seeds },
    Target { name: "backup_set", run: backup_set, seeds: device::backup_set_seeds },
    Target { name: "block", run: block, seeds: pack::block_seeds },
    Target { name: "chunker_params", run: chunker_params, seeds: records::chunker_params_seeds },
    Target { name: "config", run: config, seeds: config::seeds },
    Target { name: "content", run: content, seeds: records::content_seeds },
    Target {
        name: "devicelink_message",
        run: devicelink_message,
        seeds: conversation::devicelink_message_seeds,
    },
    Target { name: "edits", run: edits, seeds: edits::seeds },
    Target { name: "file_stream", run: file_stream, seeds: conversation::file_stream_seeds },
    Target { name: "holes", run: holes, seeds: records::holes_seeds },
    Target { name: "keybag", run: keybag, seeds: keybag::keybag_seeds },
    Target { name: "list", run: list, seeds: list::seeds },
    Target {
        name: "lockdown_answer",
        run: lockdown_answer,
        seeds: lockdown::lockdown_answer_seeds,
    },
    Target { name: "location", run: location, seeds: typed::location_seeds },
    Target { name: "manifest_rows", run: manifest_rows, seeds: manifest::manifest_rows_seeds },
    Target { name: "mbfile", run: mbfile, seeds: manifest::mbfile_seeds },
    Target { name: "node", run: node, seeds: records::node_seeds },
    Target { name: "note", run: note, seeds: note::seeds },
    Target { name: "object", run: object, seeds: seal::object_seeds },
    Target { name: "object_name", run: object_name, seeds: records::object_name_seeds },
    Target { name: "pack_footer", run: pack_footer, seeds: pack::footer_seeds },
    Target { name: "pack_header", run: pack_header, seeds: pack::header_seeds },
    Target { name: "pack_list", run: pack_list, seeds: pack::pack_list_seeds },
    Target { name: "pack_trailer", run: pack_trailer, seeds: pack::trailer_seeds },
    Target { name: "page", run: page, seeds: tree::seeds },
    Target { name: "pair_record", run: pair_record, seeds: conversation::pair_record_seeds },
    Target { name: "path", run: path, seeds: records::path_seeds },
    Target { name: "plist", run: plist, seeds: device::plist_seeds },
    Target { name: "recording", run: recording, seeds: recording::recording_seeds },
    Target { name: "recovery_key", run: recovery_key, seeds: seal::recovery_key_seeds },
    Target { name: "segment", run: segment, seeds: segment::seeds },
    Target { name: "selector", run: selector, seeds: typed::selector_seeds },
    Target { name: "session_mark", run: session_mark, seeds: marks::session_mark_seeds },
    Target { name: "session_marks", run: session_marks, seeds: marks::session_marks_seeds },
    Target { name: "slot", run: slot, seeds: seal::slot_seeds },
    Target { name: "snapshot", run: snapshot, seeds: snapshot::seeds },
    Target { name: "stored_pack", run: stored_pack, seeds: marks::stored_pack_seeds },
    Target { name: "sweep_mark", run: sweep_mark, seeds: marks::sweep_mark_seeds },
    Target { name: "udid", run: udid, seeds: device::udid_seeds },
    Target {
        name: "usbmuxd_message",
        run: usbmuxd_message,
        seeds: conversation::usbmuxd_message_seeds,
    },
    Target { name: "within", run: within, seeds: typed::within_seeds },
    Target { name: "writer_key", run: writer_key, seeds: seal::writer_key_seeds },
    Target { name: "xattrs", run: xattrs, seeds: records::xattrs_seeds },
];

#[cfg(test)]
mod tests {
    use super::{Changes, TARGETS, Target};
    use devsnap_engine::id::hex;

    /// How many inputs each target gets here; a soak gives them as many as time allows.
    const INPUTS: usize = 300;

    #[test]
    fn every_seed_keeps_every_promise() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            seeds.iter().for_each(|seed| (target.run)(seed));
        }
    }

    #[test]
    fn seeds_with_a_few_changes_keep_every_promise() {
        for target in TARGETS {
            let seeds = (target.seeds)();
            let mut changes = Changes::new(1, &seeds);
            for _ in 0..INPUTS {
                let input = changes.next_input();
                let run = std::panic::AssertUnwindSafe(|| (target.run)(&input));
                let kept = std::panic::catch_unwind(run).is_ok();
                assert!(kept, "{} by {}", target.name, hex(&input));
            }
        }
    }

    #[test]
    fn seeds_are_the_same_each_time() {
        for target in TARGETS {
            assert!((target.seeds)() == (target.seeds)(), "{}", target.name);
        }
    }

    #[test]
    fn every_target_can_be_guided_by_coverage() {
        let manifest = include_str!("../Cargo.toml");
        for Target { name, .. } in TARGETS {
            let file = format!("fuzz_targets/{name}.rs");
            let source = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(source.contains(&format!("devsnap_fuzz::{name}(data)")), "{file}");
            let binary = format!("name = \"{name}\"\npath = \"{file}\"\n");
            assert!(manifest.contains(&binary), "Cargo.toml lacks {name}");
        }
    }
}
