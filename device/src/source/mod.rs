//! A device as a [`Source`]: it is asked for a backup, and what it sends becomes a snapshot.
//!
//! [`DeviceSource::connect`] finds the device, gains its trust and learns who it is;
//! [`Source::run`] is one session. Connections are made in the order of idevicebackup2
//! (`docs/device-protocol.md`, "Order of connections"): it is the host that devices are known to
//! accept.
//!
//! A session is kept only when the device said that the set is finished, everything it had sent
//! was durable before it heard "yes", its last word was that all is well, and it did nothing that
//! no device does. Otherwise the run fails, and the next one shows the device its last snapshot.
mod converting;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use devsnap_engine::id::SnapshotId;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::Time;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::{Fault, FaultKind, Phase};
use devsnap_engine::snapshot::DeviceIdentity;
use devsnap_engine::source::{
    Delivery, DeviceRun, Faults, Source, SourceError, SourceRun, Verification,
};
use jiff::Timestamp;

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::lockdown::{Battery, DeviceInfo, PairRecords, PairingPatience, TrustedDevice};
use crate::mobilebackup2::backup::{self, BackupRequest, Conversation, LastWord};
use crate::mobilebackup2::info_plist::Collected;
use crate::session::connections::Open;
use crate::session::signals::{SessionWait, Signals};
use crate::session::{DETACHED_WAIT, Meeting, Met};
use crate::transport::{Transport, Wait};
use crate::udid::Udid;
use crate::virtual_dir::previous::{NoPrevious, Previous};
use crate::virtual_dir::{Converted, DirOptions, VirtualBackupDir};
use crate::watch::{DeviceWatch, Stage};
pub use converting::ConversionOptions;
use verdict::{is_lost, must_be_kept};

/// How many files a session may bring, those that come again included: three times as many as the
/// fullest devices have.
const FILES_MAX: u64 = 4 << 20;

/// How a device is backed up.
#[derive(Clone)]
pub struct DeviceOptions {
    /// Our own pair records.
    pub records: PairRecords,
    /// Everything is wanted, whatever the device sent before.
    pub full: bool,
    /// The snapshot the device shall continue, when not the newest that will do.
    pub parent: Option<SnapshotId>,
    /// The files of an encrypted device become plaintext where they can be encrypted again.
    pub conversion: Option<ConversionOptions>,
    /// How much room the device is told there is, in bytes.
    pub free_bytes: u64,
    /// How many files the device may begin to send, those that come again included.
    pub files_max: u64,
    /// When the session takes place: what it brings is dated so.
    pub now: Time,
    /// How patient pairing is.
    pub pairing: PairingPatience,
    /// How long the passcode sheet may be up; `None`: until the device itself gives up, which takes
    /// it about three minutes.
    pub passcode_patience: Option<Duration>,
    /// How long another program's sync is waited for. idevicebackup2 gives it 10 s.
    pub lock_patience: Duration,
    /// How long the device may be silent; preparing a large one has taken more than an hour.
    pub idle_max: Duration,
}

impl DeviceOptions {
    /// The usual, for any device there is, with pair records in `records`.
    pub fn new(records: PairRecords, free_bytes: u64, now: Time) -> Self {
        DeviceOptions {
            records,
            full: false,
            parent: None,
            conversion: None,
            free_bytes,
            files_max: FILES_MAX,
            now,
            pairing: PairingPatience::default(),
            passcode_patience: None,
            lock_patience: Duration::from_secs(60),
            idle_max: Duration::from_secs(2 * 3600),
        }
    }
}

/// What came of a session that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOutcome {
    /// The device sent all it has, by its own word.
    pub full: bool,
    /// How much was looked at.
    pub verification: Verification,
    /// When the device began it, by its own clock.
    pub backup_at: Option<Time>,
    /// The device gave its last word; without it the session is kept, and said to be incomplete.
    pub answered: bool,
    /// Files that came whole, and all bytes that came.
    pub received: (u64, u64),
    /// Files that the device could not send, by its own word. It leaves them out of its manifest
    /// or has sent them again.
    pub not_sent: u64,
    /// How the files of an encrypted device were stored, if they were to become plaintext.
    pub converted: Option<Converted>,
}

