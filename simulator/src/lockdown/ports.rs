//! The ports that services wait on, between StartService and the connection.
use crate::tls::Trusted;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Services that may wait at once; the one that waits longest goes first.
const WAITING_MAX: usize = 64;
/// Where the ports begin that nobody has a name for (RFC 6335).
const FIRST: u16 = 49_152;

/// A service that waits for its host.
pub(super) struct Waiting {
    pub(super) service: String,
    /// With whom it speaks TLS; without, it speaks plaintext.
    pub(super) trusted: Option<Trusted>,
}

/// The ports. Each serves one connection, as lockdown's do.
#[derive(Default)]
pub(super) struct Ports {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    given_out: u16,
    waiting: VecDeque<(u16, Waiting)>,
}

impl Ports {
    /// A port for `waiting`.
    pub(super) fn open(&self, waiting: Waiting) -> u16 {
        let mut inner = self.inner.lock().expect("because no holder panics");
        let port = FIRST + inner.given_out;
        inner.given_out = (inner.given_out + 1) % (u16::MAX - FIRST);
        if inner.waiting.len() >= WAITING_MAX {
            inner.waiting.pop_front();
        }
        inner.waiting.push_back((port, waiting));
        port
    }

    /// Who waits at `port`, and no longer does.
    pub(super) fn take(&self, port: u16) -> Option<Waiting> {
        let mut inner = self.inner.lock().expect("because no holder panics");
        let at = inner.waiting.iter().position(|(open, _)| *open == port)?;
        inner.waiting.remove(at).map(|(_, waiting)| waiting)
    }
}
