//! `devsnap restore --target`: a snapshot, or a part of it, back into a folder.
use crate::args::{OverwriteArg, RestoreArgs};
use crate::commands::logical::{self, Opener, Pattern};
use crate::commands::{Session, paths};
use crate::failure::{ExitCode, Failure};
use crate::patterns;
use crate::report::text::{counted, size};
use devsnap_engine::folder::{FolderTarget, TargetOptions};
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::repository::{Repository, Snapshots};
use devsnap_engine::restore::{Overwrite, RestoreOptions, RestoreReport, restore};
use devsnap_engine::snapshot::{Named, Origin};
use globset::GlobSet;
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

pub(super) fn run(
    session: &Session<'_>,
    args: &RestoreArgs,
    folder: &Path,
) -> Result<ExitCode, Failure> {
    let (first, second) = paths::snapshot_and_path(&args.what)?;
    let patterns = Include::of(&args.include)?;
    let mut options = options(args);
    let repository = session.open_repository()?;
    let (named, subtree) = meant(session, &session.all_snapshots(&repository)?, first, second)?;
    options.subtree = subtree;
    let view = repository.view(&named.snapshot);
    if !options.subtree.is_root() && view.entry(&options.subtree)?.is_none() {
        return Err(paths::not_there(&options.subtree, &named.id.short()));
    }

    if !args.include.is_empty() {
        options.include = Some(patterns.of_snapshot(session, &repository, &named, args)?);
    }
    spare_own_folders(session, folder, args.delete)?;
    let place = Place::open(folder, args.dry_run)?;
    let watch = session.report.watch();
    let done =
        restore(&repository, &named.snapshot, &place.target, &options, &watch, session.interrupt);
    drop(watch);
    let done = done?;

    session.report.faults(&done.faults, done.faults_total);
    if !args.include.is_empty() && has_touched_nothing(&done) {
        session.report.warn("nothing in the snapshot matches --include");
    }
    for remark in &done.remarks {
        session.report.warn(remark);
    }
    session.report.summary(
        || for_programs(&done, &named.id.to_hex(), args.dry_run),
        || for_people(&done, folder, args.dry_run),
    )?;
    Ok(code_of(&done))
}

/// Damage says more than that something is not as it was: others may be affected too.
fn code_of(done: &RestoreReport) -> ExitCode {
    match (done.damaged_files, done.faults_total) {
        (0, 0) => ExitCode::Done,
        (0, _) => ExitCode::Incomplete,
        _ => ExitCode::Damaged,
    }
}

/// The snapshot and the part of it that are meant: the first reading of what was typed that names
/// a snapshot.
fn meant(
    session: &Session<'_>,
    found: &Snapshots,
    (name, subtree): paths::Part,
    second: Option<paths::Part>,
) -> Result<(Named, TreePath), Failure> {
    let refused = match session.select_among(found, &name) {
        Ok(named) => return Ok((named.clone(), subtree)),
        Err(refused) => refused,
    };
    if let Some((name, subtree)) = second
        && let Ok(named) = session.select_among(found, &name)
    {
        return Ok((named.clone(), subtree));
    }
    Err(refused)
}

/// A restore must not write into the repository it reads from, and `--delete` would take it away
/// with all else that the snapshot does not have.
pub(in crate::commands) fn spare_own_folders(
    session: &Session<'_>,
    folder: &Path,
    deletes: bool,
) -> Result<(), Failure> {
    let Ok(target) = folder.canonicalize() else { return Ok(()) };
    for (what, own) in session.own_folders()? {
        let refused = if target.starts_with(&own.path) {
            format!("the target lies in {what}")
        } else if deletes && own.path.starts_with(&target) {
            format!("{what} lies in the target, and --delete would remove it")
        } else {
            continue;
        };
        return Err(Failure::new(ExitCode::Failed, refused)
            .hint("restore to another folder, or without --delete; nothing was changed"));
    }
    Ok(())
}

/// Whether no path was even looked at: folders above a match count too.
fn has_touched_nothing(done: &RestoreReport) -> bool {
    let files = done.written_files + done.unchanged_files;
    files + done.skipped + done.others + done.faults_total == 0
}

/// All but which part.
fn options(args: &RestoreArgs) -> RestoreOptions {
    RestoreOptions {
        subtree: TreePath::root(),
        include: None,
        overwrite: overwrite_of(args.overwrite),
        delete: args.delete,
        dry_run: args.dry_run,
    }
}

/// When a file that is there is written over.
pub(in crate::commands) fn overwrite_of(arg: OverwriteArg) -> Overwrite {
    match arg {
        OverwriteArg::Never => Overwrite::Never,
        OverwriteArg::IfChanged => Overwrite::IfChanged,
        OverwriteArg::Always => Overwrite::Always,
    }
}

/// What `--include` asks for, by stored names or by the device's own.
struct Include {
    stored: Vec<String>,
    logical: Vec<Pattern>,
}

