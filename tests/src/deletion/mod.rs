//! The deletion protocol, checked whole: every interleaving of a few writers, sweepers and tidiers over a tiny store.
//!
//! What is proved here is what `docs/crash-safety.md` promises; its rules carry the same numbers as the comments below.
//! One content `X` is enough: every rule speaks of one blob at a time. There is no clock: fencing and forgetting may
//! happen at any moment, and a process that stops for ever is one that is never chosen again.
//!
//! - [`explore`]: visits every state of a model; [`visited`] holds them.
//! - [`rows`], [`segments`]: two small models, the first proofs of the protocol, kept as they were.
//! - [`protocol`]: the whole protocol; [`store`], [`writer`], [`sweeper`], [`tidy`], [`heal`] are its parts and [`claims`] its tests.
mod claims;
mod claims_of_damage;
mod explore;
mod heal;
mod protocol;
mod rows;
mod segments;
mod store;
mod sweeper;
mod tidy;
mod visited;
mod writer;
