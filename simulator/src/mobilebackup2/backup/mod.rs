//! `Backup`: full and incremental.
//!
//! ```text
//!   earlier ──▶ plan ──▶ upload ──▶ settle
//!   what the     what to   folders,   moves, removals,
//!   host has     send      files      read back
//! ```
mod blocks;
mod earlier;
mod lies;
mod manifest;
mod plan;
mod records;
mod settle;
mod upload;
mod weather;

use super::session::{Session, now};
use super::stop::{MbError, Step, Stop};
use crate::backup_files::status::{SnapshotState, Status, VERSION};
use crate::contents::truth::{BackupOf, backups, write_json};
use crate::contents::{Contents, Truth, truth};
use crate::phone::{Lie, Stage};
use crate::random::Random;
use earlier::Earlier;
use plan::Plan;
use serde::Serialize;

/// Files in one message at most.
const BATCH: usize = 128;

/// Bytes that must stay free on the host beyond what is sent.
const HEADROOM: u64 = 128 << 20;

/// What a session did, for tests: `reports/backup-<date>.json` in the phone's folder. Written when
/// the session has come so far that the host has a new manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    date: i64,
    /// Why it was a full backup; nothing when it was not.
    full_because: Option<String>,
    /// Blobs that were sent, that stayed, that were to be removed.
    sent: usize,
    kept: usize,
    removed: usize,
}

/// A backup that has begun.
struct Backup<'b, 's, 'c> {
    session: &'b mut Session<'s, 'c>,
    contents: Contents,
    random: Random,
    uuid: String,
    date: i64,
    encrypted: bool,
}

/// Performs the request.
///
/// # Errors
///
/// What a phone refuses, what the host fails at, what is to go wrong.
pub(super) fn run(session: &mut Session<'_, '_>) -> Step<()> {
    // iOS asks for the passcode before every backup since 16.1.
    if session.ios() >= (16, 1) {
        session.passcode_sheet()?;
    } else {
        session.stage(Stage::Passcode)?;
    }
    session.refusal()?;
    let _exclusive = session.exclusive()?;
    let contents = session.contents()?;
    let past = backups(session.phone.folder())?;
    // No two backups have the same date, which names them.
    let date = now().max(past.last().map_or(0, |last| last + 1));
    let label = format!("backup {} {}", contents.point(), past.len());
    let mut random = Random::split(session.phone.seed() ^ contents.seed(), &label);
    let encrypted = session.phone.backup_password().is_some();
    let uuid = uuid(&mut random, date);
    Backup { session, contents, random, uuid, date, encrypted }.perform()
}

impl Backup<'_, '_, '_> {
    fn perform(mut self) -> Step<()> {
        let work = self.session.work_folder()?;
        self.session.stage(Stage::Reading)?;
        let earlier = earlier::read(self.session, work.path())?;
        self.session.stage(Stage::Preparing)?;
        let mut plan = Plan::make(&self.contents, &earlier, self.encrypted)?;
        self.make_room(plan.bytes(&self.contents, self.encrypted))?;
        self.session.stage(Stage::Uploading)?;
        self.make_folders()?;
        self.tell(SnapshotState::Uploading, earlier.full_because.is_some())?;
        lies::tell(self.session)?;
        match self.session.faults.lie {
            Some(Lie::SaysItIsDone) => return Ok(()),
            Some(Lie::SaysItIsFinished) => return self.tell(SnapshotState::Finished, false),
            _ => {}
        }
        let keys = manifest::Keys::of(&earlier, &self)?;
        let sent = upload::send(&mut self, &mut plan, &keys)?;
        let held = manifest::held(&self, &earlier, &sent)?;
        let manifest = manifest::send(&mut self, &earlier, &plan, &sent, &keys, work.path())?;
        self.remember(&earlier, &plan, &sent, held)?;
        settle::settle(&mut self, &earlier, &plan, &sent, &manifest)
    }

    /// Asks how much room the host has, and once for more.
    fn make_room(&mut self, bytes: u64) -> Step<()> {
        let host = &mut self.session.host;
        let needed = bytes.max(self.session.faults.low_space.unwrap_or(0)) + HEADROOM;
        let free = host.free_space()?;
        if free > needed {
            return Ok(());
        }
        let shortfall = needed - free;
        if host.purge(shortfall + (2 << 30))? && host.free_space()? > needed {
            return Ok(());
        }
        let text = "Insufficient free disk space on drive to back up";
        Err(Stop::refused(MbError::HOST_SPACE, format!("{text} ({shortfall} bytes are missing)")))
    }

    /// The folder of the backup, and the 256 folders of blobs, here and in `Snapshot`.
    fn make_folders(&mut self) -> Step<()> {
        let udid = self.session.udid.clone();
        for root in [udid.clone(), format!("{udid}/Snapshot")] {
            self.session.host.create_folder(&root)?;
            for shard in 0..=255u8 {
                self.session.host.create_folder(&format!("{root}/{shard:02x}"))?;
            }
        }
        Ok(())
    }

    /// Sends Status.plist.
    fn tell(&mut self, snapshot_state: SnapshotState, is_full: bool) -> Step<()> {
        let status = Status {
            uuid: self.uuid.clone(),
            date: now(),
            version: VERSION.into(),
            backup_state: "new".into(),
            snapshot_state,
            is_full,
        };
        let path = self.session.path("Status.plist");
        self.session.host.upload_bytes(&path, &status.to_bytes())
    }

    /// Writes down what this backup holds, for tests; and the phone's new state, when it changed
    /// while it was backed up.
    fn remember(
        &mut self,
        earlier: &Earlier,
        plan: &Plan,
        sent: &upload::Sent,
        held: Vec<crate::contents::Item>,
    ) -> Step<()> {
        let folder = self.session.phone.folder().to_owned();
        if !sent.weather.is_empty() {
            self.contents.save(&folder)?;
        }
        let full = earlier.full_because.is_some();
        let backup = BackupOf {
            udid: self.session.udid.clone(),
            date: self.date,
            uuid: self.uuid.clone(),
            encrypted: self.encrypted,
            full,
            sent: sent.blobs.keys().cloned().collect(),
            weather: sent.weather.clone(),
        };
        let truth = Truth { backup: Some(backup), items: held, ..self.contents.truth() };
        truth.write(&truth::backup_path(&folder, self.date))?;
        let report = Report {
            date: self.date,
            full_because: earlier.full_because.clone(),
            sent: sent.blobs.len(),
            kept: plan.kept,
            removed: plan.obsolete(earlier, sent).len(),
        };
        let path = folder.join("reports").join(format!("backup-{}.json", self.date));
        Ok(write_json(&path, &report)?)
    }
}

/// An upper-case UUID. Two sessions never have the same: the date is in it.
fn uuid(random: &mut Random, date: i64) -> String {
    let [a, b] = [random.next(), random.next() ^ date.unsigned_abs()];
    format!(
        "{:08X}-{:04X}-4{:03X}-8{:03X}-{:012X}",
        a >> 32,
        (a >> 16) & 0xFFFF,
        a & 0xFFF,
        b >> 52,
        b & 0xFFFF_FFFF_FFFF
    )
}
