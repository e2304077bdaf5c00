//! Every fuzz target, briefly: a decoder that changed must still keep its promises to bytes that
//! nobody stored. `fuzz/src/lib.rs` has the ways to run them for hours.
use devsnap_fuzz::{Changes, TARGETS, Target};
use std::panic;

/// Each a few milliseconds at most; the slots' derive keys.
const RUNS: usize = 2000;

fn feed(target: &Target) {
    let seeds = (target.seeds)();
    let mut changes = Changes::new(1, &seeds);
    let changed = std::iter::repeat_with(|| changes.next_input()).take(RUNS);
    for input in seeds.iter().cloned().chain(changed) {
        if panic::catch_unwind(|| (target.run)(&input)).is_err() {
            panic!("{} broke a promise over {input:02x?}", target.name);
        }
    }
}

#[test]
fn no_decoder_breaks_a_promise_over_changed_bytes() {
    for target in TARGETS {
        feed(target);
    }
}
