//! The one-way road from plaintext to storage.
//!
//! ```text
//!  source thread       N workers                     1 thread       K threads        1 thread
//! ┌─────────────┐  ┌──────────────────────────┐  ┌────────────┐  ┌──────────────┐  ┌────────────┐
//! │ cut chunks, │─▶│ name ▸ claim ▸ bundle ▸  │─▶│ order, hash│─▶│ Backend::put │─▶│ record in  │
//! │ batch small │  │ compress ▸ place ▸ seal ▸│  │ and write  │  │ (uploader)   │  │ the index, │
//! │ contents    │  │ verify (sealer)          │  │ (packer)   │  │              │  │ segments   │
//! └─────────────┘  └──────────────────────────┘  └────────────┘  └──────────────┘  └────────────┘
//!        every arrow is bounded, and the plaintext in all of them fits in one ByteBudget
//! ```
//!
//! Nothing flows right to left but "full, wait". The first failure wins: it is kept, the budget is
//! closed, and every stage lets what still arrives fall until its channel ends. A claim that was
//! not kept is forgotten with the run.
mod budget;
mod flush;
mod intake;
mod packer;
mod places;
mod recorder;
mod sealer;
mod tickets;
mod uploader;

use crate::error::{Error, ErrorKind, Result};
use crate::id::BlobId;
use crate::interrupt::Interrupt;
use crate::pack::PackKind;
use crate::progress::Progress;
use crate::repository::{Repository, Session};
use crate::source::ContentSink;
use crate::tree::{PageSource, PageStore};
use budget::ByteBudget;
use bytes::Bytes;
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use flush::Listing;
use intake::Intake;
use places::Places;
use sealer::{Sealer, Work};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use tickets::{Resolved, TicketTable};

/// Plaintext that may be between source and pack files, in bytes.
const BUDGET_BYTES: usize = 32 << 20;

/// How long an abandoned run may take to note what it has stored.
const LAST_SEGMENT_WAIT: Duration = Duration::from_millis(1500);

/// What a run stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredBytes {
    /// Plaintext read, in bytes.
    pub read: u64,
    /// Plaintext that nobody had stored before, in bytes.
    pub added: u64,
    /// What storing it took, in bytes.
    pub stored: u64,
}

/// What all stages share.
struct Shared {
    repository: Repository,
    session: Arc<Session>,
    progress: Arc<dyn Progress>,
    interrupt: Interrupt,
    budget: ByteBudget,
    /// Nothing is stored: blobs are named and claimed, and that is all.
    dry_run: bool,
    scratch: PathBuf,
    failure: Mutex<Option<Error>>,
    stopped: AtomicBool,
    read: AtomicU64,
    added: AtomicU64,
    stored: AtomicU64,
    listing: Listing,
}

impl Shared {
    /// Contents shorter than this share blocks, in bytes.
    fn bundled_below(&self) -> usize {
        self.repository.cutter().params().min_bytes() as usize
    }

    /// Keeps the first failure and lets everything else fall.
    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop();
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.budget.close();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Hands work to the workers, as soon as there is room for it.
    ///
    /// # Errors
    ///
    /// The pipeline has stopped, or somebody asked to stop: with a slow storage room may be minutes
    /// away.
    fn offer(&self, to: &Sender<Work>, mut work: Work) -> Result<()> {
        loop {
            self.interrupt.check()?;
            if self.is_stopped() {
                return Err(Error::new(ErrorKind::Interrupted, "storing"));
            }
            match to.send_timeout(work, Duration::from_millis(100)) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(back)) => work = back,
                // No worker is left to take it.
                Err(SendTimeoutError::Disconnected(back)) => {
                    self.stop();
                    work = back;
                }
            }
        }
    }

    /// Whether what stopped the pipeline is that the storage or the disk is full.
    fn is_full(&self) -> bool {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().is_some_and(|error| error.kind() == ErrorKind::NoSpace)
    }

    fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How a run is done.
