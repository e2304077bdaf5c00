//! `devsnap` as people run it: one binary, because each one more is linked anew.
#![allow(missing_docs)]
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "../../src/args/mod.rs"]
mod args;

mod binary;
mod damaged;
#[cfg(feature = "demo")]
mod demo;
mod encryption;
mod extract;
mod forget;
mod full_disk;
mod golden;
mod keys;
mod kill;
mod logical;
mod lying_keybags;
mod phone_distant;
mod phone_faults;
mod phone_kill;
mod phone_restores;
mod phone_table;
mod phones;
mod phones_beside;
mod phones_converted;
mod power_cut;
mod program;
mod recordings;
mod reference;
mod s3;
mod small_disk;
