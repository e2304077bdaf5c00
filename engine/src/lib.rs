//! Content-addressed, incremental, encrypted snapshots.
#![deny(missing_docs)]

// Floor 0: words everything else is written in.
pub mod codec;
pub mod error;
pub mod id;
pub mod node;
pub mod path;
