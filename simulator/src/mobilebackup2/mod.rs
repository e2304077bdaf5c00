//! `com.apple.mobilebackup2`, the device's side.
use crate::connection::Connection;
use crate::phone::Phone;
use std::io;
use std::sync::Arc;

/// Serves one connection to its end.
///
/// # Errors
///
/// The connection broke, or the host said something that no host may say.
pub fn serve(connection: &mut dyn Connection, phone: &Arc<Phone>) -> io::Result<()> {
    let _ = (connection, phone);
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
