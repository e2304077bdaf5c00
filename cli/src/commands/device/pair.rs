//! `devsnap pair` and `devsnap unpair`: trust between a device and this computer.
use super::choose::{Attached, find_one};
use super::record::recorded;
use super::{Host, UntilStopped, patience};
use crate::args::{DeviceChoice, PairArgs};
use crate::commands::Session;
use crate::commands::key::{unwritten, write_new};
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::escaped;
use devsnap_device::lockdown::{self, Pairing};
use devsnap_device::watch::DeviceWatch;
use devsnap_device::{DeviceError, DeviceErrorKind, Udid};
use serde_json::{Map, Value, json};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

pub(in crate::commands) fn pair(
    session: &Session<'_>,
    args: &PairArgs,
) -> Result<ExitCode, Failure> {
    recorded(session, args.recording.record.as_deref(), |host| {
        let named = args.choice.device.as_deref();
        match &args.import_record {
            Some(file) => import(session, host, named, args.wait, file)?,
            None => {
                let device = find_one(session, host, named, args.wait)?;
                trust(session, host, &device, args)?;
            }
        }
        Ok(ExitCode::Done)
    })
}

fn trust(
    session: &Session<'_>,
    host: &Host,
    device: &Attached,
    args: &PairArgs,
) -> Result<(), Failure> {
    let watch = session.report.watch_device(device.udid().as_str(), device.name());
    let pairing = pairing(host, device, &watch, args.wait);
    let mut wait = UntilStopped(session.interrupt);
    let known = pairing.taken_record(&mut wait)?;
    let was_paired = known.is_some();
    let record = match known {
        Some(record) => record,
        None => pairing.trusted_record(&mut wait)?,
    };
    drop(watch);
    if let Some(file) = &args.export_record {
        write_new(file, &record.encode()).map_err(|error| unwritten(file, &error))?;
    }
    let mut fields = of(device);
    fields.insert("was_paired".to_owned(), was_paired.into());
    if let Some(file) = &args.export_record {
        json::put_path(&mut fields, "output", file.as_os_str().as_bytes());
    }
    session.report.summary(
        || fields.into(),
        || {
            let already = if was_paired { "already " } else { "" };
            let name = escaped(device.shown());
            let mut said = format!("{name} {already}trusts this computer ({})", device.udid());
            if let Some(file) = &args.export_record {
                let shown = escaped(&file.display().to_string());
                said += &format!(
                    "\nWrote the pair record to {shown}: whoever has it is trusted as this computer"
                );
            }
            said
        },
    )
}

fn pairing<'a>(
    host: &'a Host,
    device: &'a Attached,
    watch: &'a dyn DeviceWatch,
    wait: Option<Duration>,
) -> Pairing<'a> {
    Pairing {
        transport: &*host.transport,
        address: &device.address,
        records: &host.records,
        watch,
        patience: patience(wait),
    }
}

/// Takes over a record that another computer wrote. A device that is named by its UDID need not be
/// attached; one that is attached must take it.
fn import(
    session: &Session<'_>,
    host: &Host,
    named: Option<&str>,
    wait: Option<Duration>,
    file: &Path,
) -> Result<(), Failure> {
    let device = match (find_one(session, host, named, wait), named.and_then(Udid::parse)) {
        (Ok(device), _) => Ok(device),
        (Err(failure), Some(udid)) if failure.code() == ExitCode::NoDevice => Err(udid),
        (Err(failure), _) => return Err(failure),
    };
    let udid = device.as_ref().map_or_else(|udid| udid, Attached::udid);
    host.records.import(udid, file)?;
    if let Ok(device) = &device {
        let watch = session.report.watch_device(device.udid().as_str(), device.name());
        let pairing = pairing(host, device, &watch, wait);
        if pairing.taken_record(&mut UntilStopped(session.interrupt))?.is_none() {
            // A record of no use would be tried at every visit.
            host.records.forget(udid)?;
            return Err(DeviceError::new(
                DeviceErrorKind::NotTrusted,
                format!("{} does not take the record", device.shown()),
            )
            .into());
        }
    }
    let mut fields = match &device {
        Ok(device) => of(device),
        Err(udid) => line(udid, ""),
    };
    fields.insert("imported".to_owned(), true.into());
    session.report.summary(
        || fields.into(),
        || match &device {
            Ok(device) => format!("{} trusts this computer ({udid})", escaped(device.shown())),
            Err(udid) => format!("Kept the record of {udid}; it is tried when it is attached"),
        },
    )
}

pub(in crate::commands) fn unpair(
    session: &Session<'_>,
    choice: &DeviceChoice,
) -> Result<ExitCode, Failure> {
    let host = Host::of_this_user()?;
    let device = find_one(session, &host, choice.device.as_deref(), None)?;
    let was_paired = lockdown::unpair(&*host.transport, &device.address, &host.records)?;
    let mut fields = of(&device);
    fields.insert("was_paired".to_owned(), was_paired.into());
    session.report.summary(
        || fields.into(),
        || {
            let name = escaped(device.shown());
            match was_paired {
                true => format!("{name} and this computer have forgotten each other"),
                false => format!("{name} was not paired with this computer"),
            }
        },
    )?;
    Ok(ExitCode::Done)
}

fn of(device: &Attached) -> Map<String, Value> {
    line(device.udid(), device.name())
}

fn line(udid: &Udid, name: &str) -> Map<String, Value> {
    let mut line = json::line("summary");
    if let Value::Object(fields) = json!({ "udid": udid.as_str(), "name": name }) {
        line.extend(fields);
    }
    line
}
