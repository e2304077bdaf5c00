//! What tests share.
pub mod backup_set;
pub mod phone_like;
