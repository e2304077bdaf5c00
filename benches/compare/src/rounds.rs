//! The order of things: every step by every program in turn, on the same state of the set.
//!
//! Within a run, all programs take the first step before any takes the second, so that they see the
//! same data at nearly the same time; who goes first changes from step to step. Before each
//! measured process, what it will read is read once and everything dirty is written out: all
//! programs run warm, and none pays for the writes of another.
use std::{fs, path::PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::{
    dataset::Dataset,
    measure::{self, Usage},
    noise::Noise,
    peers::{Present, Site, Step},
    tree,
};

/// One program doing one step once.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) run: u32,
    pub(crate) peer: &'static str,
    pub(crate) step: Step,
    /// Bytes of all files of the repository afterwards.
    pub(crate) stored_bytes: Option<u64>,
    /// The exact command, environment aside.
    pub(crate) command: String,
    pub(crate) outcome: Outcome,
}

/// How it went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Measured(Usage),
    Failed(String),
    /// Not tried, since an earlier step of the same run failed.
    Skipped,
}

/// Everything a comparison yields.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Results {
    pub(crate) samples: Vec<Sample>,
    pub(crate) noise: Noise,
}

/// One program with its place, during one run.
struct Lane<'a> {
    peer: &'a Present,
    site: Site,
    /// It takes no more steps in this run.
    failed: bool,
    /// Why there is no repository, until a sample has said so.
    no_repository: Option<String>,
}

/// Runs `runs` rounds of `steps`. `say` is told what happens.
///
/// # Errors
///
/// The set or the work folder could not be handled. What a program does wrong is in the results.
pub(crate) fn run(
    runs: u32,
    steps: &[Step],
    peers: &[Present],
    data: &mut Dataset,
    work: &std::path::Path,
    say: &mut dyn FnMut(&str),
) -> Result<Results> {
    let mut results = Results::default();
    let logs = work.join("logs");
    fs::create_dir_all(&logs)?;
    let snapshots = steps.iter().filter(|step| step.is_snapshot()).count();
    let keep = u32::try_from(snapshots.div_ceil(2))?;
    for run in 1..=runs {
        let mut lanes = peers
            .iter()
            .map(|peer| open_lane(peer, data, work, &logs, keep))
            .collect::<Result<Vec<_>>>()?;
        for (turn, step) in steps.iter().copied().enumerate() {
            if step.follows_a_day() {
                let changes = data.pass_day()?;
                say(&format!("day {} passes: {changes:?}", data.day));
            }
            for offset in 0..lanes.len() {
                let first = run as usize + turn;
                let count = lanes.len();
                let lane = &mut lanes[(first + offset) % count];
                let sample = take(lane, step, run, &logs, &mut results.noise)?;
                say(&line(&sample));
                results.samples.push(sample);
            }
        }
    }
    tree::clear(&work.join("lanes"))?;
    Ok(results)
}

fn open_lane<'a>(
    present: &'a Present,
    data: &Dataset,
    work: &std::path::Path,
    logs: &std::path::Path,
    keep: u32,
) -> Result<Lane<'a>> {
    let name = present.peer.name();
    let home = work.join("lanes").join(name);
    tree::clear(&home)?;
    let site = Site {
        repository: home.join("repository"),
        cache: home.join("cache"),
        target: home.join("restored"),
        data: data.dir.clone(),
        keep,
    };
    fs::create_dir_all(&site.cache)?;
    let made = measure::run(present.peer.init(&site), &logs.join(format!("{name}-init.log")));
    let no_repository = made.err().map(|error| format!("making a repository: {error:#}"));
    Ok(Lane { peer: present, site, failed: false, no_repository })
}

