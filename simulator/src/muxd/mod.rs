//! usbmuxd: which phones are there, and the way to their ports.
mod attachments;
mod client;
mod direct;
pub(crate) mod frame;
mod live;
mod records;

use crate::lockdown::Lockdown;
use crate::services::{self, Link};
use crate::transcript::Transcript;
use crate::wire::Weather;
use attachments::{Attachment, Attachments};
use live::Live;
use records::Records;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Its name in transcripts.
pub const SERVICE: &str = "usbmuxd";
/// How often network attachments are looked at.
const WATCH_EVERY: Duration = Duration::from_millis(50);
/// How long the end waits for connections that were broken off.
const FAREWELL: Duration = Duration::from_secs(10);

/// Where the words of the daemon go: one line for each connection that ended badly.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// What the daemon is started with.
pub struct Options {
    /// Where it listens; port 0 is any.
    pub address: SocketAddr,
    /// Where pair records are kept.
    pub records: PathBuf,
    /// How bytes leave.
    pub weather: Weather,
    /// What chance is drawn from.
    pub seed: u64,
    /// Where its words go.
    pub log: Option<Log>,
    /// Where it is written down what clients ask of it.
    pub transcript: Option<Arc<Transcript>>,
}

/// What the daemon's threads share.
struct Daemon {
    attachments: Attachments,
    live: Live,
    records: Records,
    weather: Weather,
    seed: u64,
    connections: AtomicU64,
    is_ending: AtomicBool,
    log: Option<Log>,
    transcript: Option<Arc<Transcript>>,
}

impl Daemon {
    fn say(&self, words: &str) {
        if let Some(log) = &self.log {
            log(words);
        }
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }
}

/// A running usbmuxd. Dropped, it ends, and breaks off what it serves.
pub struct Muxd {
    daemon: Arc<Daemon>,
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl Muxd {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on, or the folder of records not be written.
    pub fn start(options: Options) -> io::Result<Muxd> {
        let listener = TcpListener::bind(options.address)?;
        let address = listener.local_addr()?;
        let daemon = Arc::new(Daemon {
            attachments: Attachments::default(),
            live: Live::default(),
            records: Records::kept_in(options.records)?,
            weather: options.weather,
            seed: options.seed,
            connections: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            log: options.log,
            transcript: options.transcript,
        });
        let (accepting, watching) = (Arc::clone(&daemon), Arc::clone(&daemon));
        let threads = vec![
            thread::spawn(move || accept(&listener, &accepting)),
            thread::spawn(move || watch_network(&watching)),
        ];
        Ok(Muxd { daemon, address, threads })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Attaches a phone by USB.
    pub fn attach_by_usb(&self, lockdown: &Arc<Lockdown>) {
        self.daemon.attachments.attach(Arc::new(Attachment {
            id: self.daemon.attachments.next_id(),
            lockdown: Arc::clone(lockdown),
            link: Link::Usb,
            address: Ipv4Addr::UNSPECIFIED,
        }));
    }

    /// Attaches a phone by the network: it is reached through usbmuxd, and at an address of its own
    /// on this machine too, where the system has more than one.
    pub fn attach_by_network(&self, lockdown: &Arc<Lockdown>) {
        direct::attach(&self.daemon, lockdown);
    }

    /// Detaches all ways to a phone, and breaks off what leads there.
    pub fn detach(&self, udid: &str) {
        self.detach_if(udid, |_| true);
    }

    /// Detaches a phone from the cable only; connections over it break off.
    pub fn detach_from_usb(&self, udid: &str) {
        self.detach_if(udid, |link| matches!(link, Link::Usb));
    }

    fn detach_if(&self, udid: &str, is_meant: impl Fn(&Link) -> bool) {
        for attachment in self.daemon.attachments.detach(udid, is_meant) {
            self.daemon.live.break_off(attachment);
        }
    }
}

impl Drop for Muxd {
    fn drop(&mut self) {
        self.daemon.is_ending.store(true, Ordering::Release);
        // Wakes the thread that accepts. When it cannot be reached it has ended already.
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        self.daemon.live.close(FAREWELL);
    }
}

fn accept(listener: &TcpListener, daemon: &Arc<Daemon>) {
    for stream in listener.incoming() {
        if daemon.is_ending() {
            return;
        }
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // Out of sockets, most likely: others must end first.
                daemon.say(&format!("accepting: {error}"));
                thread::sleep(WATCH_EVERY);
                continue;
            }
        };
        let daemon = Arc::clone(daemon);
        let serving = thread::Builder::new().spawn(move || {
            if let Err(error) = client::serve(&daemon, stream) {
                daemon.say(&error.to_string());
            }
        });
        // Without a thread the connection closes; the client sees that.
        drop(serving);
    }
}

/// Breaks off network connections whose host shows no heartbeat.
fn watch_network(daemon: &Daemon) {
    while !daemon.is_ending() {
        thread::sleep(WATCH_EVERY);
        for attachment in daemon.attachments.present() {
            if is_forsaken(&attachment) && daemon.live.count(attachment.id) > 0 {
                daemon.say("no heartbeat: network connections are broken off");
                daemon.live.break_off(attachment.id);
            }
        }
    }
}

fn is_forsaken(attachment: &Attachment) -> bool {
    match &attachment.link {
        Link::Usb => false,
        Link::Network(network) => {
            network.pulse.silent_for() > services::heartbeat_patience(attachment.lockdown.phone())
        }
    }
}
