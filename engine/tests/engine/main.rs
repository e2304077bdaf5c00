//! The engine over backends in memory: what must be true of a whole repository.
mod backup;
mod check;
mod crash;
mod damage;
mod forget;
mod hearsay;
mod hostile;
mod key_changes;
mod keys;
mod mending;
mod packs;
mod prune;
mod restore;
mod station_attacks;
mod station_scene;
mod stations;
