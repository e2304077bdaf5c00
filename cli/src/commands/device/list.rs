//! `devsnap devices`: what is attached, and what comes and goes.
use super::choose::{Attached, attached, connection_word};
use super::{Host, UntilStopped};
use crate::args::DevicesArgs;
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::{Column, escaped, table};
use devsnap_device::lockdown::known_records;
use devsnap_device::transport::{ConnectionKind, DeviceAddress, TransportEvent, Wait};
use devsnap_device::{DeviceError, Udid};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it is looked whether somebody wants to stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(in crate::commands) fn run(
    session: &Session<'_>,
    args: &DevicesArgs,
) -> Result<ExitCode, Failure> {
    let host = Host::of_this_user()?;
    if args.watch {
        return watch(session, &host);
    }
    let devices = attached(&host)?;
    let mut rows = Vec::new();
    for device in &devices {
        let is_paired = is_paired(&host, device.udid())?;
        if session.report.is_json() {
            session.report.data(|| for_programs(device, is_paired).into(), String::new)?;
        }
        rows.push(row(device, is_paired));
    }
    if !session.report.is_json() && !rows.is_empty() {
        const HEADING: [(&str, Column); 6] = [
            ("Name", Column::Left),
            ("UDID", Column::Left),
            ("Model", Column::Left),
            ("System", Column::Left),
            ("Connection", Column::Left),
            ("Paired", Column::Left),
        ];
        for line in table(HEADING, &rows) {
            session.report.data(|| Value::Null, || line)?;
        }
    }
    session.report.summary(
        || json!({ "message_type": "summary", "devices": devices.len() }),
        || match devices.len() {
            0 => "No device is attached. One that has been locked for an hour shows itself to no \
                  computer: unlock it."
                .to_owned(),
            1 => "1 device".to_owned(),
            count => format!("{count} devices"),
        },
    )?;
    Ok(ExitCode::Done)
}

/// Whether this computer has a pair record; whether the device still takes it is not asked.
fn is_paired(host: &Host, udid: &Udid) -> Result<bool, DeviceError> {
    Ok(known_records(&*host.transport, &host.records, udid)?.next().is_some())
}

/// A device as JSON has it, of every command about devices.
pub(super) fn for_programs(device: &Attached, is_paired: bool) -> Map<String, Value> {
    let word = |kind: &ConnectionKind| connection_word(*kind).to_ascii_lowercase();
    let told = device.glimpse.clone().unwrap_or_default();
    let mut line = json::line("device");
    let fields = json!({
        "udid": device.udid().as_str(),
        "name": told.name,
        "product_type": told.product_type,
        "os_version": told.product_version,
        "os_build": told.build_version,
        "connections": device.connections.iter().map(word).collect::<Vec<_>>(),
        "paired": is_paired,
    });
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    line
}

fn row(device: &Attached, is_paired: bool) -> [String; 6] {
    let ways: Vec<_> = device.connections.iter().map(|way| connection_word(*way)).collect();
    let told = device.glimpse.clone().unwrap_or_default();
    [
        escaped(&told.name),
        device.udid().to_string(),
        escaped(&told.product_type),
        escaped(&told.product_version),
        ways.join(", "),
        if is_paired { "yes" } else { "no" }.to_owned(),
    ]
}

/// Tells of every device that is there, and then of each that comes or goes, until stopped.
fn watch(session: &Session<'_>, host: &Host) -> Result<ExitCode, Failure> {
    let mut events = host.transport.watch()?;
    let mut known: BTreeMap<u64, DeviceAddress> = BTreeMap::new();
    let mut wait = UntilStopped(session.interrupt);
    while wait.waited(Duration::ZERO).is_ok() {
        let (address, event) = match events.next(LOOK_EVERY)? {
            Some(TransportEvent::Attached(address)) => {
                known.insert(address.handle, address.clone());
                (Some(address), "attached")
            }
            Some(TransportEvent::Detached { handle }) => (known.remove(&handle), "detached"),
            Some(TransportEvent::Paired { handle }) => (known.get(&handle).cloned(), "paired"),
            _ => continue,
        };
        if let Some(address) = address {
            tell(session, host, address, event)?;
        }
    }
    Ok(ExitCode::Interrupted)
}

fn tell(
    session: &Session<'_>,
    host: &Host,
    address: DeviceAddress,
    event: &str,
) -> Result<(), Failure> {
    let is_paired = is_paired(host, &address.udid)?;
    let device = match event {
        "detached" => Attached { connections: vec![address.kind], glimpse: None, address },
        _ => Attached::at(host, address),
    };
    session.report.data(
        || {
            let mut line = for_programs(&device, is_paired);
            line.insert("event".to_owned(), event.into());
            line.into()
        },
        || {
            let ways: Vec<_> = device.connections.iter().map(|way| connection_word(*way)).collect();
            let name = escaped(device.name());
            format!("{event}  {}  {}  {name}", device.udid(), ways.join(", ")).trim_end().to_owned()
        },
    )?;
    session.report.flush()
}
