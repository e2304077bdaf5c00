//! `devsnap snapshot`: keeps a folder, or a device's backup folder, as it is now; without a path, a
//! device itself.
use super::Session;
use super::convert::{Conversion, convert_made};
use super::device;
use super::set_source::SetSource;
use crate::args::SnapshotArgs;
use crate::failure::{ExitCode, Failure};
use crate::patterns;
use crate::report::json;
use crate::report::text::{counted, duration, escaped, size, state, what};
use devsnap_device::BackupSet;
use devsnap_engine::backup::{BackupOptions, BackupReport, create_snapshot};
use devsnap_engine::folder::{FolderOptions, FolderSource};
use devsnap_engine::node::Time;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::Progress;
use devsnap_engine::snapshot::{DeviceIdentity, Origin};
use devsnap_engine::source::Source;
use globset::GlobSet;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn run(session: &Session<'_>, args: &SnapshotArgs) -> Result<ExitCode, Failure> {
    let Some(path) = &args.path else { return device::snapshot(session, args) };
    let exclude = patterns::compile(&args.exclude)?;
    let folder = existing_folder(path)?;
    let set = if args.as_folder { None } else { BackupSet::recognise(&folder)? };
    if let Some(set) = &set {
        announce(session, set, args.allow_unfinished)?;
    }
    let origin = match &set {
        Some(set) => Origin::Device(identity(set, host(args))),
        None => Origin::Folder { host: host(args), path: folder.as_os_str().as_bytes().to_vec() },
    };
    let options = options(session, args, origin);
    let mut folder_options = folder_options(set.as_ref(), exclude)?;

    let password = session.backup_password_if_given(&args.phone.backup_password)?;
    let repository = session.open_repository()?;
    folder_options.not_into = own_folders_in(session, &folder)?;
    let source = FolderSource::new(folder.clone(), folder_options);
    let watch: Arc<dyn Progress> = Arc::new(session.report.watch());
    let make = |source: &mut dyn Source| {
        create_snapshot(&repository, source, &options, &watch, session.interrupt)
    };
    let (mut made, is_torn) = match set {
        None => (make(&mut { source })?, false),
        Some(set) => {
            let mut source = SetSource::new(source, folder, set);
            (make(&mut source)?, source.is_torn())
        }
    };
    drop(watch);

    let stored = if args.dry_run { Stored::No } else { Stored::Yes };
    if let Some(password) = password.filter(|_| !args.dry_run && can_be_converted(&made)) {
        let converts_media = args.phone.convert_media;
        let conversion = Conversion { password: Arc::new(password), converts_media };
        convert_made(session, &repository, &mut made, &conversion)?;
    }
    tell(session, &made, stored, || json!({ "changed_meanwhile": is_torn }))
}

/// Whether it is of an encrypted set, and whole.
fn can_be_converted(made: &BackupReport) -> bool {
    let snapshot = &made.named.snapshot;
    snapshot.is_complete() && matches!(&snapshot.origin, Origin::Device(device) if device.encrypted)
}

/// Whether a run stored what it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Yes,
    /// It was a dry run.
    No,
}

/// Says what a run made, to programs with what else `more` holds; the exit code.
pub(super) fn tell(
    session: &Session<'_>,
    made: &BackupReport,
    stored: Stored,
    more: impl FnOnce() -> Value,
) -> Result<ExitCode, Failure> {
    session.report.faults(made.faults.kept(), made.faults.total());
    session.report.summary(|| for_programs(made, stored, more()), || for_people(made, stored))?;
    let whole = made.named.snapshot.is_complete() && made.faults.total() == 0;
    Ok(if whole { ExitCode::Done } else { ExitCode::Incomplete })
}

/// The folders that devsnap itself writes to: what is stored must not grow by storing itself.
fn own_folders_in(session: &Session<'_>, folder: &Path) -> Result<Vec<(u64, u64)>, Failure> {
    let mut own_folders = Vec::new();
    for (what, own) in session.own_folders()? {
        let shown = escaped(&own.path.display().to_string());
        if folder.starts_with(&own.path) {
            return Err(Failure::new(
                ExitCode::Usage,
                format!("the folder lies in {what} {shown}"),
            )
            .hint("name another folder, or another repository with --repo"));
        }
        if own.path.starts_with(folder) {
            session.report.note(&format!("{what} lies in this folder, at {shown}: left out"));
        }
        own_folders.push(own.inode);
    }
    Ok(own_folders)
}

/// The folder with all links in its path resolved: its snapshots are one history however it was
/// reached.
fn existing_folder(path: &Path) -> Result<PathBuf, Failure> {
    let shown = path.display();
    let canonical = path.canonicalize().map_err(|error| {
        let failure = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no {shown}"),
            _ => format!("could not look at {shown}: {error}"),
        };
        Failure::new(ExitCode::Failed, failure).hint("check the path; nothing was stored")
    })?;
    if !canonical.is_dir() {
        return Err(Failure::new(ExitCode::Failed, format!("{shown} is not a folder"))
            .hint("name the folder it lies in; --exclude leaves the rest out"));
    }
    Ok(canonical)
}

/// Says whose backup it is and what is odd about it; refuses one that is not finished.
fn announce(session: &Session<'_>, set: &BackupSet, take_unfinished: bool) -> Result<(), Failure> {
    session.report.note(&format!("this is the backup of device {}", set.udid));
    for oddity in &set.oddities {
        session.report.warn(&oddity.to_string());
    }
    if take_unfinished && !set.is_finished() {
        session.report.warn(&format!("the backup is not finished ({}); taken as asked", set.state));
        return Ok(());
    }
    Ok(set.require_finished()?)
}

