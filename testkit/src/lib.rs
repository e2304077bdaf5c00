//! What tests share.
pub mod backup_set;
