//! The results as tables for people and as JSON for later.
use std::fmt::Write;

use serde::Serialize;

use crate::{
    noise::Noise,
    peers::{NotRun, Step},
    rounds::{Outcome, Results, Sample},
};

/// A comparison with all that is needed to judge it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) programs: Vec<Program>,
    pub(crate) not_run: Vec<NotRun>,
    /// In words: files, bytes, seed, and the age of the set when the first run began.
    pub(crate) set: String,
    pub(crate) set_bytes: u64,
    pub(crate) runs: u32,
    pub(crate) cores: usize,
    /// Peaks below this cannot be seen, in bytes.
    pub(crate) peak_floor_bytes: u64,
    pub(crate) results: Results,
}

/// A program that took part.
#[derive(Debug, Serialize)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) settings: &'static str,
}

/// Medians of one program at one step.
struct Row {
    wall_s: Median,
    cpu_s: f64,
    peak_bytes: f64,
    stored_bytes: f64,
}

/// The middle of some numbers, and how far apart they are.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Median {
    middle: f64,
    /// Largest minus smallest, in percent of the middle.
    spread_percent: f64,
}

impl Report {
    /// Whether every program that was there did everything right.
    pub(crate) fn all_went_well(&self) -> bool {
        self.results.samples.iter().all(|s| matches!(s.outcome, Outcome::Measured(_)))
    }

    /// The tables, as text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.head(&mut out);
        for step in Step::ALL {
            if self.results.samples.iter().any(|sample| sample.step == step) {
                self.table(step, &mut out);
            }
        }
        self.failures(&mut out);
        out
    }

    fn head(&self, out: &mut String) {
        line(out, format!("set: {}; runs: {}; cores: {}", self.set, self.runs, self.cores));
        for program in &self.programs {
            line(out, format!("{:<8} {} · {}", program.name, program.version, program.settings));
        }
        for absent in &self.not_run {
            line(out, format!("{:<8} NOT RUN: {}", absent.name, absent.reason));
        }
        line(out, noise(&self.results.noise));
        line(
            out,
            format!(
                "warm: what a process reads was read just before; medians of all runs, ± is \
                 (max-min)/median; peaks below {} MiB cannot be seen",
                self.peak_floor_bytes >> 20
            ),
        );
        line(out, "ratios are devsnap/peer: below 1.00 devsnap needs less".into());
    }

    fn table(&self, step: Step, out: &mut String) {
        let devsnap = self.row("devsnap", step);
        line(out, format!("\n{}", step.title()));
        line(
            out,
            format!(
                "  {:<8} {:>9} {:>6} {:>9} {:>9} {:>11}   {}",
                "", "wall s", "±", "CPU s", "peak MiB", "stored MiB", "wall  CPU   peak  stored"
            ),
        );
        for program in &self.programs {
            let Some(row) = self.row(program.name, step) else {
                line(out, format!("  {:<8} not measured: see failures below", program.name));
                continue;
            };
            let ratios = match &devsnap {
                Some(ours) if program.name != "devsnap" => format!(
                    "{:<5.2} {:<5.2} {:<5.2} {:.3}",
                    ours.wall_s.middle / row.wall_s.middle,
                    ours.cpu_s / row.cpu_s,
                    ours.peak_bytes / row.peak_bytes,
                    ours.stored_bytes / row.stored_bytes
                ),
                _ => String::new(),
            };
            let text = format!(
                "  {:<8} {:>9.2} {:>5.0}% {:>9.2} {:>9.0} {:>11.1}   {ratios}",
                program.name,
                row.wall_s.middle,
                row.wall_s.spread_percent,
                row.cpu_s,
                row.peak_bytes / 1_048_576.0,
                row.stored_bytes / 1_048_576.0,
            );
            line(out, text.trim_end().into());
        }
    }

    /// Medians over the runs in which the step succeeded; nothing if it never did.
    fn row(&self, peer: &str, step: Step) -> Option<Row> {
        let (mut wall, mut cpu, mut peak, mut stored) = (vec![], vec![], vec![], vec![]);
        for sample in self.samples(peer, step) {
            if let Outcome::Measured(usage) = &sample.outcome {
                wall.push(usage.wall_s);
                cpu.push(usage.cpu_s);
                peak.push(usage.peak_rss_bytes as f64);
                stored.extend(sample.stored_bytes.map(|bytes| bytes as f64));
            }
        }
        Some(Row {
            wall_s: median(wall)?,
            cpu_s: median(cpu)?.middle,
            peak_bytes: median(peak)?.middle,
            stored_bytes: median(stored)?.middle,
        })
    }

    fn samples<'a>(&'a self, peer: &'a str, step: Step) -> impl Iterator<Item = &'a Sample> {
        self.results.samples.iter().filter(move |s| s.peer == peer && s.step == step)
    }

    fn failures(&self, out: &mut String) {
        for sample in &self.results.samples {
            if let Outcome::Failed(why) = &sample.outcome {
                let (run, title) = (sample.run, sample.step.title());
                line(out, format!("FAILED: {} · {title} · run {run}: {why}", sample.peer));
            }
        }
    }
}

