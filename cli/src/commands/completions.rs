//! `devsnap completions`: what a shell needs to complete commands and flags.
use super::Session;
use crate::args::{Cli, CompletionsArgs};
use crate::failure::{ExitCode, Failure};
use clap::CommandFactory;

pub(super) fn run(session: &Session<'_>, args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "devsnap", &mut script);
    session.report.bytes(&script)?;
    Ok(ExitCode::Done)
}
