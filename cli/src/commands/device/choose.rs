//! Which of the devices that are attached are meant.
use super::{Host, pause};
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use devsnap_device::lockdown::Glimpse;
use devsnap_device::transport::{AtMost, ConnectionKind, DeviceAddress, distinct};
use devsnap_device::{DeviceError, Udid};
use devsnap_engine::snapshot::folded;
use std::time::{Duration, Instant};

/// How long a device has to say what it is called.
const NAME_WAIT: AtMost = AtMost(Duration::from_secs(5));

/// How often it is looked whether a device has come.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A device that is attached.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Attached {
    /// The way it is reached: the cable, where there are several.
    pub(super) address: DeviceAddress,
    /// All ways.
    pub(super) connections: Vec<ConnectionKind>,
    /// What it tells everybody; `None` when it did not answer.
    pub(super) glimpse: Option<Glimpse>,
}

impl Attached {
    /// The device at `address`, asked what it is called.
    pub(super) fn at(host: &Host, address: DeviceAddress) -> Attached {
        let glimpse = Glimpse::of(&*host.transport, &address, NAME_WAIT).ok();
        Attached { connections: vec![address.kind], glimpse, address }
    }

    pub(in crate::commands) fn udid(&self) -> &Udid {
        &self.address.udid
    }

    /// What its owner calls it; empty when it did not say.
    pub(in crate::commands) fn name(&self) -> &str {
        self.glimpse.as_ref().map_or("", |glimpse| &glimpse.name)
    }

    /// E.g. `Anna's iPhone`, or the UDID of one that did not say.
    pub(in crate::commands) fn shown(&self) -> &str {
        if self.name().is_empty() { self.udid().as_str() } else { self.name() }
    }

    /// E.g. `Anna's iPhone 00008030-001A2B3C4D5E6F78 (USB)`.
    fn in_full(&self) -> String {
        let ways: Vec<_> = self.connections.iter().map(|way| connection_word(*way)).collect();
        let name = if self.name().is_empty() { "(no name)" } else { self.name() };
        format!("{name} {} ({})", self.udid(), ways.join(", "))
    }
}

/// The word for people.
pub(super) fn connection_word(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Usb => "USB",
        ConnectionKind::Network => "network",
        _ => "unknown",
    }
}

/// Which devices are meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// The only one there is.
    Only,
    /// The one of this name or UDID.
    Named(&'a str),
    /// All there are.
    All,
}

