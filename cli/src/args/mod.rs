//! What may be typed: commands, flags and what `--help` teaches of them. Knows clap and the words
//! of the engine, and nothing else.
//!
//! `docs/cli.md` describes the same, and `tests/reference.rs` holds the two against each other.
mod backup_password;
mod device;
mod encryption;
mod keeping;
mod keys;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

pub use backup_password::{BackupPasswordArgs, NewBackupPasswordArgs};
pub use device::{
    ConvertArgs, DeviceChoice, DeviceCommand, DeviceInfoArgs, DevicesArgs, PairArgs, RecordArgs,
    RestoreDeviceArgs, SnapshotDeviceArgs, StageArg,
};
pub use encryption::{
    ChangeBackupPasswordArgs, EncryptionCommand, EncryptionDeviceArgs, EncryptionOffArgs,
    EncryptionOnArgs, EncryptionVerifyArgs,
};
pub use keeping::{CountArg, DescribeArgs, ForgetArgs, PolicyArgs, PruneArgs, TagArgs};
pub use keys::{AddKeyArgs, AddWriterArgs, KeyCommand, NewPassword, RemoveKeyArgs, WriterCommand};

/// Encrypted, deduplicated, dated snapshots of iPhones, iPads and folders.
#[derive(Debug, Parser)]
#[command(
    name = "devsnap",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "First steps:\n  \
        devsnap demo                       two days of a phone in software, kept and restored\n  \
        devsnap init                       make the repository; write its recovery key down\n  \
        devsnap snapshot                   back the attached iPhone up\n  \
        devsnap snapshot ~/Documents       keep the folder as it is now\n  \
        devsnap snapshots                  what is there\n  \
        devsnap restore latest --target /tmp/back\n\n\
        A snapshot is named `latest`, `latest~2`, by the first digits of its id, by a tag, or by a\n\
        date (2026-11-01, 2026-11-01T20:04: the state of things then), each after `DEVICE@` to\n\
        choose among several: \"Anna's iPhone@latest\"."
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global flags")]
pub struct Global {
    /// Where the repository is: a folder, s3://BUCKET/FOLDER or s3:https://HOST/BUCKET/FOLDER
    /// [default: a folder of your own data]
    #[arg(short, long, global = true, value_name = "LOCATION", env = "DEVSNAP_REPOSITORY")]
    #[arg(hide_env_values = true, value_hint = ValueHint::AnyPath)]
    pub repo: Option<String>,
    /// Read the repository password from this file
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["password_command", "recovery_key_file", "key_file"])]
    pub password_file: Option<PathBuf>,
    /// Run this command and take what it prints as the repository password
    #[arg(long, global = true, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    #[arg(conflicts_with_all = ["recovery_key_file", "key_file"])]
    pub password_command: Option<OsString>,
    /// Open with the recovery key in this file instead of a password
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "key_file")]
    pub recovery_key_file: Option<PathBuf>,
    /// Open with a station's writer key, which adds snapshots and reads none
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// Where this computer keeps its copies of what the repository holds
    #[arg(long, global = true, value_name = "DIR", env = "DEVSNAP_CACHE_DIR")]
    #[arg(hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub cache_dir: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Print only what was asked for, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more about what is done
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// What devsnap can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what devsnap does, with an iPhone in software and a repository that goes away again
    #[cfg(feature = "demo")]
    #[command(
        after_help = "The phone is paired, backed up, used for a day and backed up again; both \
        days are restored\nand compared with it byte by byte. Your repository, devices and settings \
        are left alone.\n\nExamples:\n  devsnap demo\n  devsnap demo --dir /tmp/devsnap-demo"
    )]
    Demo(DemoArgs),
    /// Make a new repository and print its recovery key, once
    #[command(after_help = "Example:\n  devsnap -r /mnt/nas/devsnap init")]
    Init,
    /// Back up the attached iPhone or iPad, or keep a folder as it is now
    #[command(
        visible_alias = "backup",
        after_help = "Without PATH the device that is attached is backed up straight into the \
            repository. A folder written by Finder, iTunes or idevicebackup2 is recognised as the \
            backup of its device.\n\nExamples:\n  \
            devsnap snapshot --wait 10m\n  \
            devsnap snapshot -d \"Anna's iPhone\" --tag before-update\n  \
            devsnap snapshot --record for-a-report.jsonl\n  \
            devsnap snapshot ~/Documents --tag before-update --exclude '*.tmp'\n  \
            devsnap snapshot ~/Library/Application\\ Support/MobileSync/Backup/00008030-001A2B3C4D5E6F78"
    )]
    Snapshot(SnapshotArgs),
    /// List the devices that are attached
    #[command(after_help = "Example:\n  devsnap devices --watch")]
    Devices(DevicesArgs),
    /// Have a device trust this computer
    #[command(after_help = "Somebody must tap \"Trust\" on the device and enter its \
        passcode.\n\nExamples:\n  devsnap pair --wait 5m\n  \
        devsnap pair -d \"Anna's iPhone\" --export-record anna.plist")]
    Pair(PairArgs),
    /// End the trust between a device and this computer
    #[command(after_help = "Example:\n  devsnap unpair -d \"Anna's iPhone\"")]
    Unpair(DeviceChoice),
    /// What a device says of itself
    #[command(subcommand, after_help = "Example:\n  devsnap device info --redact")]
    Device(DeviceCommand),
    /// The password that a device encrypts its backups with
    #[command(
        subcommand,
        after_help = "It belongs to the device, and is not the repository's. Passwords are typed, or \
            come from files, commands or the environment, never from the command \
            line.\n\nExamples:\n  \
            devsnap encryption status\n  \
            devsnap encryption on -d \"Anna's iPhone\"\n  \
            devsnap encryption verify --backup-password-command 'secret-tool lookup phone anna'"
    )]
    Encryption(EncryptionCommand),
    /// List the snapshots, oldest first
    #[command(after_help = "Example:\n  devsnap snapshots --tag before-update")]
    Snapshots(SnapshotsArgs),
    /// Tell all about one snapshot
    #[command(after_help = "Example:\n  devsnap show latest")]
    Show(OneSnapshot),
    /// List what a snapshot holds
    #[command(
        after_help = "Of a device's backup, DOMAIN:PATH lists what the device calls it, and : its \
        domains.\n\nExamples:\n  devsnap ls latest Pictures/2026 -l\n  \
        devsnap ls latest CameraRollDomain:Media/DCIM -l\n  devsnap ls latest :"
    )]
    Ls(LsArgs),
    /// Search all snapshots for paths
    #[command(
        after_help = "A pattern without a slash is held against names, one with a slash against \
            whole paths. Before a colon, a pattern for domains of devices: then it is held \
            against the\nnames that devices know their files by.\n\nExamples:\n  \
            devsnap find 'IMG_4177*'\n  devsnap find 'CameraRollDomain:*.HEIC'"
    )]
    Find(FindArgs),
    /// Show what differs between two snapshots
    #[command(after_help = "Marks: + added, - removed, M content changed, T became another kind, \
        A only attributes changed.\n\nExamples:\n  devsnap diff latest~1 latest\n  \
        devsnap diff latest~1 latest HomeDomain:Library")]
    Diff(DiffArgs),
    /// Bring a snapshot, or a part of it, back into a folder, or a whole one onto a device
    #[command(
        after_help = "Onto a device `latest`, `latest~2`, dates and tags mean that device's own \
        snapshots.\n\nExamples:\n  devsnap restore latest --target /tmp/back\n  \
        devsnap restore 2026-11-01:/Pictures --target ~/Pictures --overwrite never\n  \
        devsnap restore latest --target /tmp/back --include '*.jpg'\n  \
        devsnap restore latest --target /tmp/back --include 'HomeDomain:Library/SMS'\n  \
        devsnap restore latest --device \"Anna's iPhone\" --dry-run\n  \
        devsnap restore \"Anna's iPhone@latest\" --device \"Anna's new iPhone\" --other-device --replace\n\n\
        Files of a device keep their stored names, and a part of a backup is none that a device takes\n\
        back; `devsnap extract` brings files under their own names."
    )]
    Restore(RestoreArgs),
    /// Write one file of a snapshot to standard output
    #[command(after_help = "Examples:\n  devsnap dump latest notes/todo.txt > todo.txt\n  \
        devsnap dump latest HomeDomain:Library/SMS/sms.db > sms.db")]
    Dump(DumpArgs),
    /// Bring files of a device into a folder, under their own names and with their dates
    #[command(
        after_help = "Each file goes to DIR/DOMAIN/PATH. Files of an encrypted backup are decrypted; \
        they belong to you.\nLinks that lead out of their domain are named and not made.\n\nExamples:\n  \
        devsnap extract latest CameraRollDomain:Media/DCIM --target ~/photos\n  \
        devsnap extract latest 'HomeDomain:**/*.sqlite' 'HealthDomain' --target /tmp/databases\n  \
        devsnap extract latest --app net.whatsapp.WhatsApp --target /tmp/chats"
    )]
    Extract(ExtractArgs),
    /// Forget snapshots, by name or all that a policy does not keep
    #[command(after_help = "Each device or folder is judged on its own. A snapshot stays if any \
        rule keeps it; `devsnap prune` frees the space of those that go.\n\nExamples:\n  \
        devsnap forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run\n  \
        devsnap forget --keep-within 1y --keep-yearly all\n  \
        devsnap forget 9c1e44d0")]
    Forget(ForgetArgs),
    /// Store snapshots of encrypted devices as plaintext, so that they deduplicate
    #[command(after_help = "What a device encrypts with a backup password is never like what it \
        sent before. With that\npassword the repository keeps the plaintext instead, under its \
        own encryption, and gives the\ndevice's bytes back to the last one. `devsnap snapshot \
        --backup-password-file` does it at once.\n\nExample:\n  \
        devsnap convert latest latest~1 --backup-password-file ~/.anna-backup")]
    Convert(ConvertArgs),
    /// Check that the repository holds together
    #[command(after_help = "Example:\n  devsnap check --read-data=5")]
    Check(CheckArgs),
    /// Give snapshots tags, or take tags from them
    #[command(after_help = "Example:\n  devsnap tag latest --add before-update --remove trial")]
    Tag(TagArgs),
    /// Say in a sentence what a snapshot is
    #[command(after_help = "Example:\n  devsnap describe latest 'the day before the repair'")]
    Describe(DescribeArgs),
    /// Free the room that no snapshot needs any more
    #[command(
        after_help = "Safe at any time, also while other computers use the repository: what \
        they may still need is waited for, and the next prune goes on.\n\nExamples:\n  \
        devsnap prune --dry-run\n  devsnap prune --max-unused 0"
    )]
    Prune(PruneArgs),
    /// Count what the repository holds
    #[command(after_help = "Example:\n  devsnap stats")]
    Stats,
    /// Passwords, the recovery key and writer keys: who may do what
    #[command(
        subcommand,
        after_help = "Examples:\n  devsnap key list\n  \
        devsnap key add laptop --new-password-file ~/.devsnap-laptop\n  \
        devsnap key writer add hall --output hall.key"
    )]
    Key(KeyCommand),
    /// This computer's copies of what repositories hold; they can be deleted at any time
    #[command(subcommand, after_help = "Example:\n  devsnap cache clear")]
    Cache(CacheCommand),
    /// Print the completions of a shell
    #[command(after_help = "Example:\n  \
        devsnap completions bash > ~/.local/share/bash-completion/completions/devsnap")]
    Completions(CompletionsArgs),
    /// Print the manual, or write a page per command into a folder
    #[command(after_help = "Examples:\n  devsnap man | man -l -\n  \
        devsnap man --dir ~/.local/share/man/man1")]
    Man(ManArgs),
    /// Print the version
    #[command(after_help = "Example:\n  devsnap version")]
    Version,
}

