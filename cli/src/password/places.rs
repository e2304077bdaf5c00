//! The places that all passwords have in common.
use super::Password;
use super::read::{from_command, from_file, not_empty};
use crate::failure::Failure;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Somebody who can be asked for a password.
pub trait Person {
    /// What they typed after `sentence`; `None` when nobody is there.
    ///
    /// # Errors
    ///
    /// The terminal failed, or they gave up.
    fn ask(&self, sentence: &str) -> Result<Option<Password>, Failure>;
}

/// What is around the program, where a password may be.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// Looks up the environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Asked last.
    pub person: &'a dyn Person,
}

/// One of the passwords there are: what it is called, and what the command line names for it.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// E.g. `backup password`.
    pub(super) name: &'static str,
    /// What stands between `--` and `-file`; in capitals behind `DEVSNAP_` the variable.
    pub(super) flag: &'static str,
    /// The file that a flag names.
    pub(super) file: Option<&'a Path>,
    /// The command that a flag names.
    pub(super) command: Option<&'a OsStr>,
}

impl Wanted<'_> {
    /// The variable that may hold it; two others, with an ending, name a file or a command.
    fn variable(&self) -> String {
        format!("DEVSNAP_{}", self.flag.replace('-', "_").to_ascii_uppercase())
    }

    /// E.g. `New backup password:`.
    fn question(&self) -> String {
        let mut question = format!("{}:", self.name);
        question[..1].make_ascii_uppercase();
        question
    }

    fn nobody_to_ask(&self) -> Failure {
        let Wanted { name, flag, .. } = self;
        let variable = self.variable();
        Failure::usage(format!("no {name} is given and there is no terminal to ask on"))
            .hint(format!("use --{flag}-file, --{flag}-command or {variable}_FILE"))
    }
}

impl Places<'_> {
    /// The first that flags or environment name. Nobody is asked.
    ///
    /// # Errors
    ///
    /// A file or command that was named does not give one.
    pub(super) fn given(&self, wanted: &Wanted<'_>) -> Result<Option<Password>, Failure> {
        if let Some(file) = wanted.file {
            return from_file(file).map(Some);
        }
        if let Some(command) = wanted.command {
            return from_command(command).map(Some);
        }
        let variable = wanted.variable();
        if let Some(password) = self.set(&variable) {
            return Ok(Some(Zeroizing::new(password.into_vec())));
        }
        if let Some(file) = self.set(&format!("{variable}_FILE")) {
            return from_file(Path::new(&file)).map(Some);
        }
        if let Some(command) = self.set(&format!("{variable}_COMMAND")) {
            return from_command(&command).map(Some);
        }
        Ok(None)
    }

    /// As [`given`](Self::given); typed when it is not given.
    ///
    /// # Errors
    ///
    /// As there; nobody is there to be asked.
    pub(super) fn given_or_typed(&self, wanted: &Wanted<'_>) -> Result<Password, Failure> {
        match self.given(wanted)? {
            Some(password) => Ok(password),
            None => self.typed(wanted, &wanted.question()),
        }
    }

    /// As [`given_or_typed`](Self::given_or_typed); typed twice, since what is mistyped here opens
    /// nothing later.
    ///
    /// # Errors
    ///
    /// As there; the two differ.
    pub(super) fn given_or_typed_twice(&self, wanted: &Wanted<'_>) -> Result<Password, Failure> {
        if let Some(password) = self.given(wanted)? {
            return Ok(password);
        }
        let first = self.typed(wanted, &wanted.question())?;
        let again = self.person.ask("The same again:")?.ok_or_else(|| wanted.nobody_to_ask())?;
        if *first != *again {
            return Err(Failure::usage("the two passwords differ").hint("nothing was changed"));
        }
        Ok(first)
    }

    fn typed(&self, wanted: &Wanted<'_>, question: &str) -> Result<Password, Failure> {
        let typed = self.person.ask(question)?;
        typed.ok_or_else(|| wanted.nobody_to_ask()).and_then(not_empty)
    }

    /// A variable that is set; one that is empty is not.
    pub(super) fn set(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }
}
