//! Who backs the phone up, and what it takes.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::args::Args;
use crate::measure::{self, Usage};
use crate::table::{self, Serving};
use crate::{drain, tree};

/// The phone's backup password.
pub(crate) const SECRET: &str = "a password of the phone";

/// How often the disk is looked at while somebody writes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rival {
    /// A host that takes everything and keeps nothing: what the phone itself takes.
    Nobody,
    Devsnap,
    /// Knowing the backup password.
    DevsnapConverting,
    IdeviceBackup2,
    /// The same folder, and then a repository of it.
    AndRestic,
}

/// One backup.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Backup {
    pub(crate) usage: Usage,
    /// The most that the disk was fuller than before, in bytes.
    pub(crate) peak_disk_bytes: u64,
    /// What the repository has after it, or where there is none the folder of the set, in bytes.
    pub(crate) kept_bytes: u64,
}

impl Rival {
    pub(crate) fn all(args: &Args) -> Vec<Rival> {
        let mut all = vec![Rival::Nobody, Rival::IdeviceBackup2, Rival::AndRestic, Rival::Devsnap];
        if args.encrypted {
            all.push(Rival::DevsnapConverting);
        }
        all
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Rival::Nobody => "keeping nothing",
            Rival::Devsnap => "devsnap",
            Rival::DevsnapConverting => "devsnap, with the password",
            Rival::IdeviceBackup2 => "idevicebackup2",
            Rival::AndRestic => "idevicebackup2, then restic",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Rival::Nobody => "nobody",
            Rival::Devsnap => "devsnap",
            Rival::DevsnapConverting => "converting",
            Rival::IdeviceBackup2 => "idevicebackup2",
            Rival::AndRestic => "restic",
        }
    }
}

/// A rival at its desk.
struct Desk<'a> {
    args: &'a Args,
    home: PathBuf,
    address: String,
}

/// All backups of one rival, a day between each and the next.
pub(crate) fn days(rival: Rival, args: &Args, work: &Path) -> Result<Vec<Backup>> {
    let home = work.join(rival.folder());
    let state = work.join("table");
    for old in [&home, &state] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    fs::create_dir_all(home.join("set"))?;
    table::copy(&work.join("made"), &state)?;
    let serving = Serving::start(args, &state)?;
    let desk = Desk { args, home, address: serving.address.clone() };
    desk.prepare(rival)?;
    let mut backups = Vec::new();
    // Who keeps nothing has no second day.
    let count = if rival == Rival::Nobody { 1 } else { args.days };
    for day in 0..count {
        if day > 0 {
            table::day(args, &state, day)?;
        }
        rustix::fs::sync();
        let backup = desk.back_up(rival)?;
        eprintln!("  day {day}: {:.1} s", backup.usage.wall_s);
        backups.push(backup);
    }
    drop(serving);
    // The next one shall find the disk as this one did.
    fs::remove_dir_all(&desk.home)?;
    Ok(backups)
}

impl Desk<'_> {
    fn prepare(&self, rival: Rival) -> Result<()> {
        table::said(self.devsnap(rival).args(["pair", "--wait", "30s"]))?;
        if self.args.encrypted {
            let mut command = self.command(&self.args.idevicebackup2);
            command.args(["encryption", "on", SECRET]).arg(self.home.join("set"));
            table::said(&mut command)?;
        }
        match rival {
            Rival::Devsnap | Rival::DevsnapConverting => {
                table::said(self.devsnap(rival).arg("init"))?;
            }
            Rival::AndRestic => {
                table::said(self.restic().args(["init", "--repository-version", "2"]))?;
            }
            Rival::Nobody | Rival::IdeviceBackup2 => {}
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", &self.home).env("USBMUXD_SOCKET_ADDRESS", &self.address);
        command.env("TMPDIR", &self.home);
        command
    }

    fn devsnap(&self, rival: Rival) -> Command {
        let mut command = self.command(&self.args.devsnap);
        command.env("DEVSNAP_REPOSITORY", self.home.join("kept")).env("DEVSNAP_PASSWORD", "bench");
        if rival == Rival::DevsnapConverting {
            command.env("DEVSNAP_BACKUP_PASSWORD", SECRET);
        }
        command
    }

    fn restic(&self) -> Command {
        let mut command = self.command(&self.args.restic);
        command.env("RESTIC_REPOSITORY", self.home.join("kept")).env("RESTIC_PASSWORD", "bench");
        command.arg("--quiet");
        command
    }

    fn back_up(&self, rival: Rival) -> Result<Backup> {
        let disk = Disk::watch(&self.home)?;
        let log = self.home.with_extension("log");
        let usage = match rival {
            Rival::Nobody => drain::back_up(&self.address, &self.home)?,
            Rival::Devsnap | Rival::DevsnapConverting => {
                let mut command = self.devsnap(rival);
                command.args(["snapshot", "--no-progress"]);
                measure::run(command, &log)?
            }
            Rival::IdeviceBackup2 => measure::run(self.idevicebackup2(), &log)?,
            Rival::AndRestic => {
                let first = measure::run(self.idevicebackup2(), &log)?;
                let mut command = self.restic();
                command.arg("backup").arg(self.home.join("set"));
                first.then(measure::run(command, &log)?)
            }
        };
        let peak_disk_bytes = disk.peak();
        let repository = self.home.join("kept");
        let kept = if repository.exists() { repository } else { self.home.join("set") };
        Ok(Backup { usage, peak_disk_bytes, kept_bytes: tree::size(&kept)? })
    }

    fn idevicebackup2(&self) -> Command {
        let mut command = self.command(&self.args.idevicebackup2);
        command.arg("backup").arg(self.home.join("set"));
        command
    }
}

/// Looks how much fuller a disk gets; what others write there at the same time counts too.
struct Disk {
    over: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    looking: thread::JoinHandle<()>,
}

impl Disk {
    fn watch(on: &Path) -> Result<Disk> {
        let before = free(on)?;
        let (over, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_over, most, on) = (over.clone(), peak.clone(), on.to_owned());
        let looking = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(now) = free(&on) {
                    most.fetch_max(before.saturating_sub(now), Ordering::Relaxed);
                }
                thread::sleep(LOOK_EVERY);
            }
        });
        Ok(Disk { over, peak, looking })
    }

    fn peak(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.looking.join();
        self.peak.load(Ordering::Relaxed)
    }
}

fn free(on: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(on).context("looking at the disk")?;
    Ok(disk.f_bfree.saturating_mul(disk.f_frsize))
}
