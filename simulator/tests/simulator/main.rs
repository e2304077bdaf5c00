//! The simulator from outside: unmodified clients first, and a small host of our own where no
//! client shows a thing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod faults;
mod host;
mod hostile;
mod libimobiledevice;
mod lockdown;
mod muxd;
mod network;
mod program;
mod pymobiledevice3;
mod services;
mod tools;
