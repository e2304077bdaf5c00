//! `devsnap extract`: files of a device under their own names, with their own dates.
use super::{Opener, Pattern};
use crate::args::ExtractArgs;
use crate::commands::Session;
use crate::commands::restore::{Place, overwrite_of, spare_own_folders};
use crate::failure::{ExitCode, Failure};
use crate::report::text::{counted, size};
use devsnap_device::logical::{ExtractOptions, ExtractReport, LogicalView, extract};
use devsnap_device::manifest::Within;
use serde_json::{Value, json};
use std::cell::Cell;

pub(in crate::commands) fn run(
    session: &Session<'_>,
    args: &ExtractArgs,
) -> Result<ExitCode, Failure> {
    let patterns =
        args.specs.iter().map(|spec| Pattern::whole(spec)).collect::<Result<Vec<_>, _>>()?;
    let repository = session.open_repository()?;
    let named = session.one(&repository, &args.snapshot)?;
    spare_own_folders(session, &args.target, false)?;
    let opener = Opener::new(session, &repository, &args.backup_password);
    let asked = Asked::new(args, &patterns);
    let done = opener.with(&named, |set| bring(session, args, &asked, set))?;

    session.report.faults(&done.faults, done.faults_total);
    if done.refused_rows > 0 {
        session.report.warn(&format!("{} rows of Manifest.db cannot be used", done.refused_rows));
    }
    for (path, target) in &done.links_named {
        let line = format!("the link {path} leads out of its domain, to {target}: it was not made");
        session.report.warn(&line);
    }
    for remark in &done.remarks {
        session.report.warn(remark);
    }
    let short = named.id.short();
    if let Some(unmet) = asked.unmet() {
        let line = format!("nothing in snapshot {short} is of {unmet}");
        if has_touched_nothing(&done) {
            return Err(Failure::new(ExitCode::Failed, line)
                .hint(format!("`devsnap ls {short} :` lists the domains")));
        }
        session.report.warn(&line);
    }
    session.report.summary(
        || for_programs(&done, &named.id.to_hex(), args.dry_run),
        || for_people(&done, args),
    )?;
    Ok(match (done.damaged_files, done.faults_total + done.refused_rows) {
        (0, 0) => ExitCode::Done,
        (0, _) => ExitCode::Incomplete,
        _ => ExitCode::Damaged,
    })
}

/// What was asked for, and which of it was found.
struct Asked<'a> {
    specs: Vec<(&'a str, &'a Pattern, Cell<bool>)>,
    apps: Vec<(&'a str, Cell<bool>)>,
}

impl<'a> Asked<'a> {
    fn new(args: &'a ExtractArgs, patterns: &'a [Pattern]) -> Self {
        let specs = args.specs.iter().zip(patterns);
        let specs = specs.map(|(spec, pattern)| (spec.as_str(), pattern, Cell::new(false)));
        let apps = args.apps.iter().map(|app| (app.as_str(), Cell::new(false)));
        Asked { specs: specs.collect(), apps: apps.collect() }
    }

    fn wants(&self, set: &LogicalView<'_>, domain: &str, path: &str) -> bool {
        let mut is_wanted = false;
        for (_, pattern, found) in &self.specs {
            if pattern.fits(domain, path) {
                found.set(true);
                is_wanted = true;
            }
        }
        for (app, found) in &self.apps {
            if set.apps().is_of(domain, app) {
                found.set(true);
                is_wanted = true;
            }
        }
        is_wanted
    }

    /// The words that nothing was found for.
    fn unmet(&self) -> Option<String> {
        let specs = self.specs.iter().filter(|(.., found)| !found.get()).map(|(spec, ..)| *spec);
        let apps = self.apps.iter().filter(|(_, found)| !found.get()).map(|(app, _)| *app);
        let unmet: Vec<_> = specs.chain(apps).map(|word| format!("`{word}`")).collect();
        (!unmet.is_empty()).then(|| unmet.join(", "))
    }
}

fn bring(
    session: &Session<'_>,
    args: &ExtractArgs,
    asked: &Asked<'_>,
    set: &LogicalView<'_>,
) -> Result<ExtractReport, Failure> {
    let wanted = |domain: &str, path: &str| asked.wants(set, domain, path);
    let place = Place::open(&args.target, args.dry_run)?;
    let options = ExtractOptions { overwrite: overwrite_of(args.overwrite), dry_run: args.dry_run };
    let watch = session.report.watch();
    let within = Within::everything();
    let target = &place.target;
    let done = extract(set, &within, &wanted, target, &options, &watch, session.interrupt);
    drop(watch);
    Ok(done?)
}

fn has_touched_nothing(done: &ExtractReport) -> bool {
    let files = done.files + done.unchanged_files + done.skipped;
    files + done.others + done.links_left_out + done.faults_total == 0
}

fn for_programs(done: &ExtractReport, snapshot: &str, dry_run: bool) -> Value {
    json!({
        "message_type": "summary",
        "snapshot_id": snapshot,
        "dry_run": dry_run,
        "files_written": done.files,
        "bytes_written": done.bytes,
        "files_unchanged": done.unchanged_files,
        "skipped": done.skipped,
        "others": done.others,
        "links_left_out": done.links_left_out,
        "rows_refused": done.refused_rows,
        "faults": done.faults_total,
        "damaged_files": done.damaged_files,
    })
}

fn for_people(done: &ExtractReport, args: &ExtractArgs) -> String {
    let verb = if args.dry_run { "Would extract" } else { "Extracted" };
    let place = crate::report::escaped(&args.target.display().to_string());
    let mut said = format!(
        "{verb} to {place}: {} written ({}), {} there already",
        counted(done.files, "file"),
        size(done.bytes),
        done.unchanged_files
    );
    for (count, what) in [
        (done.skipped, "left alone"),
        (done.links_left_out, "links not made"),
        (done.refused_rows, "rows of the manifest unusable"),
        (done.faults_total, "not as they were"),
        (done.damaged_files, "lost or damaged in the repository"),
    ] {
        if count > 0 {
            said = said + ", " + &count.to_string() + " " + what;
        }
    }
    said
}
