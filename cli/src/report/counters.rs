//! What is done and what is ahead, counted by the working threads and read by whoever shows it.
use devsnap_device::watch::Stage;
use devsnap_engine::progress::Phase;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts of one run. Counting is a few relaxed additions: it never blocks.
#[derive(Default)]
pub(super) struct Counters {
    files_done: AtomicU64,
    files_total: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    bytes_stored: AtomicU64,
    faults: AtomicU64,
    /// The totals are whole.
    is_all_expected: AtomicBool,
    current: Mutex<Option<Current>>,
    /// The device's own estimate, once it has told one.
    percent: Mutex<Option<Percent>>,
}

/// The step that runs, since when, and what was done before it.
#[derive(Clone, Copy)]
struct Current {
    step: Step,
    since: Instant,
    bytes_before: u64,
}

/// What is going on, in the engine or between the device and us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Engine(Phase),
    Device(Stage),
}

/// A device's estimate of how far it is, in tenths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percent(u16);

impl Percent {
    /// `None` for what is no share.
    fn of(percent: f64) -> Option<Percent> {
        let tenths = (0..=1000).rev().find(|tenths| f64::from(*tenths) <= percent * 10.0 + 0.5)?;
        Some(Percent(tenths))
    }
    pub(super) fn whole(self) -> u16 {
        self.0 / 10
    }
    pub(super) fn value(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) step: Step,
    /// How long it has been going on, in seconds; only told of a device.
    pub(super) step_secs: u64,
    pub(super) percent_device: Option<Percent>,
    pub(super) files_done: u64,
    /// 0 when unknown.
    pub(super) files_total: u64,
    pub(super) bytes_done: u64,
    /// 0 when unknown.
    pub(super) bytes_total: u64,
    pub(super) bytes_stored: u64,
    pub(super) faults: u64,
    /// Bytes a second in this phase.
    pub(super) rate: u64,
}

impl Counters {
    pub(super) fn enter(&self, phase: Phase) {
        self.go_to(Step::Engine(phase));
    }
    /// Whether this is news: a stage may be told again, and after the first files a sheet that goes
    /// away does not mean that the device is preparing.
    pub(super) fn enter_stage(&self, stage: Stage) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).map(|c| c.step);
        let is_under_way = matches!(
            current,
            Some(Step::Device(
                Stage::Receiving | Stage::Sending | Stage::Moving | Stage::Finishing
            ))
        );
        let is_news =
            current != Some(Step::Device(stage)) && !(stage == Stage::Preparing && is_under_way);
        if is_news {
            self.go_to(Step::Device(stage));
        }
        is_news
    }
    fn go_to(&self, step: Step) {
        let bytes_before = self.bytes_done.load(Relaxed);
        let current = Current { step, since: Instant::now(), bytes_before };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
    }
    pub(super) fn percent(&self, percent: f64) {
        *self.percent.lock().unwrap_or_else(PoisonError::into_inner) = Percent::of(percent);
    }
    pub(super) fn expect(&self, files: u64, bytes: u64) {
        self.files_total.fetch_add(files, Relaxed);
        self.bytes_total.fetch_add(bytes, Relaxed);
    }
    pub(super) fn expect_no_more(&self) {
        self.is_all_expected.store(true, Relaxed);
    }
    pub(super) fn advance(&self, files: u64, bytes: u64) {
        self.files_done.fetch_add(files, Relaxed);
        self.bytes_done.fetch_add(bytes, Relaxed);
    }
    pub(super) fn stored(&self, bytes: u64) {
        self.bytes_stored.fetch_add(bytes, Relaxed);
    }
    pub(super) fn bytes_stored(&self) -> u64 {
        self.bytes_stored.load(Relaxed)
    }
    pub(super) fn fault(&self) {
        self.faults.fetch_add(1, Relaxed);
    }

    /// The counts now; `None` before the first phase.
    pub(super) fn now(&self) -> Option<Counts> {
        let current = (*self.current.lock().unwrap_or_else(PoisonError::into_inner))?;
        let bytes_done = self.bytes_done.load(Relaxed);
        let total = |total: &AtomicU64| match self.is_all_expected.load(Relaxed) {
            true => total.load(Relaxed),
            false => 0,
        };
        let in_step = bytes_done.saturating_sub(current.bytes_before);
        let step_secs = match current.step {
            Step::Device(_) => current.since.elapsed().as_secs(),
            Step::Engine(_) => 0,
        };
        Some(Counts {
            step: current.step,
            step_secs,
            percent_device: *self.percent.lock().unwrap_or_else(PoisonError::into_inner),
            files_done: self.files_done.load(Relaxed),
            files_total: total(&self.files_total),
            bytes_done,
            bytes_total: total(&self.bytes_total),
            bytes_stored: self.bytes_stored.load(Relaxed),
            faults: self.faults.load(Relaxed),
            rate: per_second(in_step, current.since.elapsed()),
        })
    }
}