pub struct PipelineOptions {
    /// Names and claims everything, stores nothing.
    pub dry_run: bool,
    /// A private folder on this computer's disk.
    pub scratch: PathBuf,
}

/// A running pipeline.
pub struct Pipeline {
    shared: Arc<Shared>,
    tickets: Arc<TicketTable>,
    intake: Arc<Intake>,
    work: Sender<Work>,
    threads: Vec<JoinHandle<()>>,
    recorder: Receiver<()>,
}

impl Pipeline {
    /// Starts all stages.
    ///
    /// # Errors
    ///
    /// No thread, no temporary file.
    pub fn start(
        repository: &Repository,
        session: Arc<Session>,
        options: PipelineOptions,
        progress: Arc<dyn Progress>,
        interrupt: &Interrupt,
    ) -> Result<Pipeline> {
        let PipelineOptions { dry_run, scratch } = options;
        let shared = Arc::new(Shared {
            repository: repository.clone(),
            session,
            progress,
            interrupt: interrupt.clone(),
            budget: ByteBudget::new(BUDGET_BYTES),
            dry_run,
            scratch,
            failure: Mutex::new(None),
            stopped: AtomicBool::new(false),
            read: AtomicU64::new(0),
            added: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            listing: Listing::default(),
        });
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let connections = repository.backend().connections().get();
        let (work, to_do) = bounded::<Work>(workers * 2);
        let (sealed, to_pack) = bounded(workers * 2);
        let (finished, to_upload) = bounded(1);
        let (stored, to_record) = bounded(connections);
        let (done, recorder) = bounded(1);
        let places = Arc::new(Places::new(shared.clone(), sealed));
        let mut threads = Vec::new();
        for _ in 0..workers {
            let mut sealer = Sealer::new(shared.clone(), places.clone())?;
            let to_do = to_do.clone();
            threads.push(spawn("sealer", &shared, move || sealer.run(&to_do))?);
        }
        drop(places);
        let (s, to) = (shared.clone(), finished);
        threads.push(spawn("packer", &shared, move || packer::run(&s, &to_pack, &to))?);
        for _ in 0..connections {
            let (s, from, to) = (shared.clone(), to_upload.clone(), stored.clone());
            threads.push(spawn("uploader", &shared, move || uploader::run(&s, &from, &to))?);
        }
        drop(stored);
        let s = shared.clone();
        threads.push(spawn("recorder", &shared, move || {
            recorder::run(&s, &to_record);
            let _ = done.send(());
        })?);
        let tickets = Arc::new(TicketTable::new(&shared.scratch)?);
        let intake = Intake::new(shared.clone(), tickets.clone(), work.clone(), workers);
        let intake = Arc::new(intake);
        Ok(Pipeline { shared, tickets, intake, work, threads, recorder })
    }

    /// Where contents go.
    pub fn contents(&self) -> &dyn ContentSink {
        &*self.intake
    }

    /// Stores a blob once more that lies only in packs nothing may rely on; one that lies elsewhere
    /// too is passed over. `plain` must be what `id` names.
    ///
    /// # Errors
    ///
    /// The first failure of any stage; [`Interrupted`](ErrorKind::Interrupted).
    pub fn store_again(&self, kind: PackKind, id: BlobId, plain: Vec<u8>) -> Result<()> {
        let shared = &self.shared;
        let give_up = || shared.interrupt.is_raised();
        let permit = shared.budget.take(plain.len(), give_up);
        let work = permit.map(|permit| Work::Again { kind, id, plain, permit });
        match work.map(|work| shared.offer(&self.work, work)) {
            Some(Ok(())) => Ok(()),
            _ if shared.is_stopped() => Err(self.why_stopped()),
            Some(Err(error)) => Err(error),
            None => Err(Error::new(ErrorKind::Interrupted, "storing")),
        }
    }

    /// The table of tickets, to be looked up after the pipeline has finished.
    pub fn tickets(&self) -> Arc<TicketTable> {
        self.tickets.clone()
    }

