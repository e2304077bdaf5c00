//! `encryption verify`: whether a backup password is right, by the keybag of a snapshot. No device
//! is needed, and none is asked.
use crate::args::EncryptionVerifyArgs;
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::{escaped, moment};
use devsnap_device::Udid;
use devsnap_device::logical::StoredLists;
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::{DeviceIdentity, Named, Origin};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn run(session: &Session<'_>, args: &EncryptionVerifyArgs) -> Result<ExitCode, Failure> {
    let password = session.backup_password(&args.password)?;
    let repository = session.open_repository()?;
    let named = chosen(session, &repository, args)?;
    let short = named.id.short();
    let Origin::Device(device) = &named.snapshot.origin else {
        let line = format!("snapshot {short} is of a folder, not of a device");
        return Err(Failure::new(ExitCode::Failed, line).hint("`devsnap snapshots` lists them"));
    };
    let udid = Udid::parse(&device.udid).ok_or_else(|| {
        Failure::new(ExitCode::Failed, "the snapshot names a device that none can be")
    })?;
    let view = repository.view(&named.snapshot);
    let unlocked =
        StoredLists::read(&view, udid)?.unlock(Some(&password), None, session.interrupt)?;
    if unlocked.is_none() {
        let line = format!("snapshot {short} is not encrypted, so it has no backup password");
        return Err(Failure::new(ExitCode::Failed, line)
            .hint("`devsnap encryption on` has the device encrypt what it sends"));
    }
    tell(session, &named, device)?;
    Ok(ExitCode::Done)
}

/// The snapshot that is meant: the one named, or the newest of the device named, or of the only one.
fn chosen(
    session: &Session<'_>,
    repository: &Repository,
    args: &EncryptionVerifyArgs,
) -> Result<Named, Failure> {
    if let Some(text) = &args.snapshot {
        return session.one(repository, text);
    }
    if let Some(name) = &args.device {
        return session.one(repository, &format!("{name}@latest"));
    }
    let found = session.all_snapshots(repository)?;
    let udids: BTreeSet<&str> = found.named.iter().filter_map(udid_of).collect();
    match (udids.len(), udids.first()) {
        (1, Some(udid)) => Ok(session.select_among(&found, &format!("{udid}@latest"))?.clone()),
        (0, _) => Err(Failure::new(ExitCode::Failed, "there is no snapshot of a device")
            .hint("make one with `devsnap snapshot`")),
        (count, _) => Err(Failure::usage(format!("there are snapshots of {count} devices"))
            .hint("name one with --device NAME or --device UDID, or name a snapshot")),
    }
}

fn udid_of(named: &Named) -> Option<&str> {
    match &named.snapshot.origin {
        Origin::Device(device) => Some(&device.udid),
        Origin::Folder { .. } => None,
    }
}

fn tell(session: &Session<'_>, named: &Named, device: &DeviceIdentity) -> Result<(), Failure> {
    session.report.summary(
        || {
            let mut line = json::line("summary");
            let fields = json!({
                "snapshot_id": named.id.to_hex(),
                "time": json::moment(named.snapshot.taken_at),
                "udid": device.udid,
                "name": device.name,
                "password_right": true,
            });
            if let Value::Object(fields) = fields {
                line.extend(fields);
            }
            line.into()
        },
        || {
            let at = moment(named.snapshot.taken_at, &session.zone);
            let name = escaped(&device.name);
            format!("The password is right: it opens snapshot {} of {name}, {at}", named.id.short())
        },
    )
}