/// A device that trusts this computer, to be backed up once.
pub struct DeviceSource {
    device: TrustedDevice,
    info: DeviceInfo,
    encrypted: bool,
    battery: Option<Battery>,
    options: DeviceOptions,
    watch: Arc<dyn DeviceWatch>,
    received: (u64, u64),
    outcome: Option<BackupOutcome>,
}

impl DeviceSource {
    /// Finds the device (the only one, or the one named), pairs with it if need be, and asks who
    /// it is.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](DeviceErrorKind::NotConnected),
    /// [`SeveralDevices`](DeviceErrorKind::SeveralDevices); as
    /// [`Pairing::trusted_record`]; somebody asked to stop.
    pub fn connect(
        transport: Arc<dyn Transport>,
        udid: Option<&Udid>,
        options: DeviceOptions,
        watch: Arc<dyn DeviceWatch>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let signals = Signals::default();
        let mut wait = SessionWait {
            interrupt,
            signals: &signals,
            watch: &*watch,
            idle_max: options.idle_max,
            passcode_max: options.passcode_patience,
        };
        let meeting = Meeting {
            transport,
            udid,
            records: &options.records,
            patience: options.pairing,
            watch: &*watch,
        };
        let (Met { device, info, encrypted, battery }, ()) = meeting.meet(&mut wait, |_| Ok(()))?;
        let (received, outcome) = ((0, 0), None);
        Ok(DeviceSource { device, info, encrypted, battery, options, watch, received, outcome })
    }

    /// Who it is.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Who it is, as a snapshot records it that is made on the computer `host`. Whether it sent
    /// everything, and when, [`Source::device_run`] adds when the session is over.
    pub fn identity(&self, host: String) -> DeviceIdentity {
        let info = &self.info;
        DeviceIdentity {
            udid: info.udid.as_str().to_owned(),
            name: info.name.clone(),
            product_type: info.product_type.clone(),
            os_version: info.product_version.clone(),
            os_build: info.build_version.clone(),
            encrypted: self.encrypted,
            full: None,
            backup_at: None,
            host,
            verification: None,
        }
    }

    /// Whether it encrypts what it sends with a backup password.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// What was left in its battery when it was connected to, if it says so.
    pub fn battery(&self) -> Option<Battery> {
        self.battery
    }

    /// How many files came whole and how many bytes came, whatever became of the session.
    pub fn received(&self) -> (u64, u64) {
        self.received
    }

    /// What came of the session, once it was kept.
    pub fn outcome(&self) -> Option<&BackupOutcome> {
        self.outcome.as_ref()
    }

    fn back_up(&mut self, run: &SourceRun<'_>) -> Result<Delivery> {
        run.progress.phase(Phase::Reading);
        let (previous, is_shown) = self.previous(run)?;
        let conversion = self.conversion(previous.as_ref().filter(|_| is_shown), run)?;
        let signals = Arc::new(Signals::default());
        let mut wait = SessionWait {
            interrupt: run.interrupt,
            signals: &signals,
            watch: &*self.watch,
            idle_max: self.options.idle_max,
            passcode_max: self.options.passcode_patience,
        };
        self.watch.stage(Stage::Connecting);
        let mut open = Open::new(&self.device, &signals, &self.watch, &mut wait)?;
        let mut dir = VirtualBackupDir::new(DirOptions {
            udid: self.info.udid.clone(),
            previous: previous.as_ref(),
            is_shown,
            contents: run.contents,
            scratch: run.scratch,
            progress: run.progress,
            now: self.options.now,
            // A device sends nothing when it finds too little room, and some files twice.
            receive_max_bytes: self.options.free_bytes.saturating_mul(2),
            receive_max_files: self.options.files_max,
            conversion,
            interrupt: run.interrupt,
        });
        let request = BackupRequest {
            target: self.info.udid_on_the_wire.clone(),
            full: self.options.full,
            free_bytes: self.options.free_bytes,
        };
        let talked = self.converse(&mut open, &request, &mut dir, &mut wait);
        let went_well = talked.as_ref().is_ok_and(|talk| talk.last_word != LastWord::Left);
        self.received = dir.received();
        let was_unplugged = is_lost(&talked) && signals.detached_within(DETACHED_WAIT);
        open.close(&self.device, went_well && !dir.has_failed());
        // What went wrong here first is why the device gave up, whatever it says.
        if let Some(failure) = dir.take_failure() {
            return Err(failure);
        }
        if was_unplugged {
            let sentence = "the device was unplugged before its backup was finished";
            let unplugged = DeviceError::new(DeviceErrorKind::ConnectionLost, sentence);
            return Err(match talked {
                Ok(_) => unplugged,
                Err(error) => unplugged.because(error),
            });
        }
        self.deliver(&talked?, &dir, run)
    }

