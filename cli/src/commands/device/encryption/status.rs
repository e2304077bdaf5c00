//! `encryption status`: what devices say of themselves, and what their newest snapshots are like.
use super::super::choose::{Attached, Wanted, find};
use super::super::{Host, UntilStopped, patience};
use crate::args::DeviceChoice;
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::{escaped, moment};
use devsnap_device::backup_set::path_in_set;
use devsnap_device::lockdown::{Pairing, TrustedDevice};
use devsnap_device::{DeviceError, EncryptionState, Udid};
use devsnap_engine::node::Encoding;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::Repository;
use devsnap_engine::snapshot::{Named, Origin};
use serde_json::{Value, json};
use std::sync::Arc;

/// The newest snapshot of a device.
struct Newest {
    named: Named,
    encrypted: bool,
    /// The password was right when it was stored; `None`: not for this key to see.
    password_verified: Option<bool>,
}

/// What the repository tells of a device.
enum Kept {
    /// It could not be opened without asking, or not at all.
    NotSeen(String),
    /// There is no snapshot of it.
    Nothing,
    Newest(Box<Newest>),
}

pub(super) fn run(session: &Session<'_>, choice: &DeviceChoice) -> Result<ExitCode, Failure> {
    let host = Host::of_this_user()?;
    let wanted = choice.device.as_deref().map_or(Wanted::All, Wanted::Named);
    let devices = find(session, &host, wanted, None)?;
    let shelf = Shelf::look(session);
    let mut code = ExitCode::Done;
    for device in &devices {
        let state = match asked(session, &host, device) {
            Ok(state) => state,
            Err(failure) if session.interrupt.is_raised() => return Err(failure),
            Err(failure) if devices.len() == 1 => return Err(failure),
            Err(failure) => {
                code = failure.code();
                session.report.fail(&failure.of(device.shown()));
                continue;
            }
        };
        tell(session, device, state, &shelf.newest_of(device))?;
    }
    session.report.summary(
        || json!({ "message_type": "summary", "devices": devices.len() }),
        || match devices.len() {
            1 => "1 device".to_owned(),
            count => format!("{count} devices"),
        },
    )?;
    Ok(code)
}

/// Asks a device that trusts this computer; nobody has to tap anything.
fn asked(
    session: &Session<'_>,
    host: &Host,
    device: &Attached,
) -> Result<EncryptionState, Failure> {
    let watch = session.report.watch_device(device.udid().as_str(), device.name());
    let pairing = Pairing {
        transport: &*host.transport,
        address: &device.address,
        records: &host.records,
        watch: &watch,
        patience: patience(None),
    };
    let mut wait = UntilStopped(session.interrupt);
    let record = pairing.taken_record(&mut wait)?.ok_or_else(|| {
        let sentence = format!("{} does not trust this computer", device.shown());
        DeviceError::new(devsnap_device::DeviceErrorKind::NotTrusted, sentence)
    })?;
    let trusted = TrustedDevice::new(Arc::clone(&host.transport), device.address.clone(), record);
    let mut visit = trusted.session(&mut wait)?;
    let state = EncryptionState::of(&mut visit)?;
    visit.end();
    Ok(state)
}

/// The repository, as far as it opens without asking anybody.
enum Shelf {
    Open(Box<Repository>, Vec<Named>),
    Closed(String),
}

impl Shelf {
    fn look(session: &Session<'_>) -> Shelf {
        match Shelf::open(session) {
            Ok(Some(open)) => open,
            Ok(None) => Shelf::Closed("no repository password is given".to_owned()),
            Err(failure) => Shelf::Closed(failure.message().to_owned()),
        }
    }

    fn open(session: &Session<'_>) -> Result<Option<Shelf>, Failure> {
        let Some(secret) = session.with_sources(|sources| sources.if_given())? else {
            return Ok(None);
        };
        let repository = session.open_with(&secret)?;
        let named = session.snapshots(&repository)?;
        Ok(Some(Shelf::Open(Box::new(repository), named)))
    }

