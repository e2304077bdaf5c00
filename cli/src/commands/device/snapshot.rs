//! `devsnap snapshot` without a path: a phone, straight into the repository.
use super::choose::{Attached, Wanted, find};
use super::record::recorded;
use super::retry::Chances;
use super::{Host, patience, pause, restored};
use crate::args::{SnapshotArgs, SnapshotDeviceArgs};
use crate::awake::Awake;
use crate::commands::Session;
use crate::commands::convert::{Conversion, convert_made};
use crate::commands::snapshot::{self as common, Stored};
use crate::failure::{ExitCode, Failure, Received, device_kind};
use crate::password::Password;
use crate::report::Watch;
use devsnap_backends::Location;
use devsnap_device::lockdown::Battery;
use devsnap_device::watch::DeviceWatch;
use devsnap_device::{
    BackupOutcome, ConversionOptions, DeviceError, DeviceErrorKind, DeviceOptions, DeviceSource,
};
use devsnap_engine::backup::{BackupReport, create_snapshot};
use devsnap_engine::error::Error;
use devsnap_engine::id::SnapshotId;
use devsnap_engine::node::Encoding;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Progress;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::{Named, Origin};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a device is told when nobody knows how much room there is: a bucket has no end.
const UNLIMITED: u64 = 64 << 40;

/// How long a device whose link broke off has to be seen again.
const BACK_WITHIN: Duration = Duration::from_secs(60);

pub(in crate::commands) fn run(
    session: &Session<'_>,
    args: &SnapshotArgs,
) -> Result<ExitCode, Failure> {
    recorded(session, args.phone.recording.record.as_deref(), |host| back_up(session, args, host))
}

fn back_up(session: &Session<'_>, args: &SnapshotArgs, host: &Host) -> Result<ExitCode, Failure> {
    let phone = &args.phone;
    let wanted = match phone.all {
        true => Wanted::All,
        false => Wanted::one(phone.choice.device.as_deref()),
    };
    // Who waits for a device types the password first; who does not is told first that none is there.
    let found = match phone.wait {
        None => Some(find(session, host, wanted, None)?),
        Some(_) => None,
    };
    let password = session.backup_password_if_given(&phone.backup_password)?.map(Arc::new);
    let repository = session.open_repository()?;
    let parent = match &phone.parent {
        Some(text) => Some(session.one(&repository, text)?),
        None => None,
    };
    let devices = match found {
        Some(found) => found,
        None => find(session, host, wanted, phone.wait)?,
    };
    let runs = Runs { session, args, host, repository: &repository, parent, password };
    let mut awake = Awake::hold();
    let ended = if phone.all { runs.all(&devices) } else { runs.one(&devices) };
    if !awake.is_held() {
        session.report.note("nothing here could keep this computer from falling asleep meanwhile");
    }
    ended
}

/// The runs of one call.
struct Runs<'a> {
    session: &'a Session<'a>,
    args: &'a SnapshotArgs,
    host: &'a Host,
    repository: &'a Repository,
    /// The snapshot that shall be continued, if one was named.
    parent: Option<Named>,
    /// The backup password, if it was given.
    password: Option<Arc<Password>>,
}

/// A session that was kept.
struct Made {
    report: BackupReport,
    outcome: Option<BackupOutcome>,
}

/// Why a try failed.
enum Broken {
    /// Before the engine took over.
    Device(DeviceError),
    /// Afterwards; the device's own error may stand inside.
    Engine(Error),
}

impl Broken {
    fn kind(&self) -> Option<DeviceErrorKind> {
        match self {
            Broken::Device(error) => Some(error.kind()),
            Broken::Engine(error) => device_kind(error),
        }
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Device(error) => error.into(),
            Broken::Engine(error) => error.into(),
        }
    }
}

/// The tries of one device's run so far.
#[derive(Debug, Default)]
struct Tries {
    /// What came in those that failed.
    in_vain: Received,
    /// The battery was looked at.
    is_battery_seen: bool,
}

impl Tries {
    fn came_in_vain(&mut self, source: &DeviceSource) {
        let (files, bytes) = source.received();
        self.in_vain.files += files;
        self.in_vain.bytes += bytes;
        self.in_vain.encrypted = source.is_encrypted();
    }

    /// Once a run.
    fn warn_of_battery(&mut self, source: &DeviceSource, device: &Attached, watch: &Watch) {
        let low = source.battery().filter(Battery::is_low);
        if let Some(battery) = low.filter(|_| !self.is_battery_seen) {
            let sentence = format!(
                "{} has {} % of its battery left and is not charging: attach it to power",
                device.shown(),
                battery.percent
            );
            Progress::warn(watch, &sentence);
        }
        self.is_battery_seen = true;
    }
}

