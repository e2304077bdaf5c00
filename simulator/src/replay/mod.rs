//! The phone's part of a recording, played to a host that may have changed since: a session with a
//! real phone, that somebody who has one sent, becomes a test.
//!
//! [`Replay`] is a usbmuxd with the recorded phone on it. It says what the phone said, with contents
//! of the recorded lengths made up, and compares what the host says with what was recorded. Where
//! the host first departs, it ends ([`Divergence`]). [`parent::write`] makes up what the host had
//! before an incremental session.
//!
//! It knows the form of recordings from `docs/recordings.md` alone.
mod compare;
mod conversation;
mod desk;
mod made_up;
pub mod parent;
mod progress;
pub mod recording;
mod trust;

use compare::OfDevice;
use desk::Play;
pub use progress::Divergence;
use progress::Progress;
pub use recording::Recording;
use recording::{Said, Side, Step};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use trust::Trust;

/// How long a host that has left may still have something under way.
const AFTERMATH: Duration = Duration::from_millis(500);

/// A recording that is played until it is dropped.
pub struct Replay {
    play: Arc<Play>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Replay {
    /// Listens at `address` as usbmuxd does, with the phone of `recording` attached.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the address is not of this machine only.
    /// - `InvalidData`: nothing was recorded.
    /// - Others: the address cannot be listened on; no random bytes.
    pub fn start(recording: Recording, address: SocketAddr) -> io::Result<Replay> {
        if !address.ip().is_loopback() {
            let reason = "usbmuxd listens on the loopback address only";
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        }
        if recording.connections.is_empty() {
            let reason = "no connection was recorded, so there is nothing to play";
            return Err(io::Error::new(ErrorKind::InvalidData, reason));
        }
        let play = Arc::new(prepare(recording)?);
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let serving = Arc::clone(&play);
        let thread = thread::Builder::new().spawn(move || accept(&listener, &serving))?;
        Ok(Replay { play, address, thread: Some(thread) })
    }

    /// The value for `USBMUXD_SOCKET_ADDRESS`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until all has happened that was recorded; at most `idle` for the next thing, and not
    /// at all once the host `has_left`.
    ///
    /// # Errors
    ///
    /// Where the host first departs from the recording.
    pub fn wait(
        &self,
        idle: Duration,
        mut has_left: impl FnMut() -> bool,
    ) -> Result<(), Divergence> {
        loop {
            let (place, silent) = match self.play.progress.look() {
                None => return Ok(()),
                Some(Err(divergence)) => return Err(divergence),
                Some(Ok(left)) => left,
            };
            let now = if silent > AFTERMATH && has_left() {
                "the host has ended"
            } else if silent > idle {
                "the host does nothing"
            } else {
                continue;
            };
            let divergence = desk::left_at(&self.play, place, now.to_owned());
            self.play.progress.diverges(divergence.clone());
            return Err(divergence);
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.play.progress.ends();
        // Wakes the thread that accepts. When it cannot be reached it has ended already.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

fn prepare(recording: Recording) -> io::Result<Play> {
    let (mut open, mut host) = (BTreeSet::new(), BTreeSet::new());
    let mut of_device = OfDevice::default();
    for (place, connection) in &recording.connections {
        open.insert(*place);
        for (place, step) in &connection.steps {
            open.insert(*place);
            match step {
                Step::Said(Side::Host, _) => drop(host.insert(*place)),
                Step::Said(Side::Device, Said::Message(list, _)) => of_device.learn(list),
                _ => {}
            }
        }
    }
    let trust = Trust::of(&recording)?;
    Ok(Play::new(recording, Progress::new(open, host), trust, of_device))
}

fn accept(listener: &TcpListener, play: &Arc<Play>) {
    let mut serving: Vec<JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        if play.progress.is_over() {
            break;
        }
        let Ok(stream) = stream else { continue };
        serving.retain(|thread| !thread.is_finished());
        let play = Arc::clone(play);
        // A host that leaves in the middle of a request to usbmuxd is noticed by what it leaves out.
        let thread = thread::Builder::new().spawn(move || drop(desk::serve(&play, stream)));
        serving.extend(thread);
    }
    for thread in serving {
        let _ = thread.join();
    }
}

/// A connection, for people.
fn place_in_words(recording: &Recording, number: usize) -> String {
    let connection = &recording.connections[number].1;
    let service = match connection.service.as_str() {
        "" => "a service without a name",
        service => service,
    };
    format!("{} ({service}, port {})", number + 1, connection.port)
}
