//! The line on a terminal that tells how far the work is.
use super::counters::{Counters, Counts, Step};
use super::text::{duration, size};
use devsnap_device::watch::Stage;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Drawn five times a second from the counters, whatever the working threads do.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// `device` is the name of the one that is watched, if any.
    pub(super) fn start(counters: Arc<Counters>, device: String) -> Bar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        let line = move |_: &ProgressState, out: &mut dyn Write| {
            if let Some(counts) = counters.now() {
                let line = match counts.step {
                    Step::Engine(_) => line_of(&counts),
                    Step::Device(stage) => device_line_of(&counts, stage, &device),
                };
                let _ = out.write_str(&line);
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

/// E.g. `enter the passcode on Anna's iPhone  12 s`, or
/// `receiving  ~43 %  1204 files  2.1 GiB  38.2 MiB/s`.
fn device_line_of(counts: &Counts, stage: Stage, device: &str) -> String {
    let elapsed = match counts.step_secs {
        0 => String::new(),
        secs => "  ".to_owned() + &duration(secs.saturating_mul(1000)),
    };
    let waiting = match stage {
        Stage::WaitingForOtherSync => Some("waiting until another program has synced".to_owned()),
        Stage::Preparing => Some("preparing".to_owned()),
        Stage::Converting => Some("storing encrypted files as plaintext".to_owned()),
        _ => call_for(stage).map(|(_, deed)| format!("{deed} {device}")),
    };
    if let Some(waiting) = waiting {
        return waiting + &elapsed;
    }
    let mut line = stage.word().to_owned();
    if let Some(percent) = counts.percent_device.filter(|_| stage != Stage::Connecting) {
        let _ = write!(line, "  ~{} %", percent.whole());
    }
    if counts.files_done > 0 {
        let _ = write!(line, "  {} files  {}", counts.files_done, size(counts.bytes_done));
    }
    // In a restore: all there is, of which a device leaves some out.
    if stage == Stage::Sending && counts.bytes_total > 0 {
        line = line + " of at most " + &size(counts.bytes_total);
    }
    if counts.rate > 0 {
        line = line + "  " + &size(counts.rate) + "/s";
    }
    if let Some(secs) = counts.eta_secs().filter(|secs| *secs > 0 && stage == Stage::Sending) {
        line = line + "  at most " + &duration(secs.saturating_mul(1000)) + " left";
    }
    line
}

/// What a person must do on the device: the word for it in JSON, and the beginning of a sentence
/// that ends with the device.
pub(super) fn call_for(stage: Stage) -> Option<(&'static str, &'static str)> {
    match stage {
        Stage::WaitingForTrust => Some(("trust", "tap \"Trust\" on")),
        Stage::WaitingForUnlock => Some(("unlock", "unlock")),
        Stage::WaitingForPasscode => Some(("passcode", "enter the passcode on")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_engine::progress::Phase;

    #[test]
    fn the_line_tells_phase_files_bytes_rate_and_what_is_left() {
        let counts = Counts {
            step: Step::Engine(Phase::Reading),
            step_secs: 0,
            percent_device: None,
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
        assert_eq!(line_of(&Counts { step: Step::Engine(Phase::Opening), ..begun }), "opening");
    }

    #[test]
    fn a_device_is_shown_with_what_it_waits_for_or_its_own_percentage() {
        let counters = Counters::default();
        let line = |stage| {
            counters.enter_stage(stage);
            device_line_of(&counters.now().unwrap(), stage, "Anna’s iPhone")
        };
        assert_eq!(line(Stage::WaitingForPasscode), "enter the passcode on Anna’s iPhone");
        assert_eq!(line(Stage::Preparing), "preparing");
        counters.percent(43.9);
        counters.advance(3, 5 << 20);
        assert_eq!(line(Stage::Receiving), "receiving  ~43 %  3 files  5.0 MiB");
    }

    #[test]
    fn a_bar_can_be_started_and_spoken_beside() {
        let bar = Bar::start(Arc::new(Counters::default()), String::new());
        let mut said = false;
        bar.aside(|| said = true);
        assert!(said);
    }
}
