//! What lockdown opens doors to. Each serves one connection, on a thread of its own.
mod afc;
mod diagnostics;
mod heartbeat;
mod icon;
mod installation_proxy;
mod link;
mod notification_proxy;
mod springboard;

pub use heartbeat::{Pulse, patience as heartbeat_patience};
pub use link::{Link, Network};

use crate::connection::Connection;
use crate::mobilebackup2;
use crate::phone::Phone;
use std::io;
use std::sync::Arc;

const AFC: &str = "com.apple.afc";
const DIAGNOSTICS: &str = "com.apple.mobile.diagnostics_relay";
/// The one that a network connection lives by.
pub const HEARTBEAT: &str = "com.apple.mobile.heartbeat";
const INSECURE_NOTIFICATION_PROXY: &str = "com.apple.mobile.insecure_notification_proxy";
const INSTALLATION_PROXY: &str = "com.apple.mobile.installation_proxy";
const MOBILEBACKUP2: &str = "com.apple.mobilebackup2";
const NOTIFICATION_PROXY: &str = "com.apple.mobile.notification_proxy";
const SPRINGBOARD: &str = "com.apple.springboardservices";

const ALL: [&str; 8] = [
    AFC,
    DIAGNOSTICS,
    HEARTBEAT,
    INSECURE_NOTIFICATION_PROXY,
    INSTALLATION_PROXY,
    MOBILEBACKUP2,
    NOTIFICATION_PROXY,
    SPRINGBOARD,
];

/// Whether there is a service of that name.
pub fn exists(service: &str) -> bool {
    ALL.contains(&service)
}

/// Whether a host that is not trusted yet may have it.
pub fn needs_no_trust(service: &str) -> bool {
    service == INSECURE_NOTIFICATION_PROXY
}

/// Whether a locked phone gives it only to who shows an escrow bag.
pub fn needs_unlocking(service: &str) -> bool {
    service == MOBILEBACKUP2
}

/// Serves one connection to its end.
///
/// # Errors
///
/// The connection broke, or the host said something that no host may say.
pub fn serve(
    service: &str,
    connection: &mut dyn Connection,
    phone: &Arc<Phone>,
    link: &Link,
) -> io::Result<()> {
    match service {
        AFC => afc::serve(connection, phone),
        DIAGNOSTICS => diagnostics::serve(connection, phone, DIAGNOSTICS),
        HEARTBEAT => heartbeat::serve(connection, phone, HEARTBEAT, link),
        INSTALLATION_PROXY => installation_proxy::serve(connection, phone, INSTALLATION_PROXY),
        MOBILEBACKUP2 => mobilebackup2::serve(connection, phone),
        SPRINGBOARD => springboard::serve(connection, phone, SPRINGBOARD),
        NOTIFICATION_PROXY | INSECURE_NOTIFICATION_PROXY => {
            notification_proxy::serve(connection, phone, service)
        }
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}
