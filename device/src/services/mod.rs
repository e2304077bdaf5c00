//! The small services of a device that a backup needs beside MobileBackup2 itself.
pub mod afc;
pub mod diagnostics;
pub mod heartbeat;
pub mod installation_proxy;
pub mod notification_proxy;
pub mod springboard;

use std::time::Duration;

use crate::transport::AtMost;

/// How long one answer of a small service may take.
const ANSWER_WAIT: AtMost = AtMost(Duration::from_secs(30));
