//! Phones on a table, and the usbmuxd that they are plugged into.
use crate::lockdown::{self, Lockdown};
use crate::muxd::{self, Log, Muxd};
use crate::phone::{Battery, Faults, Identity, Phone};
use crate::random::Random;
use crate::transcript::Transcript;
use crate::wire::Weather;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What is simulated, and how.
#[derive(Clone)]
pub struct Options {
    /// Where usbmuxd listens; port 0 is any. Nothing here is for the open network.
    pub address: SocketAddr,
    /// Where phones and usbmuxd keep what survives a restart; `None` is a folder that goes away
    /// with the simulator.
    pub state: Option<PathBuf>,
    /// The phones, attached in this order.
    pub phones: Vec<PhoneOptions>,
    /// How bytes leave.
    pub weather: Weather,
    /// What all chance is drawn from.
    pub seed: u64,
    /// How lockdown behaves.
    pub lockdown: lockdown::Options,
    /// Where the words go that nobody asked for.
    pub log: Option<Log>,
    /// Where all is written down that passes between hosts and phones; for tests, since it holds
    /// whole backups.
    pub transcript: Option<Arc<Transcript>>,
}

impl Default for Options {
    /// One phone, by USB, with which nothing is wrong, in unkind weather.
    fn default() -> Self {
        Options {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state: None,
            phones: vec![PhoneOptions::new(identity(0))],
            weather: Weather::default(),
            seed: 0,
            lockdown: lockdown::Options::default(),
            log: None,
            transcript: None,
        }
    }
}

/// One phone, and how it is attached.
#[derive(Debug, Clone, PartialEq)]
pub struct PhoneOptions {
    /// Who it is.
    pub identity: Identity,
    /// What its battery has left.
    pub battery: Battery,
    /// What is wrong with it.
    pub faults: Faults,
    /// It is attached by USB.
    pub by_usb: bool,
    /// It is attached by the network.
    pub by_network: bool,
}

impl PhoneOptions {
    /// Attached by USB, and well.
    pub fn new(identity: Identity) -> PhoneOptions {
        PhoneOptions {
            identity,
            battery: Battery::default(),
            faults: Faults::default(),
            by_usb: true,
            by_network: false,
        }
    }
}

/// The phone of this number, the first being 0. Among the first four are an apostrophe that is none
/// of ASCII's, an emoji, an old UDID, an iPad, and one name twice.
pub fn identity(number: usize) -> Identity {
    let known = [
        ("Ada\u{2019}s iPhone", "iPhone15,2", "17.5.1", "21F90"),
        ("Zo\u{eb} \u{1f4f1}", "iPhone10,3", "16.7.8", "20H343"),
        ("Kitchen iPad", "iPad14,1", "18.1", "22B83"),
        ("Ada\u{2019}s iPhone", "iPhone17,1", "26.1", "23B85"),
    ];
    let mut random = Random::split(0x5EED, &format!("phone {number}"));
    let (one, two, three) = (random.next(), random.next(), random.next());
    let (name, product, version, build) = known.get(number).copied().unwrap_or_default();
    let is_known = !name.is_empty();
    let udid = match product {
        // Up to the iPhone X a UDID has 40 hex digits.
        "iPhone10,3" => format!("{one:016x}{two:016x}{:08x}", three >> 32),
        _ => format!("00008{:03X}-{:016X}", 0x120 + one % 0x20, two >> 8),
    };
    let text = |known: &str, other: &str| (if is_known { known } else { other }).to_owned();
    Identity {
        udid,
        name: if is_known { name.to_owned() } else { format!("iPhone {}", number + 1) },
        product_type: text(product, "iPhone15,4"),
        product_version: text(version, "17.6"),
        build_version: text(build, "21G80"),
        serial_number: format!("{:010X}", three >> 24),
    }
}

/// Running phones. Dropped, all of it ends: the address, the threads, the connections.
pub struct Simulator {
    phones: Vec<Arc<Phone>>,
    attached: Vec<(Arc<Lockdown>, PhoneOptions)>,
    muxd: Muxd,
    /// Goes away last, and is there only when no other folder was given.
    _temporary: Option<TempDir>,
}

