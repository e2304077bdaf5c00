//! The way a connection came, and what a phone does differently because of it.
use super::Pulse;
use std::fmt;
use std::sync::Arc;

/// The way a connection came.
#[derive(Debug, Clone)]
pub enum Link {
    /// By cable.
    Usb,
    /// By Wi-Fi.
    Network(Arc<Network>),
}

/// What is known of the network that a phone is reached by.
#[derive(Default)]
pub struct Network {
    /// Whether the host is still there.
    pub pulse: Pulse,
    open_port: Option<Box<dyn Fn(u16) + Send + Sync>>,
}

impl Network {
    /// One on which `open_port` is to be told of every port that a service waits on, so that hosts
    /// find it there without usbmuxd.
    pub fn with_ports(open_port: impl Fn(u16) + Send + Sync + 'static) -> Network {
        Network { pulse: Pulse::default(), open_port: Some(Box::new(open_port)) }
    }

    /// A service waits on `port`.
    pub fn open(&self, port: u16) {
        if let Some(open_port) = &self.open_port {
            open_port(port);
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("pulse", &self.pulse).finish_non_exhaustive()
    }
}
