//! The computer's side of a demo: a repository of its own, and pair records of its own.
use super::phone::DemoPhone;
use super::place::{Place, failed};
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use crate::report::Watch;
use devsnap_backends::{Credentials, Location};
use devsnap_device::lockdown::{PairRecords, PairingPatience};
use devsnap_device::transport::{Usbmuxd, UsbmuxdAddress};
use devsnap_device::watch::{DeviceWatch, Stage};
use devsnap_device::{BackupOutcome, DeviceOptions, DeviceSource};
use devsnap_engine::backup::{BackupOptions, create_snapshot};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::Time;
use devsnap_engine::progress::Progress;
use devsnap_engine::repository::{InitOptions, Repository, Unlock};
use devsnap_engine::snapshot::{Named, Origin};
use devsnap_simulator::contents::Truth;
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use zeroize::Zeroizing;

/// How patient pairing is. The simulator's usbmuxd pairs nobody by itself, and its person is quick.
const PATIENCE: PairingPatience = PairingPatience {
    for_usbmuxd: Duration::ZERO,
    for_person: Duration::from_secs(60),
    ask_every: Duration::from_millis(300),
};

/// A repository, and what a computer keeps of its devices.
pub(super) struct Desk<'a> {
    session: &'a Session<'a>,
    place: &'a Place,
    repository: Repository,
    records: PairRecords,
}

/// A day that was kept.
pub(super) struct Kept {
    /// Its snapshot.
    pub(super) named: Named,
    /// What the device did.
    pub(super) outcome: BackupOutcome,
    /// Which questions the phone put to its person.
    pub(super) asked: Asked,
    /// What the phone says that the backup holds.
    pub(super) truth: Truth,
    /// What was on the phone when it was made.
    pub(super) phone: Truth,
}

/// Which questions a phone put to its person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Whether to trust this computer.
    pub(super) trust: bool,
    /// For the passcode.
    pub(super) passcode: bool,
}

impl<'a> Desk<'a> {
    /// Makes a repository that a random password opens; the password is kept beside it.
    ///
    /// # Errors
    ///
    /// What making and opening a repository meets.
    pub(super) fn set_up(session: &'a Session<'a>, place: &'a Place) -> Result<Desk<'a>, Failure> {
        let password = random_password()?;
        place.keep_secret("password", &password)?;
        let location = Location::Folder(place.at("repository"));
        let none = Credentials::default();
        let backend = devsnap_backends::create(&location, &none, &Interrupt::new())?;
        let password = password.as_bytes();
        Repository::init(&*backend, password, &InitOptions::default())?;
        let backend = devsnap_backends::open(&location, &none, &Interrupt::new())?;
        let watch = session.report.watch();
        let unlock = Unlock::Password(password);
        let repository = Repository::open(backend, &unlock, &place.at("cache"), &watch)?;
        let records = PairRecords::in_folder(place.at("pairings"));
        Ok(Desk { session, place, repository, records })
    }

    /// The repository.
    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Keeps the phone as it is at `now`.
    ///
    /// # Errors
    ///
    /// What a device's snapshot meets; the snapshot is not complete.
    pub(super) fn back_up(&self, phone: &DemoPhone, now: Timestamp) -> Result<Kept, Failure> {
        let Session { report, interrupt, .. } = self.session;
        let watch = Arc::new(report.watch());
        let seen = Arc::new(Seen {
            trust: AtomicBool::new(false),
            passcode: AtomicBool::new(false),
            watch: watch.clone(),
        });
        let at = phone.address();
        let address = UsbmuxdAddress::Tcp(at.ip().to_string(), at.port());
        let free_bytes = self.place.free_bytes()?;
        let taken_at = crate::commands::snapshot::time(now);
        let options = DeviceOptions {
            pairing: PATIENCE,
            ..DeviceOptions::new(self.records.clone(), free_bytes, taken_at)
        };
        let transport = Arc::new(Usbmuxd::at(address));
        let mut source = DeviceSource::connect(transport, None, options, seen.clone(), interrupt)?;
        let options = self.options(&source, now, taken_at);
        let progress: Arc<dyn Progress> = watch;
        let made = create_snapshot(&self.repository, &mut source, &options, &progress, interrupt)?;
        let outcome = source.outcome().filter(|_| made.named.snapshot.is_complete()).cloned();
        let asked =
            Asked { trust: seen.trust.load(Relaxed), passcode: seen.passcode.load(Relaxed) };
        // All that hold the watch: nothing is drawn any more.
        drop((source, progress, seen));
        report.faults(made.faults.kept(), made.faults.total());
        let outcome = outcome.ok_or_else(|| {
            Failure::new(ExitCode::Incomplete, "the snapshot of the phone is not complete")
        })?;
        Ok(Kept {
            named: made.named,
            outcome,
            asked,
            truth: phone.truth_of_newest_backup()?,
            phone: phone.truth()?,
        })
    }

    fn options(&self, source: &DeviceSource, now: Timestamp, taken_at: Time) -> BackupOptions {
        BackupOptions {
            origin: Origin::Device(source.identity("demo".to_owned())),
            tags: Vec::new(),
            taken_at,
            utc_offset_secs: self.session.zone.to_offset(now).seconds(),
            program: format!("devsnap {}", env!("CARGO_PKG_VERSION")),
            dry_run: false,
        }
    }
}

/// Notes what the phone asks, and passes warnings on.
struct Seen {
    trust: AtomicBool,
    passcode: AtomicBool,
    watch: Arc<Watch>,
}

impl DeviceWatch for Seen {
    fn stage(&self, stage: Stage) {
        match stage {
            Stage::WaitingForTrust => self.trust.store(true, Relaxed),
            Stage::WaitingForPasscode => self.passcode.store(true, Relaxed),
            _ => {}
        }
    }
    fn warn(&self, sentence: &str) {
        Progress::warn(&*self.watch, sentence);
    }
}

/// 128 random bits in hex.
fn random_password() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 16]);
    getrandom::fill(&mut *bytes).map_err(|error| {
        failed("the system gives no random bytes", &std::io::Error::other(error))
    })?;
    Ok(Zeroizing::new(devsnap_engine::id::hex(&*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_demos_have_the_same_password() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(*one, *other);
    }
}
