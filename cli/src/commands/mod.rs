//! One command a file: open, call one function of the engine, report.
mod annotate;
mod cache;
mod check;
mod completions;
mod convert;
#[cfg(feature = "demo")]
mod demo;
mod device;
mod diff;
mod dump;
mod find;
mod forget;
mod init;
mod key;
mod logical;
mod ls;
mod man;
mod paths;
mod policy;
mod prune;
mod restore;
mod set_source;
mod show;
mod snapshot;
mod snapshots;
mod stats;
mod version;

use crate::args::{
    BackupPasswordArgs, Command, DeviceCommand, EncryptionCommand, Global, NewBackupPasswordArgs,
};
use crate::failure::{ExitCode, Failure};
use crate::password::{BackupSources, Password, Places, Secret, Sources};
use crate::report::Report;
use crate::settings::{HomeFolders, Settings};
use crate::terminal::AtTerminal;
use devsnap_backends::Location;
use devsnap_engine::backend::Backend;
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::repository::{Repository, Snapshots};
use devsnap_engine::snapshot::{Named, SelectError, Selector, select};
use jiff::tz::TimeZone;
use std::cell::Cell;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Runs one command.
///
/// # Errors
///
/// Why it ended early.
pub fn run(command: &Command, session: &Session<'_>) -> Result<ExitCode, Failure> {
    match run_as_asked(command, session)? {
        ExitCode::Done if session.is_unsure.get() => Ok(ExitCode::Damaged),
        code => Ok(code),
    }
}

fn run_as_asked(command: &Command, session: &Session<'_>) -> Result<ExitCode, Failure> {
    if let Some(what) = beyond_a_writer_key(command)
        && session.with_sources(|sources| sources.key_file()).is_some()
    {
        return Err(Failure::new(
            ExitCode::Failed,
            format!("this key file may only add snapshots: {what} needs the password"),
        )
        .hint("open with the password or the recovery key; nothing was done"));
    }
    match command {
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(session, args),
        Command::Init => init::run(session),
        Command::Snapshot(args) => snapshot::run(session, args),
        Command::Devices(args) => device::list(session, args),
        Command::Pair(args) => device::pair(session, args),
        Command::Unpair(choice) => device::unpair(session, choice),
        Command::Device(DeviceCommand::Info(args)) => device::info(session, args),
        Command::Encryption(what) => device::encryption(session, what),
        Command::Snapshots(args) => snapshots::run(session, args),
        Command::Show(args) => show::run(session, args),
        Command::Ls(args) => ls::run(session, args),
        Command::Find(args) => find::run(session, args),
        Command::Diff(args) => diff::run(session, args),
        Command::Restore(args) => restore::run(session, args),
        Command::Dump(args) => dump::run(session, args),
        Command::Extract(args) => logical::extract(session, args),
        Command::Forget(args) => forget::run(session, args),
        Command::Check(args) => check::run(session, args),
        Command::Convert(args) => convert::run(session, args),
        Command::Tag(args) => annotate::tag(session, args),
        Command::Describe(args) => annotate::describe(session, args),
        Command::Prune(args) => prune::run(session, args),
        Command::Stats => stats::run(session),
        Command::Key(what) => key::run(session, what),
        Command::Cache(what) => cache::run(session, *what),
        Command::Completions(args) => completions::run(session, args),
        Command::Man(args) => man::run(session, args),
        Command::Version => version::run(session),
    }
}

/// What a command does that a station may not do; `None` for those that it may.
fn beyond_a_writer_key(command: &Command) -> Option<&'static str> {
    match command {
        #[cfg(feature = "demo")]
        Command::Demo(_) => None,
        Command::Snapshot(_) | Command::Snapshots(_) | Command::Show(_) | Command::Stats => None,
        // Of the repository they need nothing.
        Command::Devices(_) | Command::Pair(_) | Command::Unpair(_) | Command::Device(_) => None,
        Command::Init | Command::Cache(_) | Command::Completions(_) => None,
        Command::Man(_) | Command::Version => None,
        Command::Restore(_) | Command::Extract(_) => Some("bringing anything back"),
        Command::Ls(_) | Command::Find(_) | Command::Diff(_) => {
            Some("looking at what snapshots hold")
        }
        Command::Encryption(EncryptionCommand::Verify(_)) => Some("reading a backup's keybag"),
        Command::Encryption(_) => None,
        Command::Dump(_) => Some("reading a file"),
        Command::Check(_) => Some("checking"),
        Command::Convert(_) => Some("converting"),
        Command::Forget(_) => Some("forgetting"),
        Command::Prune(_) => Some("pruning"),
        Command::Tag(_) | Command::Describe(_) => Some("saying something of a snapshot"),
        Command::Key(_) => Some("seeing or changing keys"),
    }
}

