//! Backups and restores from outside: a small host of our own that keeps a real folder, and
//! unmodified clients; what they wrote is compared with what the phone knows that it sent.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod compare;
mod host;
mod hostile;
mod interrupted;
mod order;
mod real_clients;
mod restore;
mod rounds;
#[path = "../simulator/tools.rs"]
#[allow(dead_code, reason = "the other test binary uses more of it")]
mod tools;