/// The first quarter of a second says nothing about a rate.
fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    match u64::try_from(elapsed.as_millis()) {
        Ok(millis) if millis >= 250 => bytes.saturating_mul(1000) / millis,
        _ => 0,
    }
}

impl Counts {
    /// How long it still takes at this rate; `None` when nobody knows.
    pub(super) fn eta_secs(&self) -> Option<u64> {
        let left = self.bytes_total.checked_sub(self.bytes_done)?;
        (self.bytes_total > 0 && self.rate > 0).then(|| left.div_ceil(self.rate))
    }

    /// Share of the bytes, 0 to 100.
    pub(super) fn percent(&self) -> Option<u64> {
        let share = self.bytes_done.saturating_mul(100).checked_div(self.bytes_total)?;
        Some(share.min(100))
    }

    /// The phase's word in JSON.
    pub(super) fn phase_word(&self) -> &'static str {
        match self.step {
            Step::Engine(Phase::Opening) => "opening",
            Step::Engine(Phase::Scanning) => "scanning",
            Step::Engine(Phase::Reading) => "reading",
            Step::Engine(Phase::Finishing) => "finishing",
            Step::Engine(Phase::Comparing) => "comparing",
            Step::Engine(Phase::Restoring) => "restoring",
            Step::Engine(Phase::Staging) => "staging",
            Step::Engine(Phase::CheckingStructure) => "checking-structure",
            Step::Engine(Phase::CheckingData) => "checking-data",
            Step::Engine(_) => "working",
            Step::Device(stage) => stage.word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_from_the_rate_and_never_guessed() {
        let counts = Counts {
            step: Step::Engine(Phase::Reading),
            step_secs: 0,
            percent_device: None,
            files_done: 1,
            files_total: 2,
            bytes_done: 250,
            bytes_total: 1000,
            bytes_stored: 0,
            faults: 0,
            rate: 100,
        };
        assert_eq!((counts.eta_secs(), counts.percent()), (Some(8), Some(25)));
        let unknown = Counts { bytes_total: 0, ..counts };
        assert_eq!((unknown.eta_secs(), unknown.percent()), (None, None));
        let outgrown = Counts { bytes_done: 1001, ..counts };
        assert_eq!((outgrown.eta_secs(), outgrown.percent()), (None, Some(100)));
        assert_eq!(Counts { rate: 0, ..counts }.eta_secs(), None);
    }

    #[test]
    fn a_devices_stages_follow_each_other_and_its_percentage_is_a_share() {
        let counters = Counters::default();
        counters.enter(Phase::Reading);
        assert!(counters.enter_stage(Stage::WaitingForPasscode));
        assert!(!counters.enter_stage(Stage::WaitingForPasscode));
        assert!(counters.enter_stage(Stage::Preparing) && counters.enter_stage(Stage::Receiving));
        assert!(!counters.enter_stage(Stage::Preparing), "files come already");
        assert_eq!(counters.now().unwrap().phase_word(), "receiving");
        for (said, shown) in [(43.21, Some(43.2)), (0.0, Some(0.0)), (250.0, Some(100.0))] {
            counters.percent(said);
            assert_eq!(counters.now().unwrap().percent_device.map(Percent::value), shown);
        }
        for said in [f64::NAN, f64::NEG_INFINITY, -3.0] {
            counters.percent(said);
            assert_eq!(counters.now().unwrap().percent_device, None);
        }
    }

    #[test]
    fn the_rate_is_of_the_phase_that_runs() {
        let counters = Counters::default();
        assert_eq!(counters.now(), None);
        counters.enter(Phase::Reading);
        counters.advance(1, 1 << 40);
        counters.enter(Phase::Finishing);
        std::thread::sleep(Duration::from_millis(260));
        let now = counters.now().unwrap();
        assert_eq!((now.bytes_done, now.rate), (1 << 40, 0));
    }

    #[test]
    fn a_total_is_unknown_until_all_of_it_is_counted() {
        let counters = Counters::default();
        counters.enter(Phase::Reading);
        counters.expect(3, 100);
        counters.advance(1, 10);
        let now = counters.now().unwrap();
        assert_eq!((now.files_total, now.bytes_total, now.percent()), (0, 0, None));
        counters.expect_no_more();
        let now = counters.now().unwrap();
        assert_eq!((now.files_total, now.bytes_total, now.percent()), (3, 100, Some(10)));
    }

    #[test]
    fn a_rate_needs_some_time_to_be_one() {
        assert_eq!(per_second(1000, Duration::from_millis(10)), 0);
        assert_eq!(per_second(1000, Duration::from_millis(500)), 2000);
    }
}
