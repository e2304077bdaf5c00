//! Where devsnap keeps sealed objects: the storage door.
//!
//! A [`Location`] is parsed from what a person wrote, and [`open`] or [`create`] turn it and the
//! [`Credentials`] of the environment into a [`Backend`](devsnap_engine::backend::Backend):
//!
//! | location | what makes a `put` durable |
//! |---|---|
//! | a folder ([`LocalBackend`]) | sync of the file, no-replace rename, sync of the folder |
//! | a bucket ([`S3Backend`]) | the service's promise when it answers the upload |
//!
//! Nothing outside this crate sees OpenDAL or an async function.
mod classify;
mod durable;
mod local;
mod location;
mod open;
mod rim;
mod s3;

pub use local::LocalBackend;
pub use location::{Location, LocationError, S3Location};
pub use open::{Credentials, OpenError, create, open};
pub use s3::S3Backend;
