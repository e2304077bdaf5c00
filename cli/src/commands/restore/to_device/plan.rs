//! What will be done to a device, in words.
use crate::args::RestoreDeviceArgs;
use crate::report::json;
use crate::report::text::{counted, escaped, moment, size};
use devsnap_device::lockdown::DeviceInfo;
use devsnap_device::restore::{Offer, RestoreChoices, RestoreOutcome};
use devsnap_engine::snapshot::{DeviceIdentity, Named};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// What was chosen: the defaults are those that lose nothing.
pub(super) fn choices(args: &RestoreDeviceArgs) -> RestoreChoices {
    RestoreChoices {
        system_files: args.system || args.replace,
        preserve_settings: !(args.settings || args.replace),
        remove_not_restored: args.remove || args.replace,
        reboot: !args.no_reboot,
    }
}

/// All that is decided.
pub(super) struct Plan<'p> {
    pub(super) named: &'p Named,
    pub(super) source: &'p DeviceIdentity,
    pub(super) target: &'p DeviceInfo,
    pub(super) offer: &'p Offer,
    pub(super) choices: RestoreChoices,
    pub(super) with_apps: bool,
}

/// E.g. `Anna's iPhone`, or the UDID of a device that says no name.
pub(super) fn shown(device: &DeviceInfo) -> String {
    match device.name.as_str() {
        "" => device.udid.as_str().to_owned(),
        name => escaped(name),
    }
}

/// The last four characters of its UDID.
pub(super) fn last_four(device: &DeviceInfo) -> &str {
    let udid = device.udid.as_str();
    &udid[udid.len().saturating_sub(4)..]
}

impl Plan<'_> {
    /// A line each.
    pub(super) fn for_people(&self, zone: &TimeZone) -> Vec<String> {
        let (named, source, target) = (self.named, self.source, self.target);
        let (files, bytes) = self.offer.size();
        let is_other = source.udid != target.udid.as_str();
        let mut lines = vec![
            format!(
                "Snapshot  {} of {}, {}: {}, {}, version {} of the system{}{}",
                named.id.short(),
                escaped(&source.name),
                moment(named.snapshot.taken_at, zone),
                counted(files, "file"),
                size(bytes),
                escaped(self.offer.product_version()),
                if self.offer.is_encrypted() { ", encrypted" } else { "" },
                if is_other { " - ANOTHER DEVICE" } else { "" },
            ),
            format!(
                "goes onto  {}, {}, UDID ending in {}, version {}",
                shown(target),
                escaped(&target.product_type),
                last_four(target),
                escaped(&target.product_version),
            ),
        ];
        lines.extend(self.sentences().into_iter().map(|sentence| format!("  - {sentence}")));
        lines
    }

    /// What each option that is sent means, as it is.
    fn sentences(&self) -> [&'static str; 6] {
        let RestoreChoices { system_files, preserve_settings, remove_not_restored, reboot } =
            self.choices;
        [
            match system_files {
                true => "the system's own files are replaced by those of the snapshot (--system)",
                false => "the system's own files stay; apps' data and media come back",
            },
            match preserve_settings {
                true => "the device's settings stay as they are",
                false => "the device's settings are replaced by those of the snapshot (--settings)",
            },
            match remove_not_restored {
                true => "what is on the device and not in the snapshot IS DELETED (--remove)",
                false => "what is on the device and not in the snapshot stays",
            },
            match self.with_apps {
                true => "the device fetches its apps from the store again",
                false => "the device fetches no apps (--skip-apps)",
            },
            match reboot {
                true => "the device restarts when it is done",
                false => "the device does not restart by itself (--no-reboot)",
            },
            "no copy of what is on the device is made first: files that the snapshot holds are written over",
        ]
    }

    fn fields(&self) -> serde_json::Map<String, Value> {
        let (files, bytes) = self.offer.size();
        let choices = self.choices;
        let fields = json!({
            "snapshot_id": self.named.id.to_hex(),
            "source": { "udid": self.source.udid, "name": self.source.name },
            "target": {
                "udid": self.target.udid.as_str(),
                "name": self.target.name,
                "product_type": self.target.product_type,
                "os_version": self.target.product_version,
            },
            "other_device": self.source.udid != self.target.udid.as_str(),
            "encrypted": self.offer.is_encrypted(),
            "files": files,
            "bytes": bytes,
            "system_files": choices.system_files,
            "preserve_settings": choices.preserve_settings,
            "remove_not_restored": choices.remove_not_restored,
            "reboot": choices.reboot,
            "with_apps": self.with_apps,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        }
    }

    pub(super) fn for_programs(&self, dry_run: bool) -> Value {
        let mut line = json::line("plan");
        line.extend(self.fields());
        line.insert("dry_run".to_owned(), dry_run.into());
        line.into()
    }

    /// Afterwards; without an outcome nothing was sent.
    pub(super) fn summary(&self, outcome: Option<&RestoreOutcome>) -> Value {
        let mut line = json::line("summary");
        line.extend(self.fields());
        line.insert("dry_run".to_owned(), outcome.is_none().into());
        if let Some(outcome) = outcome {
            line.insert("files_sent".to_owned(), outcome.sent.0.into());
            line.insert("bytes_sent".to_owned(), outcome.sent.1.into());
            line.insert("apps".to_owned(), outcome.apps.into());
        }
        line.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_unless_it_is_asked_for_and_replace_is_three_in_one() {
        let usual = choices(&RestoreDeviceArgs::default());
        assert_eq!(usual, RestoreChoices::default());
        let three = RestoreDeviceArgs {
            system: true,
            settings: true,
            remove: true,
            ..RestoreDeviceArgs::default()
        };
        let one = RestoreDeviceArgs { replace: true, ..RestoreDeviceArgs::default() };
        assert_eq!(choices(&three), choices(&one));
        assert!(choices(&one).remove_not_restored && choices(&one).reboot);
    }
}