    fn newest_of(&self, device: &Attached) -> Kept {
        let (repository, named) = match self {
            Shelf::Open(repository, named) => (repository, named),
            Shelf::Closed(why) => return Kept::NotSeen(why.clone()),
        };
        let udid = device.udid().as_str();
        let newest = named.iter().rev().find_map(|named| match &named.snapshot.origin {
            Origin::Device(of) if of.udid == udid => Some((named, of.encrypted)),
            _ => None,
        });
        match newest {
            None => Kept::Nothing,
            Some((named, encrypted)) => Kept::Newest(Box::new(Newest {
                named: named.clone(),
                encrypted,
                password_verified: was_opened(repository, named, udid),
            })),
        }
    }
}

/// Whether the snapshot's `Manifest.db` is stored as what the password opened. A station sees none
/// of it.
fn was_opened(repository: &Repository, named: &Named, udid: &str) -> Option<bool> {
    let path = path_in_set(&Udid::parse(udid)?, "Manifest.db");
    let node = repository.view(&named.snapshot).entry(&path).ok()??;
    Some(matches!(node.encoding, Encoding::AppleEncrypted { .. }))
}

fn tell(
    session: &Session<'_>,
    device: &Attached,
    state: EncryptionState,
    kept: &Kept,
) -> Result<(), Failure> {
    if session.report.is_json() {
        return session.report.data(|| for_programs(device, state, kept), String::new);
    }
    let encrypts = match state.will_encrypt {
        Some(true) => "yes",
        Some(false) => "no: passwords, health data and more are not in its backups",
        None => "it does not say",
    };
    let required = if state.is_required { "yes, by a management profile" } else { "no" };
    let rows = [
        ("Device", format!("{}  {}", escaped(device.shown()), device.udid())),
        ("Backups encrypted", encrypts.to_owned()),
        ("Required", required.to_owned()),
        ("Newest snapshot", words_of(session, kept)),
    ];
    for (what, value) in rows {
        session.report.data(|| Value::Null, || format!("{what:<20}{value}"))?;
    }
    Ok(())
}

fn words_of(session: &Session<'_>, kept: &Kept) -> String {
    let newest = match kept {
        Kept::NotSeen(why) => return format!("not looked at: {}", escaped(why)),
        Kept::Nothing => return "none".to_owned(),
        Kept::Newest(newest) => newest,
    };
    let encrypted = match (newest.encrypted, newest.password_verified) {
        (false, _) => "not encrypted",
        (true, Some(true)) => "encrypted; the password was right when it was stored",
        (true, Some(false)) => {
            "encrypted; its password was never verified (`devsnap encryption verify`)"
        }
        (true, None) => "encrypted",
    };
    let at = moment(newest.named.snapshot.taken_at, &session.zone);
    format!("{} of {at}: {encrypted}", newest.named.id.short())
}

fn for_programs(device: &Attached, state: EncryptionState, kept: &Kept) -> Value {
    let (snapshot, not_seen) = match kept {
        Kept::NotSeen(why) => (Value::Null, Value::from(why.as_str())),
        Kept::Nothing => (Value::Null, Value::Null),
        Kept::Newest(newest) => {
            let snapshot = json!({
                "id": newest.named.id.to_hex(),
                "time": json::moment(newest.named.snapshot.taken_at),
                "encrypted": newest.encrypted,
                "password_verified": newest.password_verified.filter(|_| newest.encrypted),
            });
            (snapshot, Value::Null)
        }
    };
    let mut line = json::line("device");
    let fields = json!({
        "udid": device.udid().as_str(),
        "name": device.name(),
        "encrypts": state.will_encrypt,
        "encryption_required": state.is_required,
        "newest_snapshot": snapshot,
        "snapshots_not_seen": not_seen,
    });
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    line.into()
}