fn line(out: &mut String, text: String) {
    writeln!(out, "{text}").expect("because writing to a String does not fail");
}

fn noise(noise: &Noise) -> String {
    let (Some(reference), load) =
        (median(noise.reference_s.clone()), noise.load.iter().copied().fold(0.0, f64::max))
    else {
        return "noise: not measured".into();
    };
    format!(
        "noise: the same work took {:.0} ms ±{:.0}% over {} times; load average up to {load:.1}",
        reference.middle * 1000.0,
        reference.spread_percent,
        noise.reference_s.len()
    )
}

fn median(mut values: Vec<f64>) -> Option<Median> {
    values.sort_by(f64::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    let half = values.len() / 2;
    let middle =
        if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
    let spread_percent = if middle > 0.0 { (last - first) / middle * 100.0 } else { 0.0 };
    Some(Median { middle, spread_percent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Usage;

    fn sample(peer: &'static str, wall_s: f64) -> Sample {
        let usage = Usage { wall_s, cpu_s: wall_s, peak_rss_bytes: 100 << 20, written_bytes: 0 };
        Sample {
            run: 1,
            peer,
            step: Step::First,
            stored_bytes: Some(1 << 30),
            command: String::new(),
            outcome: Outcome::Measured(usage),
        }
    }

    fn report(samples: Vec<Sample>) -> Report {
        let program = |name| Program { name, version: "1".into(), settings: "defaults" };
        Report {
            programs: vec![program("devsnap"), program("restic")],
            not_run: vec![NotRun { name: "borg", reason: "absent".into() }],
            set: "tiny".into(),
            set_bytes: 1,
            runs: 1,
            cores: 1,
            peak_floor_bytes: 0,
            results: Results { samples, noise: Noise::default() },
        }
    }

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        let found = median(vec![4.0, 1.0, 2.0, 3.0]).unwrap();

        assert_eq!(found, Median { middle: 2.5, spread_percent: 120.0 });
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn a_peer_that_takes_twice_as_long_has_ratio_one_half() {
        let text = report(vec![sample("devsnap", 1.0), sample("restic", 2.0)]).text();

        let row = text.lines().find(|line| line.starts_with("  restic")).unwrap();
        assert!(row.ends_with("0.50  0.50  1.00  1.000"), "{row}");
    }

    #[test]
    fn what_did_not_run_or_failed_is_said() {
        let mut failed = sample("restic", 1.0);
        failed.outcome = Outcome::Failed("no space".into());
        let report = report(vec![sample("devsnap", 1.0), failed]);

        let text = report.text();

        assert!(!report.all_went_well());
        assert!(text.contains("borg     NOT RUN: absent"), "{text}");
        assert!(text.contains("restic   not measured"), "{text}");
        assert!(text.contains("FAILED: restic · first snapshot · run 1: no space"), "{text}");
    }
}
