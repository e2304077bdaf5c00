//! How many plaintext bytes may be in flight: memory bounded by bytes, not by items, because
//! chunks differ in size by a factor of a thousand.
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A number of bytes to be shared out; cheap to clone.
#[derive(Clone)]
pub(super) struct ByteBudget(Arc<Inner>);

struct Inner {
    max_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    used: usize,
    closed: bool,
}

/// A part of the budget, given back when dropped.
pub(super) struct Permit {
    budget: ByteBudget,
    bytes: usize,
}

impl ByteBudget {
    pub(super) fn new(max_bytes: usize) -> Self {
        let state = Mutex::new(State::default());
        ByteBudget(Arc::new(Inner { max_bytes, state, changed: Condvar::new() }))
    }

    /// Takes `bytes`, waiting until they are free; more than the whole budget are given when
    /// nothing else is in flight. `None` once the budget is closed or `give_up` says so.
    pub(super) fn take(&self, bytes: usize, give_up: impl Fn() -> bool) -> Option<Permit> {
        let inner = &*self.0;
        let mut state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.closed && state.used > 0 && state.used + bytes > inner.max_bytes {
            let waited = inner.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if give_up() {
                return None;
            }
        }
        if state.closed {
            return None;
        }
        state.used += bytes;
        Some(Permit { budget: self.clone(), bytes })
    }

    /// Gives nothing any more; whoever waits is told.
    pub(super) fn close(&self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let inner = &*self.budget.0;
        inner.state.lock().unwrap_or_else(PoisonError::into_inner).used -= self.bytes;
        inner.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_than_the_budget_is_ever_out() {
        let budget = ByteBudget::new(100);
        let (out, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (budget, out, most) = (&budget, &out, &most);
                scope.spawn(move || {
                    for round in 0..200 {
                        let bytes = 1 + (thread * 37 + round * 11) % 60;
                        let permit = budget.take(bytes, || false).unwrap();
                        let now = out.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        out.fetch_sub(bytes, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 100);
    }

    #[test]
    fn what_is_larger_than_the_budget_passes_alone_and_closing_wakes_who_waits() {
        let budget = ByteBudget::new(100);
        let large = budget.take(500, || false).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(1, || false).is_none());
            budget.close();
            assert!(waiting.join().unwrap());
        });
        drop(large);
        assert!(budget.take(1, || false).is_none());
    }

    #[test]
    fn who_waits_can_give_up() {
        let budget = ByteBudget::new(1);
        let _held = budget.take(1, || false);
        assert!(budget.take(1, || true).is_none());
    }
}
