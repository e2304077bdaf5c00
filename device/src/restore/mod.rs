//! A snapshot goes onto a device: looked at first, then served while the device asks.
//!
//! [`DeviceRestore::connect`] finds the device and asks what a restore must know of it;
//! [`Offer::read`] reads the same of the snapshot; [`Preflight`] holds the two against each other, before
//! anything is asked of the device that it could not take back. [`DeviceRestore::run`] is the session, its
//! connections made in the order of idevicebackup2.
//!
//! A restore has gone well when the device's last word was that it has, every file it asked for went
//! out whole, and it did nothing that no device does. That the connection breaks off after that is
//! the device restarting.
mod apps;
mod offer;
mod preflight;
mod ready;
mod slow;

use std::sync::Arc;
use std::time::Duration;

use devsnap_engine::error::Error;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Progress;
use devsnap_engine::reader::SnapshotReader;
use zeroize::Zeroizing;

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::lockdown::{Battery, DeviceInfo, PairRecords, PairingPatience, TrustedDevice};
use crate::mobilebackup2::backup::LastWord;
use crate::mobilebackup2::errors;
use crate::mobilebackup2::restore::{self as verb, RestoreRequest};
use crate::served_dir::{Patience, Reading, ServedDir, ServedOptions};
use crate::session::connections::Open;
use crate::session::signals::{SessionWait, Signals};
use crate::session::{DETACHED_WAIT, Meeting, Met};
use crate::transport::{Transport, Wait};
use crate::udid::Udid;
use crate::watch::{DeviceWatch, Stage};
use apps::ListedApps;

pub use crate::mobilebackup2::restore::RestoreChoices;
pub use offer::{Extent, Offer};
pub use preflight::{Finding, FindingKind, Preflight};
pub use ready::Ready;
use slow::{SAID_AFTER, Slow};

/// How a device is restored onto.
#[derive(Clone)]
pub struct DeviceRestoreOptions {
    /// Our own pair records.
    pub records: PairRecords,
    /// How patient pairing is.
    pub pairing: PairingPatience,
    /// How long the passcode sheet may be up; `None`: until the device itself gives up.
    pub passcode_patience: Option<Duration>,
    /// How long another program's sync is waited for.
    pub lock_patience: Duration,
    /// How long the device may be silent: while it puts a large restore in its place, hours.
    pub idle_max: Duration,
    /// How long a storage that does not answer is waited for while the device waits for a file.
    pub storage_patience: Duration,
}

impl DeviceRestoreOptions {
    /// The usual, with pair records in `records`.
    pub fn new(records: PairRecords) -> Self {
        DeviceRestoreOptions {
            records,
            pairing: PairingPatience::default(),
            passcode_patience: None,
            lock_patience: Duration::from_secs(60),
            idle_max: Duration::from_secs(2 * 3600),
            storage_patience: Duration::from_secs(30 * 60),
        }
    }
}

/// What a session works with.
pub struct RestoreRun<'r> {
    /// The snapshot.
    pub reader: &'r dyn SnapshotReader,
    /// What was read of it.
    pub offer: &'r Offer,
    /// What becomes of what is on the device.
    pub choices: RestoreChoices,
    /// Whether the device is told which apps it had, so that it fetches them again.
    pub with_apps: bool,
    /// The snapshot's backup password, when it is encrypted.
    pub password: Option<Zeroizing<String>>,
    /// Who counts what goes out.
    pub progress: &'r dyn Progress,
    /// Ends it.
    pub interrupt: &'r Interrupt,
}

/// What came of a session that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// Files and bytes that went out, each as often as it did.
    pub sent: (u64, u64),
    /// How many apps the device was told of; `None` when it was told of none.
    pub apps: Option<usize>,
}

/// A device that trusts this computer, to be restored onto once.
pub struct DeviceRestore {
    device: TrustedDevice,
    info: DeviceInfo,
    battery: Option<Battery>,
    ready: Ready,
    options: DeviceRestoreOptions,
    watch: Arc<dyn DeviceWatch>,
}

impl DeviceRestore {
    /// Finds the device (the only one, or the one named), pairs with it if need be, and asks who it
    /// is, how much room it has and whether it can be found.
    ///
    /// # Errors
    ///
    /// As [`DeviceSource::connect`](crate::DeviceSource::connect).
    pub fn connect(
        transport: Arc<dyn Transport>,
        udid: Option<&Udid>,
        options: DeviceRestoreOptions,
        watch: Arc<dyn DeviceWatch>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let signals = Signals::default();
        let mut wait = wait_of(&options, &signals, &*watch, interrupt);
        let meeting = Meeting {
            transport,
            udid,
            records: &options.records,
            patience: options.pairing,
            watch: &*watch,
        };
        let (met, ready) = meeting.meet(&mut wait, Ready::ask)?;
        let Met { device, info, battery, .. } = met;
        Ok(DeviceRestore { device, info, battery, ready, options, watch })
    }

    /// From now on `watch` sees what is done, in place of who saw it until then.
    pub fn watched_by(&mut self, watch: Arc<dyn DeviceWatch>) {
        self.watch = watch;
    }

