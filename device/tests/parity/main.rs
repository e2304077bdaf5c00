//! devsnap beside an unmodified idevicebackup2, at the same phone in the same state: what the two
//! say to it, and what they keep of it. Each difference is in a table with its reason, here and in
//! `docs/device-protocol.md`; one that is not there, and one that is there and no longer occurs,
//! fails the test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#[path = "../../../simulator/tests/backup/compare.rs"]
#[allow(dead_code, reason = "the simulator's own tests use more of it")]
mod compare;
mod conversation;
mod days;
mod desk;
mod diff;
mod expected;
mod hear;
mod hosts;
mod pairing;
mod restores;
mod sets;
mod show;
#[path = "../../../simulator/tests/simulator/tools.rs"]
#[allow(dead_code, reason = "the simulator's own tests use more of it")]
mod tools;