/// `demo`.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep it all in this folder, which must be new or empty [default: a folder that goes away]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// `snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The folder [default: the device that is attached]
    #[arg(value_name = "PATH", value_hint = ValueHint::DirPath)]
    #[arg(conflicts_with_all = [
        "device", "all", "full", "parent", "wait", "max_size", "ignore_space", "record",
        "spool_limit"
    ])]
    pub path: Option<PathBuf>,
    /// Give the snapshot this word to find it by; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Name this computer so in the snapshot [default: its own name]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Leave out of a folder what matches, with all below it; may be repeated
    #[arg(long, value_name = "GLOB", requires = "path")]
    pub exclude: Vec<String>,
    /// Read and count a folder, store nothing
    #[arg(long, requires = "path")]
    pub dry_run: bool,
    /// Take an iPhone backup folder even if its last backup did not finish
    #[arg(long, requires = "path", conflicts_with = "as_folder")]
    pub allow_unfinished: bool,
    /// Take an iPhone backup folder as a plain folder, with no device's name on it
    #[arg(long, requires = "path")]
    pub as_folder: bool,
    /// How a device is backed up.
    #[command(flatten)]
    pub phone: SnapshotDeviceArgs,
}

/// `snapshots`.
#[derive(Debug, Args)]
pub struct SnapshotsArgs {
    /// Only snapshots that have this tag; repeated: any of them
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
}

