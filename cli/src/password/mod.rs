//! Where a password comes from, in order; never from the command line.
//!
//! There are two passwords, each with a new one to take its place. The *repository's*
//! ([`Sources`]) may be stood in for by a recovery key or a writer key; the *backup's*
//! ([`BackupSources`]) belongs to a device, and often nobody needs it. All are looked for in the
//! same [`Places`]: two flags, three variables, and then a prompt, if somebody sits there.
mod backup;
mod places;
mod read;
mod repository;
#[cfg(test)]
mod tests;

pub use backup::BackupSources;
pub use places::{Person, Places};
pub use repository::{Secret, Sources};

use zeroize::Zeroizing;

/// Bytes that are wiped when they are dropped.
pub type Password = Zeroizing<Vec<u8>>;
