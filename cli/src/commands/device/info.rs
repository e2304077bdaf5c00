//! `devsnap device info`: what a device says of itself.
use super::choose::{Attached, find_one};
use super::list::for_programs;
use super::record::recorded;
use super::{Host, UntilStopped, patience};
use crate::args::DeviceInfoArgs;
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};
use crate::report::text::{escaped, size};
use devsnap_device::lockdown::TELLING_NOTHING;
use devsnap_device::lockdown::{Battery, DeviceInfo, Pairing, TrustedDevice};
use devsnap_device::services::diagnostics;
use devsnap_device::transport::Wait;
use devsnap_device::{DeviceError, DeviceErrorKind};
use plist::{Dictionary, Value as Plist};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How deep lists of a device are shown.
const DEPTH_MAX: usize = 16;

/// What was asked of a device.
struct Said {
    values: Dictionary,
    encrypted: Option<bool>,
    passcode_set: Option<bool>,
    battery: Option<Battery>,
    disk_bytes: Option<u64>,
    free_bytes: Option<u64>,
}

pub(in crate::commands) fn run(
    session: &Session<'_>,
    args: &DeviceInfoArgs,
) -> Result<ExitCode, Failure> {
    recorded(session, args.recording.record.as_deref(), |host| tell(session, args, host))
}

fn tell(session: &Session<'_>, args: &DeviceInfoArgs, host: &Host) -> Result<ExitCode, Failure> {
    let device = find_one(session, host, args.choice.device.as_deref(), None)?;
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
        DeviceError::new(DeviceErrorKind::NotTrusted, sentence)
    })?;
    let trusted = TrustedDevice::new(Arc::clone(&host.transport), device.address.clone(), record);
    let said = ask(&trusted, &mut wait)?;
    drop(watch);
    if session.report.is_json() {
        session.report.data(|| all_of(&device, &said, args.redact).into(), String::new)?;
        return Ok(ExitCode::Done);
    }
    for (what, value) in rows(&device, &said, args.redact) {
        session.report.data(|| Value::Null, || format!("{what:<20}{}", escaped(&value)))?;
    }
    Ok(ExitCode::Done)
}

fn ask(device: &TrustedDevice, wait: &mut dyn Wait) -> Result<Said, DeviceError> {
    let mut session = device.session(wait)?;
    let values = DeviceInfo::of_values(session.lockdown().value(None, None)?)?.values;
    let mut value = |domain, key| session.lockdown().value(Some(domain), Some(key));
    let number = |value: Option<Plist>| value.and_then(|value| value.as_unsigned_integer());
    let encrypted = value("com.apple.mobile.backup", "WillEncrypt")?;
    let disk = value("com.apple.disk_usage", "TotalDataCapacity")?;
    let free = value("com.apple.disk_usage", "AmountDataAvailable")?;
    let battery = Battery::of(&mut session)?;
    session.end();
    // A service that cannot be had leaves one line out.
    let passcode_set = device
        .start_service(diagnostics::SERVICE, wait)
        .and_then(diagnostics::has_passcode)
        .unwrap_or(None);
    Ok(Said {
        values,
        encrypted: encrypted.and_then(|value| value.as_boolean()),
        passcode_set,
        battery,
        disk_bytes: number(disk),
        free_bytes: number(free),
    })
}

fn all_of(device: &Attached, said: &Said, redact: bool) -> Map<String, Value> {
    let mut line = for_programs(device, true);
    let fields = json!({
        "encrypted": said.encrypted,
        "passcode_set": said.passcode_set,
        "battery_percent": said.battery.map(|battery| battery.percent),
        "battery_charging": said.battery.and_then(|battery| battery.is_charging),
        "disk_bytes": said.disk_bytes,
        "free_bytes": said.free_bytes,
        "values": shown_values(said, redact),
    });
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    if redact {
        for key in ["udid", "name"] {
            line.insert(key.to_owned(), Value::Null);
        }
    }
    line
}

/// The device's values; with `redact` only those that tell nothing of whose it is.
fn shown_values(said: &Said, redact: bool) -> Map<String, Value> {
    let is_shown = |key: &str| !redact || TELLING_NOTHING.contains(&key);
    let values = said.values.iter().filter(|(key, _)| is_shown(key));
    values.map(|(key, value)| (key.clone(), json_of(value, DEPTH_MAX))).collect()
}

/// Bytes are told by their number: keys and certificates help nobody to read.
fn json_of(value: &Plist, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    match value {
        Plist::Array(items) => items.iter().map(|item| json_of(item, depth - 1)).collect(),
        Plist::Dictionary(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(key, value)| (key.clone(), json_of(value, depth - 1)));
            Value::Object(fields.collect())
        }
        Plist::Boolean(flag) => (*flag).into(),
        Plist::Data(bytes) => format!("({} bytes)", bytes.len()).into(),
        Plist::Date(date) => date.to_xml_format().into(),
        Plist::Real(number) => (*number).into(),
        Plist::Integer(number) => match (number.as_unsigned(), number.as_signed()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => Value::Null,
        },
        Plist::String(text) => text.as_str().into(),
        _ => Value::Null,
    }
}

fn rows(device: &Attached, said: &Said, redact: bool) -> Vec<(&'static str, String)> {
    let text = |key: &str| said.values.get(key).and_then(Plist::as_string).map(str::to_owned);
    let private = |value: Option<String>| if redact { None } else { value };
    let yes_or_no = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let system = match (text("ProductVersion"), text("BuildVersion")) {
        (Some(version), Some(build)) => Some(format!("{version} ({build})")),
        (version, _) => version,
    };
    let room = match (said.free_bytes, said.disk_bytes) {
        (Some(free), Some(all)) => Some(format!("{} free of {}", size(free), size(all))),
        _ => None,
    };
    [
        ("Name", private(text("DeviceName"))),
        ("UDID", private(Some(device.udid().to_string()))),
        ("Serial number", private(text("SerialNumber"))),
        ("Phone number", private(text("PhoneNumber"))),
        ("Model", text("ProductType")),
        ("System", system),
        ("Passcode set", said.passcode_set.map(yes_or_no)),
        ("Backups encrypted", said.encrypted.map(yes_or_no)),
        ("Battery", said.battery.map(battery_words)),
        ("Room", room),
    ]
    .into_iter()
    .filter_map(|(what, value)| Some((what, value?)))
    .collect()
}

fn battery_words(battery: Battery) -> String {
    let charging = match battery.is_charging {
        Some(true) => ", charging",
        Some(false) => ", not charging",
        None => "",
    };
    format!("{} %{charging}", battery.percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redacted_values_hold_only_what_tells_nothing_of_the_owner() {
        let mut values = Dictionary::new();
        for key in ["DeviceName", "SerialNumber", "UniqueDeviceID", "SomethingNew", "ProductType"] {
            values.insert(key.to_owned(), "secret".into());
        }
        let said = Said {
            values,
            encrypted: None,
            passcode_set: None,
            battery: None,
            disk_bytes: None,
            free_bytes: None,
        };
        assert_eq!(shown_values(&said, true).keys().collect::<Vec<_>>(), ["ProductType"]);
        assert_eq!(shown_values(&said, false).len(), 5);
    }

    #[test]
    fn a_list_however_deep_becomes_json() {
        let mut deep = Plist::Data(vec![1, 2, 3]);
        assert_eq!(json_of(&deep, DEPTH_MAX), "(3 bytes)");
        for _ in 0..100 {
            deep = Plist::Array(vec![deep]);
        }
        assert!(json_of(&deep, DEPTH_MAX).is_array());
    }
}
