//! How a device comes to trust this computer.
//!
//! usbmuxd pairs by itself when a device is attached, and keeps the record. So: read what it has;
//! if the device does not take that, wait a while for usbmuxd to say `Paired`, since its dialog is
//! likely to be what the person looks at; and only then ask ourselves.
use std::time::{Duration, Instant};

use jiff::Timestamp;
use plist::{Dictionary, Value};
use zeroize::Zeroizing;

use super::certificates;
use super::client::{ANSWER_WAIT, Lockdown, PORT, Refusal};
use super::pair_record::{PairRecord, PairRecords};
use super::session::{Introduction, NoSession, Session};
use super::tls::HandshakeLost;
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::transport::{DeviceAddress, Events, Transport, TransportEvent, Wait};
use crate::udid::Udid;
use crate::watch::{DeviceWatch, Stage};

/// How patient pairing is.
#[derive(Debug, Clone, Copy)]
pub struct PairingPatience {
    /// How long usbmuxd's own pairing is waited for before we ask ourselves.
    pub for_usbmuxd: Duration,
    /// How long a person has to tap "Trust" and enter the passcode.
    pub for_person: Duration,
    /// How often the device is asked whether they have.
    pub ask_every: Duration,
}

impl Default for PairingPatience {
    fn default() -> Self {
        PairingPatience {
            for_usbmuxd: Duration::from_secs(20),
            for_person: Duration::from_secs(600),
            ask_every: Duration::from_secs(1),
        }
    }
}

/// What pairing works with.
pub struct Pairing<'a> {
    /// How the device is reached.
    pub transport: &'a dyn Transport,
    /// Which device.
    pub address: &'a DeviceAddress,
    /// Our own records.
    pub records: &'a PairRecords,
    /// Who is told that somebody must tap "Trust".
    pub watch: &'a dyn DeviceWatch,
    /// How long to wait for whom.
    pub patience: PairingPatience,
}

