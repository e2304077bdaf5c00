//! A point of no return in the middle of a run: all that has been taken in is stored and listed.
//!
//! Workers keep small blobs back until a bundle is full, packs stay open until they are full, and
//! segments wait for company. A flush calls every worker to seal what it keeps, closes the open
//! packs, and waits until as many packs are listed in segments as were begun. There is one source,
//! and it is the one that waits, so nothing new arrives meanwhile.
use super::Shared;
use super::intake::stopped;
use super::sealer::Work;
use crossbeam_channel::Sender;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often those who wait look whether the pipeline has stopped.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Seals, closes, waits.
pub(super) fn run(shared: &Arc<Shared>, work: &Sender<Work>, workers: usize) -> io::Result<()> {
    let rally = Arc::new(Rally::of(workers));
    for _ in 0..workers {
        if shared.offer(work, Work::Flush(rally.clone())).is_err() {
            return Err(why(shared));
        }
    }
    rally.wait(shared);
    if shared.dry_run {
        return if shared.is_stopped() { Err(why(shared)) } else { Ok(()) };
    }
    shared.listing.wait(shared).then_some(()).ok_or_else(|| why(shared))
}

fn why(shared: &Shared) -> io::Error {
    match shared.is_full() {
        true => io::Error::from(io::ErrorKind::StorageFull),
        false => stopped(),
    }
}

fn is_over(shared: &Shared) -> bool {
    shared.is_stopped() || shared.interrupt.is_raised()
}

/// Where all workers meet once.
pub(super) struct Rally {
    state: Mutex<Meeting>,
    changed: Condvar,
}

struct Meeting {
    missing: usize,
    dismissed: bool,
}

impl Rally {
    fn of(workers: usize) -> Self {
        let state = Mutex::new(Meeting { missing: workers, dismissed: false });
        Rally { state, changed: Condvar::new() }
    }

    /// A worker has sealed all it kept. The last one is told so, and dismisses the others; they
    /// wait, or one of them would take the call that is meant for another.
    pub(super) fn arrive(&self, shared: &Shared) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.missing -= 1;
        let is_last = state.missing == 0;
        drop(state);
        if !is_last {
            self.wait(shared);
        }
        is_last
    }

    pub(super) fn dismiss(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).dismissed = true;
        self.changed.notify_all();
    }

    fn wait(&self, shared: &Shared) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.dismissed && !is_over(shared) {
            let waited = self.changed.wait_timeout(state, LOOK_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// How many packs were begun, how many are listed, and whether somebody waits for the rest.
#[derive(Default)]
pub(super) struct Listing {
    state: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    begun: usize,
    listed: usize,
    wanted: bool,
}

impl Listing {
    pub(super) fn begun(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).begun += 1;
    }

    /// So many more packs stand in segments on the backend.
    pub(super) fn listed(&self, packs: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).listed += packs;
        self.changed.notify_all();
    }

    /// Whether somebody waits, and `waiting` packs are all that is not listed yet.
    pub(super) fn is_wanted(&self, waiting: usize) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted && waiting > 0 && state.listed + waiting >= state.begun
    }

    /// Waits until all is listed; `false` when the pipeline stopped first.
    fn wait(&self, shared: &Shared) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted = true;
        while state.listed < state.begun {
            if is_over(shared) {
                return false;
            }
            let waited = self.changed.wait_timeout(state, LOOK_EVERY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wanted = false;
        !is_over(shared)
    }
}
