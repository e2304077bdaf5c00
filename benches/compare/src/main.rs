//! Side by side with other backup programs, as processes, in one run.
//!
//! `benches/README.md` says how to use it and how to read what it prints.
mod args;
mod dataset;
mod measure;
mod noise;
mod peers;
mod report;
mod rounds;
mod tree;

use std::{fs, process::ExitCode, thread};

use anyhow::{Context, Result, ensure};
use args::Args;
use clap::Parser;
use dataset::Dataset;
use devsnap_testkit::phone_like::PhoneLike;
use report::{Program, Report};

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    fs::create_dir_all(&args.work).context("making the work folder")?;
    // Peers run inside other folders, so a relative path would mean another place to each.
    let work = fs::canonicalize(&args.work)?;
    let (present, not_run) = peers::find(&args);
    for absent in &not_run {
        eprintln!("NOT RUN: {}: {}", absent.name, absent.reason);
    }
    ensure!(!present.is_empty(), "there is no program to run");

    let set = PhoneLike { seed: args.seed, files: args.files, total_bytes: args.bytes.as_u64() };
    let mut data = Dataset::prepare(set, &work, args.fresh)?;
    let described = format!(
        "{} files, {:.1}, seed {}, {} days old at the start",
        set.files, args.bytes, set.seed, data.day
    );
    eprintln!("set: {described}");
    let peak_floor_bytes = measure::floor(&work.join("floor.log"))?;
    let set_bytes = tree::size(&data.dir)?;
    let mut say = |what: &str| eprintln!("{what}");
    let results = rounds::run(args.runs, &args.steps(), &present, &mut data, &work, &mut say)?;

    let programs = present
        .into_iter()
        .map(|p| Program { name: p.peer.name(), version: p.version, settings: p.peer.settings() })
        .collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let report = Report {
        programs,
        not_run,
        set: described,
        set_bytes,
        runs: args.runs,
        cores,
        peak_floor_bytes,
        results,
    };
    let json = args.json.unwrap_or_else(|| work.join("compare.json"));
    fs::write(&json, serde_json::to_vec_pretty(&report)?)
        .with_context(|| format!("writing {}", json.display()))?;
    println!("{}", report.text());
    println!("all samples: {}", json.display());
    Ok(if report.all_went_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