impl Runs<'_> {
    fn one(&self, devices: &[Attached]) -> Result<ExitCode, Failure> {
        let mut code = ExitCode::Done;
        for device in devices {
            code = self.back_up(device)?;
        }
        Ok(code)
    }

    /// One device after the other; one that fails does not keep the others from being backed up.
    fn all(&self, devices: &[Attached]) -> Result<ExitCode, Failure> {
        let (mut code, mut first_failed) = (ExitCode::Done, None);
        for device in devices {
            match self.back_up(device) {
                Ok(ExitCode::Done) => {}
                Ok(other) => code = other,
                Err(failure) if failure.is_silent() || self.session.interrupt.is_raised() => {
                    return Err(failure);
                }
                Err(failure) => {
                    first_failed = first_failed.or(Some(failure.code()));
                    self.session.report.fail(&failure.of(device.shown()));
                }
            }
        }
        Ok(first_failed.unwrap_or(code))
    }

    fn back_up(&self, device: &Attached) -> Result<ExitCode, Failure> {
        let parent = self.parent_of(device)?;
        let report = self.session.report;
        let watch = Arc::new(report.watch_device(device.udid().as_str(), device.name()));
        let mut tries = Tries::default();
        let mut made = self.make(device, parent, &watch, &mut tries).map_err(|failure| {
            let bytes_stored = watch.bytes_stored();
            failure.after(Received { bytes_stored, ..tries.in_vain })
        })?;
        drop(watch);
        self.convert_the_rest(&mut made)?;
        let more = || made.outcome.as_ref().map_or(Value::Null, of_device);
        common::tell(self.session, &made.report, Stored::Yes, more)
    }

    /// What found no room to wait for its key is converted from the repository; says what a person
    /// should know of the backup password.
    fn convert_the_rest(&self, made: &mut Made) -> Result<(), Failure> {
        let (named, report) = (&made.report.named, self.session.report);
        let is_encrypted =
            matches!(&named.snapshot.origin, Origin::Device(device) if device.encrypted);
        let Some(password) = self.password.as_ref().filter(|_| is_encrypted) else {
            if is_encrypted && !self.is_proven(named)? {
                report.warn(
                    "the device encrypts its backups, and nobody has verified that its password is \
                     known: `devsnap encryption verify` does that, and so does a snapshot with \
                     --backup-password-file, which stores less",
                );
            }
            return Ok(());
        };
        let converted = made.outcome.as_ref().and_then(|outcome| outcome.converted.as_ref());
        let Some(converted) = converted else { return Ok(()) };
        if let Some(why) = &converted.locked {
            let hint = "`devsnap convert` does it later, with the right one";
            report.warn(&format!(
                "the device's files are stored as it encrypted them: {why}; {hint}"
            ));
            return Ok(());
        }
        if converted.overflowed == 0 || !named.snapshot.is_complete() {
            return Ok(());
        }
        if self.repository.is_write_only() {
            report.note(
                "some files found no room to wait for their keys and are stored as the device \
                 encrypted them; `devsnap convert` with the password of the repository mends it",
            );
            return Ok(());
        }
        let conversion = Conversion {
            password: password.clone(),
            converts_media: self.args.phone.convert_media,
        };
        convert_made(self.session, self.repository, &mut made.report, &conversion)
    }

    /// Whether the password was known when an earlier snapshot of the device was made, by a look at
    /// some of its files: they stay as they were stored until the device sends them again.
    fn is_proven(&self, named: &Named) -> Result<bool, Failure> {
        const LOOKED_AT: usize = 2000;
        if self.repository.is_write_only() {
            return Ok(false);
        }
        for entry in self.repository.view(&named.snapshot).walk(&TreePath::root()).take(LOOKED_AT) {
            if entry?.1.encoding != Encoding::AsStored {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tries until it is made, or there is no use in trying.
    fn make(
        &self,
        device: &Attached,
        parent: Option<SnapshotId>,
        watch: &Arc<Watch>,
        tries: &mut Tries,
    ) -> Result<Made, Failure> {
        let mut chances = Chances::of_a_run();
        loop {
            let broken = match self.attempt(device, parent, watch, tries)? {
                Ok(made) => return Ok(made),
                Err(broken) => broken,
            };
            let Some(chance) = broken.kind().and_then(|kind| chances.after(kind)) else {
                return Err(broken.into());
            };
            Progress::warn(&**watch, &format!("{}: {}", device.shown(), chance.why));
            pause(self.session, chance.pause)?;
            let udid = device.udid().as_str();
            find(self.session, self.host, Wanted::Named(udid), Some(BACK_WITHIN))?;
        }
    }

    /// The snapshot that was restored onto the device last, while nothing newer of it was kept: that is
    /// what it holds now.
    fn restored_onto(&self, device: &Attached) -> Result<Option<SnapshotId>, Failure> {
        if self.args.phone.full {
            return Ok(None);
        }
        restored::parent(self.repository, device.udid())
    }

    /// The snapshot to continue, if one was named: it must be whole, and this device's.
    fn parent_of(&self, device: &Attached) -> Result<Option<SnapshotId>, Failure> {
        let Some(parent) = &self.parent else { return self.restored_onto(device) };
        let short = parent.id.short();
        let udid = device.udid().as_str();
        let is_its = matches!(&parent.snapshot.origin, Origin::Device(of) if of.udid == udid);
        let refused = match (is_its, parent.snapshot.is_complete()) {
            (true, true) => return Ok(Some(parent.id)),
            (false, _) => format!("snapshot {short} is not of {}", device.shown()),
            (true, false) => format!("snapshot {short} is incomplete, so nothing can continue it"),
        };
        Err(Failure::usage(refused).hint("`devsnap snapshots` lists them; nothing was done"))
    }

    fn attempt(
        &self,
        device: &Attached,
        parent: Option<SnapshotId>,
        watch: &Arc<Watch>,
        tries: &mut Tries,
    ) -> Result<Result<Made, Broken>, Failure> {
        let Runs { session, args, host, repository, .. } = self;
        let options = self.device_options(parent)?;
        let (transport, udid) = (Arc::clone(&host.transport), device.udid());
        let seen: Arc<dyn DeviceWatch> = watch.clone();
        let connected =
            DeviceSource::connect(transport, Some(udid), options, seen, session.interrupt);
        let mut source = match connected {
            Ok(source) => source,
            Err(error) => return Ok(Err(Broken::Device(error))),
        };
        tries.warn_of_battery(&source, device, watch);
        let origin = Origin::Device(source.identity(common::host(args)));
        let options = common::options(session, args, origin);
        let progress: Arc<dyn Progress> = watch.clone();
        let made = create_snapshot(repository, &mut source, &options, &progress, session.interrupt);
        Ok(match made {
            Ok(report) => Ok(Made { report, outcome: source.outcome().cloned() }),
            Err(error) => {
                tries.came_in_vain(&source);
                Err(Broken::Engine(error))
            }
        })
    }

    fn device_options(&self, parent: Option<SnapshotId>) -> Result<DeviceOptions, Failure> {
        let phone = &self.args.phone;
        let free_bytes = free_bytes(&self.session.settings()?.repository, phone)?;
        let now = common::time(Timestamp::now());
        Ok(DeviceOptions {
            full: phone.full,
            parent,
            conversion: self.password.as_ref().map(|password| ConversionOptions {
                password: password.clone(),
                spool_max_bytes: phone.spool_limit,
                converts_media: phone.convert_media,
            }),
            pairing: patience(phone.wait),
            passcode_patience: phone.wait,
            ..DeviceOptions::new(self.host.records.clone(), free_bytes, now)
        })
    }
}

/// How much room the device is told there is.
fn free_bytes(repository: &Location, phone: &SnapshotDeviceArgs) -> Result<u64, Failure> {
    match (phone.max_size, repository) {
        (Some(size), _) => Ok(size),
        (None, Location::Folder(folder)) if !phone.ignore_space => free_on_disk_of(folder),
        _ => Ok(UNLIMITED),
    }
}

fn free_on_disk_of(folder: &Path) -> Result<u64, Failure> {
    let disk = rustix::fs::statvfs(folder).map_err(|error| {
        let shown = folder.display();
        Failure::new(ExitCode::Failed, format!("how much is free on {shown}: {error}"))
            .hint("say it with --max-size")
    })?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What only a device's session has to tell.
fn of_device(outcome: &BackupOutcome) -> Value {
    let (files, bytes) = outcome.received;
    json!({
        "files_received": files,
        "bytes_received": bytes,
        "files_not_sent": outcome.not_sent,
        "answered": outcome.answered,
        "files_converted": outcome.converted.as_ref().map(|converted| converted.files),
        "files_overflowed": outcome.converted.as_ref().map(|converted| converted.overflowed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_what_was_said_or_what_is_free_or_that_there_is_no_end() {
        let folder = Location::Folder(std::env::temp_dir());
        let bucket: Location = "s3://bucket/folder".parse().unwrap();
        let usual = SnapshotDeviceArgs::default();
        let told =
            |location: &Location, phone: &SnapshotDeviceArgs| free_bytes(location, phone).unwrap();
        assert!((1..UNLIMITED).contains(&told(&folder, &usual)));
        assert_eq!(told(&bucket, &usual), UNLIMITED);
        let limited = SnapshotDeviceArgs { max_size: Some(7), ..SnapshotDeviceArgs::default() };
        assert_eq!((told(&folder, &limited), told(&bucket, &limited)), (7, 7));
        let boundless = SnapshotDeviceArgs { ignore_space: true, ..SnapshotDeviceArgs::default() };
        assert_eq!(told(&folder, &boundless), UNLIMITED);
    }
}
