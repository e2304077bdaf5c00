//! How far a recording has been played, and whether the host still says what was recorded.
//!
//! The phone speaks in its turn: not before everything has been heard that the host had said by then
//! in the recording, on whichever connection. A host that does the same thing again cannot be kept
//! waiting by that, since in the recording too it had said so much before it heard the phone.
use super::compare::Difference;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How often a thread that waits looks whether all is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a host first departs from a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The line of the recording; the first is 1.
    pub line: usize,
    /// On which connection, and of which service.
    pub connection: String,
    /// The place within a message, when it is one.
    pub at: String,
    /// What was recorded.
    pub recorded: String,
    /// What happened now.
    pub now: String,
}

/// The state of a play.
pub(super) struct Progress {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    /// Places where the host is yet to speak.
    host: BTreeSet<usize>,
    /// Places where anything on a connection is yet to happen.
    open: BTreeSet<usize>,
    divergence: Option<Divergence>,
    is_over: bool,
    moved: Instant,
}

impl Progress {
    /// Everything at these places is to happen; `host` are those where the host speaks.
    pub(super) fn new(open: BTreeSet<usize>, host: BTreeSet<usize>) -> Progress {
        let inner = Inner { host, open, divergence: None, is_over: false, moved: Instant::now() };
        Progress { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("because no holder panics")
    }

    /// Whether everything that the host had said before `place` has been said.
    pub(super) fn has_come_to(&self, place: usize) -> bool {
        self.inner().host.first().is_none_or(|first| *first >= place)
    }

    /// Waits for the phone's turn; false when the play is over.
    pub(super) fn waits_for(&self, place: usize) -> bool {
        let mut inner = self.inner();
        while !inner.is_over {
            if inner.host.first().is_none_or(|first| *first >= place) {
                return true;
            }
            inner =
                self.changed.wait_timeout(inner, LOOK_EVERY).expect("because no holder panics").0;
        }
        false
    }

    /// This has happened.
    pub(super) fn done(&self, place: usize) {
        let mut inner = self.inner();
        inner.host.remove(&place);
        inner.open.remove(&place);
        inner.moved = Instant::now();
        self.changed.notify_all();
    }

    /// The host departs from the recording: the first time counts, and ends the play.
    pub(super) fn diverges(&self, divergence: Divergence) {
        let mut inner = self.inner();
        if !inner.is_over {
            inner.divergence.get_or_insert(divergence);
            inner.is_over = true;
        }
        self.changed.notify_all();
    }

    /// Nobody is to wait any more.
    pub(super) fn ends(&self) {
        self.inner().is_over = true;
        self.changed.notify_all();
    }

    pub(super) fn is_over(&self) -> bool {
        self.inner().is_over
    }

    /// What is left of the play, after a moment: where the host departed, or the first place that is
    /// yet to happen and how long nothing has; `None` when all has happened.
    pub(super) fn look(&self) -> Option<Result<(usize, Duration), Divergence>> {
        let inner = self.inner();
        let inner =
            self.changed.wait_timeout(inner, LOOK_EVERY).expect("because no holder panics").0;
        if let Some(divergence) = &inner.divergence {
            return Some(Err(divergence.clone()));
        }
        inner.open.first().map(|first| Ok((*first, inner.moved.elapsed())))
    }
}

impl Divergence {
    pub(super) fn of(difference: Difference, line: usize, connection: String) -> Divergence {
        let Difference { at, recorded, now } = difference;
        Divergence { line, connection, at, recorded, now }
    }
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "the host departs from the recording at line {}", self.line)?;
        writeln!(f, "  connection: {}", self.connection)?;
        if !self.at.is_empty() {
            writeln!(f, "  place:      {}", self.at)?;
        }
        writeln!(f, "  recorded:   {}", self.recorded)?;
        write!(f, "  now:        {}", self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phone_waits_for_what_the_host_said_before_and_for_nothing_else() {
        let progress = Progress::new(BTreeSet::from([1, 2, 3, 4]), BTreeSet::from([1, 3]));
        assert!(progress.has_come_to(1) && !progress.has_come_to(2));
        progress.done(1);
        assert!(progress.waits_for(2) && !progress.has_come_to(4));
        progress.ends();
        assert!(!progress.waits_for(4));
    }

    #[test]
    fn the_first_departure_counts() {
        let progress = Progress::new(BTreeSet::from([1]), BTreeSet::from([1]));
        let at = |line| Divergence {
            line,
            connection: String::new(),
            at: String::new(),
            recorded: String::new(),
            now: String::new(),
        };
        assert!(matches!(progress.look(), Some(Ok((1, _)))));
        progress.diverges(at(7));
        progress.diverges(at(8));
        assert_eq!(progress.look(), Some(Err(at(7))));
    }
}
