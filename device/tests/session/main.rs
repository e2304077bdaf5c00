//! Whole sessions with a phone in software, into a repository.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#[path = "../../../simulator/tests/backup/compare.rs"]
#[allow(dead_code, reason = "the phone's own tests use the rest")]
mod compare;
mod days;
mod faults;
mod table;