impl Include {
    fn of(typed: &[String]) -> Result<Include, Failure> {
        let mut include = Include { stored: Vec::new(), logical: Vec::new() };
        for typed in typed {
            match Pattern::of(typed)? {
                Some(pattern) => include.logical.push(pattern),
                None => include.stored.push(typed.clone()),
            }
        }
        patterns::compile(&include.stored)?;
        Ok(include)
    }

    /// As stored names, which only the snapshot's manifest knows.
    ///
    /// A folder that was kept has no other names: there a pattern with a colon in it is one of stored ones.
    fn of_snapshot(
        self,
        session: &Session<'_>,
        repository: &Repository,
        named: &Named,
        args: &RestoreArgs,
    ) -> Result<GlobSet, Failure> {
        if matches!(named.snapshot.origin, Origin::Folder { .. }) {
            return patterns::compile(&args.include);
        }
        let mut stored = self.stored;
        if !self.logical.is_empty() {
            let opener = Opener::new(session, repository, &args.phone.backup_password);
            stored.extend(logical::stored_names(&opener, named, &self.logical)?);
        }
        patterns::compile(&stored)
    }
}

/// The folder that is restored to.
pub(in crate::commands) struct Place {
    pub(in crate::commands) target: FolderTarget,
    /// Stands in for a folder that a dry run must not make.
    _empty: Option<TempDir>,
}

impl Place {
    pub(in crate::commands) fn open(folder: &Path, dry_run: bool) -> Result<Place, Failure> {
        // A link that leads nowhere is there and is no folder either.
        if folder.symlink_metadata().is_ok() && !folder.is_dir() {
            let what = format!("the target {} is not a folder", folder.display());
            return Err(Failure::new(ExitCode::Failed, what)
                .hint("name a folder, or a new name for one; nothing was changed"));
        }
        if dry_run && !folder.exists() {
            let empty = tempfile::tempdir().map_err(|error| {
                let what = format!("could not make an empty folder to compare with: {error}");
                Failure::new(ExitCode::Failed, what).hint("check TMPDIR")
            })?;
            let target = FolderTarget::open(empty.path(), &TargetOptions::default())?;
            return Ok(Place { target, _empty: Some(empty) });
        }
        let target = FolderTarget::open(folder, &TargetOptions { create: !dry_run })?;
        Ok(Place { target, _empty: None })
    }
}

fn for_programs(done: &RestoreReport, snapshot: &str, dry_run: bool) -> Value {
    json!({
        "message_type": "summary",
        "snapshot_id": snapshot,
        "dry_run": dry_run,
        "files_written": done.written_files,
        "bytes_written": done.written_bytes,
        "files_unchanged": done.unchanged_files,
        "skipped": done.skipped,
        "removed": done.removed,
        "others": done.others,
        "faults": done.faults_total,
        "damaged_files": done.damaged_files,
    })
}

fn for_people(done: &RestoreReport, folder: &Path, dry_run: bool) -> String {
    let verb = if dry_run { "Would restore" } else { "Restored" };
    let place = crate::report::escaped(&folder.display().to_string());
    let mut said = format!(
        "{verb} to {place}: {} written ({}), {} right already",
        counted(done.written_files, "file"),
        size(done.written_bytes),
        done.unchanged_files
    );
    for (count, what) in [
        (done.skipped, "left alone"),
        (done.removed, "removed"),
        (done.faults_total, "not as they were"),
        (done.damaged_files, "lost or damaged in the repository"),
    ] {
        if count > 0 {
            said = said + ", " + &count.to_string() + " " + what;
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_has_another_exit_code_than_what_the_target_cannot_hold() {
        for (damaged_files, faults_total, code) in [(0, 0, 0), (0, 2, 3), (1, 2, 26)] {
            let done = RestoreReport { damaged_files, faults_total, ..RestoreReport::default() };
            assert_eq!(code_of(&done) as u8, code);
        }
    }

    #[test]
    fn a_target_that_is_no_folder_is_refused_in_words() {
        let root = tempfile::tempdir().unwrap();
        let (file, link) = (root.path().join("file"), root.path().join("link"));
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        for (target, dry_run) in [(&file, false), (&link, false), (&file, true), (&link, true)] {
            let refused = Place::open(target, dry_run).err().unwrap();
            assert!(refused.message().ends_with("is not a folder"), "{refused:?}");
        }
        assert!(!root.path().join("nowhere").exists());
    }

    #[test]
    fn files_that_the_repository_has_lost_stand_in_the_summary() {
        let done = RestoreReport { faults_total: 2, damaged_files: 1, ..RestoreReport::default() };
        assert_eq!(for_programs(&done, "00", false)["damaged_files"], 1);
        assert!(!has_touched_nothing(&done));
        assert!(has_touched_nothing(&RestoreReport::default()));
    }

    #[test]
    fn a_dry_run_makes_no_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        drop(Place::open(&folder, true).unwrap());
        assert!(!root.path().join("a").exists());
        drop(Place::open(&folder, false).unwrap());
        assert!(folder.is_dir());
    }
}
