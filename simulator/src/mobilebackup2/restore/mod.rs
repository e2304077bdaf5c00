//! `Restore`: the phone reads a backup back, and compares every byte with what it knows that the
//! backup holds. What it finds is in a [`RestoreReport`].
mod fetch;
mod odd;
mod options;
mod report;
mod source;

pub use options::Options;
pub use report::RestoreReport;

use super::session::Session;
use super::stop::{MbError, Step, Stop};
use super::{Ending, text};
use crate::backup_files::mbfile::MbFile;
use crate::contents::{Contents, Truth, truth};
use crate::phone::{LockdownValue, Stage};
use crate::random::Random;
use plist::{Dictionary, Value};
use source::Source;
use std::path::PathBuf;

/// Performs the request.
///
/// # Errors
///
/// What a phone refuses, what the host lacks, what is to go wrong.
pub(super) fn run(session: &mut Session<'_, '_>, request: &Dictionary) -> Step<Ending> {
    let options = Options::of(request);
    let source = text(request, "SourceIdentifier").unwrap_or(&session.udid).to_owned();
    let given = request.get("Options").and_then(Value::as_dictionary);
    let password = given.and_then(|given| text(given, "Password")).map(str::to_owned);
    session.passcode_sheet()?;
    session.refusal()?;
    find_my(session)?;
    let _exclusive = session.exclusive()?;
    let mut report = RestoreReport::begin(&source, options.clone());
    report.applications = applications(session);
    let result = restore(session, &options, &source, password.as_deref(), &mut report);
    report.error = result.as_ref().err().map(ToString::to_string);
    report.write(session.phone.folder())?;
    result?;
    Ok(if options.should_reboot { Ending::Reboot } else { Ending::Done(None) })
}

fn restore(
    session: &mut Session<'_, '_>,
    options: &Options,
    from: &str,
    password: Option<&str>,
    report: &mut RestoreReport,
) -> Step<()> {
    let work = session.work_folder()?;
    session.stage(Stage::Reading)?;
    let source = Source::read(session, from, password, work.path())?;
    report.manifest(&source);
    room(session, &source)?;
    odd::ask(session, from)?;
    if !options.dont_copy {
        keep_a_copy(session)?;
    }
    session.stage(Stage::Preparing)?;
    let truth = known(session, &source);
    report.compare_rows(&source, truth.as_ref(), options)?;
    session.stage(Stage::Uploading)?;
    let mut contents = session.contents()?;
    let mut random = Random::split(session.phone.seed() ^ contents.seed(), "restore");
    fetch::fetch_all(session, &source, options, truth.as_ref(), &mut random, report)?;
    session.stage(Stage::Moving)?;
    if let Some(truth) = truth {
        apply(&mut contents, truth, options);
        contents.save(session.phone.folder())?;
        report.point = Some(contents.point());
    }
    Ok(())
}

/// No phone that can be found is restored: it would be nobody's.
fn find_my(session: &Session<'_, '_>) -> Step<()> {
    let told = session.faults.lockdown_value(LockdownValue::FIND_MY);
    if told.and_then(Value::as_boolean) == Some(true) {
        return Err(Stop::refused(MbError::FIND_MY, "Find My is turned on"));
    }
    Ok(())
}

/// What a phone has too little room for, it does not begin.
fn room(session: &Session<'_, '_>, source: &Source) -> Step<()> {
    let told = session.faults.lockdown_value(LockdownValue::FREE_BYTES);
    let Some(free) = told.and_then(Value::as_unsigned_integer) else { return Ok(()) };
    let mut total = 0_u64;
    source.db.each::<Stop>(|row| {
        if let Some(Ok(record)) = row.file.as_deref().map(MbFile::parse) {
            total = total.saturating_add(record.size);
        }
        Ok(())
    })?;
    if free < total {
        let text = format!("{total} bytes do not go where {free} are free");
        return Err(Stop::refused(MbError::PHONE_SPACE, text));
    }
    Ok(())
}

/// The apps that the host has left word of, to be fetched after the restore.
fn applications(session: &Session<'_, '_>) -> Option<Vec<String>> {
    let media = session.phone.media();
    let bytes = media.file("/iTunesRestore/RestoreApplications.plist").ok()?;
    let list = crate::backup_files::plist_bytes::read(bytes).ok()?;
    let mut names: Vec<String> = list.as_dictionary()?.keys().cloned().collect();
    names.sort();
    Some(names)
}

/// The record of the backup whose date the manifest has, of this phone or another.
fn known(session: &Session<'_, '_>, source: &Source) -> Option<Truth> {
    let own = std::iter::once(session.phone.folder().to_owned());
    let others = session.habits.other_phones.iter().cloned();
    let path = |folder: PathBuf| truth::backup_path(&folder, source.manifest.date);
    own.chain(others).map(path).find_map(|path| {
        let truth = Truth::read(&path).ok()?;
        let udid = truth.backup.as_ref().map(|backup| &backup.udid);
        (udid == source.manifest.udid.as_ref()).then_some(truth)
    })
}

/// The host copies the phone's present backup, if there is one, before anything is overwritten.
fn keep_a_copy(session: &mut Session<'_, '_>) -> Step<()> {
    let udid = session.udid.clone();
    let info = session.path("Info.plist");
    let Some(info) = session.fetch(&info)? else { return Ok(()) };
    let mut usage = 0;
    for (name, entry) in session.host.list(&udid)? {
        usage += entry.size;
        if entry.is_folder {
            let listing = session.host.list(&format!("{udid}/{name}"))?;
            usage += listing.values().map(|entry| entry.size).sum::<u64>();
        }
    }
    if session.host.free_space()? < usage + (128 << 20) {
        return Ok(());
    }
    let now = plist::Date::from(std::time::SystemTime::now()).to_xml_format();
    let digits: String = now.chars().filter(char::is_ascii_digit).take(14).collect();
    let (day, time) = digits.split_at_checked(8).unwrap_or((&digits, ""));
    let copy = format!("{udid}-{day}-{time}");
    session.host.copy(&udid, &copy)?;
    let mut value = crate::backup_files::plist_bytes::read(&info)?;
    let fields = value.as_dictionary_mut();
    let fields = fields.ok_or_else(|| Stop::refused(MbError::CORRUPT, "Info.plist is odd"))?;
    fields.insert("Target Identifier".into(), Value::from(copy.as_str()));
    fields.insert("Display Name".into(), Value::from(format!("Copy of {day} {time}")));
    let bytes = crate::backup_files::plist_bytes::binary(&value);
    session.host.upload_bytes(&format!("{copy}/Info.plist"), &bytes)
}

/// The phone has now what the backup holds, where it was wanted.
fn apply(contents: &mut Contents, truth: Truth, options: &Options) {
    let want = |item: &crate::contents::Item| options.want(&item.domain, &item.relative_path);
    if options.remove_not_restored {
        // The roots of domains are the phone's own.
        contents.retain(|item| item.relative_path.is_empty() || !want(item));
    }
    for item in truth.items.into_iter().filter(want) {
        // Without a record of its bytes there is nothing to put in its place.
        if item.kind != crate::contents::Kind::File || item.body.is_some() {
            contents.put(item);
        }
    }
}
