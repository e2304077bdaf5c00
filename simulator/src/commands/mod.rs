//! What the program's commands do.
mod contents;
mod replay;
mod serve;

pub(crate) use contents::{day, generate, points, truth};
pub(crate) use replay::{parent, replay};
pub(crate) use serve::serve;
