//! A phone in software beside other hosts: one that keeps nothing, `idevicebackup2`, and that one followed
//! by restic.
//!
//! `benches/README.md`, "A phone", says how to read what it prints.
mod args;
mod drain;
#[path = "../measure.rs"]
mod measure;
mod report;
mod rivals;
mod table;
#[path = "../tree.rs"]
#[allow(dead_code)]
mod tree;

use std::fs;

use anyhow::{Context, Result};
use args::Args;
use clap::Parser;
use rivals::Rival;

fn main() -> Result<()> {
    let args = Args::parse();
    fs::create_dir_all(&args.work).context("making the work folder")?;
    let work = fs::canonicalize(&args.work)?;
    let made = table::generate(&args, &work.join("made"))?;
    println!("phone: {made}");
    let mut rows = Vec::new();
    for rival in Rival::all(&args) {
        eprintln!("{}", rival.name());
        rows.push((rival.name(), rivals::days(rival, &args, &work)?));
    }
    println!("{}", report::text(&rows));
    fs::write(work.join("phone.json"), serde_json::to_vec_pretty(&rows)?)?;
    Ok(())
}
