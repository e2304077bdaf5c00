//! Work on many files, several at a time.
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use devsnap_engine::interrupt::Interrupt;

/// Threads that decrypt, encrypt again and compare; storing has its own.
const THREADS_MAX: usize = 4;

/// What `work` makes of each of `items`, in no order.
///
/// # Errors
///
/// The first error of `work`, after which no more is begun; somebody asked to stop.
pub fn each<I: Sync, T: Send>(
    items: &[I],
    interrupt: &Interrupt,
    work: impl Fn(&I) -> io::Result<T> + Sync,
) -> io::Result<Vec<T>> {
    let threads = thread::available_parallelism().map_or(2, NonZero::get).min(THREADS_MAX);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Ok(Vec::with_capacity(items.len())));
    thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = interrupt.check().map_err(io::Error::other);
                    let result = result.and_then(|()| work(item));
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    match (&mut *done, result) {
                        (Ok(done), Ok(result)) => done.push(result),
                        (Ok(_), Err(error)) => *done = Err(error),
                        (Err(_), _) => return,
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_worked_on_once_and_the_first_failure_ends_it() {
        let items: Vec<usize> = (0..1000).collect();
        let mut done = each(&items, &Interrupt::new(), |item| Ok(item * 2)).unwrap();
        done.sort_unstable();
        assert_eq!(done, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        let begun = AtomicUsize::new(0);
        let failed = each(&items, &Interrupt::new(), |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            match item {
                0..5 => Err(io::Error::other("no")),
                _ => Ok(()),
            }
        });
        assert!(failed.is_err());
        assert!(begun.into_inner() < 1000);
        let stopped = Interrupt::new();
        stopped.raise();
        assert!(each(&items, &stopped, |_| Ok(())).is_err());
    }
}
