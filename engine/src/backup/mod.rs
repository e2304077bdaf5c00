//! Making a snapshot.
//!
//! A snapshot counts only when everything it names is durable and its session has ended. The
//! order of writes is the argument for crash safety (`docs/crash-safety.md`):
//!
//! 1. the session's `open`, then the lists of marks, snapshots and index;
//! 2. packs, each noted in the local index once the backend has confirmed it;
//! 3. index segments, with a heartbeat every few minutes;
//! 4. the snapshot;
//! 5. a look at the session's own marks: given up means failed;
//! 6. the session's `end`.
mod edits;
mod memory;
mod parent;

use crate::error::{Error, ErrorKind, Result};
use crate::interrupt::Interrupt;
use crate::node::Time;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::progress::{Phase, Progress};
use crate::repository::{Repository, Session};
use crate::snapshot::{Completeness, Named, Origin, Snapshot, Totals};
use crate::source::{Delivery, Faults, Source, SourceRun};
use crate::tree::{PageRef, apply};
use edits::{Changes, Lists};
use memory::RunMemory;
use parent::Lineage;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Paths of faults that a snapshot names, in bytes: the rest is only counted.
const FAULT_PATHS_MAX: usize = 1 << 20;

/// How long a run that was asked to stop waits until its session has ended.
const GIVE_UP_WAIT: Duration = Duration::from_secs(1);

/// How a snapshot is made.
#[derive(Debug, Clone)]
pub struct BackupOptions {
    /// What it is of; decides which snapshots are its history.
    pub origin: Origin,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// When the source is read.
    pub taken_at: Time,
    /// This place's distance from UTC then, in seconds east.
    pub utc_offset_secs: i32,
    /// The program, e.g. `devsnap 0.1.0`.
    pub program: String,
    /// Reads, cuts, names and compares everything; stores nothing.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct BackupReport {
    /// The snapshot; after a dry run one that was not stored, under an id of zeros.
    pub named: Named,
    /// Paths that are not as they should be; the snapshot is incomplete if there are any.
    pub faults: Faults,
}

/// Runs `source` to its end and records what it delivered as a new snapshot.
///
/// # Errors
///
/// When this fails no snapshot counts; what was stored is kept for the next run for a while.
///
/// - [`SourceFailed`](ErrorKind::SourceFailed) carries the source's own error.
/// - [`Interrupted`](ErrorKind::Interrupted): somebody asked to stop.
/// - [`Fenced`](ErrorKind::Fenced): a sweeper gave this run up. Run again.
/// - what storing, reading the store and this computer's disk meet.
pub fn create_snapshot(
    repository: &Repository,
    source: &mut dyn Source,
    options: &BackupOptions,
    progress: &Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<BackupReport> {
    let started = Instant::now();
    let session = if options.dry_run {
        Session::rehearse(repository, &options.program)?
    } else {
        Session::open(repository, &options.program)?
    };
    let session = Arc::new(session);
    let run = Run { repository, session: session.clone(), options, progress, interrupt, started };
    let made = run.make(source);
    if made.is_err() || options.dry_run {
        repository.index().forget_claims();
    }
    made
}

/// One call of [`create_snapshot`].
struct Run<'a> {
    repository: &'a Repository,
    session: Arc<Session>,
    options: &'a BackupOptions,
    progress: &'a Arc<dyn Progress>,
    interrupt: &'a Interrupt,
    started: Instant,
}

