//! `devsnap restore --device`: a snapshot back onto a phone or tablet.
//!
//! In this order: who may be asked and what is meant; the device and the snapshot are looked at; a
//! person says yes to what is told in words; only then the device is asked.
mod consent;
mod held;
mod meant;
mod plan;
mod stored;

use crate::args::{RestoreArgs, StageArg};
use crate::awake::Awake;
use crate::commands::Session;
use crate::commands::device::{Attached, Host, find_one, patience, recorded, restored};
use crate::failure::{ExitCode, Failure};
use crate::report::Watch;
use crate::report::text::{counted, size};
use devsnap_device::lockdown::Battery;
use devsnap_device::restore::{Offer, Preflight, RestoreOutcome, RestoreRun};
use devsnap_device::watch::{DeviceWatch, Unwatched};
use devsnap_device::{DeviceError, DeviceRestore, DeviceRestoreOptions};
use devsnap_engine::check::Needs;
use devsnap_engine::error::ErrorKind;
use devsnap_engine::progress::Progress;
use devsnap_engine::repository::{Repository, StagePolicy, Staged};
use devsnap_engine::snapshot::Named;
use held::Held;
use meant::Meant;
use plan::Plan;
use std::cell::Cell;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Nobody has seen it work on a real phone, and who risks one should know.
const UNPROVEN: &str = "restoring onto a device was tried with phones in software only, never with a \
                        real one: have another backup of what you cannot lose";

pub(super) fn run(
    session: &Session<'_>,
    args: &RestoreArgs,
    device: &str,
) -> Result<ExitCode, Failure> {
    let meant = Meant::of(args)?;
    if !args.dry_run && !args.phone.yes {
        consent::require_somebody()?;
    }
    recorded(session, args.phone.record.as_deref(), |host| {
        let device = find_one(session, host, Some(device), args.phone.wait)?;
        let repository = session.open_repository()?;
        // Before it is looked at what is there: from now on nothing of it goes.
        let _held = match args.dry_run {
            true => None,
            false => Some(Held::open(session, &repository)?),
        };
        let named = meant.select(session, &repository, &device)?;
        let was_asked = Cell::new(false);
        let (repository, was_asked) = (&repository, &was_asked);
        let restore = Restore { session, args, host, device, repository, named, was_asked };
        restore.perform().map_err(|failure| match failure.code() {
            ExitCode::Interrupted if !was_asked.get() => {
                failure.hint("nothing was asked of the device")
            }
            _ => failure,
        })
    })
}

/// One restore.
struct Restore<'a> {
    session: &'a Session<'a>,
    args: &'a RestoreArgs,
    host: &'a Host,
    device: Attached,
    repository: &'a Repository,
    named: Named,
    /// The device was asked to restore.
    was_asked: &'a Cell<bool>,
}

