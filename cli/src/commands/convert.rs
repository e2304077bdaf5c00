//! `devsnap convert`: encrypted snapshots that were stored as they came, as plaintext from now on.
use super::Session;
use crate::args::ConvertArgs;
use crate::failure::{ExitCode, Failure, device_kind};
use crate::password::Password;
use crate::report::text::{counted, size};
use devsnap_device::conversion::Locked;
use devsnap_device::stored_set::StoredSet;
use devsnap_device::{DeviceErrorKind, Udid};
use devsnap_engine::backup::{BackupOptions, BackupReport, create_snapshot};
use devsnap_engine::error::Error;
use devsnap_engine::id::SnapshotId;
use devsnap_engine::node::Time;
use devsnap_engine::progress::Progress;
use devsnap_engine::repository::{Note, Repository};
use devsnap_engine::snapshot::{Named, Origin};
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

const TO_PRUNE: &str = "`devsnap prune` frees what the old snapshots had to themselves";

pub(super) fn run(session: &Session<'_>, args: &ConvertArgs) -> Result<ExitCode, Failure> {
    let password = session.backup_password(&args.backup_password)?;
    let repository = session.open_repository()?;
    let all = session.all_snapshots(&repository)?;
    let mut chosen: Vec<&Named> = Vec::new();
    for text in &args.snapshots {
        let named = session.select_among(&all, text)?;
        udid_of(named)?;
        if chosen.iter().all(|one| one.id != named.id) {
            chosen.push(named);
        }
    }
    let conversion =
        Conversion { password: Arc::new(password), converts_media: args.convert_media };
    let mut count = 0;
    for named in chosen {
        let converted = conversion.convert(session, &repository, named);
        let converted = converted.map_err(|failure| {
            if count > 0 {
                session.report.note(TO_PRUNE);
            }
            failure.of(&format!("snapshot {}", named.id.short()))
        })?;
        count += usize::from(converted.replaced_by.is_some());
        converted.tell(session, named)?;
    }
    session.report.summary(
        || json!({ "message_type": "summary", "converted": count }),
        || match count {
            0 => "nothing was converted".to_owned(),
            _ => TO_PRUNE.to_owned(),
        },
    )?;
    Ok(ExitCode::Done)
}

/// How snapshots are converted.
pub(super) struct Conversion {
    pub(super) password: Arc<Password>,
    pub(super) converts_media: bool,
}

/// What came of one.
pub(super) struct Converted {
    /// The snapshot that takes the old one's place; `None` when there was nothing to do.
    pub(super) replaced_by: Option<Named>,
    files: u64,
    bytes: u64,
    stored_bytes: u64,
}

impl Conversion {
    /// Makes a snapshot that reads the same and takes the place of `named`, which is forgotten.
    ///
    /// The new one is there before the old one goes. Whoever stops it in between has both.
    pub(super) fn convert(
        &self,
        session: &Session<'_>,
        repository: &Repository,
        named: &Named,
    ) -> Result<Converted, Failure> {
        let udid = udid_of(named)?;
        let mut source = StoredSet::new(named.id, udid, self.password.clone(), self.converts_media);
        let watch: Arc<dyn Progress> = Arc::new(session.report.watch());
        let options = as_before(named);
        let made = create_snapshot(repository, &mut source, &options, &watch, session.interrupt);
        drop(watch);
        let made = made.map_err(not_converted)?.named;
        let (files, bytes) = source.converted();
        let stored_bytes = made.snapshot.totals.stored_bytes;
        let nothing = files == 0;
        let superfluous: SnapshotId = if nothing { made.id } else { named.id };
        if let Some(text) = named.description.as_ref().filter(|_| !nothing) {
            let note = Note { at: now(), description: Some(text.clone()), ..Note::default() };
            repository.put_note(made.id, &note)?;
        }
        repository.forget(&[superfluous], session.interrupt)?;
        let replaced_by = (!nothing).then_some(made);
        Ok(Converted { replaced_by, files, bytes, stored_bytes })
    }
}

impl Converted {
    fn tell(&self, session: &Session<'_>, before: &Named) -> Result<(), Failure> {
        session.report.data(
            || {
                json!({
                    "message_type": "converted",
                    "converted_from": before.id.to_hex(),
                    "snapshot_id": self.replaced_by.as_ref().map(|named| named.id.to_hex()),
                    "files_converted": self.files,
                    "bytes_converted": self.bytes,
                    "bytes_stored": self.stored_bytes,
                })
            },
            || match &self.replaced_by {
                None => format!("Snapshot {}: nothing to convert", before.id.short()),
                Some(named) => format!(
                    "Snapshot {} takes the place of {}: {}, {}, as plaintext; {} stored for it",
                    named.id.short(),
                    before.id.short(),
                    counted(self.files, "file"),
                    size(self.bytes),
                    size(self.stored_bytes),
                ),
            },
        )
    }
}

/// Why a snapshot stays as it is. Its password need not be the device's of today.
fn not_converted(error: Error) -> Failure {
    match device_kind(&error) {
        Some(DeviceErrorKind::WrongPassword) => Locked::Wrong.into(),
        _ => Failure::from(error),
    }
}

/// Converts what `made` has stored as it came; from then on `made` is the snapshot that took its place.
/// With a wrong password it stays as it is, which is said.
pub(super) fn convert_made(
    session: &Session<'_>,
    repository: &Repository,
    made: &mut BackupReport,
    conversion: &Conversion,
) -> Result<(), Failure> {
    let converted = match conversion.convert(session, repository, &made.named) {
        Ok(converted) => converted,
        Err(failure) => {
            let short = made.named.id.short();
            session.report.warn(&format!(
                "snapshot {short} is stored, its files as the device encrypted them: {}; `devsnap \
                 convert {short}` does it later",
                failure.message()
            ));
            return match failure.code() {
                ExitCode::WrongBackupPassword => Ok(()),
                _ => Err(failure),
            };
        }
    };
    if converted.replaced_by.is_some() {
        converted.tell(session, &made.named)?;
        session.report.note(TO_PRUNE);
    }
    if let Some(named) = converted.replaced_by {
        made.named.id = named.id;
    }
    Ok(())
}

/// Everything but the encoding of its files is as it was.
fn as_before(named: &Named) -> BackupOptions {
    let snapshot = &named.snapshot;
    BackupOptions {
        origin: snapshot.origin.clone(),
        tags: snapshot.tags.clone(),
        taken_at: snapshot.taken_at,
        utc_offset_secs: snapshot.utc_offset_secs,
        program: format!("devsnap {}", env!("CARGO_PKG_VERSION")),
        dry_run: false,
    }
}

fn now() -> Time {
    super::snapshot::time(Timestamp::now())
}

/// Whose set it is, if it is one that can be converted.
fn udid_of(named: &Named) -> Result<Udid, Failure> {
    let short = named.id.short();
    let refused = match &named.snapshot.origin {
        Origin::Folder { .. } => format!("snapshot {short} is of a folder, not of a device"),
        Origin::Device(device) if !device.encrypted => {
            format!("snapshot {short} is not encrypted with a backup password")
        }
        Origin::Device(_) if !named.snapshot.is_complete() => {
            format!("snapshot {short} is incomplete: it stays as it is")
        }
        Origin::Device(device) => match Udid::parse(&device.udid) {
            Some(udid) => return Ok(udid),
            None => format!("snapshot {short} names no device"),
        },
    };
    Err(Failure::usage(refused).hint("`devsnap snapshots` lists them; nothing was done"))
}
