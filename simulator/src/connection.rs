//! One connection to one service of the phone, after usbmux and TLS.
use std::io::{self, Read, Write};
use std::time::Duration;

/// A byte stream between a host and a service. Blocking; each one is served by a thread of its own.
pub trait Connection: Read + Write + Send {
    /// How long a read may wait; `None` waits for ever. A read that waited so long fails with
    /// [`io::ErrorKind::WouldBlock`] or [`io::ErrorKind::TimedOut`].
    ///
    /// # Errors
    ///
    /// The connection is gone.
    fn set_read_timeout(&mut self, wait_at_most: Option<Duration>) -> io::Result<()>;

    /// Tells that what is written from now on is TLS, or is no longer. Only a connection that does
    /// something to its bytes wants to know.
    fn set_carries_tls(&mut self, carries_tls: bool) {
        let _ = carries_tls;
    }
}
