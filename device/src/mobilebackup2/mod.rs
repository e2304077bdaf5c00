//! MobileBackup2: one conversation a verb, over DeviceLink.
mod asked;
pub mod backup;
pub mod errors;
pub mod info_plist;
pub mod password;
pub mod restore;

/// The service.
pub const SERVICE: &str = "com.apple.mobilebackup2";
