//! The line on a terminal that tells how far the work is.
use super::counters::{Counters, Counts};
use super::text::{duration, size};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Drawn five times a second from the counters, whatever the working threads do.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn start(counters: Arc<Counters>) -> Bar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        let line = move |_: &ProgressState, out: &mut dyn Write| {
            if let Some(counts) = counters.now() {
                let _ = out.write_str(&line_of(&counts));
            }
        };
        let style = ProgressStyle::with_template("{spinner} {line}")
            .expect("because the template is a constant that the tests try")
            .with_key("line", line);
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar(bar)
    }

    /// Says something else on the same terminal.
    pub(super) fn aside(&self, say: impl FnOnce()) {
        self.0.suspend(say);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// E.g. `reading  41 %  112408 files  25.1 GiB of 61.4 GiB  34.0 MiB/s  18 min left`.
fn line_of(counts: &Counts) -> String {
    let mut line = counts.phase_word().replace('-', " ");
    if let Some(percent) = counts.percent() {
        let _ = write!(line, "  {percent} %");
    }
    if counts.files_done > 0 {
        let _ = write!(line, "  {} files", counts.files_done);
    }
    match (counts.bytes_done, counts.bytes_total) {
        (0, 0) => {}
        (done, 0) => line = line + "  " + &size(done),
        (done, total) => line = line + "  " + &size(done) + " of " + &size(total),
    }
    if counts.rate > 0 {
        line = line + "  " + &size(counts.rate) + "/s";
    }
    if let Some(secs) = counts.eta_secs().filter(|secs| *secs > 0) {
        line = line + "  " + &duration(secs.saturating_mul(1000)) + " left";
    }
    if counts.faults > 0 {
        let _ = write!(line, "  {} problems", counts.faults);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_engine::progress::Phase;

    #[test]
    fn the_line_tells_phase_files_bytes_rate_and_what_is_left() {
        let counts = Counts {
            phase: Phase::Reading,
            files_done: 7,
            files_total: 9,
            bytes_done: 1 << 20,
            bytes_total: 4 << 20,
            bytes_stored: 0,
            faults: 0,
            rate: 1 << 20,
        };
        assert_eq!(
            line_of(&counts),
            "reading  25 %  7 files  1.0 MiB of 4.0 MiB  1.0 MiB/s  3 s left"
        );
        let begun = Counts { files_done: 0, bytes_done: 0, bytes_total: 0, rate: 0, ..counts };
        assert_eq!(line_of(&Counts { phase: Phase::Opening, ..begun }), "opening");
    }

    #[test]
    fn a_bar_can_be_started_and_spoken_beside() {
        let bar = Bar::start(Arc::new(Counters::default()));
        let mut said = false;
        bar.aside(|| said = true);
        assert!(said);
    }
}
