//! `devsnap encryption`: the password that a device encrypts its backups with.
mod change;
mod status;
mod verify;

use crate::args::EncryptionCommand;
use crate::commands::Session;
use crate::failure::{ExitCode, Failure};

pub(in crate::commands) fn run(
    session: &Session<'_>,
    what: &EncryptionCommand,
) -> Result<ExitCode, Failure> {
    match what {
        EncryptionCommand::Status(choice) => status::run(session, choice),
        EncryptionCommand::On(args) => change::on(session, args),
        EncryptionCommand::Off(args) => change::off(session, args),
        EncryptionCommand::ChangePassword(args) => change::change_password(session, args),
        EncryptionCommand::Verify(args) => verify::run(session, args),
    }
}
