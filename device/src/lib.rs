//! iPhones and iPads as a source of snapshots, and the files of Apple's backup sets.
//!
//! [`DeviceSource`] backs a device up straight into the engine, without a folder on a disk. Its
//! rooms, each knowing only those before it: [`transport`] (usbmuxd's socket; later our own USB
//! multiplexer and Wi-Fi), [`plist_stream`], [`lockdown`] (values, trust, TLS), [`services`] (the
//! small ones), [`devicelink`], [`virtual_dir`] (the folder the phone thinks it writes to),
//! [`served_dir`] (the folder a phone reads a restore from), [`mobilebackup2`], [`source`], [`restore`].
//!
//! [`Recorder`] listens between a transport and the rooms above, and writes down what is said without
//! contents, names or keys.
//!
//! [`BackupSet`] recognises the folder that Finder, iTunes, idevicebackup2 or pymobiledevice3 keep
//! per device; [`plist_guard`] is the only door through which a property list enters, [`manifest`]
//! that of a `Manifest.db`; [`Udid`] is a device's name, safe as a path component. What is said to a
//! device, what is accepted from it, and how sure we are of each is in `docs/device-protocol.md`.
//!
//! [`keybag`] is what the password of an encrypted backup opens.
//!
//! Everything read here is hostile: it comes from a device, or from a folder anybody may have
//! written. Lengths are capped before memory is taken, and no link inside a set is followed.
#![deny(missing_docs)]

pub mod backup_set;
pub mod conversion;
pub mod devicelink;
pub mod encryption;
pub mod error;
pub mod keybag;
pub mod lockdown;
pub mod logical;
pub mod manifest;
pub mod mobilebackup2;
pub mod plist_guard;
pub mod plist_stream;
pub mod recording;
pub mod restore;
pub mod served_dir;
pub mod services;
mod session;
pub mod source;
pub mod stored_set;
pub mod transport;
pub mod udid;
pub mod virtual_dir;
pub mod watch;

pub use backup_set::{BackupSet, Oddity, SnapshotState};
pub use encryption::{BackupEncryption, EncryptionOptions, EncryptionState};
pub use error::{DeviceError, DeviceErrorKind, Result};
pub use recording::Recorder;
pub use restore::{DeviceRestore, DeviceRestoreOptions};
pub use source::{BackupOutcome, ConversionOptions, DeviceOptions, DeviceSource};
pub use udid::Udid;
pub use virtual_dir::Converted;
