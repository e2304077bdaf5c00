//! What tests share: the backend contract, backends that fail on purpose, synthetic phones.
pub mod backend_suite;
pub mod backup_set;
mod crash_backend;
mod distant_backend;
mod fault_backend;
mod hooked_backend;
mod memory_backend;
pub mod phone_like;
mod s3_server;
pub mod test_repository;

pub use crash_backend::{CrashBackend, InFlight};
pub use distant_backend::{DistantBackend, Requests};
pub use fault_backend::{Call, Effect, FaultBackend, When};
pub use hooked_backend::HookedBackend;
pub use memory_backend::MemoryBackend;
pub use s3_server::S3Server;
pub use test_repository::TestRepository;
