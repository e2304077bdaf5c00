//! Phones and tablets: which one, how patiently, and what of it.
use super::BackupPasswordArgs;
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

/// Which device a command is about.
#[derive(Debug, Clone, Default, Args)]
pub struct DeviceChoice {
    /// Which device: its name or UDID [default: the only one that is attached]
    #[arg(short, long, value_name = "NAME|UDID")]
    #[arg(visible_alias = "udid", visible_short_alias = 'u')]
    pub device: Option<String>,
}

/// Whether it is written down what is said to a device.
#[derive(Debug, Default, Args)]
pub struct RecordArgs {
    /// Write what is said to the device and heard from it into this new file, for a report: messages,
    /// sizes, times; no contents, names, numbers or keys
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
}

/// What `snapshot` takes of a device, not of a folder.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Of a device")]
pub struct SnapshotDeviceArgs {
    /// Which.
    #[command(flatten)]
    pub choice: DeviceChoice,
    /// Every device that is attached, one after the other
    #[arg(long, conflicts_with_all = ["device", "record"])]
    pub all: bool,
    /// Ask the device for everything, not only for what has changed
    #[arg(long, conflicts_with = "parent")]
    pub full: bool,
    /// Continue this snapshot instead of the newest complete one of the device
    #[arg(long, value_name = "SNAP", conflicts_with = "all")]
    pub parent: Option<String>,
    /// Wait so long for the device to be attached, for "Trust" and for the passcode, e.g. 90s or
    /// 2h30m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Tell the device that there is so much room, e.g. 200GiB [default: what is free on the disk
    /// of the repository]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
    /// Tell the device that there is always enough room
    #[arg(long, conflicts_with = "max_size")]
    pub ignore_space: bool,
    /// Whether it is recorded.
    #[command(flatten)]
    pub recording: RecordArgs,
    /// With the backup password of a device that encrypts, its files are stored as plaintext.
    #[command(flatten)]
    pub backup_password: BackupPasswordArgs,
    /// Store photos, films and music of an encrypted device as plaintext too: it costs time, and
    /// saves room only if the device sends them again
    #[arg(long)]
    pub convert_media: bool,
    /// Let so much of an encrypted device wait on this computer's disk until its keys have come
    /// [default: a quarter of what is free there]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub spool_limit: Option<u64>,
}

/// `convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Which snapshots: latest, latest~2, ids, tags or dates
    #[arg(value_name = "SNAP", required = true)]
    pub snapshots: Vec<String>,
    /// The password that the device had then.
    #[command(flatten)]
    pub backup_password: BackupPasswordArgs,
    /// Convert photos, films and music too
    #[arg(long)]
    pub convert_media: bool,
}

/// Whether what a restore reads is put on this computer's disk first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum StageArg {
    /// When the repository is elsewhere, and as much of it as fits
    #[default]
    Auto,
    /// All of it
    Always,
    /// Nothing
    Never,
}

/// What `restore` takes of a device, not of a folder.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Onto a device")]
pub struct RestoreDeviceArgs {
    /// Which.
    #[command(flatten)]
    pub choice: DeviceChoice,
    /// Take the snapshot of another device, which must be named: DEVICE@... or its id
    #[arg(long, requires = "device", conflicts_with = "target")]
    pub other_device: bool,
    /// Bring the system's own files back too, not only those of apps and media
    #[arg(long, requires = "device", conflicts_with = "target")]
    pub system: bool,
    /// Bring settings back too; those on the device are lost
    #[arg(long, requires = "device", conflicts_with = "target")]
    pub settings: bool,
    /// Remove from the device what the snapshot does not hold
    #[arg(long, requires = "device", conflicts_with = "target")]
    pub remove: bool,
    /// Let the snapshot take the place of all that is on the device: --system --settings --remove
    #[arg(long, requires = "device", conflicts_with = "target")]
    pub replace: bool,
    /// Do not have the device fetch its apps from the store again
    #[arg(long, requires = "device", conflicts_with = "target")]
    pub skip_apps: bool,
    /// Do not have the device restart when it is done
    #[arg(long, requires = "device", conflicts_with = "target")]
    pub no_reboot: bool,
    /// Put what the device will need on this computer's disk first: when the repository is elsewhere
    /// and it fits; all of it; none
    #[arg(long, value_name = "WHEN", default_value = "auto", conflicts_with = "target")]
    pub stage: StageArg,
    /// Where the backup password of an encrypted snapshot comes from.
    #[command(flatten)]
    pub backup_password: BackupPasswordArgs,
    /// Do not ask whether it is meant so
    #[arg(short, long, requires = "device", conflicts_with = "target")]
    pub yes: bool,
    /// Wait so long for the device to be attached, for "Trust" and for the passcode, e.g. 90s or
    /// 2h30m
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "device", conflicts_with = "target")]
    pub wait: Option<Duration>,
    /// Write what is said to the device and heard from it into this new file, for a report: messages,
    /// sizes, times; no contents, names, numbers or keys
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "device", conflicts_with = "target")]
    pub record: Option<PathBuf>,
}

/// `devices`.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Go on telling which devices come and go, until stopped
    #[arg(long)]
    pub watch: bool,
}

/// `pair`.
#[derive(Debug, Args)]
pub struct PairArgs {
    /// Which.
    #[command(flatten)]
    pub choice: DeviceChoice,
    /// Wait so long for the device to be attached and for somebody to tap "Trust"
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// Write the pair record into this file, for another computer; it must not be there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub export_record: Option<PathBuf>,
    /// Take over the pair record in this file instead of asking the device
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "export_record")]
    pub import_record: Option<PathBuf>,
    /// Whether it is recorded.
    #[command(flatten)]
    pub recording: RecordArgs,
}

/// `device`.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Tell what a device says of itself
    Info(DeviceInfoArgs),
}

/// `device info`.
#[derive(Debug, Args)]
pub struct DeviceInfoArgs {
    /// Which.
    #[command(flatten)]
    pub choice: DeviceChoice,
    /// Leave out names, numbers and addresses that tell whose device it is
    #[arg(long)]
    pub redact: bool,
    /// Whether it is recorded.
    #[command(flatten)]
    pub recording: RecordArgs,
}

/// E.g. `90s`, `15m`, `2h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "it is a duration, e.g. 90s, 15m or 2h30m".to_owned())
}

/// E.g. `200GiB`.
fn size(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>();
    size.map(|size| size.as_u64()).map_err(|_| "it is a size, e.g. 200GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_written_as_people_do() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h30m"), Ok(Duration::from_secs(9000)));
        for bad in ["", "soon", "10", "-5m"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(size("200GiB"), Ok(200 << 30));
        assert!(size("much").is_err());
    }
}
