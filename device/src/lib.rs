//! iPhones and iPads as a source of snapshots, and the files of Apple's backup sets.
//!
//! What is here today is what a *folder* needs: [`BackupSet`] recognises the folder that Finder,
//! iTunes, idevicebackup2 or pymobiledevice3 keep per device and says whose it is and whether it
//! is whole; [`plist_guard`] is the only door through which a property list enters; [`Udid`] is a
//! device's name, safe as a path component.
//!
//! What is to come with the device itself, each room knowing only the one before it: transport
//! (usbmuxd, our own USB multiplexer, Wi-Fi), lockdown (values, pairing, TLS), the small services,
//! DeviceLink, MobileBackup2, the virtual backup directory that answers the phone's requests, and
//! a `Source` over all of them. None of it exists yet, and nothing here pretends that it does.
//!
//! Everything read here is hostile: it comes from a device, or from a folder anybody may have
//! written. Lengths are capped before memory is taken, and no link inside a set is followed.
#![deny(missing_docs)]

pub mod backup_set;
pub mod error;
pub mod plist_guard;
pub mod udid;

pub use backup_set::{BackupSet, Oddity, SnapshotState};
pub use error::{DeviceError, DeviceErrorKind, Result};
pub use udid::Udid;
