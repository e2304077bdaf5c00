//! The engine over backends in memory: what must be true of a whole repository.
mod backup;
mod check;
mod crash;
mod damage;
mod flush;
mod forget;
mod hostile;
mod keys;
mod mending;
mod packs;
mod prune;
mod restore;
mod stations;
