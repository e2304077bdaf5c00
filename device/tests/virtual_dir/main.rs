//! The folder the phone thinks it writes to, over a repository in memory and scripted bytes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod answers;
mod conversation;
mod scripted;