impl Restore<'_> {
    fn perform(&self) -> Result<ExitCode, Failure> {
        let Restore { session, args, named, .. } = self;
        let source = meant::device_of(named)?;
        let report = session.report;
        let watch = Arc::new(report.watch_device(self.device.udid().as_str(), self.device.name()));
        let mut target = self.connect(&watch)?;
        let needs = stored::look(self.repository, named, &*watch, session.interrupt)?;
        let view = self.repository.view(&named.snapshot);
        let offer = Offer::read(&view, source, stored::extent(&needs, named)).map_err(told)?;
        self.look(&target, &offer, &watch)?;
        if args.dry_run {
            // Each pack of a distant store is asked for a byte: none lies in cold storage.
            self.stage(&needs, StageArg::Never, &watch)?;
        }
        // Nothing moves on the terminal while a person is asked.
        target.watched_by(Arc::new(Unwatched));
        drop(watch);
        let password = self.password(&offer)?;
        let info = target.info().clone();

        let plan = Plan {
            named,
            source,
            target: &info,
            offer: &offer,
            choices: plan::choices(&args.phone),
            with_apps: !args.phone.skip_apps,
        };
        report.announce(
            || plan.for_programs(args.dry_run),
            || plan.for_people(&session.zone).join("\n"),
        );
        if args.dry_run {
            report.summary(|| plan.summary(None), || "Nothing stands in the way".to_owned())?;
            return Ok(ExitCode::Done);
        }
        report.warn(UNPROVEN);
        if !args.phone.yes {
            consent::ask(session, &info)?;
        }
        let outcome = self.send(target, &plan, &needs, password)?;
        restored::remember(self.repository, &info, named);
        report.summary(|| plan.summary(Some(&outcome)), || said(&plan, &outcome))?;
        Ok(ExitCode::Done)
    }

    fn connect(&self, watch: &Arc<Watch>) -> Result<DeviceRestore, Failure> {
        let wait = self.args.phone.wait;
        let options = DeviceRestoreOptions {
            pairing: patience(wait),
            passcode_patience: wait,
            ..DeviceRestoreOptions::new(self.host.records.clone())
        };
        let seen: Arc<dyn DeviceWatch> = watch.clone();
        let (transport, udid) = (Arc::clone(&self.host.transport), Some(self.device.udid()));
        DeviceRestore::connect(transport, udid, options, seen, self.session.interrupt).map_err(told)
    }

    /// Whether anything stands in the way; what does not is warned of.
    fn look(&self, target: &DeviceRestore, offer: &Offer, watch: &Watch) -> Result<(), Failure> {
        let found: Preflight = target.preflight(offer, plan::choices(&self.args.phone));
        if let Some(battery) = target.battery().filter(Battery::is_low) {
            let (shown, percent) = (self.device.shown(), battery.percent);
            Progress::warn(
                watch,
                &format!("{shown} has {percent} % of its battery left and is not charging"),
            );
        }
        for finding in found.findings.iter().filter(|finding| !finding.refuses()) {
            Progress::warn(watch, &finding.sentence);
        }
        found.refusal().map_or(Ok(()), |refusal| Err(told(refusal)))
    }

    /// What opens the snapshot's keybag, when it has one. It is tried here: the device would say it
    /// when it is too late.
    fn password(&self, offer: &Offer) -> Result<Option<Zeroizing<String>>, Failure> {
        if !offer.is_encrypted() {
            return Ok(None);
        }
        let (session, flags) = (self.session, &self.args.phone.backup_password);
        let given = session.backup_password_if_given(flags)?;
        let bytes = match given {
            Some(given) => given,
            None if self.args.dry_run => {
                session.report.warn("no backup password was given, so none was tried");
                return Ok(None);
            }
            None => session.backup_password(flags)?,
        };
        let password = std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned()));
        let password = password.map_err(|_| {
            Failure::usage("the backup password is not UTF-8, and devices take no other")
                .hint("nothing was asked of the device")
        })?;
        session.report.note("trying the backup password; this takes some seconds");
        offer.require_opens_with(&password, session.interrupt).map_err(told)?;
        Ok(Some(password))
    }

    fn stage(&self, needs: &Needs, policy: StageArg, watch: &Watch) -> Result<Staged, Failure> {
        let policy = match policy {
            StageArg::Auto => StagePolicy::Auto,
            StageArg::Always => StagePolicy::Always,
            StageArg::Never => StagePolicy::Never,
        };
        let staged = self.repository.stage(&needs.packs, policy, watch, self.session.interrupt);
        staged.map_err(|error| {
            let no_room = error.kind() == ErrorKind::NoSpace;
            let failure = Failure::from(error);
            match no_room {
                true => failure.hint("free some space here, or take --stage auto or --stage never"),
                false => failure,
            }
        })
    }

    fn send(
        &self,
        mut target: DeviceRestore,
        plan: &Plan<'_>,
        needs: &Needs,
        password: Option<Zeroizing<String>>,
    ) -> Result<RestoreOutcome, Failure> {
        let Restore { session, repository, named, .. } = self;
        let mut awake = Awake::hold();
        let staging = session.report.watch();
        let staged = self.stage(needs, self.args.phone.stage, &staging)?;
        drop(staging);
        if staged.packs() > 0 {
            let (packs, bytes) = (counted(staged.packs(), "pack"), size(staged.bytes()));
            session.report.note(&format!("fetched {packs} ({bytes}) to this computer's disk"));
        }
        let view = repository.view(&named.snapshot);
        let watch = session.report.watch_device(self.device.udid().as_str(), self.device.name());
        let watch = Arc::new(watch);
        target.watched_by(watch.clone());
        let (files, bytes) = plan.offer.size();
        watch.expect(files, bytes);
        watch.expect_no_more();
        let run = RestoreRun {
            reader: &view,
            offer: plan.offer,
            choices: plan.choices,
            with_apps: plan.with_apps,
            password,
            progress: &*watch,
            interrupt: session.interrupt,
        };
        self.was_asked.set(true);
        let ended = target.run(&run);
        drop((target, watch));
        if !awake.is_held() {
            let note = "nothing here could keep this computer from falling asleep meanwhile";
            session.report.note(note);
        }
        ended.map_err(told)
    }
}

/// A device's failure in a restore.
fn told(error: DeviceError) -> Failure {
    Failure::of_restore(&error)
}

fn said(plan: &Plan<'_>, outcome: &RestoreOutcome) -> String {
    let (files, bytes) = outcome.sent;
    let restarts = if plan.choices.reboot { "; it restarts now" } else { "" };
    let apps = match outcome.apps {
        Some(apps) => format!("; it fetches {} by itself", counted(apps, "app")),
        None => String::new(),
    };
    format!(
        "Restored snapshot {} onto {}: {} sent ({}){apps}{restarts}",
        plan.named.id.short(),
        plan::shown(plan.target),
        counted(files, "file"),
        size(bytes)
    )
}