    /// The contents that tickets stand for, once the source has run. Blocks until every content
    /// that was finished has its name.
    ///
    /// # Errors
    ///
    /// The first failure of any stage.
    pub fn settle(&self) -> Result<&TicketTable> {
        self.intake.flush();
        while !self.tickets.wait_settled(Duration::from_millis(50)) {
            if self.shared.is_stopped() {
                return Err(self.why_stopped());
            }
            self.shared.interrupt.check()?;
        }
        Ok(&self.tickets)
    }

    fn why_stopped(&self) -> Error {
        let unknown = || Error::new(ErrorKind::Interrupted, "storing");
        self.shared.take_failure().unwrap_or_else(unknown)
    }

    /// Stores all that is still on its way, durably, and lists it in the index.
    ///
    /// # Errors
    ///
    /// The first failure of any stage; [`Interrupted`](ErrorKind::Interrupted).
    pub fn finish(self) -> Result<StoredBytes> {
        let Pipeline { shared, tickets, intake, work, threads, recorder } = self;
        drop((tickets, intake, work));
        // Joining cannot be interrupted, waiting can.
        while recorder.recv_timeout(Duration::from_millis(50)).is_err_and(|e| e.is_timeout()) {
            if shared.interrupt.is_raised() {
                abandon(&shared, &recorder);
                return Err(Error::new(ErrorKind::Interrupted, "storing"));
            }
        }
        for thread in threads {
            if thread.join().is_err() {
                let broken = Error::new(ErrorKind::LocalDisk, "storing");
                shared.fail(broken.because("a thread of the pipeline broke down"));
            }
        }
        if let Some(failure) = shared.take_failure() {
            return Err(failure);
        }
        if !shared.dry_run && shared.repository.index().outstanding_claims() > 0 {
            return Err(
                Error::new(ErrorKind::Damaged, "storing").because("a claimed blob was not stored")
            );
        }
        Ok(StoredBytes {
            read: shared.read.load(Ordering::Relaxed),
            added: shared.added.load(Ordering::Relaxed),
            stored: shared.stored.load(Ordering::Relaxed),
        })
    }

    /// Stops where it is. What is stored is listed in the index, if that takes no longer than a
    /// moment; uploads that are under way are left to end by themselves.
    pub fn abandon(self) -> Option<Error> {
        let Pipeline { shared, tickets, intake, work, threads, recorder } = self;
        shared.stop();
        drop((tickets, intake, work, threads));
        abandon(&shared, &recorder);
        shared.take_failure()
    }
}

fn abandon(shared: &Shared, recorder: &Receiver<()>) {
    shared.stop();
    let _ = recorder.recv_timeout(LAST_SEGMENT_WAIT);
}

/// Stops the pipeline when a thread breaks down: what it held would be waited for without end.
struct StopsOnPanic(Arc<Shared>);

impl Drop for StopsOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let broken = Error::new(ErrorKind::LocalDisk, "storing");
            self.0.fail(broken.because("a thread of the pipeline broke down"));
        }
    }
}

fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let stops = StopsOnPanic(shared.clone());
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _stops = stops;
            work();
        })
        .map_err(|e| Error::local("starting a thread", e))
}

impl PageSource for Pipeline {
    fn read_page(&self, id: BlobId) -> Result<Bytes> {
        self.shared.repository.read_page(id)
    }
}

impl PageStore for Pipeline {
    fn write_page(&self, page: Vec<u8>) -> Result<BlobId> {
        let repository = &self.shared.repository;
        let id = repository.name_of(PackKind::Meta, &page);
        if repository.is_write_only() && !self.shared.dry_run {
            repository.keep_page(id, &page)?;
        }
        match self.shared.offer(&self.work, Work::Page { id, page }) {
            Ok(()) => Ok(id),
            Err(_) if self.shared.is_stopped() => Err(self.why_stopped()),
            Err(error) => Err(error),
        }
    }
}
