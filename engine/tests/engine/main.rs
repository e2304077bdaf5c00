//! The engine over backends in memory: what must be true of a whole repository.
mod backup;
mod check;
mod crash;
mod damage;
mod forget;
mod hostile;
mod interleavings;
mod keys;
mod mending;
mod packs;
mod prune;
mod restore;
mod stations;
