//! Blocks of contents, fetched before they are asked for.
//!
//! Who will read says so first ([`prefetch`](ReadAhead::prefetch), [`look_ahead`](ReadAhead::look_ahead));
//! threads fetch the blocks in that order, neighbours with one request, and keep them opened until they
//! are served, in a bounded part of memory. Whoever comes for a block that still waits runs its
//! request, so nobody ever waits for room. What cannot be fetched is forgotten here: reading on demand
//! knows all ways to a blob, and says what is wrong. Blobs in blocks are not verified here.
mod window;

use crate::error::Result;
use crate::id::PackId;
use crate::pack::{BlobLocation, BlockEntry, requests};
use bytes::Bytes;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use window::{BlockId, Found, Job, Window};

/// What is held of blocks, opened and on their way, in bytes. A request that is fetched by the one who
/// needs it comes on top.
const HELD_MAX: u64 = 64 << 20;

/// The longest request, in bytes: enough for a storage that answers in 50 ms to be at speed.
const REQUEST_MAX: u64 = 4 << 20;

/// The C library keeps for each thread what it freed: with eight threads and requests of 8 MiB, pulled
/// restores were measured to take 80 to 120 MiB more.
const WORKERS_MAX: usize = 4;

/// Fetches and opens neighbouring blocks of one pack with one request, in the order asked.
pub(super) type Fetch = dyn Fn(&PackId, &[(u32, BlockEntry)]) -> Result<Vec<Vec<u8>>> + Send + Sync;

/// Fetches ahead for one snapshot.
pub(super) struct ReadAhead {
    shared: Arc<Shared>,
    workers_max: usize,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    fetch: Box<Fetch>,
    request_max: u64,
    window: Mutex<Window>,
    /// Something came, or room, or the end.
    changed: Condvar,
}

impl ReadAhead {
    /// Fetches with as many threads as the storage has `connections`; none is started before
    /// something is planned.
    pub(super) fn new(fetch: Box<Fetch>, connections: NonZeroUsize) -> Self {
        ReadAhead::bounded(fetch, connections.get().min(WORKERS_MAX), HELD_MAX, REQUEST_MAX)
    }

    fn bounded(fetch: Box<Fetch>, workers_max: usize, held_max: u64, request_max: u64) -> Self {
        let window = Mutex::new(Window::new(held_max));
        let shared = Shared { fetch, request_max, window, changed: Condvar::new() };
        ReadAhead { shared: Arc::new(shared), workers_max, workers: Mutex::default() }
    }

    /// Has the blocks fetched in which these blobs lie, each of which will be asked for, roughly in this
    /// order. What was planned before and not asked for may go now, the oldest first.
    pub(super) fn prefetch(&self, places: &[BlobLocation]) {
        self.shared.lock().begin_round();
        self.plan(places, true);
    }

    /// Has blocks fetched that are not known yet; for each place, whether it is one of those. Others
    /// stay as they are: whoever planned them counts on them.
    pub(super) fn look_ahead(&self, places: &[BlobLocation]) -> Vec<bool> {
        self.plan(places, false)
    }

    fn plan(&self, places: &[BlobLocation], is_asked_for: bool) -> Vec<bool> {
        let mut window = self.shared.lock();
        let known = places.iter().map(|at| window.knows(&id_of(at)) || !window.fits(&at.block));
        let known: Vec<bool> = known.collect();
        let mut added = 0;
        // Neighbours are joined within stretches of half the room: what the end of a long plan needs
        // must not fill the room while its beginning is served.
        let stretch_max = window.held_max() / 2;
        let (mut stretch, mut stretch_len) = (Vec::new(), 0u64);
        for (place, was_known) in places.iter().zip(&known) {
            let is_known = window.knows(&id_of(place));
            if is_known && (is_asked_for || !was_known) {
                window.expect(&id_of(place));
            } else if !is_known && !was_known {
                stretch.push((stretch.len(), *place));
                stretch_len += u64::from(place.len);
            }
            if stretch_len >= stretch_max {
                added += window.queue(jobs(&mut stretch, self.shared.request_max));
                stretch_len = 0;
            }
        }
        added += window.queue(jobs(&mut stretch, self.shared.request_max));
        drop(window);
        if added > 0 {
            self.start_workers(added);
            self.shared.changed.notify_all();
        }
        known.iter().map(|known| !known).collect()
    }

