//! Content-addressed, incremental, encrypted snapshots.
#![deny(missing_docs)]

// Floor 0: words everything else is written in.
pub mod codec;
pub mod error;
pub mod id;
pub mod node;
pub mod path;

// Floor 1: the ports.
pub mod backend;
pub mod interrupt;
pub mod progress;
pub mod reader;
pub mod source;
pub mod target;

// Floor 2: the places of this computer.
pub mod folder;