impl<'a> Wanted<'a> {
    pub(super) fn one(named: Option<&'a str>) -> Wanted<'a> {
        named.map_or(Wanted::Only, Wanted::Named)
    }
}

/// All devices that are attached, each asked what it is called.
pub(super) fn attached(host: &Host) -> Result<Vec<Attached>, DeviceError> {
    let all = host.transport.devices()?;
    let one = |address: DeviceAddress| {
        let mut connections: Vec<_> =
            all.iter().filter(|other| other.udid == address.udid).map(|other| other.kind).collect();
        connections.sort_unstable();
        connections.dedup();
        Attached { connections, ..Attached::at(host, address) }
    };
    Ok(distinct(all.clone()).into_iter().map(one).collect())
}

/// The devices that are meant; waits so long until one is attached. At least one.
pub(super) fn find(
    session: &Session<'_>,
    host: &Host,
    wanted: Wanted<'_>,
    wait: Option<Duration>,
) -> Result<Vec<Attached>, Failure> {
    let until = wait.and_then(|wait| Instant::now().checked_add(wait));
    let mut is_said = false;
    loop {
        let found = attached(host).map_err(Failure::from).and_then(|all| pick(all, wanted));
        let missing = match found {
            Err(failure) if failure.code() == ExitCode::NoDevice => failure,
            found => return found,
        };
        if until.is_none_or(|until| Instant::now() >= until) {
            return Err(missing);
        }
        if !is_said {
            session.report.note(&format!("{}: waiting", missing.message()));
            is_said = true;
        }
        pause(session, LOOK_EVERY)?;
    }
}

/// The one device that is meant, as [`find`].
pub(in crate::commands) fn find_one(
    session: &Session<'_>,
    host: &Host,
    named: Option<&str>,
    wait: Option<Duration>,
) -> Result<Attached, Failure> {
    let found = find(session, host, Wanted::one(named), wait)?;
    found.into_iter().next().ok_or_else(|| missing("no device is attached"))
}

fn pick(all: Vec<Attached>, wanted: Wanted<'_>) -> Result<Vec<Attached>, Failure> {
    let total = all.len();
    match wanted {
        _ if total == 0 => Err(missing(match wanted {
            Wanted::Named(name) => format!("`{name}` is not attached, and no other device is"),
            _ => "no device is attached".to_owned(),
        })),
        Wanted::All => Ok(all),
        Wanted::Only if total == 1 => Ok(all),
        Wanted::Only => Err(several(&format!("{total} devices are attached"), &all)
            .hint("name one with --device NAME or --device UDID")),
        Wanted::Named(name) => {
            let (fitting, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|d| fits(d, name));
            match fitting.len() {
                0 => Err(missing(format!(
                    "no device is called `{name}`; attached: {}",
                    in_full(&others)
                ))),
                1 => Ok(fitting),
                count => Err(several(&format!("{count} devices are called `{name}`"), &fitting)
                    .hint("name one by its UDID with --device UDID")),
            }
        }
    }
}

/// Whether a device is called so, or has this UDID: with or without its hyphen, in any case.
fn fits(device: &Attached, name: &str) -> bool {
    let bare = |udid: &str| udid.replace('-', "").to_ascii_lowercase();
    bare(device.udid().as_str()) == bare(name.trim())
        || (!device.name().is_empty() && folded(device.name()) == folded(name))
}

fn missing(what: impl AsRef<str>) -> Failure {
    Failure::from(DeviceError::new(
        devsnap_device::DeviceErrorKind::NotConnected,
        what.as_ref().to_owned(),
    ))
}

fn several(what: &str, devices: &[Attached]) -> Failure {
    Failure::usage(format!("{what}: {}", in_full(devices)))
}

fn in_full(devices: &[Attached]) -> String {
    devices.iter().map(Attached::in_full).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(last: char, name: &str) -> Attached {
        let udid = Udid::parse(&format!("00008030-001A2B3C4D5E6F7{last}")).unwrap();
        Attached {
            address: DeviceAddress { udid, kind: ConnectionKind::Usb, handle: 1 },
            connections: vec![ConnectionKind::Usb],
            glimpse: Some(Glimpse { name: name.to_owned(), ..Glimpse::default() }),
        }
    }

    fn picked(all: &[Attached], wanted: Wanted<'_>) -> Result<Vec<char>, Failure> {
        let last = |d: Attached| d.udid().as_str().chars().last().unwrap();
        pick(all.to_vec(), wanted).map(|found| found.into_iter().map(last).collect())
    }

    #[test]
    fn a_name_is_compared_as_people_type_it() {
        let all =
            [device('1', "Ada\u{2019}s iPhone"), device('2', "\u{201e}Zo\u{eb}\u{201c}\u{a0} X")];
        for (typed, found) in [
            ("Ada's iPhone", '1'),
            ("  ada\u{2018}s   IPHONE ", '1'),
            ("00008030-001a2b3c4d5e6f71", '1'),
            ("00008030001A2B3C4D5E6F72", '2'),
            ("\"ZO\u{cb}\" x", '2'),
        ] {
            assert_eq!(picked(&all, Wanted::Named(typed)).unwrap(), [found], "{typed}");
        }
    }

    #[test]
    fn several_are_named_with_their_udid_and_connection() {
        let all = [device('1', "iPhone"), device('2', "iphone"), device('3', "")];
        let failure = picked(&all, Wanted::Named("iPhone")).unwrap_err();
        assert_eq!(failure.code(), ExitCode::Usage);
        assert!(failure.message().contains("iphone 00008030-001A2B3C4D5E6F72 (USB)"));
        assert!(!failure.message().contains("6F73"), "{failure:?}");
        assert_eq!(picked(&all, Wanted::Only).unwrap_err().code(), ExitCode::Usage);
        assert_eq!(picked(&all, Wanted::All).unwrap(), ['1', '2', '3']);
        assert_eq!(picked(&all[..1], Wanted::Only).unwrap(), ['1']);
    }

    #[test]
    fn what_is_not_attached_is_no_device_and_others_are_named() {
        let none = picked(&[], Wanted::All).unwrap_err();
        let other = picked(&[device('1', "iPhone")], Wanted::Named("iPad")).unwrap_err();
        assert_eq!((none.code(), other.code()), (ExitCode::NoDevice, ExitCode::NoDevice));
        assert!(other.message().contains("attached: iPhone"), "{other:?}");
        // An empty name is nobody's, not even of one that has none.
        assert!(picked(&[device('1', "")], Wanted::Named("")).is_err());
    }
}
