//! `devsnap show`: all that one snapshot says about itself.
use super::Session;
use crate::args::OneSnapshot;
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::{counted, duration, escaped, escaped_bytes, moment, size, state, tags};
use devsnap_engine::snapshot::{Completeness, DeviceIdentity, Named, Origin};
use devsnap_engine::source::Verification;
use serde_json::Value;

pub(super) fn run(session: &Session<'_>, args: &OneSnapshot) -> Result<ExitCode, Failure> {
    let repository = session.open_repository()?;
    let named = session.one(&repository, &args.snapshot)?;
    session.report.data(|| for_programs(&named), || for_people(session, &named).join("\n"))?;
    Ok(ExitCode::Done)
}

fn for_programs(named: &Named) -> Value {
    let mut line = json::snapshot(named);
    if let Completeness::Incomplete { first, .. } = &named.snapshot.completeness {
        let faults = first.iter().map(|(path, kind)| {
            let mut fault = serde_json::Map::new();
            json::put_path(&mut fault, "path", &path.to_slashed());
            fault.insert("fault".to_owned(), kind.word().into());
            Value::from(fault)
        });
        line.insert("first_faults".to_owned(), faults.collect());
    }
    line.into()
}

fn for_people(session: &Session<'_>, named: &Named) -> Vec<String> {
    let snapshot = &named.snapshot;
    let totals = &snapshot.totals;
    let mut lines = Vec::new();
    let mut say = |title: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("{title:<12}{text}"));
        }
    };
    say("Snapshot", named.id.to_hex());
    say("Taken", moment(snapshot.taken_at, &session.zone));
    match &snapshot.origin {
        Origin::Folder { host, path } => {
            say("Computer", escaped(host));
            say("Folder", escaped_bytes(path));
        }
        Origin::Device(device) => about_device(session, device, &mut say),
    }
    say("Tags", tags(snapshot));
    say("About", escaped(named.description.as_deref().unwrap_or_default()));
    let (paths, bytes) = snapshot.root.map_or((0, 0), |root| (root.entries, root.size_bytes));
    say("Holds", format!("{}, {}", counted(paths, "path"), size(bytes)));
    say(
        "Changes",
        format!("{} new, {} changed, {} removed", totals.new, totals.changed, totals.removed),
    );
    say(
        "Cost",
        format!(
            "read {}, new to the repository {}, stored {} in {}",
            size(totals.read_bytes),
            size(totals.added_bytes),
            size(totals.stored_bytes),
            duration(totals.duration_millis)
        ),
    );
    say("Parent", snapshot.parent.map_or_else(String::new, |parent| parent.to_hex()));
    say("Written by", escaped(&snapshot.program));
    say("State", state(snapshot));
    if let Completeness::Incomplete { total, first } = &snapshot.completeness {
        lines.extend(first.iter().map(|(path, kind)| format!("  {path}: {}", kind.word())));
        let more = total.saturating_sub(first.len() as u64);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
    }
    lines
}

fn about_device(
    session: &Session<'_>,
    device: &DeviceIdentity,
    say: &mut impl FnMut(&str, String),
) {
    say("Device", escaped(&device.name));
    say("UDID", escaped(&device.udid));
    say("Model", escaped(&device.product_type));
    let system = format!("{} {}", device.os_version, device.os_build);
    say("System", escaped(system.trim()));
    say("Encrypted", if device.encrypted { "yes" } else { "no" }.to_owned());
    say("Backed up", device.backup_at.map_or_else(String::new, |at| moment(at, &session.zone)));
    say("Computer", escaped(&device.host));
    say("Verified", device.verification.map_or("", verified).to_owned());
}

/// What was looked at when the set had come, in words.
fn verified(what: Verification) -> &'static str {
    match what {
        Verification::Rows => "every file that the device's manifest names is there",
        Verification::Names => "the manifest is encrypted; what it names was not looked at",
        Verification::Incomplete => "files that the device's manifest names are missing",
        Verification::Unreadable => "the device's manifest cannot be read",
    }
}