impl Run<'_> {
    fn make(&self, source: &mut dyn Source) -> Result<BackupReport> {
        let (snapshot, faults) = match self.prepare(source) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.give_up();
                return Err(error);
            }
        };
        if self.options.dry_run {
            let id = crate::id::SnapshotId::from_bytes([0; 32]);
            return Ok(BackupReport { named: Named { id, snapshot, description: None }, faults });
        }
        let named = match self.confirm(&self.session, snapshot.clone()) {
            Err(error) if error.kind() == ErrorKind::Fenced => self.again(snapshot)?,
            confirmed => confirmed?,
        };
        Ok(BackupReport { named, faults })
    }

    /// Rules 6 to 8 of `docs/crash-safety.md`: puts the snapshot, and makes it count unless the
    /// session was given up meanwhile. Then the snapshot is removed again: it never counted.
    fn confirm(&self, session: &Session, snapshot: Snapshot) -> Result<Named> {
        let id = self.repository.put_snapshot(&snapshot)?;
        match session.check_unfenced() {
            Ok(()) => session.end()?,
            Err(error) => {
                if error.kind() == ErrorKind::Fenced {
                    self.repository.remove_snapshot(&id)?;
                }
                return Err(error);
            }
        }
        Ok(Named { id, snapshot, description: None })
    }

    /// A sweeper took this run for dead. All is stored, so a new session looks whether it still
    /// is, blob by blob, and if so confirms the snapshot. A source need not be read twice.
    fn again(&self, snapshot: Snapshot) -> Result<Named> {
        let (repository, interrupt) = (self.repository, self.interrupt);
        self.progress
            .warn("this run was taken for dead; looking whether all it stored is still there");
        let session = Session::open(repository, &self.options.program)?;
        let is_whole = || {
            repository.level_index()?;
            repository.note_missing_packs()?;
            parent::is_reliable(repository, snapshot.root.as_ref(), interrupt)
        };
        match is_whole() {
            Ok(true) => {
                let id = session.id();
                self.confirm(&session, Snapshot { session: id, ..snapshot })
            }
            outcome => {
                session.end_without_snapshot()?;
                outcome?;
                Err(Error::new(ErrorKind::Fenced, "finishing the run")
                    .because("what it stored has been swept"))
            }
        }
    }

    /// No snapshot was put: the session ends, so that no sweeper waits for it. Whoever asked to
    /// stop does not wait for a slow storage; a session that is left open is only litter.
    fn give_up(&self) {
        let session = self.session.clone();
        let (done, ended) = crossbeam_channel::bounded(1);
        let ends = std::thread::Builder::new().name("ending".to_owned()).spawn(move || {
            let _ = done.send(session.end_without_snapshot());
        });
        match ends {
            Ok(_) if self.interrupt.is_raised() => {
                let _ = ended.recv_timeout(GIVE_UP_WAIT);
            }
            Ok(_) => {
                let _ = ended.recv();
            }
            Err(_) => {}
        }
    }

    /// Everything up to the snapshot, which is not put yet.
    fn prepare(&self, source: &mut dyn Source) -> Result<(Snapshot, Faults)> {
        let progress = &**self.progress;
        let lineage = Lineage::find(
            self.repository,
            &self.options.origin,
            source.parent(),
            progress,
            self.interrupt,
        )?;
        let scratch = self.repository.scratch()?;
        let (lineage, scratch) = (&lineage, scratch.path());
        let pipeline = Pipeline::start(
            self.repository,
            self.session.clone(),
            PipelineOptions { dry_run: self.options.dry_run, scratch: scratch.to_owned() },
            self.progress.clone(),
            self.interrupt,
        )?;
        let memory = RunMemory::new(self.repository.index(), scratch)?;
        let built = self
            .deliver(source, lineage, &pipeline, &memory, scratch)
            .and_then(|delivery| self.build_tree(lineage, &pipeline, delivery));
        let Built { root, totals, faults, lists } = match built {
            Ok(built) => built,
            Err(error) => {
                let first = pipeline.abandon();
                self.interrupt.check()?;
                return Err(first.unwrap_or(error));
            }
        };
        let tickets = pipeline.tickets();
        let stored = pipeline.finish()?;
        if !self.options.dry_run {
            memory.keep(self.repository.index(), &tickets, &lists)?;
            self.repository.flush_pages()?;
        }
        let duration_millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let totals = Totals {
            read_bytes: stored.read,
            added_bytes: stored.added,
            stored_bytes: stored.stored,
            duration_millis,
            ..totals
        };
        let mut snapshot = self.snapshot(lineage, root, totals, &faults);
        if let (Origin::Device(device), Some(run)) = (&mut snapshot.origin, source.device_run()) {
            device.full = Some(run.full);
            device.backup_at = run.backup_at;
            device.verification = Some(run.verification);
        }
        Ok((snapshot, faults))
    }

    fn deliver(
        &self,
        source: &mut dyn Source,
        lineage: &Lineage,
        pipeline: &Pipeline,
        memory: &RunMemory,
        scratch: &Path,
    ) -> Result<Delivery> {
        let parent = lineage.parent.as_ref().map(|named| self.repository.view(&named.snapshot));
        let run = SourceRun {
            parent: parent.as_ref().map(|view| view as _),
            contents: pipeline.contents(),
            remembered: memory,
            scratch,
            progress: &**self.progress,
            interrupt: self.interrupt,
        };
        source
            .run(&run)
            .map_err(|e| Error::new(ErrorKind::SourceFailed, "reading the source").because(e.0))
    }

    fn build_tree(
        &self,
        lineage: &Lineage,
        pipeline: &Pipeline,
        delivery: Delivery,
    ) -> Result<Built> {
        self.progress.phase(Phase::Finishing);
        let tickets = pipeline.settle()?;
        let parent = lineage.parent.as_ref().and_then(|named| named.snapshot.root);
        let mut changes =
            Changes::new(pipeline, parent.as_ref(), delivery.edits.sorted()?, tickets);
        let cutter = self.repository.page_cutter();
        let interrupt = self.interrupt;
        let watched = changes.by_ref().map(|edit| {
            interrupt.check()?;
            edit
        });
        let root = apply(pipeline, cutter, parent.as_ref(), watched)?;
        let Changes { totals, lists, .. } = changes;
        Ok(Built { root, totals, faults: delivery.faults, lists })
    }

    fn snapshot(
        &self,
        lineage: &Lineage,
        root: Option<PageRef>,
        totals: Totals,
        faults: &Faults,
    ) -> Snapshot {
        let options = self.options;
        Snapshot {
            origin: options.origin.clone(),
            taken_at: options.taken_at,
            utc_offset_secs: options.utc_offset_secs,
            root,
            parent: lineage.parent.as_ref().map(|named| named.id),
            totals,
            completeness: completeness(faults),
            tags: options.tags.clone(),
            session: self.session.id(),
            writer: self.repository.keys().signer.writer(),
            sequence: lineage.sequence,
            previous: lineage.previous,
            program: options.program.clone(),
        }
    }
}

/// A tree on its way to the store.
struct Built {
    root: Option<PageRef>,
    totals: Totals,
    faults: Faults,
    lists: Lists,
}

fn completeness(faults: &Faults) -> Completeness {
    if faults.total() == 0 {
        return Completeness::Complete;
    }
    let mut room = FAULT_PATHS_MAX;
    let mut fits = |fault: &&crate::progress::Fault| {
        let needed = fault.path.key().len() + 64;
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    };
    let first = faults.kept().iter().take_while(&mut fits);
    let first = first.map(|fault| (fault.path.clone(), fault.kind)).collect();
    Completeness::Incomplete { total: faults.total(), first }
}
