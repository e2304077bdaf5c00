//! The command line. `docs/simulator.md` shows it at work.
mod contents;
mod faults;
mod replay;
mod serve;

use clap::{Parser, Subcommand};
pub(crate) use contents::{Day, Generate, Points, TruthOf};
pub(crate) use replay::{Parent, Replay};
pub(crate) use serve::Serve;

/// iPhones in software, for tests: unmodified clients pair with them, back them up and restore them.
#[derive(Debug, Parser)]
#[command(name = "devsnap-simulator", version, max_term_width = 100)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "A phone of your own, backed up by whichever client, on two days:\n  \
    devsnap-simulator generate --state /tmp/table --files 500 --bytes 50MiB\n  \
    devsnap-simulator serve --state /tmp/table --ready-file /tmp/table.address &\n  \
    export $(cat /tmp/table.address)\n  \
    idevicepair pair && idevicebackup2 backup --full /tmp/backup\n  \
    devsnap-simulator day --state /tmp/table\n  \
    idevicebackup2 backup /tmp/backup\n  \
    devsnap-simulator truth --state /tmp/table\n\n\
    What a phone is thought to have said is in docs/device-protocol.md; more of this in\n\
    docs/simulator.md.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Attaches phones to a usbmuxd of its own, until it is told to end.
    ///
    /// Prints USBMUXD_SOCKET_ADDRESS=127.0.0.1:PORT once clients can connect. Set that variable for
    /// idevicebackup2, pymobiledevice3 or devsnap, and they see the phones.
    #[command(after_help = "Examples:\n  devsnap-simulator serve --phones 3 --network\n  \
        devsnap-simulator serve --state /tmp/table --passcode entered:5\n  \
        devsnap-simulator serve --cut com.apple.mobilebackup2@stage:moving --verbose")]
    Serve(Box<Serve>),
    /// Puts contents on a phone: its first point in time.
    ///
    /// Domains, folders, files, links and attributes in the proportions of a phone in use, all drawn
    /// from a seed. Bytes are stored nowhere: each file's follow from the seed, and its SHA-256
    /// stands in the truth. `serve --state` with the same folder serves it.
    #[command(after_help = "Examples:\n  \
        devsnap-simulator generate --state /tmp/table\n  \
        devsnap-simulator generate --state /tmp/table --files 20000 --bytes 2GiB --seed 7")]
    Generate(Generate),
    /// Lets days pass on a phone, each its next point in time.
    ///
    /// Half of the databases change in place or grow, photos come, files are changed, deleted,
    /// renamed and touched, and one changes without a trace in its time, which no incremental backup
    /// can see. A phone that is being served notices at its next backup.
    #[command(after_help = "Examples:\n  devsnap-simulator day --state /tmp/table\n  \
        devsnap-simulator day --state /tmp/table --days 5 --openly")]
    Day(Day),
    /// Lists the points in time of a phone, and the backups that were made of it.
    #[command(after_help = "Example:\n  devsnap-simulator points --state /tmp/table")]
    Points(Points),
    /// Writes what is on a phone, or what a backup of it holds, as JSON.
    ///
    /// One object, whose `items` have domain, relativePath, kind, mode, mtime (seconds since 1970),
    /// size and sha256 each, among others. A backup holds what the phone wrote down when it ended:
    /// after incremental ones not always what is on the phone.
    #[command(
        after_help = "Examples:\n  devsnap-simulator truth --state /tmp/table > now.json\n  \
        devsnap-simulator truth --state /tmp/table --point 0 --output first.json\n  \
        devsnap-simulator truth --state /tmp/table --backup latest"
    )]
    Truth(TruthOf),
    /// Plays the phone's part of a recording, and tells where a host first departs from it.
    ///
    /// `devsnap snapshot --record FILE` makes recordings, of real phones too; docs/recordings.md
    /// says what is in one. Contents are made up in the recorded lengths. Exit code 0: the host said
    /// what was recorded, to the end; 1: it did not, and both sides are shown; 2: the recording or
    /// the command line cannot be used.
    ///
    /// With a COMMAND, that is run as the host, with USBMUXD_SOCKET_ADDRESS set. Without, the address
    /// is printed, and a host is waited for.
    #[command(after_help = "Examples:\n  \
        devsnap-simulator replay anna.jsonl -- devsnap --repo /tmp/r snapshot\n  \
        devsnap-simulator replay anna.jsonl --idle 300")]
    Replay(Replay),
    /// Makes up what the host had before a recorded incremental session: a backup folder.
    ///
    /// Snapshot it first, in a repository of its own, and the recorded session has its parent:
    /// names and lengths are those that the host told the phone, contents are made up.
    #[command(after_help = "Example:\n  \
        devsnap-simulator parent anna.jsonl /tmp/before\n  \
        devsnap --repo /tmp/r init && devsnap --repo /tmp/r snapshot /tmp/before/*\n  \
        devsnap-simulator replay anna.jsonl -- devsnap --repo /tmp/r snapshot")]
    Parent(Parent),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_teaches_with_an_example() {
        let mut root = Arguments::command();
        root.build();
        for command in root.get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example") && help.contains("devsnap-simulator "), "{help}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{}: {}", help, argument.get_id());
            }
        }
    }
}
