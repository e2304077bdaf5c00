//! A plain folder of this computer, as a place to back up and as a place to restore to.
//!
//! Both sides walk by file descriptors and never by whole paths, so whoever renames folders or
//! plants symbolic links meanwhile can change *what* is found but never lead outside the folder.
mod attributes;
mod clear;
mod count;
mod open_folders;
mod owners;
mod parent;
mod pending;
mod read;
mod safe_path;
mod source;
mod unfinished;
mod walk;
mod write;

#[cfg(test)]
mod tests;

pub use source::{FolderOptions, FolderSource};
pub use write::{FolderTarget, TargetOptions};
