//! Which time the benches count.
//!
//! By default the clock on the wall. `DEVSNAP_BENCH_CLOCK=processor` counts the processor time of
//! all threads of the process instead: on a machine that others use meanwhile it says what the
//! work costs, where the wall says what they left of it. Waiting, for a disk or for one another,
//! is then not counted.
use std::time::{Duration, Instant};

use criterion::Criterion;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};

/// Criterion with the chosen clock, so many samples and so long a time to take them in.
pub(crate) fn criterion(samples: usize, seconds: u64) -> Criterion<Clock> {
    let processor = std::env::var_os("DEVSNAP_BENCH_CLOCK").is_some_and(|word| word == "processor");
    Criterion::default()
        .with_measurement(Clock { began: Instant::now(), processor })
        .sample_size(samples)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(seconds))
        .configure_from_args()
}

/// A clock of one kind or the other.
pub(crate) struct Clock {
    began: Instant,
    processor: bool,
}

impl Measurement for Clock {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        if self.processor { processor_time() } else { self.began.elapsed() }
    }

    fn end(&self, start: Duration) -> Duration {
        self.start().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        // It formats nanoseconds, whatever clock they are of.
        const { &WallTime }.formatter()
    }
}

/// What all threads of this process have worked so far.
#[allow(unsafe_code)]
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec` to the pointer and keeps nothing.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0, "every Linux has this clock");
    let parts = u64::try_from(time.tv_sec).ok().zip(u32::try_from(time.tv_nsec).ok());
    let (secs, nanos) = parts.expect("because processor time is never negative");
    Duration::new(secs, nanos)
}
