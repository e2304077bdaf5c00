//! How steady the machine is: the same piece of work, timed again and again between the others.
use std::{hint::black_box, time::Instant};

use serde::Serialize;

/// Multiplications in one piece of work: some tens of milliseconds.
const STEPS: u64 = 30_000_000;

/// What was seen of the machine while others were measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Noise {
    /// Seconds the same work took, in order.
    pub(crate) reference_s: Vec<f64>,
    /// Processes that wanted to run, averaged over a minute, seen at the same moments.
    pub(crate) load: Vec<f64>,
}

impl Noise {
    /// Times the work once more.
    pub(crate) fn sample(&mut self) {
        let start = Instant::now();
        let mut state = 1_u64;
        for step in 0..STEPS {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step));
        }
        self.reference_s.push(start.elapsed().as_secs_f64());
        self.load.extend(load());
    }
}

fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
