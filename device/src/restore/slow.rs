//! A storage that lets a restore wait: it is said once, also while nothing has failed yet.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::served_dir::Reading;
use crate::watch::DeviceWatch;

/// How long one read may take before a person hears of it. One over a slow line takes less.
pub(super) const SAID_AFTER: Duration = Duration::from_secs(8);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Who is told, and whether that has happened.
pub(super) struct Slow<'w> {
    watch: &'w dyn DeviceWatch,
    said_after: Duration,
    is_said: AtomicBool,
}

impl<'w> Slow<'w> {
    pub(super) fn new(watch: &'w dyn DeviceWatch, said_after: Duration) -> Self {
        Slow { watch, said_after, is_said: AtomicBool::new(false) }
    }

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
                    if reading.so_far().is_some_and(|time| time > self.said_after) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Stage;
    use std::sync::Mutex;
    use std::sync::mpsc::Sender;

    /// Hands on what it is warned of.
    struct Hears(Mutex<Sender<String>>);

    impl DeviceWatch for Hears {
        fn stage(&self, _: Stage) {}
        fn percent(&self, _: f64) {}
        fn warn(&self, sentence: &str) {
            let _ = self.0.lock().unwrap().send(sentence.to_owned());
        }
    }

    #[test]
    fn a_read_that_hangs_is_told_of_while_it_hangs_and_once() {
        let (said, heard) = channel();
        let (hears, reading) = (Hears(Mutex::new(said)), Reading::default());
        let slow = Slow::new(&hears, Duration::ZERO);
        slow.watching(&reading, || {
            let under_way = reading.under_way();
            let told = heard.recv_timeout(Duration::from_secs(60)).unwrap();
            assert!(told.contains("does not answer; the device waits"), "{told}");
            drop(under_way);
        });
        slow.say(" (it failed)");
        assert!(heard.try_recv().is_err());
    }

    #[test]
    fn nothing_is_said_of_a_storage_that_is_not_read() {
        let (said, heard) = channel();
        let hears = Hears(Mutex::new(said));
        let slow = Slow::new(&hears, Duration::ZERO);
        slow.watching(&Reading::default(), || std::thread::sleep(3 * LOOK_EVERY));
        assert!(heard.try_recv().is_err());
        slow.say(" (it failed)");
        assert!(heard.try_recv().unwrap().contains("(it failed)"));
    }
}
