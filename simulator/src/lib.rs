//! An iPhone in software, for tests and `devsnap demo`: the device's side of usbmuxd, lockdown, the
//! small services and MobileBackup2, well enough that unmodified clients back it up and restore it.
//!
//! It shares no code with `devsnap-device`: a shared codec would hide its own mistakes. It is
//! unkind on purpose: it cuts its bytes where it likes, changes files while they are sent, and
//! believes only what the host hands back.
//!
//! ```text
//!   muxd ──▶ lockdown ──▶ services ──▶ mobilebackup2        who is asked, from the socket up
//!     │          │            │             │
//!     │          └──────── phone ◀──────────┘               who the phone is, what goes wrong with it
//!     ▼                                     │
//!   wire, tls                               │               bytes, torn apart; a certificate wanted
//!                                           └──▶ contents, backup_files     what is on it, Apple's files
//! ```
#![deny(missing_docs)]

pub mod backup_files;
pub mod connection;
pub mod contents;
pub mod lockdown;
pub mod mobilebackup2;
pub mod muxd;
pub mod phone;
pub mod plist_stream;
pub mod random;
pub mod replay;
pub mod services;
pub mod simulator;
pub mod tls;
pub mod transcript;
pub mod wire;

pub use connection::Connection;
pub use phone::{Identity, Phone};
pub use simulator::{Options, PhoneOptions, Simulator};