/// A device's set is rooted at its UDID, whatever its folder is called.
fn folder_options(set: Option<&BackupSet>, exclude: GlobSet) -> Result<FolderOptions, Failure> {
    let prefix = match set {
        None => TreePath::root(),
        Some(set) => TreePath::from_slashed(set.udid.as_str().as_bytes())
            .map_err(|bad| Failure::new(ExitCode::Failed, format!("the UDID: {bad}")))?,
    };
    Ok(FolderOptions { prefix, exclude, not_into: Vec::new() })
}

pub(super) fn options(session: &Session<'_>, args: &SnapshotArgs, origin: Origin) -> BackupOptions {
    let now = Timestamp::now();
    BackupOptions {
        origin,
        tags: args.tags.clone(),
        taken_at: time(now),
        utc_offset_secs: session.zone.to_offset(now).seconds(),
        program: format!("devsnap {}", env!("CARGO_PKG_VERSION")),
        dry_run: args.dry_run,
    }
}

/// The name of this computer in the snapshot.
pub(super) fn host(args: &SnapshotArgs) -> String {
    args.host.clone().unwrap_or_else(this_computer)
}

fn this_computer() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

fn identity(set: &BackupSet, host: String) -> DeviceIdentity {
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    DeviceIdentity {
        udid: set.udid.as_str().to_owned(),
        name: word(&set.device_name),
        product_type: word(&set.product_type),
        os_version: word(&set.product_version),
        os_build: word(&set.build_version),
        encrypted: set.encrypted,
        // Of a session that ended a set does not tell whether it was full.
        full: if set.is_finished() { None } else { set.full },
        backup_at: Some(time(set.backup_date)),
        host,
        verification: None,
    }
}

/// The engine counts nanoseconds up from the whole second, before 1970 too.
pub(super) fn time(at: Timestamp) -> Time {
    let nanos = at.as_nanosecond();
    let below = u32::try_from(nanos.rem_euclid(1_000_000_000));
    let secs = i64::try_from(nanos.div_euclid(1_000_000_000));
    Time {
        secs: secs.expect("because a timestamp's seconds fit 64 bits"),
        nanos: below.expect("because the remainder is below 10^9"),
    }
}

fn for_programs(made: &BackupReport, stored: Stored, more: Value) -> Value {
    let dry_run = stored == Stored::No;
    let mut line = json::snapshot(&made.named);
    line.insert("message_type".to_owned(), "summary".into());
    if let Some(id) = line.remove("id").filter(|_| !dry_run) {
        line.insert("snapshot_id".to_owned(), id);
    }
    if dry_run {
        line.remove("short_id");
    }
    line.insert("faults".to_owned(), made.faults.total().into());
    line.insert("dry_run".to_owned(), dry_run.into());
    if let Value::Object(more) = more {
        line.extend(more);
    }
    line.into()
}

fn for_people(made: &BackupReport, stored: Stored) -> String {
    let snapshot = &made.named.snapshot;
    let totals = &snapshot.totals;
    let name = match stored {
        Stored::No => "Dry run, nothing is stored".to_owned(),
        Stored::Yes => format!("Snapshot {}", made.named.id.short()),
    };
    let encrypted = match &snapshot.origin {
        Origin::Device(device) if device.encrypted => ", encrypted",
        Origin::Device(_) => ", not encrypted",
        Origin::Folder { .. } => "",
    };
    let full = match &snapshot.origin {
        Origin::Device(device) => match device.full {
            Some(true) => ", full",
            Some(false) => ", incremental",
            None => "",
        },
        Origin::Folder { .. } => "",
    };
    let (paths, bytes) = snapshot.root.map_or((0, 0), |root| (root.entries, root.size_bytes));
    format!(
        "{name}  {}{encrypted}{full}\n  \
         {}, {}: {} new, {} changed, {} removed\n  \
         read {}, new to the repository {}, stored {} in {}\n  {}",
        what(&snapshot.origin),
        counted(paths, "path"),
        size(bytes),
        totals.new,
        totals.changed,
        totals.removed,
        size(totals.read_bytes),
        size(totals.added_bytes),
        size(totals.stored_bytes),
        duration(totals.duration_millis),
        state(snapshot),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_testkit::backup_set::{BackupSetFixture, UDID};

    #[test]
    fn a_time_before_1970_counts_its_nanoseconds_up() {
        let at = Timestamp::from_nanosecond(-1).unwrap();
        assert_eq!(time(at), Time { secs: -1, nanos: 999_999_999 });
        assert_eq!(time(Timestamp::UNIX_EPOCH), Time::default());
    }

    #[test]
    fn a_set_goes_below_its_udid_and_names_its_device() {
        let root = tempfile::tempdir().unwrap();
        let folder = BackupSetFixture::new(1).encrypted().write(root.path()).unwrap();
        let set = BackupSet::recognise(&folder).unwrap().unwrap();

        let options = folder_options(Some(&set), GlobSet::empty()).unwrap();
        let identity = identity(&set, "desk".to_owned());

        assert_eq!(options.prefix.to_string(), UDID);
        assert_eq!(identity.udid, UDID);
        assert_eq!((identity.name.as_str(), identity.encrypted), ("Anna’s iPhone", true));
        assert_eq!(identity.full, None, "a finished set does not tell");
        assert_eq!(identity.backup_at.map(|at| at.secs), Some(set.backup_date.as_second()));
    }

    #[test]
    fn a_path_that_is_not_there_or_no_folder_is_refused_in_words() {
        let root = tempfile::tempdir().unwrap();
        let missing = existing_folder(&root.path().join("missing")).unwrap_err();
        assert!(missing.message().starts_with("there is no /"), "{missing:?}");
        let file = root.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let file = existing_folder(&file).unwrap_err();
        assert!(file.message().ends_with("is not a folder"), "{file:?}");
    }
}
