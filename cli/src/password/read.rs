//! Passwords out of files and commands.
use super::Password;
use crate::failure::{ExitCode, Failure};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// The longest secret, in bytes: who names a film by mistake gets an answer soon.
pub(super) const SECRET_LEN_MAX: usize = 64 * 1024;

/// What a file holds, without the newline at its end.
///
/// # Errors
///
/// It cannot be read, is empty, or is too long to be a secret.
pub(super) fn from_file(path: &Path) -> Result<Password, Failure> {
    let unreadable = |error| {
        Failure::new(ExitCode::Failed, format!("could not read {}: {error}", path.display()))
            .hint("check the password file's name and permissions")
    };
    let file = File::open(path).map_err(unreadable)?;
    capped(file).map_err(unreadable).and_then(one_secret)
}

/// What a command of the shell prints, without the newline at its end.
///
/// # Errors
///
/// It failed, printed nothing, or printed too much for a secret.
pub(super) fn from_command(command: &OsStr) -> Result<Password, Failure> {
    let failed = |what: String| {
        Failure::new(ExitCode::Failed, format!("the password command {what}"))
            .hint("run it by hand to see what it says")
    };
    let child = Command::new("sh").arg("-c").arg(command).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| failed(format!("could not be run: {error}")))?;
    let printed = child.stdout.take().map(capped).transpose();
    let ended = child.wait().map_err(|error| failed(format!("was lost: {error}")))?;
    let printed = printed.map_err(|error| failed(format!("could not be heard: {error}")))?;
    if !ended.success() {
        return Err(failed(format!("failed ({ended})")));
    }
    one_secret(printed.unwrap_or_default())
}

/// Reads at most one byte more than a secret may have.
///
/// The buffer has its final size from the start: one that grew would leave copies behind.
fn capped(mut reader: impl Read) -> std::io::Result<Password> {
    let mut bytes = Zeroizing::new(vec![0; SECRET_LEN_MAX + 1]);
    let mut len = 0;
    while len < bytes.len() {
        match reader.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// Without the newline that editors and `echo` put at the end.
fn one_secret(mut bytes: Password) -> Result<Password, Failure> {
    if bytes.len() > SECRET_LEN_MAX {
        return Err(Failure::usage("the password is longer than 64 KiB; is it the right file?"));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    not_empty(bytes)
}

/// A password that has a byte.
///
/// # Errors
///
/// It has none.
pub(super) fn not_empty(password: Password) -> Result<Password, Failure> {
    if password.is_empty() {
        return Err(Failure::usage("the password is empty"));
    }
    Ok(password)
}
