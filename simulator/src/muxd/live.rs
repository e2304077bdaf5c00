//! The connections that are being served, so that they can be broken off from outside.
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Connections at once. idevicebackup2 has about five.
const CONNECTIONS_MAX: usize = 256;

/// All of them.
#[derive(Default)]
pub(super) struct Live {
    inner: Mutex<Inner>,
    fewer: Condvar,
}

#[derive(Default)]
struct Inner {
    is_closed: bool,
    last: u64,
    connections: BTreeMap<u64, Entry>,
}

struct Entry {
    socket: TcpStream,
    /// The attachment that it leads to, once it leads to one.
    attachment: Option<u64>,
}

/// A connection's place among the living; it leaves when this is dropped.
pub(super) struct Place<'a> {
    live: &'a Live,
    number: u64,
}

impl Live {
    /// Enters a connection; `None` when there are too many, or no more are taken.
    ///
    /// # Errors
    ///
    /// The system has no more sockets.
    pub(super) fn enter(&self, stream: &TcpStream) -> io::Result<Option<Place<'_>>> {
        let socket = stream.try_clone()?;
        let mut inner = self.inner.lock().expect("because no holder panics");
        if inner.is_closed || inner.connections.len() >= CONNECTIONS_MAX {
            return Ok(None);
        }
        inner.last += 1;
        let number = inner.last;
        inner.connections.insert(number, Entry { socket, attachment: None });
        Ok(Some(Place { live: self, number }))
    }

    /// How many lead to an attachment.
    pub(super) fn count(&self, attachment: u64) -> usize {
        let inner = self.inner.lock().expect("because no holder panics");
        inner.connections.values().filter(|entry| entry.attachment == Some(attachment)).count()
    }

    /// Breaks off all that lead to an attachment.
    pub(super) fn break_off(&self, attachment: u64) {
        let inner = self.inner.lock().expect("because no holder panics");
        for entry in inner.connections.values() {
            if entry.attachment == Some(attachment) {
                // Fails only when it is closed already.
                let _ = entry.socket.shutdown(Shutdown::Both);
            }
        }
    }

    /// Breaks off all, takes no more, and waits until all have left, or as long as `at_most`.
    pub(super) fn close(&self, at_most: Duration) {
        let mut inner = self.inner.lock().expect("because no holder panics");
        inner.is_closed = true;
        for entry in inner.connections.values() {
            let _ = entry.socket.shutdown(Shutdown::Both);
        }
        drop(
            self.fewer
                .wait_timeout_while(inner, at_most, |inner| !inner.connections.is_empty())
                .expect("because no holder panics"),
        );
    }
}

impl Place<'_> {
    /// The connection leads to an attachment from now on.
    pub(super) fn leads_to(&self, attachment: u64) {
        let mut inner = self.live.inner.lock().expect("because no holder panics");
        if let Some(entry) = inner.connections.get_mut(&self.number) {
            entry.attachment = Some(attachment);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.live.inner.lock().expect("because no holder panics");
        inner.connections.remove(&self.number);
        self.live.fewer.notify_all();
    }
}