/// A command about one snapshot.
#[derive(Debug, Args)]
pub struct OneSnapshot {
    /// Which snapshot: latest, latest~2, id, tag or date
    #[arg(value_name = "SNAP")]
    pub snapshot: String,
}

/// `ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Which snapshot: latest, latest~2, id, tag or date
    #[arg(value_name = "SNAP")]
    pub snapshot: String,
    /// A folder or file in it, or DOMAIN:PATH on a device [default: everything at the top]
    #[arg(value_name = "PATH")]
    pub path: Option<OsString>,
    /// Show permissions, owner, size and date too
    #[arg(short, long)]
    pub long: bool,
    /// Go down into folders
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// For DOMAIN:PATH of an encrypted backup.
    #[command(flatten)]
    pub backup_password: BackupPasswordArgs,
}

/// `find`.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// What to look for, e.g. 'IMG_4177*' or 'Pictures/**/*.heic'
    #[arg(value_name = "PATTERN")]
    pub pattern: String,
    /// Look only into this snapshot
    #[arg(long, value_name = "SNAP")]
    pub snapshot: Option<String>,
    /// For DOMAIN:PATH in encrypted backups.
    #[command(flatten)]
    pub backup_password: BackupPasswordArgs,
}

/// `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The earlier snapshot
    #[arg(value_name = "A")]
    pub from: String,
    /// The later snapshot
    #[arg(value_name = "B")]
    pub to: String,
    /// Only this folder or file, or DOMAIN:PATH on a device
    #[arg(value_name = "PATH")]
    pub path: Option<OsString>,
    /// For DOMAIN:PATH of encrypted backups.
    #[command(flatten)]
    pub backup_password: BackupPasswordArgs,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Which snapshot, and which part of it
    #[arg(value_name = "SNAP[:/PATH]")]
    pub what: OsString,
    /// The folder to bring it back to; made when missing
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(required_unless_present = "device", conflicts_with = "device")]
    pub target: Option<PathBuf>,
    /// Only what matches, with all below it, also as DOMAIN:GLOB of a device; may be repeated
    #[arg(long, value_name = "GLOB", conflicts_with = "device")]
    pub include: Vec<String>,
    /// What to do with files that are there already
    #[arg(long, value_name = "WHEN", default_value = "if-changed", conflicts_with = "device")]
    pub overwrite: OverwriteArg,
    /// Remove from the folder what the snapshot does not have
    #[arg(long, conflicts_with = "device")]
    pub delete: bool,
    /// Compare and count, write nothing; of a device: look whether it can take the snapshot
    #[arg(long)]
    pub dry_run: bool,
    /// How a device is restored onto.
    #[command(flatten)]
    pub phone: RestoreDeviceArgs,
}

