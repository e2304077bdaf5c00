//! A storage that lets a restore wait: it is said once, also while nothing has failed yet.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::served_dir::Reading;
use crate::watch::DeviceWatch;

/// How long one read may take before a person hears of it. One over a slow line takes less.
const SAID_AFTER: Duration = Duration::from_secs(8);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Who is told, and whether that has happened.
pub(super) struct Slow<'w> {
    pub(super) watch: &'w dyn DeviceWatch,
    pub(super) is_said: AtomicBool,
}

impl Slow<'_> {
    /// Says that the storage does not answer, with `why` it is thought so; once.
    pub(super) fn say(&self, why: &str) {
        if !self.is_said.swap(true, Ordering::Relaxed) {
            self.watch.warn(&format!(
                "the storage does not answer{why}; the device waits while it is tried again"
            ));
        }
    }

    /// What `work` comes to, while `reading` is looked at.
    pub(super) fn watching<T>(&self, reading: &Reading, work: impl FnOnce() -> T) -> T {
        let (done, is_done) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while is_done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    if reading.so_far().is_some_and(|time| time > SAID_AFTER) {
                        self.say("");
                    }
                }
            });
            let ended = work();
            drop(done);
            ended
        })
    }
}