    /// The last snapshot, and whether the device may see it.
    fn previous<'r>(&self, run: &SourceRun<'r>) -> Result<(Option<Previous<'r>>, bool)> {
        let Some(parent) = run.parent else { return Ok((None, false)) };
        if self.options.full {
            return Ok((Some(Previous::hidden(parent)), false));
        }
        match Previous::fetch(parent, &self.info.udid, run.scratch, run.interrupt) {
            Ok(previous) => Ok((Some(previous), true)),
            Err(NoPrevious::Unusable(why)) => {
                self.watch.warn(&format!("{why}; the device is asked for everything"));
                Ok((Some(Previous::hidden(parent)), false))
            }
            Err(NoPrevious::Failed(error)) => Err(DeviceError::new(
                DeviceErrorKind::StorageFailed,
                "the last snapshot could not be fetched",
            )
            .because(error)),
        }
    }

    fn converse(
        &self,
        open: &mut Open,
        request: &BackupRequest,
        dir: &mut VirtualBackupDir<'_>,
        wait: &mut dyn Wait,
    ) -> Result<Conversation> {
        let lock = open.lock(&self.device, &*self.watch, self.options.lock_patience, wait)?;
        let (info, collected) = Collected::of(&self.device, lock, &*self.watch, wait)?;
        let now = u64::try_from(self.options.now.secs).unwrap_or(0);
        let now: SystemTime = UNIX_EPOCH + Duration::from_secs(now);
        dir.put_file("Info.plist", &collected.info_plist(&info, now)?)?;
        backup::run(&mut open.link, request, dir, &*self.watch, wait)
    }

    /// What the session brought, if it may be kept.
    fn deliver(
        &mut self,
        talk: &Conversation,
        dir: &VirtualBackupDir<'_>,
        run: &SourceRun<'_>,
    ) -> Result<Delivery> {
        let answered = must_be_kept(talk, self.options.free_bytes)?;
        for name in ["Manifest.plist", "Manifest.db"] {
            // Every backup brings its own: those of the last one know nothing of what has changed.
            if !dir.has_come(name) {
                return Err(DeviceError::new(
                    DeviceErrorKind::Protocol,
                    format!("the device says that it is done, and has sent no {name}"),
                ));
            }
        }
        let mut faults = Faults::default();
        let verification = dir.verify(&mut faults);
        if !answered {
            let path = TreePath::from_slashed(self.info.udid.as_str().as_bytes());
            let path = path.unwrap_or_default();
            let reason = "the device finished and closed the connection without its last word";
            let reason = reason.to_owned();
            let fault = Fault { path, kind: FaultKind::Unreadable, reason };
            run.progress.fault(&fault);
            faults.push(fault);
        }
        let edits = dir.edits()?;
        self.outcome = Some(BackupOutcome {
            full: talk.full.unwrap_or(true),
            backup_at: dir.status().map(|status| time_of(status.date)),
            verification,
            answered,
            received: dir.received(),
            not_sent: dir.files_failed(),
            converted: dir.converted().cloned(),
        });
        Ok(Delivery { edits, faults })
    }
}

impl Source for DeviceSource {
    fn run(&mut self, run: &SourceRun<'_>) -> Result<Delivery, SourceError> {
        self.back_up(run).map_err(|error| SourceError(Box::new(error)))
    }

    fn parent(&self) -> Option<SnapshotId> {
        self.options.parent
    }

    fn device_run(&self) -> Option<DeviceRun> {
        let outcome = self.outcome.as_ref()?;
        Some(DeviceRun {
            full: outcome.full,
            backup_at: outcome.backup_at,
            verification: outcome.verification,
        })
    }
}

/// Dates of property lists are whole seconds.
fn time_of(date: Timestamp) -> Time {
    Time { secs: date.as_second(), nanos: 0 }
}

#[cfg(test)]
mod tests;