/// A folder that is there, whatever it is called.
struct OwnFolder {
    /// With all links resolved.
    path: PathBuf,
    /// Device and inode.
    inode: (u64, u64),
}

impl OwnFolder {
    fn find(path: &Path) -> Option<OwnFolder> {
        let path = path.canonicalize().ok()?;
        let found = path.metadata().ok()?;
        Some(OwnFolder { path, inode: (found.dev(), found.ino()) })
    }
}

/// What every command works with.
pub struct Session<'a> {
    global: &'a Global,
    report: &'a Report,
    interrupt: &'a Interrupt,
    /// The person's, for reading dates and showing times.
    zone: TimeZone,
    /// A snapshot was chosen by its place among others, and some of those cannot be read.
    is_unsure: Cell<bool>,
}

impl<'a> Session<'a> {
    /// A session in this computer's time zone.
    pub fn new(global: &'a Global, report: &'a Report, interrupt: &'a Interrupt) -> Self {
        Session { global, report, interrupt, zone: TimeZone::system(), is_unsure: Cell::new(false) }
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        Settings::new(self.global, &HomeFolders::of_this_user(), variable)
    }

    /// The folders of this computer that devsnap itself writes to, as far as they are there: its
    /// repository (unless that is elsewhere) and its copies.
    fn own_folders(&self) -> Result<Vec<(&'static str, OwnFolder)>, Failure> {
        let settings = self.settings()?;
        let repository = match &settings.repository {
            Location::Folder(path) => OwnFolder::find(path).map(|own| ("the repository", own)),
            _ => None,
        };
        let cache = OwnFolder::find(&settings.cache).map(|own| ("the cache", own));
        Ok(repository.into_iter().chain(cache).collect())
    }