impl Simulator {
    /// Starts usbmuxd, and attaches the phones.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: the address is not of this machine only, or a UDID is none, or is there
    ///   twice.
    /// - Others: the address or the folder cannot be used.
    pub fn start(options: Options) -> io::Result<Simulator> {
        if !options.address.ip().is_loopback() {
            return Err(invalid("usbmuxd listens on the loopback address only"));
        }
        let temporary = match options.state {
            None => Some(tempfile::Builder::new().prefix("devsnap-simulator-").tempdir()?),
            Some(_) => None,
        };
        let state = match (&options.state, &temporary) {
            (Some(folder), _) => folder.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => return Err(ErrorKind::NotFound.into()),
        };
        let attached = take_out_of_the_box(&options, &state)?;
        let muxd = Muxd::start(muxd::Options {
            address: options.address,
            records: state.join("usbmuxd"),
            weather: options.weather,
            seed: options.seed,
            log: options.log,
            transcript: options.transcript,
        })?;
        let phones = attached.iter().map(|(lockdown, _)| Arc::clone(lockdown.phone())).collect();
        let simulator = Simulator { phones, attached, muxd, _temporary: temporary };
        for phone in &simulator.phones {
            simulator.plug_in(&phone.identity().udid);
        }
        Ok(simulator)
    }

    /// Where usbmuxd listens: the value for `USBMUXD_SOCKET_ADDRESS`.
    pub fn address(&self) -> SocketAddr {
        self.muxd.address()
    }

    /// The phones, attached or not.
    pub fn phones(&self) -> &[Arc<Phone>] {
        &self.phones
    }

    /// Attaches a phone as it was at first; each way gets a new number.
    pub fn plug_in(&self, udid: &str) {
        for (lockdown, options) in &self.attached {
            if options.identity.udid == udid {
                if options.by_usb {
                    self.muxd.attach_by_usb(lockdown);
                }
                if options.by_network {
                    self.muxd.attach_by_network(lockdown);
                }
            }
        }
    }

    /// Detaches a phone; its connections break off.
    pub fn unplug(&self, udid: &str) {
        self.muxd.detach(udid);
    }

    /// Pulls a phone's cable; by the network it stays attached, if it was.
    pub fn pull_cable(&self, udid: &str) {
        self.muxd.detach_from_usb(udid);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // First, so that no service waits on while usbmuxd waits for it.
        for phone in &self.phones {
            phone.turn_off();
        }
    }
}

fn take_out_of_the_box(
    options: &Options,
    state: &Path,
) -> io::Result<Vec<(Arc<Lockdown>, PhoneOptions)>> {
    let mut taken: Vec<(Arc<Lockdown>, PhoneOptions)> = Vec::new();
    for one in &options.phones {
        let udid = &one.identity.udid;
        let is_sound = |udid: &str| udid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if udid.is_empty() || udid.len() > 64 || !is_sound(udid) {
            return Err(invalid("a UDID has letters, digits and hyphens only"));
        }
        if taken.iter().any(|(_, other)| other.identity.udid == *udid) {
            return Err(invalid("two phones have one UDID"));
        }
        let folder = state.join("phones").join(udid);
        fs::create_dir_all(&folder)?;
        let phone = Phone::new(one.identity.clone(), folder)
            .with_seed(options.seed)
            .with_transcript(options.transcript.clone());
        phone.set_battery(one.battery);
        phone.set_faults(one.faults.clone());
        let lockdown = Lockdown::new(Arc::new(phone), options.lockdown)?;
        taken.push((Arc::new(lockdown), one.clone()));
    }
    Ok(taken)
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_phones_differ_in_all_but_one_name() {
        let all: Vec<Identity> = (0..8).map(identity).collect();
        let distinct = |text: fn(&Identity) -> &String| {
            all.iter().map(text).collect::<std::collections::BTreeSet<_>>().len()
        };

        assert_eq!(distinct(|identity| &identity.udid), 8);
        assert_eq!(distinct(|identity| &identity.serial_number), 8);
        assert_eq!(distinct(|identity| &identity.name), 7);
        assert!(all[0].name.contains('\u{2019}') && all[1].name.contains('\u{1f4f1}'));
        assert_eq!((all[0].udid.len(), all[1].udid.len()), (25, 40));
    }

    #[test]
    fn no_phone_is_offered_to_the_open_network_and_none_twice() {
        let open = Options { address: ([0, 0, 0, 0], 0).into(), ..Options::default() };
        let mut twice = Options::default();
        twice.phones.push(twice.phones[0].clone());

        for options in [open, twice] {
            let refused = Simulator::start(options).map(drop).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        }
    }
}
