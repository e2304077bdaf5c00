//! The command line of devsnap: parse, run, exit code.
#![deny(missing_docs)]
// A program exports nothing: `pub` says here what the other rooms of the program may use.
#![allow(unreachable_pub)]
mod args;
mod awake;
mod commands;
mod failure;
mod password;
mod patterns;
mod report;
mod settings;
mod signals;
mod terminal;

use args::{CacheCommand, Cli, Command, KeyCommand};
use clap::Parser;
use commands::Session;
use devsnap_engine::interrupt::Interrupt;
use failure::{ExitCode, Failure};
use report::{Report, Stdout};
use std::io::{self, Write};

fn main() -> std::process::ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    let report = Report::new(&cli.global, stdout_of(&cli.command));
    let ended = run(&cli, &report).and_then(|code| report.flush().map(|()| code));
    let code = ended.unwrap_or_else(|failure| {
        report.fail(&failure);
        failure.code()
    });
    std::process::ExitCode::from(code as u8)
}

fn run(cli: &Cli, report: &Report) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::new();
    signals::watch(&interrupt).map_err(|error| {
        Failure::new(ExitCode::Failed, format!("could not watch for signals: {error}"))
    })?;
    commands::run(&cli.command, &Session::new(&cli.global, report, &interrupt))
}

fn stdout_of(command: &Command) -> Stdout {
    match command {
        Command::Dump(_) | Command::Completions(_) | Command::Man(_) => Stdout::Bytes,
        #[cfg(feature = "demo")]
        Command::Demo(_) => Stdout::Account,
        Command::Snapshot(_)
        | Command::Pair(_)
        | Command::Unpair(_)
        | Command::Restore(_)
        | Command::Forget(_)
        | Command::Check(_)
        | Command::Cache(CacheCommand::Clear) => Stdout::Account,
        Command::Key(what) if !matches!(what, KeyCommand::List | KeyCommand::Recovery) => {
            Stdout::Account
        }
        _ => Stdout::Lines,
    }
}

/// Ends the program over a command line that clap did not take; `--help` is one of those too.
fn refuse(error: &clap::Error) -> ! {
    let wants_json = std::env::args_os().any(|word| word == "--json");
    if !error.use_stderr() || !wants_json {
        error.exit();
    }
    let failure = Failure::usage(in_one_line(&error.to_string()));
    let failure = failure.hint("`devsnap --help` shows the commands and flags");
    let _ = writeln!(io::stdout(), "{}", report::json::error(&failure));
    std::process::exit(i32::from(ExitCode::Usage as u8))
}

/// What clap says before it turns to tips and usage: its lines up to the first empty one, which
/// name the arguments that are missing.
fn in_one_line(said: &str) -> String {
    let lines = said.lines().map(str::trim).take_while(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_in_one_line_names_what_is_missing() {
        let error = Cli::try_parse_from(["devsnap", "restore"]).unwrap_err();
        let line = in_one_line(&error.to_string());
        assert!(line.starts_with("the following required arguments"), "{line}");
        assert!(line.contains("--target") && !line.contains("Usage"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}