    /// What is around this process, where passwords may be.
    fn with_places<T>(&self, ask: impl FnOnce(Places<'_>) -> T) -> T {
        let person = AtTerminal { report: self.report, interrupt: self.interrupt };
        let variable = |name: &str| std::env::var_os(name);
        ask(Places { variable: &variable, person: &person })
    }

    /// Asks the places where the repository's secret may be, in their order.
    fn with_sources<T>(&self, ask: impl FnOnce(&Sources<'_>) -> T) -> T {
        self.with_places(|places| ask(&Sources { global: self.global, places }))
    }

    /// The backup password, when flags or environment name one. Nobody is asked, so any command may
    /// call it that can do without.
    fn backup_password_if_given(
        &self,
        flags: &BackupPasswordArgs,
    ) -> Result<Option<Password>, Failure> {
        self.with_places(|places| BackupSources { places }.if_given(flags))
    }

    /// The backup password; asked for when it is not given.
    fn backup_password(&self, flags: &BackupPasswordArgs) -> Result<Password, Failure> {
        self.with_places(|places| BackupSources { places }.existing(flags))
    }

    /// A new backup password; asked for twice when it is not given.
    fn new_backup_password(&self, flags: &NewBackupPasswordArgs) -> Result<Password, Failure> {
        self.with_places(|places| BackupSources { places }.fresh(flags))
    }

    /// Opens the repository; asks for the password only once the place is known to be there.
    fn open_repository(&self) -> Result<Repository, Failure> {
        let reached = self.reach_repository()?;
        let secret: Secret = self.with_sources(|sources| sources.existing())?;
        self.open_at(reached, &secret)
    }

    /// Opens the repository with what is there already, so that nobody is asked.
    fn open_with(&self, secret: &Secret) -> Result<Repository, Failure> {
        self.open_at(self.reach_repository()?, secret)
    }

    fn open_at(
        &self,
        (settings, backend): (Settings, Box<dyn Backend>),
        secret: &Secret,
    ) -> Result<Repository, Failure> {
        let watch = self.report.watch();
        let repository = Repository::open(backend, &secret.unlock(), &settings.cache, &watch)
            .map_err(|error| no_default_yet(error.into(), &settings))?;
        drop(watch);
        self.report.note(&format!(
            "repository {} at {}, copies in {}",
            repository.id().short(),
            repository.place(),
            repository.cache_folder().display()
        ));
        Ok(repository)
    }

    /// Where the repository is, without opening it.
    fn reach_repository(&self) -> Result<(Settings, Box<dyn Backend>), Failure> {
        let settings = self.settings()?;
        let backend =
            devsnap_backends::open(&settings.repository, &settings.credentials, self.interrupt)
                .map_err(|error| no_default_yet(error.into(), &settings))?;
        Ok((settings, backend))
    }

    /// All snapshots that can be read, oldest first; the others are warned of.
    fn snapshots(&self, repository: &Repository) -> Result<Vec<Named>, Failure> {
        Ok(self.all_snapshots(repository)?.named)
    }

    /// As [`snapshots`](Self::snapshots), with those that do not count and those that cannot be
    /// read.
    fn all_snapshots(&self, repository: &Repository) -> Result<Snapshots, Failure> {
        let snapshots = repository.snapshots()?;
        for (name, error) in &snapshots.unreadable {
            self.report.warn(&format!("the snapshot object {name} cannot be read: {error}"));
        }
        Ok(snapshots)
    }

    /// The one snapshot among `named` that `text` means.
    fn select<'n>(&self, named: &'n [Named], text: &str) -> Result<&'n Named, Failure> {
        Ok(select(named, &Selector::parse(text), &self.zone)?)
    }

    /// As [`select`](Self::select), among all of the repository.
    fn one(&self, repository: &Repository, text: &str) -> Result<Named, Failure> {
        Ok(self.select_among(&self.all_snapshots(repository)?, text)?.clone())
    }

    /// As [`select`](Self::select), where the one that is meant may be one of those that were warned of.
    /// Then it is said, and the command ends in [`ExitCode::Damaged`], whatever comes of it.
    fn select_among<'n>(&self, found: &'n Snapshots, text: &str) -> Result<&'n Named, Failure> {
        let count = found.unreadable.len();
        let selector = Selector::parse(text);
        let selected = select(&found.named, &selector, &self.zone);
        if let Ok(named) = &selected
            && count > 0
            && !is_id_of(named, &selector.which)
            && !self.is_unsure.replace(true)
        {
            let short = named.id.short();
            self.report.warn(&format!(
                "`{text}` is taken for snapshot {short}; a damaged one may be meant (exit code 26). \
                 Name a snapshot by its id to be sure"
            ));
        }
        selected.map_err(|error| {
            let nothing_fits = matches!(
                error,
                SelectError::NoneAtAll | SelectError::NotOf(_) | SelectError::NoneFits(_)
            );
            if count == 0 || !nothing_fits {
                return error.into();
            }
            let are = if count == 1 { "1 snapshot is" } else { &format!("{count} snapshots are") };
            let line = format!("no snapshot that can be read is `{text}`, and {are} damaged");
            Failure::new(ExitCode::Damaged, line)
                .hint("run `devsnap check --read-data` to see what is affected")
        })
    }
}

/// Whether `which` can mean nothing but this snapshot, whatever others there are.
fn is_id_of(named: &Named, which: &str) -> bool {
    which.len() >= 4 && named.id.to_hex().starts_with(&which.to_ascii_lowercase())
}

/// Who never made a repository is told how, not that a folder is missing.
fn no_default_yet(failure: Failure, settings: &Settings) -> Failure {
    if failure.code() != ExitCode::NoRepository || !settings.is_default_repository {
        return failure;
    }
    Failure::new(
        ExitCode::NoRepository,
        format!("there is no repository yet at the default place {}", settings.repository),
    )
    .hint("make it with `devsnap init`, or name another one with --repo")
}
