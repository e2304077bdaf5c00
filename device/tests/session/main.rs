//! Whole sessions with a phone in software, into a repository.
#[path = "../../../simulator/tests/backup/compare.rs"]
#[expect(dead_code, reason = "the phone's own tests use the rest")]
mod compare;
mod days;
mod faults;
mod table;