/// `extract`.
#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Which snapshot: latest, latest~2, id, tag or date
    #[arg(value_name = "SNAP")]
    pub snapshot: String,
    /// What of it: DOMAIN, DOMAIN:PATH or DOMAIN:GLOB, with all below it
    #[arg(value_name = "SPEC", required_unless_present = "apps")]
    pub specs: Vec<String>,
    /// All that belongs to the app of this name, e.g. net.whatsapp.WhatsApp; may be repeated
    #[arg(long = "app", value_name = "ID")]
    pub apps: Vec<String>,
    /// The folder to bring it to; made when missing
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub target: PathBuf,
    /// What to do with files that are there already
    #[arg(long, value_name = "WHEN", default_value = "if-changed")]
    pub overwrite: OverwriteArg,
    /// Count, write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// For an encrypted backup.
    #[command(flatten)]
    pub backup_password: BackupPasswordArgs,
}

/// When a file that is there is written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OverwriteArg {
    /// Leave every file that is there
    Never,
    /// Write what differs
    IfChanged,
    /// Write every file
    Always,
}

/// `dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// Which snapshot: latest, latest~2, id, tag or date
    #[arg(value_name = "SNAP")]
    pub snapshot: String,
    /// The file in it, or DOMAIN:PATH on a device
    #[arg(value_name = "PATH")]
    pub path: OsString,
    /// For DOMAIN:PATH of an encrypted backup.
    #[command(flatten)]
    pub backup_password: BackupPasswordArgs,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Read the stored bytes too, all or this share of them
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "100", value_parser = percent)]
    pub read_data: Option<u8>,
}

/// `cache`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum CacheCommand {
    /// Print where the copies are
    Path,
    /// Delete the copies; they are made again when needed
    Clear,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write devsnap.1, devsnap-snapshot.1 and so on into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// 1 to 100, with or without a percent sign.
fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.parse() {
        Ok(share @ 1..=100) => Ok(share),
        _ => Err("a share is 1 to 100 (per cent)".to_owned()),
    }
}
