//! An iPhone in software, for tests.
mod args;
mod commands;

use args::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

/// What was asked for cannot be done; `replay` has 1 for a host that departs from a recording.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (done, failed) = match &arguments.command {
        Command::Serve(serve) => (commands::serve(serve), ExitCode::FAILURE),
        Command::Generate(generate) => (commands::generate(generate), ExitCode::FAILURE),
        Command::Day(day) => (commands::day(day), ExitCode::FAILURE),
        Command::Points(points) => (commands::points(points), ExitCode::FAILURE),
        Command::Truth(truth) => (commands::truth(truth), ExitCode::FAILURE),
        Command::Parent(parent) => (commands::parent(parent), UNUSABLE.into()),
        Command::Replay(replay) => match commands::replay(replay) {
            Ok(None) => {
                eprintln!("devsnap-simulator: the host said what was recorded, to the end");
                return ExitCode::SUCCESS;
            }
            Ok(Some(divergence)) => {
                eprintln!("devsnap-simulator: {divergence}");
                return ExitCode::FAILURE;
            }
            Err(error) => (Err(error), UNUSABLE.into()),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("devsnap-simulator: {error}");
            failed
        }
    }
}
