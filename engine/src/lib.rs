//! Content-addressed, incremental, encrypted snapshots.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation))]

// Floor 0: words everything else is written in.
pub mod codec;
pub mod encoding;
pub mod error;
pub mod id;
pub mod node;
pub mod path;
mod runs;
mod uncached;

// Floor 1: the ports.
pub mod backend;
pub mod interrupt;
pub mod progress;
pub mod reader;
pub mod source;
pub mod target;

// Floor 2: pure; no input, no output, no threads.
pub mod chunker;
pub mod pack;
pub mod retention;
pub mod seal;
pub mod snapshot;
pub mod tree;

// Floor 3: this computer's copy of the index.
pub mod index;

// Floor 4: an opened store.
pub mod repository;

// Floor 5: threads and channels.
pub mod pipeline;

// Floor 6: what a user asks for.
pub mod backup;
pub mod check;
pub mod prune;
pub mod restore;

// Plugs into the ports from outside; no room of the engine imports it.
pub mod folder;