/// Has one program take one step.
fn take(
    lane: &mut Lane,
    step: Step,
    run: u32,
    logs: &std::path::Path,
    noise: &mut Noise,
) -> Result<Sample> {
    let name = lane.peer.peer.name();
    let command = lane.peer.peer.command(step, &lane.site);
    let mut sample = Sample {
        run,
        peer: name,
        step,
        stored_bytes: None,
        command: shown(&command),
        outcome: Outcome::Skipped,
    };
    if let Some(why) = lane.no_repository.take() {
        lane.failed = true;
        sample.outcome = Outcome::Failed(why);
        return Ok(sample);
    }
    if lane.failed {
        return Ok(sample);
    }
    if step == Step::Restore {
        fs::create_dir_all(&lane.site.target)?;
    }
    tree::warm(if step.is_snapshot() { &lane.site.data } else { &lane.site.repository })?;
    rustix::fs::sync();
    noise.sample();
    let log: PathBuf = logs.join(format!("{run}-{name}-{step:?}.log").to_lowercase());
    let outcome = measure::run(command, &log).and_then(|usage| {
        if step == Step::Restore {
            verify(&lane.site)?;
        }
        Ok(usage)
    });
    // The target stays until the next run: for a minute after many files were removed, ext4 makes
    // new ones several times slower, since it does not give out numbers of inodes just freed.
    sample.stored_bytes = Some(tree::size(&lane.site.repository)?);
    sample.outcome = match outcome {
        Ok(usage) => Outcome::Measured(usage),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    lane.failed = matches!(sample.outcome, Outcome::Failed(_));
    Ok(sample)
}

fn verify(site: &Site) -> Result<()> {
    let root = tree::restored_root(&site.target, &site.data);
    match tree::difference(&site.data, &root)? {
        None => Ok(()),
        Some(difference) => anyhow::bail!("what was restored differs: {difference}"),
    }
}

fn shown(command: &std::process::Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn line(sample: &Sample) -> String {
    let head = format!("run {} · {} · {:<8}", sample.run, sample.step.title(), sample.peer);
    match &sample.outcome {
        Outcome::Measured(usage) => format!(
            "{head} {:.2} s, CPU {:.2} s, peak {} MiB",
            usage.wall_s,
            usage.cpu_s,
            usage.peak_rss_bytes >> 20
        ),
        Outcome::Failed(why) => format!("{head} FAILED: {why}"),
        Outcome::Skipped => format!("{head} skipped: an earlier step failed"),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::Path};

    use clap::Parser;
    use devsnap_testkit::phone_like::PhoneLike;

    use super::*;
    use crate::{args::Args, peers};

    /// A backup program of a few lines that obeys devsnap's commands; `restore` ends with `last`, and
    /// `init` fails with `trouble` if there is any.
    fn obedient(dir: &Path, last: &str, trouble: &str) -> PathBuf {
        let path = dir.join("obedient");
        let script = format!(
            "#!/bin/sh -e\ncase $1 in\n\
             --version) echo obedient 1.0;;\n\
             init) [ -z '{trouble}' ] || {{ echo {trouble}; exit 1; }}; mkdir \"$DEVSNAP_REPOSITORY\";;\n\
             snapshot) rm -rf \"$DEVSNAP_REPOSITORY/x\"; cp -a \"$2\" \"$DEVSNAP_REPOSITORY/x\";;\n\
             restore) cp -a \"$DEVSNAP_REPOSITORY/x/.\" \"$4\"; cd \"$4\"; {last};;\n\
             esac\n"
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn results_of(last: &str, trouble: &str) -> Results {
        let work = tempfile::tempdir().unwrap();
        let program = obedient(work.path(), last, trouble);
        let none = "/nonexistent/program";
        let args = Args::parse_from([
            "devsnap-compare",
            "work",
            "--devsnap",
            program.to_str().unwrap(),
            "--restic",
            none,
            "--borg",
            none,
            "--rustic",
            none,
            "--days",
            "2",
        ]);
        let (present, absent) = peers::find(&args);
        assert_eq!((present.len(), absent.len()), (1, 4), "the absent are named");
        let set = PhoneLike { seed: 2, files: 50, total_bytes: 1 << 20 };
        let mut data = Dataset::prepare(set, work.path(), false).unwrap();
        run(2, &args.steps(), &present, &mut data, work.path(), &mut |_| {}).unwrap()
    }

    #[test]
    fn every_step_of_every_run_is_measured() {
        let results = results_of("true", "");

        assert_eq!(results.samples.len(), 2 * (Step::ALL.len() + 1), "two later days in each");
        for sample in &results.samples {
            assert!(matches!(sample.outcome, Outcome::Measured(_)), "{sample:?}");
            assert!(sample.stored_bytes.unwrap() > 1 << 19, "{sample:?}");
        }
    }

    #[test]
    fn a_program_that_makes_no_repository_fails_once_and_does_not_stop_the_others() {
        let results = results_of("true", "no space");

        let Outcome::Failed(why) = &results.samples[0].outcome else { panic!("{results:?}") };
        assert!(why.starts_with("making a repository:") && why.ends_with("no space"), "{why}");
        assert!(matches!(results.samples[1].outcome, Outcome::Skipped));
    }

    #[test]
    fn a_restore_that_differs_is_a_failure_and_later_steps_are_skipped() {
        let results = results_of("touch more", "");

        let outcome =
            |step| &results.samples.iter().find(|sample| sample.step == step).unwrap().outcome;
        let Outcome::Failed(why) = outcome(Step::Restore) else { panic!("{results:?}") };
        assert!(why.contains("more should not be there"), "{why}");
        assert!(matches!(outcome(Step::Check), Outcome::Skipped));
    }
}
