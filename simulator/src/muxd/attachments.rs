//! Which phones are there, by which way, and who wants to hear of it.
use crate::lockdown::{Lockdown, PORT};
use crate::services::Link;
use plist::{Dictionary, Value};
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, Weak};

/// Events that may wait for a listener that does not read.
const EVENTS_MAX: usize = 1024;

/// One way to one phone.
pub(super) struct Attachment {
    pub(super) id: u64,
    pub(super) lockdown: Arc<Lockdown>,
    pub(super) link: Link,
    /// Where it is reached by the network, without usbmuxd.
    pub(super) address: Ipv4Addr,
}

impl Attachment {
    fn udid(&self) -> &str {
        &self.lockdown.phone().identity().udid
    }

    /// As usbmuxd describes it, in lists and as an event.
    fn attached(&self) -> Dictionary {
        let mut properties = Dictionary::new();
        properties.insert("DeviceID".into(), self.id.into());
        properties.insert("SerialNumber".into(), self.udid().into());
        match self.link {
            Link::Usb => {
                properties.insert("ConnectionType".into(), "USB".into());
                properties.insert("ConnectionSpeed".into(), 480_000_000.into());
                properties.insert("LocationID".into(), (0x0003_0000 + self.id).into());
                properties.insert("ProductID".into(), 0x12A8.into());
            }
            Link::Network(_) => {
                let name = format!("{}._apple-mobdev2._tcp.local.", self.udid());
                properties.insert("ConnectionType".into(), "Network".into());
                properties.insert("EscapedFullServiceName".into(), name.into());
                properties.insert("InterfaceIndex".into(), 1.into());
                properties.insert(
                    "NetworkAddress".into(),
                    Value::Data(bsd_address(self.address).to_vec()),
                );
            }
        }
        let mut event = event("Attached", self.id);
        event.insert("Properties".into(), Value::Dictionary(properties));
        event
    }
}

/// lockdownd at `address` as BSD lays it out: length, family, port, address (protocol.md 1.2).
fn bsd_address(address: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&[16, 2]);
    bytes[2..4].copy_from_slice(&PORT.to_be_bytes());
    bytes[4..8].copy_from_slice(&address.octets());
    bytes
}

fn event(kind: &str, id: u64) -> Dictionary {
    let mut event = Dictionary::new();
    event.insert("MessageType".into(), kind.into());
    event.insert("DeviceID".into(), id.into());
    event
}

/// One who hears of what comes and goes; ends when it is dropped.
pub(super) struct Listener {
    events: Arc<Mutex<VecDeque<Dictionary>>>,
}

impl Listener {
    pub(super) fn take(&self) -> Option<Dictionary> {
        self.events.lock().expect("because no holder panics").pop_front()
    }
}

/// All that is attached.
#[derive(Default)]
pub(super) struct Attachments {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    present: Vec<Arc<Attachment>>,
    last_id: u64,
    listeners: Vec<Weak<Mutex<VecDeque<Dictionary>>>>,
}

impl Inner {
    fn tell(&mut self, event: &Dictionary) {
        self.listeners.retain(|listener| listener.strong_count() > 0);
        for events in self.listeners.iter().filter_map(Weak::upgrade) {
            let mut events = events.lock().expect("because no holder panics");
            if events.len() < EVENTS_MAX {
                events.push_back(event.clone());
            }
        }
    }
}

impl Attachments {
    /// A number that was never given before.
    pub(super) fn next_id(&self) -> u64 {
        let mut inner = self.inner.lock().expect("because no holder panics");
        inner.last_id += 1;
        inner.last_id
    }

    /// Attaches a phone by one way.
    pub(super) fn attach(&self, attachment: Arc<Attachment>) {
        let mut inner = self.inner.lock().expect("because no holder panics");
        let event = attachment.attached();
        inner.present.push(attachment);
        inner.tell(&event);
    }

    /// Detaches those of the ways to a phone that are meant, and says under which numbers they
    /// were.
    pub(super) fn detach(&self, udid: &str, is_meant: impl Fn(&Link) -> bool) -> Vec<u64> {
        let mut inner = self.inner.lock().expect("because no holder panics");
        let (gone, present) = inner
            .present
            .drain(..)
            .partition(|attachment| attachment.udid() == udid && is_meant(&attachment.link));
        inner.present = present;
        let gone: Vec<Arc<Attachment>> = gone;
        for attachment in &gone {
            inner.tell(&event("Detached", attachment.id));
        }
        gone.iter().map(|attachment| attachment.id).collect()
    }

    /// Tells that a phone was paired.
    pub(super) fn paired(&self, udid: &str) {
        let mut inner = self.inner.lock().expect("because no holder panics");
        let ids: Vec<u64> = inner
            .present
            .iter()
            .filter(|attachment| attachment.udid() == udid)
            .map(|attachment| attachment.id)
            .collect();
        for id in ids {
            inner.tell(&event("Paired", id));
        }
    }

    pub(super) fn present(&self) -> Vec<Arc<Attachment>> {
        self.inner.lock().expect("because no holder panics").present.clone()
    }

    pub(super) fn find(&self, id: u64) -> Option<Arc<Attachment>> {
        self.present().into_iter().find(|attachment| attachment.id == id)
    }

    /// The `Attached` dictionaries of all.
    pub(super) fn list(&self) -> Vec<Value> {
        self.present().iter().map(|present| Value::Dictionary(present.attached())).collect()
    }

    /// Begins to listen; the first events are what is there already.
    pub(super) fn listen(&self) -> Listener {
        let mut inner = self.inner.lock().expect("because no holder panics");
        let present = inner.present.iter().map(|attachment| attachment.attached()).collect();
        let events = Arc::new(Mutex::new(present));
        inner.listeners.push(Arc::downgrade(&events));
        Listener { events }
    }
}
