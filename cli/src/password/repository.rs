//! What opens a repository: its password, or a key that stands in for it.
//!
//! `--recovery-key-file`, `--key-file`, `--password-file`, `--password-command`, `DEVSNAP_KEY_FILE`,
//! `DEVSNAP_PASSWORD`, `DEVSNAP_PASSWORD_FILE`, `DEVSNAP_PASSWORD_COMMAND`, a prompt. A new password
//! comes from `--new-password-file`, `DEVSNAP_NEW_PASSWORD` and so on in the same way.
use super::Password;
use super::places::{Places, Wanted};
use super::read::from_file;
use crate::args::{Global, NewPassword};
use crate::failure::{ExitCode, Failure};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::repository::Unlock;
use devsnap_engine::seal::{RecoveryKey, WriterKey};
use std::path::{Path, PathBuf};

/// What opens a repository.
pub enum Secret {
    /// A password.
    Password(Password),
    /// The key from paper.
    Recovery(RecoveryKey),
    /// A station's.
    Station(Box<WriterKey>),
}

impl Secret {
    /// As the engine takes it.
    pub fn unlock(&self) -> Unlock<'_> {
        match self {
            Secret::Password(password) => Unlock::Password(password),
            Secret::Recovery(key) => Unlock::Recovery(key),
            Secret::Station(key) => Unlock::Station(key),
        }
    }
}

/// The places where the secret of a repository is looked for.
pub struct Sources<'a> {
    /// The flags.
    pub global: &'a Global,
    /// The environment, and who sits there.
    pub places: Places<'a>,
}

impl Sources<'_> {
    /// The secret of a repository that exists.
    ///
    /// # Errors
    ///
    /// There is none; a file or command that was named does not give one.
    pub fn existing(&self) -> Result<Secret, Failure> {
        match self.if_given()? {
            Some(secret) => Ok(secret),
            None => self.places.given_or_typed(&self.password()).map(Secret::Password),
        }
    }

    /// As [`existing`](Self::existing), and nobody is asked.
    ///
    /// # Errors
    ///
    /// A file or command that was named does not give one.
    pub fn if_given(&self) -> Result<Option<Secret>, Failure> {
        if let Some(file) = &self.global.recovery_key_file {
            return recovery_key(file).map(Secret::Recovery).map(Some);
        }
        if let Some(file) = self.key_file() {
            return writer_key(&file).map(|key| Some(Secret::Station(Box::new(key))));
        }
        Ok(self.places.given(&self.password())?.map(Secret::Password))
    }

    /// The writer key that would be taken, if one would.
    pub fn key_file(&self) -> Option<PathBuf> {
        let Global { recovery_key_file, password_file, password_command, key_file, .. } =
            self.global;
        if key_file.is_some() {
            return key_file.clone();
        }
        let others = [recovery_key_file.is_some(), password_file.is_some()];
        if others.contains(&true) || password_command.is_some() {
            return None;
        }
        self.places.set("DEVSNAP_KEY_FILE").map(PathBuf::from)
    }

    /// The password for a new repository, typed twice when it is typed.
    ///
    /// # Errors
    ///
    /// As [`existing`](Self::existing); the two differ.
    pub fn fresh(&self) -> Result<Password, Failure> {
        if self.global.recovery_key_file.is_some() {
            return Err(Failure::usage("a new repository gets a recovery key of its own")
                .hint("leave --recovery-key-file out"));
        }
        if self.global.key_file.is_some() {
            return Err(Failure::usage("a new repository is made with a password")
                .hint("leave --key-file out; `devsnap key writer add` makes writer keys"));
        }
        let wanted = Wanted { name: "new repository password", ..self.password() };
        self.places.given_or_typed_twice(&wanted)
    }

    /// A new password for a repository that exists, typed twice when it is typed.
    ///
    /// # Errors
    ///
    /// As [`fresh`](Self::fresh).
    pub fn new_password(&self, flags: &NewPassword) -> Result<Password, Failure> {
        self.places.given_or_typed_twice(&Wanted {
            name: "new password",
            flag: "new-password",
            file: flags.new_password_file.as_deref(),
            command: flags.new_password_command.as_deref(),
        })
    }

    fn password(&self) -> Wanted<'_> {
        Wanted {
            name: "repository password",
            flag: "password",
            file: self.global.password_file.as_deref(),
            command: self.global.password_command.as_deref(),
        }
    }
}

fn recovery_key(path: &Path) -> Result<RecoveryKey, Failure> {
    let bytes = from_file(path)?;
    let misspelt = || {
        Failure::new(ExitCode::WrongPassword, "this is no recovery key, or it is misspelt")
            .hint("it has 14 groups of 4 letters and digits; the last ones check the others")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| misspelt())?;
    RecoveryKey::from_paper(text).map_err(|_| misspelt())
}

fn writer_key(path: &Path) -> Result<WriterKey, Failure> {
    let bytes = from_file(path)?;
    let refuse = |is_newer: bool| match is_newer {
        true => Failure::new(ExitCode::Failed, "the key file was written by a newer devsnap")
            .hint("use a newer devsnap; nothing was changed"),
        false => Failure::new(
            ExitCode::WrongPassword,
            format!("{} is no writer key, or it was changed", path.display()),
        )
        .hint("`devsnap key writer add` makes one, on a computer that has the password"),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse(false))?;
    WriterKey::from_text(text).map_err(|error| refuse(error.kind() == ErrorKind::TooNew))
}
