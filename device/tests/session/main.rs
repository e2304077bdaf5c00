//! Whole sessions with a phone in software, into a repository.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#[path = "../../../simulator/tests/backup/compare.rs"]
mod compare;
mod converted;
mod cuts;
mod days;
mod faults;
mod lies;
mod links;
mod matrix;
mod password;
mod play;
mod restores;
mod restores_stored;
mod table;