    /// Who it is.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// What was left in its battery when it was connected to, if it says so.
    pub fn battery(&self) -> Option<Battery> {
        self.battery
    }

    /// Holds the device against what is offered, and what is to become of what is on it. Nothing is asked
    /// of it for that.
    pub fn preflight(&self, offer: &Offer, choices: RestoreChoices) -> Preflight {
        let makes_room = choices.remove_not_restored || self.info.udid == *offer.udid();
        Preflight::of(offer, &self.info, &self.ready, makes_room)
    }

    /// Restores, and waits until the device has its last word.
    ///
    /// Whoever calls this has seen what [`preflight`](Self::preflight) finds.
    ///
    /// # Errors
    ///
    /// The device refused or failed; a file could not be read; the connection broke; somebody asked to
    /// stop. Then the device may hold a part of what it asked for.
    pub fn run(&self, run: &RestoreRun<'_>) -> Result<RestoreOutcome> {
        let signals = Arc::new(Signals::default());
        let mut wait = wait_of(&self.options, &signals, &*self.watch, run.interrupt);
        let stopping = wait;
        let stop = || stopping.clone().waited(Duration::ZERO);
        let slow = Slow::new(&*self.watch, SAID_AFTER);
        let waiting = |error: &Error| slow.say(&format!(" ({error})"));
        let reading = Reading::default();
        let patience = Patience {
            reading: &reading,
            at_most: self.options.storage_patience,
            stop: &stop,
            waiting: &waiting,
        };
        let mut dir = ServedDir::new(ServedOptions {
            reader: run.reader,
            source: run.offer.udid().clone(),
            target: self.info.udid.clone(),
            patience,
            size: run.offer.size(),
            progress: run.progress,
        });
        self.watch.stage(Stage::Connecting);
        let mut open = Open::new(&self.device, &signals, &self.watch, &mut wait)?;
        let mut apps = None;
        let talked = slow
            .watching(&reading, || self.converse(run, &mut open, &mut dir, &mut apps, &mut wait));
        let heard_out = talked.as_ref().is_ok_and(|word| *word != LastWord::Left);
        let verdict = self.verdict(talked, &mut dir, &signals);
        if let (Some(apps), Err(_)) = (&apps, &verdict) {
            apps.take_back(open.afc());
        }
        open.close(&self.device, heard_out && verdict.is_ok());
        verdict?;
        Ok(RestoreOutcome { sent: dir.sent(), apps: apps.map(|apps| apps.count()) })
    }

    fn converse(
        &self,
        run: &RestoreRun<'_>,
        open: &mut Open,
        dir: &mut ServedDir<'_>,
        apps: &mut Option<ListedApps>,
        wait: &mut dyn Wait,
    ) -> Result<LastWord> {
        let afc = open.lock(&self.device, &*self.watch, self.options.lock_patience, wait)?;
        if let (true, Some(afc)) = (run.with_apps, afc) {
            *apps = ListedApps::put(run.offer, afc, &*self.watch)?;
        }
        let request = RestoreRequest {
            target: self.info.udid_on_the_wire.clone(),
            source: run.offer.udid().as_str().to_owned(),
            choices: run.choices,
            password: run.password.clone(),
        };
        verb::run(&mut open.link, &request, dir, &*self.watch, wait)
    }

    /// Whether it went well. What went wrong here first is why the device gave up, whatever it says.
    fn verdict(
        &self,
        talked: Result<LastWord>,
        dir: &mut ServedDir<'_>,
        signals: &Signals,
    ) -> Result<()> {
        if let Some(failure) = dir.take_failure() {
            return Err(failure);
        }
        let lost = |sentence: &str| {
            let sentence = match signals.detached_within(DETACHED_WAIT) {
                true => "the device was unplugged before the restore was finished",
                false => sentence,
            };
            DeviceError::new(DeviceErrorKind::ConnectionLost, sentence)
        };
        match talked {
            Ok(LastWord::Response { code: 0, .. }) => {
                self.watch.stage(Stage::Finishing);
                Ok(())
            }
            Ok(LastWord::Response { code, description }) => {
                Err(errors::failure_of_restore(code, description.as_deref()))
            }
            Ok(LastWord::Closed) => Err(lost(
                "the device closed the connection before it had said what came of the restore",
            )),
            Ok(LastWord::Left) => Err(DeviceError::new(
                DeviceErrorKind::Protocol,
                "the device went on though a file could not be read",
            )),
            Err(error) if error.kind() == DeviceErrorKind::ConnectionLost => {
                Err(lost("the connection broke off before the restore was finished").because(error))
            }
            Err(error) => Err(error),
        }
    }
}

fn wait_of<'a>(
    options: &DeviceRestoreOptions,
    signals: &'a Signals,
    watch: &'a dyn DeviceWatch,
    interrupt: &'a Interrupt,
) -> SessionWait<'a> {
    SessionWait {
        interrupt,
        signals,
        watch,
        idle_max: options.idle_max,
        passcode_max: options.passcode_patience,
    }
}