impl Pairing<'_> {
    /// A record that the device takes, pairing if there is none.
    ///
    /// # Errors
    ///
    /// [`TrustRefused`](DeviceErrorKind::TrustRefused), [`NotTrusted`](DeviceErrorKind::NotTrusted)
    /// when nobody tapped in time, [`Locked`](DeviceErrorKind::Locked) likewise; the connection
    /// broke; what `wait` says.
    pub fn trusted_record(&self, wait: &mut dyn Wait) -> Result<PairRecord> {
        if let Some(record) = self.taken_record(wait)? {
            return Ok(record);
        }
        self.watch.stage(Stage::WaitingForTrust);
        if let Some(record) = self.paired_by_daemon(wait)? {
            return Ok(record);
        }
        self.pair(wait)
    }

    /// A record of usbmuxd or of ours that the device takes, if there is one; nobody is asked for
    /// anything but to unlock the device.
    ///
    /// # Errors
    ///
    /// [`Locked`](DeviceErrorKind::Locked) when nobody unlocked it in time; the device refuses; the
    /// connection broke; what `wait` says.
    pub fn taken_record(&self, wait: &mut dyn Wait) -> Result<Option<PairRecord>> {
        for record in known_records(self.transport, self.records, &self.address.udid)? {
            // Without the bag a locked device would break the backup off; pairing brings one.
            if record.escrow_bag.is_some() && self.is_taken(&record, wait)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Whether the device begins a session with this record.
    fn is_taken(&self, record: &PairRecord, wait: &mut dyn Wait) -> Result<bool> {
        let since = Instant::now();
        let mut is_second = false;
        loop {
            let (transport, address, intro) = (self.transport, self.address, Introduction::Left);
            match Session::begin(transport, address, record, intro, ANSWER_WAIT, wait) {
                Ok(session) => {
                    session.end();
                    return Ok(true);
                }
                Err(NoSession::Refused(Refusal(word))) if word == "PasswordProtected" => {
                    self.watch.stage(Stage::WaitingForUnlock);
                    let refusal = || Refusal(word.clone()).into_error("starting a session");
                    self.pause(since, wait, refusal)?;
                }
                Err(NoSession::Refused(Refusal(word))) if word == "InvalidHostID" => {
                    return Ok(false);
                }
                Err(NoSession::Refused(refusal)) => {
                    return Err(refusal.into_error("starting a session"));
                }
                // Certificates that cannot be used, or a handshake that the device refused.
                Err(NoSession::Failed(error)) if error.kind() == DeviceErrorKind::NotTrusted => {
                    return Ok(false);
                }
                // A link that drops must not cost the pairing: only a device that breaks off again
                // means it.
                Err(NoSession::Failed(error)) if HandshakeLost::is_behind(&error) => {
                    if std::mem::replace(&mut is_second, true) {
                        return Ok(false);
                    }
                }
                Err(NoSession::Failed(error)) => return Err(error),
            }
        }
    }

    /// Waits for usbmuxd to pair, as it does when a device is attached.
    fn paired_by_daemon(&self, wait: &mut dyn Wait) -> Result<Option<PairRecord>> {
        if self.patience.for_usbmuxd.is_zero() {
            return Ok(None);
        }
        let since = Instant::now();
        let mut events = self.transport.watch()?;
        // It may have paired after we looked and before we listened.
        if let Some(record) = self.taken_record(wait)? {
            return Ok(Some(record));
        }
        while since.elapsed() < self.patience.for_usbmuxd {
            wait.waited(Duration::ZERO)?;
            let left = self.patience.for_usbmuxd.saturating_sub(since.elapsed());
            if self.was_paired(&mut *events, left.min(Duration::from_millis(500)))?
                && let Some(record) = self.taken_record(wait)?
            {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    fn was_paired(&self, events: &mut dyn Events, at_most: Duration) -> Result<bool> {
        match events.next(at_most)? {
            Some(TransportEvent::Paired { handle }) => Ok(handle == self.address.handle),
            Some(TransportEvent::Detached { handle }) if handle == self.address.handle => {
                Err(DeviceError::new(
                    DeviceErrorKind::NotConnected,
                    "the device was unplugged before it trusted this computer",
                ))
            }
            _ => Ok(false),
        }
    }

    /// Asks the device ourselves, and again until somebody has tapped.
    fn pair(&self, wait: &mut dyn Wait) -> Result<PairRecord> {
        let mut lockdown =
            Lockdown::over(self.transport.connect(self.address, PORT)?, ANSWER_WAIT)?;
        lockdown.query_type()?;
        let mut record = self.new_record(&mut lockdown)?;
        let since = Instant::now();
        let answer = loop {
            let refusal = match lockdown.say("Pair", shown(&record), pair_options())? {
                Ok(answer) => break answer,
                Err(refusal) => refusal,
            };
            match refusal.0.as_str() {
                "PairingDialogResponsePending" => self.watch.stage(Stage::WaitingForTrust),
                "PasswordProtected" => self.watch.stage(Stage::WaitingForUnlock),
                _ => return Err(refusal.into_error("pairing")),
            }
            self.pause(since, wait, || refusal.clone().into_error("pairing"))?;
        };
        let bag = answer.get("EscrowBag").and_then(Value::as_data);
        record.escrow_bag = bag.map(|bag| Zeroizing::new(bag.to_vec()));
        self.keep(&record)?;
        Ok(record)
    }

    /// Ours first: a device that trusts a key nobody kept would have to be told again.
    fn keep(&self, record: &PairRecord) -> Result<()> {
        self.records.keep(&self.address.udid, record)?;
        if let Err(error) = self.transport.save_pair_record(self.address, &record.encode()) {
            self.watch.warn(&format!(
                "the device is paired, but usbmuxd did not take the record: {error}; only devsnap \
                 can use it"
            ));
        }
        Ok(())
    }

    fn new_record(&self, lockdown: &mut Lockdown) -> Result<PairRecord> {
        let key = lockdown.value(None, Some("DevicePublicKey"))?.and_then(Value::into_data);
        let key = key.ok_or_else(|| {
            DeviceError::new(DeviceErrorKind::Protocol, "the device shows no public key")
        })?;
        let system_buid = match self.transport.system_buid()? {
            Some(buid) => buid,
            None => random_uuid()?,
        };
        let wifi_mac = lockdown.text("WiFiAddress")?;
        let made = certificates::make(&key, Timestamp::now())?;
        Ok(PairRecord {
            device_certificate: made.device,
            host_certificate: made.host,
            host_private_key: made.host_key,
            root_certificate: made.root,
            root_private_key: Some(made.root_key),
            host_id: random_uuid()?,
            system_buid,
            escrow_bag: None,
            wifi_mac,
        })
    }

    /// Waits until the device is asked again; gives up with `late` when the person took too long.
    fn pause(
        &self,
        since: Instant,
        wait: &mut dyn Wait,
        late: impl Fn() -> DeviceError,
    ) -> Result<()> {
        if since.elapsed() >= self.patience.for_person {
            return Err(late());
        }
        let until = Instant::now() + self.patience.ask_every;
        loop {
            wait.waited(since.elapsed())?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}

/// The records of a device that this computer has, usbmuxd's first. Whether the device takes them
/// is another question.
///
/// # Errors
///
/// The daemon does not answer; our own file cannot be read.
pub fn known_records(
    transport: &dyn Transport,
    records: &PairRecords,
    udid: &Udid,
) -> Result<impl Iterator<Item = PairRecord> + use<>> {
    let of_daemon = transport.pair_record(udid)?;
    let of_daemon = of_daemon.and_then(|bytes| PairRecord::decode(&bytes).ok());
    Ok(of_daemon.into_iter().chain(records.read(udid)?))
}

/// Ends the trust: the device forgets this computer, and usbmuxd and we forget the device. `false`
/// when neither side knew of it.
///
/// # Errors
///
/// The connection broke, or the device refuses for another reason than that it knows nothing of us;
/// a record cannot be removed.
pub fn unpair(
    transport: &dyn Transport,
    address: &DeviceAddress,
    records: &PairRecords,
) -> Result<bool> {
    let mut was_known = false;
    for record in known_records(transport, records, &address.udid)? {
        was_known = true;
        let mut lockdown = Lockdown::over(transport.connect(address, PORT)?, ANSWER_WAIT)?;
        lockdown.query_type()?;
        match lockdown.say("Unpair", shown(&record), protocol())? {
            Ok(_) => {}
            Err(Refusal(word)) if word == "InvalidHostID" => {}
            Err(refusal) => return Err(refusal.into_error("unpairing")),
        }
    }
    records.forget(&address.udid)?;
    if was_known {
        transport.delete_pair_record(&address.udid)?;
    }
    Ok(was_known)
}

/// What stands before the name of a request about `record`.
fn shown(record: &PairRecord) -> Dictionary {
    let mut before = Dictionary::new();
    before.insert("PairRecord".to_owned(), Value::Dictionary(record.shown_to_the_device()));
    before
}

fn protocol() -> Dictionary {
    let mut after = Dictionary::new();
    after.insert("ProtocolVersion".to_owned(), "2".into());
    after
}

fn pair_options() -> Dictionary {
    let mut options = Dictionary::new();
    options.insert("ExtendedPairingErrors".to_owned(), true.into());
    let mut after = protocol();
    after.insert("PairingOptions".to_owned(), Value::Dictionary(options));
    after
}

/// A random UUID (version 4) in upper case, as Apple writes them.
fn random_uuid() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| {
        DeviceError::new(DeviceErrorKind::Unreadable, "the system gives no random bytes").because(e)
    })?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_id_looks_like_apples() {
        let (one, other) = (random_uuid().unwrap(), random_uuid().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(one.chars().all(|c| c == '-' || c.is_ascii_digit() || ('A'..='F').contains(&c)));
    }
}
