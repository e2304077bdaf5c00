//! The engine over backends in memory: what must be true of a whole repository.
mod backup;
mod crash;
mod damage;
