//! Where usbmuxd's socket is.
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{DeviceError, DeviceErrorKind, Result};

/// A usbmuxd's socket.
///
/// # Source
///
/// `docs/device-protocol.md`, "usbmuxd": what other clients accept in `USBMUXD_SOCKET_ADDRESS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbmuxdAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP socket: host and port.
    Tcp(String, u16),
}

impl UsbmuxdAddress {
    /// Where the daemon of this platform listens.
    pub fn of_platform() -> Self {
        if cfg!(windows) {
            UsbmuxdAddress::Tcp("127.0.0.1".to_owned(), 27015)
        } else {
            UsbmuxdAddress::Unix(PathBuf::from("/var/run/usbmuxd"))
        }
    }

    /// The socket that `text` spells: `UNIX:/path`, `/path`, `host:port` or `[v6]:port`.
    ///
    /// # Errors
    ///
    /// It is none of these. Other clients fall back to the platform's socket without a word; a
    /// person who has set a variable is better told.
    pub fn parse(text: &str) -> Result<Self> {
        let unix = |path: &str| Path::new(path).is_absolute().then(|| PathBuf::from(path));
        let parsed = match text.strip_prefix("UNIX:") {
            Some(path) => unix(path).map(UsbmuxdAddress::Unix),
            None if text.starts_with('/') => unix(text).map(UsbmuxdAddress::Unix),
            None => tcp(text).map(|(host, port)| UsbmuxdAddress::Tcp(host, port)),
        };
        parsed.ok_or_else(|| {
            DeviceError::new(
                DeviceErrorKind::NoUsbmuxd,
                format!(
                    "{:?} is no address of usbmuxd: UNIX:/path, /path, host:port or [v6]:port",
                    text
                ),
            )
        })
    }
}

fn tcp(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').filter(|v6| v6.parse::<std::net::Ipv6Addr>().is_ok())?,
        None if host.contains([':', '/', ' ']) => return None,
        None => host,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

impl fmt::Display for UsbmuxdAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsbmuxdAddress::Unix(path) => write!(f, "{}", path.display()),
            UsbmuxdAddress::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            UsbmuxdAddress::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_spellings_are_understood_and_nothing_else() {
        let unix = |path: &str| UsbmuxdAddress::Unix(PathBuf::from(path));
        let tcp = |host: &str, port| UsbmuxdAddress::Tcp(host.to_owned(), port);
        for (text, address) in [
            ("UNIX:/tmp/mux", unix("/tmp/mux")),
            ("/tmp/mux:2", unix("/tmp/mux:2")),
            ("127.0.0.1:27015", tcp("127.0.0.1", 27015)),
            ("localhost:1", tcp("localhost", 1)),
            ("[::1]:27015", tcp("::1", 27015)),
        ] {
            assert_eq!(UsbmuxdAddress::parse(text).unwrap(), address, "{text}");
        }
        for bad in ["", "UNIX:", "UNIX:mux", "mux", ":5", "host:", "host:0", "host:70000", "::1:5"]
        {
            assert!(UsbmuxdAddress::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(UsbmuxdAddress::parse("[::1]:5").unwrap().to_string(), "[::1]:5");
    }
}
