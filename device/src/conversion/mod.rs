//! Encrypted sets, kept as plaintext.
//!
//! A device with a backup password encrypts each file it sends under a fresh key, so that nothing of
//! a changed file is like what was stored before. Whoever has the password can have the plaintext
//! stored instead, with the key: reading gives the encrypted bytes again, to the last one. That a file
//! is one that can be had again is proven for each before its encrypted bytes are let go; all
//! others are stored as they came.
//!
//! [`Unlocked`] is a set that the password has opened, [`Spool`] where files wait for their keys,
//! [`FileKeys`] the keys of a set's files, [`store`] one file on its way.
mod each;
mod keys;
mod media;
mod spool;
mod store;
mod unlocked;

pub use each::each;
pub use keys::FileKeys;
pub use media::is_media;
pub use spool::{Growing, Spool};
pub use store::{Stored, store, store_plain};
pub use unlocked::{Locked, NoManifest, Unlocked, open_manifest};
