//! Holds `docs/cli.md` against what clap takes.
use crate::args;
use clap::{Command, CommandFactory};
use std::collections::{BTreeMap, BTreeSet};

const REFERENCE: &str = include_str!("../../../docs/cli.md");

/// Long flags by command; those of every command under `""`.
type Flags = BTreeMap<String, BTreeSet<String>>;

/// What clap knows.
fn taken() -> Flags {
    let mut root = args::Cli::command();
    root.build();
    let mut flags = Flags::new();
    let globals: BTreeSet<String> = long_flags(&root);
    collect(&root, "devsnap", &globals, &mut flags);
    flags.insert(String::new(), globals);
    flags
}

fn collect(command: &Command, name: &str, globals: &BTreeSet<String>, flags: &mut Flags) {
    for below in command.get_subcommands() {
        let name = format!("{name} {}", below.get_name());
        let own = long_flags(below).difference(globals).cloned().collect();
        collect(below, &name, globals, flags);
        flags.insert(name, own);
    }
}

fn long_flags(command: &Command) -> BTreeSet<String> {
    command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned).collect()
}

/// What the reference says: a command per `###` heading, flags in the first cells of its tables.
fn told() -> Flags {
    let mut flags = Flags::new();
    let mut section = None;
    for line in REFERENCE.lines() {
        if line.starts_with('#') {
            section = section_of(line).filter(|name| is_built_in(name));
            if let Some(name) = &section {
                assert!(flags.insert(name.clone(), BTreeSet::new()).is_none(), "twice: {name}");
            }
        }
        let cell = line.strip_prefix("| ").and_then(|row| row.split(" | ").next());
        if let (Some(name), Some(cell)) = (&section, cell) {
            flags.get_mut(name).expect("because it was just put in").extend(flags_in(cell));
        }
    }
    flags
}

/// The reference has all commands, a program perhaps not.
fn is_built_in(command: &str) -> bool {
    cfg!(feature = "demo") || command != "devsnap demo"
}

/// `devsnap snapshot` of ``### `devsnap snapshot PATH` ``.
fn section_of(heading: &str) -> Option<String> {
    if heading == "## Global flags" {
        return Some(String::new());
    }
    let usage = heading.strip_prefix("### `")?.strip_suffix('`')?;
    let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    Some(usage.split(' ').take_while(is_word).collect::<Vec<_>>().join(" "))
}

fn flags_in(cell: &str) -> impl Iterator<Item = String> {
    cell.split("--").skip(1).map(|rest| {
        rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect::<String>()
    })
}

#[test]
fn the_reference_has_every_command_and_flag_and_no_other() {
    assert_eq!(told(), taken());
}

#[test]
fn every_command_teaches_with_an_example() {
    fn every(command: &Command, check: &mut impl FnMut(&Command)) {
        check(command);
        command.get_subcommands().for_each(|below| every(below, check));
    }
    let mut root = args::Cli::command();
    root.build();
    every(&root, &mut |command| {
        let name = command.get_name().to_owned();
        assert!(command.get_about().is_some(), "{name} says what it does");
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{name} {} says what it is for", arg.get_id());
        }
    });
    for command in root.get_subcommands() {
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains(&format!("devsnap {}", command.get_name())), "{help}");
        assert!(help.contains("Example"), "{} has an example", command.get_name());
    }
}

#[test]
fn no_flag_takes_a_password_itself() {
    let told: BTreeSet<String> = taken().into_values().flatten().collect();
    for flag in told.iter().filter(|flag| flag.contains("password") || flag.contains("key")) {
        assert!(flag.ends_with("-file") || flag.ends_with("-command"), "--{flag}");
    }
}

#[test]
fn every_variable_that_clap_reads_stands_in_the_reference() {
    for arg in args::Cli::command().get_arguments() {
        if let Some(name) = arg.get_env().and_then(|name| name.to_str()) {
            assert!(REFERENCE.contains(&format!("| `{name}` |")), "{name}");
            assert!(arg.is_hide_env_values_set(), "--help must not show what {name} is set to");
        }
    }
}
