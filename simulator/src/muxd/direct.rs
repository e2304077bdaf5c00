//! The way to a phone that needs no usbmuxd: its own address on the network, here one of this
//! machine's many loopback addresses. libimobiledevice takes this way to every network device.
use super::Daemon;
use super::attachments::Attachment;
use super::client::{lead, wire};
use crate::lockdown::{Lockdown, PORT};
use crate::random::Random;
use crate::services::{Link, Network};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Addresses that are tried: another simulator may have some.
const TRIES: u64 = 20;
/// How often a listener looks whether somebody came, or it is over.
const PASS: Duration = Duration::from_millis(10);
/// How long a service waits for its host.
const SERVICE_WAITS: Duration = Duration::from_secs(30);

/// Attaches a phone by the network.
pub(super) fn attach(daemon: &Arc<Daemon>, lockdown: &Arc<Lockdown>) {
    let id = daemon.attachments.next_id();
    let listener = free_address(daemon.seed, lockdown);
    let address = listener.as_ref().map_or(Ipv4Addr::LOCALHOST, |(address, _)| *address);
    let network = match &listener {
        None => Network::default(),
        Some((address, _)) => {
            let (daemon, address) = (Arc::downgrade(daemon), *address);
            Network::with_ports(move |port| wait_at(&daemon, id, address, port))
        }
    };
    let link = Link::Network(Arc::new(network));
    let lockdown = Arc::clone(lockdown);
    daemon.attachments.attach(Arc::new(Attachment { id, lockdown, link, address }));
    if let Some((_, listener)) = listener {
        let daemon = Arc::downgrade(daemon);
        thread::spawn(move || accept(&daemon, id, PORT, &listener, None));
    }
}

/// An address on which nobody has lockdownd's port; `None` where there is but one address.
fn free_address(seed: u64, lockdown: &Lockdown) -> Option<(Ipv4Addr, TcpListener)> {
    let udid = &lockdown.phone().identity().udid;
    let mut random = Random::split(seed, &format!("address of {udid}"));
    (0..TRIES).find_map(|_| {
        let [two, three, four, ..] = random.next().to_le_bytes();
        let address = Ipv4Addr::new(127, two | 1, three, four.clamp(1, 254));
        let listener = TcpListener::bind((address, PORT)).ok()?;
        listener.set_nonblocking(true).ok()?;
        Some((address, listener))
    })
}

/// Lets a service's port be found at `address`, for one connection.
fn wait_at(daemon: &Weak<Daemon>, id: u64, address: Ipv4Addr, port: u16) {
    let listener = TcpListener::bind((address, port));
    let Ok(listener) = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    }) else {
        // The way through usbmuxd is still there.
        return;
    };
    let daemon = Weak::clone(daemon);
    let until = Instant::now() + SERVICE_WAITS;
    thread::spawn(move || accept(&daemon, id, port, &listener, Some(until)));
}

/// Serves who comes to `port` as long as the attachment is there; with a time, one only, and until
/// then.
fn accept(
    daemon: &Weak<Daemon>,
    id: u64,
    port: u16,
    listener: &TcpListener,
    until: Option<Instant>,
) {
    loop {
        let Some(daemon) = daemon.upgrade() else { return };
        let attachment = daemon.attachments.find(id);
        let Some(attachment) = attachment.filter(|_| !daemon.is_ending()) else { return };
        match listener.accept() {
            Ok((stream, _)) => {
                let is_one = until.is_some();
                thread::spawn(move || {
                    if let Err(error) = serve(&daemon, &attachment, port, stream) {
                        daemon.say(&error.to_string());
                    }
                });
                if is_one {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if until.is_some_and(|until| Instant::now() > until) {
                    return;
                }
                drop((daemon, attachment));
                thread::sleep(PASS);
            }
            Err(_) => thread::sleep(PASS),
        }
    }
}

fn serve(daemon: &Daemon, attachment: &Attachment, port: u16, stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let Some(place) = daemon.live.enter(&stream)? else { return Ok(()) };
    let Some(door) = attachment.lockdown.knock(port) else { return Ok(()) };
    lead(daemon, wire(daemon, stream)?, &place, attachment, door)
}