    /// The opened block in which a blob lies, if it was planned and could be fetched. Waits for one that is
    /// on its way, and fetches one whose turn has not come.
    pub(super) fn take(&self, at: &BlobLocation) -> Option<Bytes> {
        let id = id_of(at);
        let mut window = self.shared.lock();
        loop {
            match window.take(&id) {
                Found::Here(block) => {
                    drop(window);
                    // It may have been the last that kept room from others.
                    self.shared.changed.notify_all();
                    return Some(block);
                }
                Found::Unknown => return None,
                Found::OnItsWay => {
                    window =
                        self.shared.changed.wait(window).unwrap_or_else(PoisonError::into_inner);
                }
                Found::Waiting(job) => {
                    drop(window);
                    return self.shared.run(&job, Some(&id));
                }
            }
        }
    }

    /// Who planned these blobs will not read them.
    pub(super) fn give_up<'a>(&self, places: impl Iterator<Item = &'a BlobLocation>) {
        let mut window = self.shared.lock();
        places.for_each(|at| window.served(&id_of(at)));
        drop(window);
        self.shared.changed.notify_all();
    }

    fn start_workers(&self, jobs: usize) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = self.workers_max.min(workers.len() + jobs);
        while workers.len() < wanted {
            let shared = self.shared.clone();
            let started =
                thread::Builder::new().name("read-ahead".to_owned()).spawn(move || shared.work());
            // Without a thread whoever reads fetches.
            let Ok(worker) = started else { return };
            workers.push(worker);
        }
    }
}

impl Drop for ReadAhead {
    /// Waits for the requests that are under way.
    fn drop(&mut self) {
        self.shared.lock().stop();
        self.shared.changed.notify_all();
        for worker in self.workers.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // One that panicked has left nothing behind.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut window = self.lock();
        while !window.is_stopping() {
            match window.next_job() {
                Some(job) => {
                    drop(window);
                    self.run(&job, None);
                    window = self.lock();
                }
                None => {
                    window = self.changed.wait(window).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Fetches the blocks of a job that [`Window`] has given out; the one of `wanted` is served at once.
    fn run(&self, job: &Job, wanted: Option<&BlockId>) -> Option<Bytes> {
        // Whoever waits for these blocks must hear of their end, whatever it is.
        let mut under_way = UnderWay { shared: self, job, blocks: Vec::new() };
        if let Ok(opened) = (self.fetch)(&job.pack, &job.blocks)
            && opened.len() == job.blocks.len()
        {
            under_way.blocks = opened.into_iter().map(Bytes::from).collect();
        }
        let mine = wanted.and_then(|id| {
            let ordinals = job.blocks.iter().map(|(ordinal, _)| *ordinal);
            let (_, block) = ordinals.zip(&under_way.blocks).find(|(n, _)| *n == id.1)?;
            Some(block.clone())
        });
        drop(under_way);
        if let (Some(id), Some(_)) = (wanted, &mine) {
            self.lock().served(id);
        }
        mine
    }
}

/// A job that is being fetched; when this is dropped its blocks are here, or forgotten.
struct UnderWay<'a> {
    shared: &'a Shared,
    job: &'a Job,
    blocks: Vec<Bytes>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.shared.lock().arrived(self.job, std::mem::take(&mut self.blocks));
        self.shared.changed.notify_all();
    }
}

fn id_of(at: &BlobLocation) -> BlockId {
    (at.pack, at.ordinal)
}

/// Jobs of one stretch of a plan, what is needed first in front, and how often each block is needed.
/// Empties the stretch.
fn jobs(stretch: &mut Vec<(usize, BlobLocation)>, request_max: u64) -> Vec<(Job, Vec<usize>)> {
    stretch.sort_by_key(|(rank, at)| (at.reading_order(), *rank));
    let jobs = requests(stretch.iter().map(|(_, at)| at), request_max).into_iter().map(|request| {
        let cost = request.span() + request.raw_len();
        let uses = request.pieces.iter().map(ExactSizeIterator::len).collect();
        let wanted = request.pieces.into_iter().flat_map(|pieces| &stretch[pieces]);
        let first = wanted.map(|(rank, _)| *rank).min().unwrap_or(0);
        (first, (Job { pack: request.pack, blocks: request.blocks, cost }, uses))
    });
    let mut jobs: Vec<_> = jobs.collect();
    stretch.clear();
    jobs.sort_by_key(|(first, _)| *first);
    jobs.into_iter().map(|(_, job)| job).collect()
}

#[cfg(test)]
mod tests;
