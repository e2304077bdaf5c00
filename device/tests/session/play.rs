//! How something that goes wrong is played: a session ends by itself and as it is written, nothing is
//! kept that is not whole, and once the phone is well again it goes on from the last good snapshot.
use crate::compare::{compare, newest};
use crate::table::{Kept, Table};
use devsnap_device::{DeviceError, DeviceErrorKind as Kind};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::snapshot::Named;
use devsnap_simulator::contents::Proportions;
use devsnap_simulator::phone::{Cut, CutAt, Faults, LockdownRefusal, Silence};
use devsnap_simulator::wire::Weather;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// No session of these may take longer: then it is stopped, which is not how it should end.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// One thing that goes wrong.
pub(crate) struct Case {
    pub(crate) what: String,
    pub(crate) faults: Faults,
    pub(crate) ends: Ends,
}

/// How a session ends.
pub(crate) enum Ends {
    /// As if nothing had been.
    Well,
    /// With this kind, and a sentence that holds these words.
    Fails(Kind, &'static str),
    /// The link is lost, unless what was cut off was needed no more.
    WellOrLost,
    /// The device is gone, in the middle of something or when something was to begin.
    Gone,
    /// It is kept and said to be incomplete: the device had no last word.
    Unanswered,
}

pub(crate) fn case(what: impl Into<String>, faults: Faults, ends: Ends) -> Case {
    Case { what: what.into(), faults, ends }
}

/// A small phone, so that many sessions take little time.
pub(crate) fn small(seed: u64, faults: Faults, by: (bool, bool)) -> Table {
    let proportions = Proportions { files: 60, bytes: 200 << 10 };
    let mut table = Table::holding(proportions, seed, Weather::Fair, faults, by);
    table.patience.for_person = Duration::from_secs(1);
    table.patience.for_passcode = Some(Duration::from_secs(1));
    table
}

/// Stops what takes longer than [`BOUND`].
pub(crate) struct Watchdog(Option<Sender<()>>);

impl Watchdog {
    pub(crate) fn over(interrupt: &Interrupt) -> Watchdog {
        let (over, is_over) = channel();
        let interrupt = interrupt.clone();
        std::thread::spawn(move || {
            if is_over.recv_timeout(BOUND) == Err(RecvTimeoutError::Timeout) {
                interrupt.raise();
            }
        });
        Watchdog(Some(over))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The thread hears that nobody is left to tell it.
        drop(self.0.take());
    }
}

/// The next session is well, and goes on from `last`; what it kept.
#[track_caller]
pub(crate) fn well_again(table: &Table, last: Option<&Named>, what: &str) -> Kept {
    table.phone().set_faults(Faults::default());
    let _watchdog = Watchdog::over(&table.interrupt);
    let mut tries = (0..100).map(|_| table.back_up());
    // A phone that has not noticed yet that its host is gone is busy.
    let is_busy = |ended: &Result<Kept, DeviceError>| {
        let busy = ended.as_ref().is_err_and(|error| error.to_string().contains("busy"));
        if busy {
            std::thread::sleep(Duration::from_millis(100));
        }
        busy
    };
    let ended = tries.find(|ended| !is_busy(ended)).unwrap();
    let kept = ended.unwrap_or_else(|error| panic!("after {what}: {error}"));
    assert!(kept.named.snapshot.is_complete(), "after {what}");
    assert_eq!(kept.named.snapshot.parent, last.map(|last| last.id), "after {what}");
    assert_eq!(kept.outcome.full, last.is_none(), "after {what}");
    is_true(table, &kept);
    kept
}

#[track_caller]
fn is_true(table: &Table, kept: &Kept) {
    let (_folder, set) = table.export(kept);
    compare(&set, None, &newest(&table.phone_folder()));
}

#[track_caller]
pub(crate) fn ends(table: &Table, case: &Case) -> Option<Kept> {
    let watchdog = Watchdog::over(&table.interrupt);
    let ended = table.back_up();
    drop(watchdog);
    let what = &case.what;
    let kept = match (&case.ends, ended) {
        (Ends::Well | Ends::WellOrLost, Ok(kept)) => {
            assert!(kept.named.snapshot.is_complete(), "{what}");
            kept
        }
        (Ends::Unanswered, Ok(kept)) => {
            assert!(!kept.named.snapshot.is_complete() && !kept.outcome.answered, "{what}");
            kept
        }
        (Ends::WellOrLost, Err(error)) => {
            assert_eq!(error.kind(), Kind::ConnectionLost, "{what}: {error}");
            return None;
        }
        (Ends::Gone, Err(error)) => {
            let gone = [Kind::ConnectionLost, Kind::NotConnected];
            assert!(gone.contains(&error.kind()), "{what}: {error}");
            return None;
        }
        (Ends::Fails(kind, words), Err(error)) => {
            assert_eq!(error.kind(), *kind, "{what}: {error}");
            assert!(error.to_string().contains(words), "{what}: {error}");
            return None;
        }
        (_, Ok(_)) => panic!("{what}: it is kept"),
        (_, Err(error)) => panic!("{what}: {error}"),
    };
    is_true(table, &kept);
    Some(kept)
}

/// Plays all cases on one phone that has been backed up before. Where nothing was kept it must be
/// well again before the next day; `after` so many of these.
pub(crate) fn play(table: &Table, after: usize, cases: &[Case]) {
    let mut last = well_again(table, None, "nothing").named;
    let (mut day, mut in_vain) = (0, 0);
    for case in cases {
        day += 1;
        table.day(day);
        table.phone().set_faults(case.faults.clone());
        match ends(table, case).map(|kept| kept.named) {
            Some(kept) if kept.snapshot.is_complete() => last = kept,
            _ => in_vain += 1,
        }
        if in_vain == after {
            in_vain = 0;
            last = well_again(table, Some(&last), &case.what).named;
        }
    }
    well_again(table, Some(&last), "all of it");
}

pub(crate) fn cut(service: &str, at: CutAt, times: u32) -> Faults {
    let cut = Cut { service: service.to_owned(), at, times };
    Faults { cut: Some(cut), ..Faults::default() }
}

pub(crate) fn silence(service: &str, before: CutAt, lasts: Duration) -> Faults {
    let silence = Silence { service: service.to_owned(), before, lasts };
    Faults { silence: Some(silence), ..Faults::default() }
}

pub(crate) fn refused(request: &str, error: &str, times: Option<u32>) -> Faults {
    let (request, error) = (request.to_owned(), error.to_owned());
    let refusal = LockdownRefusal { request, error, times };
    Faults { lockdown_refusals: vec![refusal], ..Faults::default() }
}
