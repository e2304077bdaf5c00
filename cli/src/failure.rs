//! From what a crate reports to what a person reads: one line, what to do, and the exit code.
mod device;
mod logical;
mod received;

use devsnap_backends::OpenError;
use devsnap_engine::backend::BackendErrorKind;
use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::snapshot::SelectError;
use std::error::Error as StdError;
use std::io;

use crate::report::escaped;
pub use device::device_kind;
pub use received::Received;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// All is done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line or the environment cannot be meant so.
    Usage = 2,
    /// It is done, but not everything is as it should be.
    Incomplete = 3,
    /// There is no repository.
    NoRepository = 10,
    /// Neither password nor recovery key opens the repository.
    WrongPassword = 12,
    /// The storage, this computer's disk or a device is full.
    NoSpace = 20,
    /// No such device is attached, or it does not trust this computer.
    NoDevice = 21,
    /// The device is locked, or nobody entered its passcode.
    Locked = 22,
    /// The device's management, its settings or its state forbid it.
    Refused = 24,
    /// The backup password is wrong or missing.
    WrongBackupPassword = 25,
    /// Stored data is damaged.
    Damaged = 26,
    /// The person stopped it.
    Interrupted = 130,
}

impl ExitCode {
    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            ExitCode::Done => "done",
            ExitCode::Failed => "failed",
            ExitCode::Usage => "usage",
            ExitCode::Incomplete => "incomplete",
            ExitCode::NoRepository => "no-repository",
            ExitCode::WrongPassword => "wrong-password",
            ExitCode::NoSpace => "no-space",
            ExitCode::NoDevice => "no-device",
            ExitCode::Locked => "locked",
            ExitCode::Refused => "refused",
            ExitCode::WrongBackupPassword => "wrong-backup-password",
            ExitCode::Damaged => "damaged",
            ExitCode::Interrupted => "interrupted",
        }
    }
}

/// Why a command ended early: a line for people, advice, an exit code, and what a device had sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    code: ExitCode,
    message: String,
    advice: Option<String>,
    received: Option<Received>,
    silent: bool,
}

impl Failure {
    /// A failure told in one line; whatever could move a terminal's cursor is escaped.
    pub fn new(code: ExitCode, message: impl AsRef<str>) -> Self {
        let message = escaped(message.as_ref());
        Failure { code, message, advice: None, received: None, silent: false }
    }

    /// A command line or environment that cannot be meant so.
    pub fn usage(message: impl AsRef<str>) -> Self {
        Failure::new(ExitCode::Usage, message)
    }

    /// Whoever read our output has gone: no failure to speak of.
    pub fn reader_gone() -> Self {
        Failure { silent: true, ..Failure::new(ExitCode::Done, "nobody reads the output") }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds what a device had sent before, if it had.
    #[must_use]
    pub fn after(mut self, received: Received) -> Self {
        if self.code == ExitCode::Interrupted && received.is_of_use() != Some(true) {
            self.advice = Some("run it again when it suits; it begins anew".to_owned());
        }
        self.received = (!received.is_nothing()).then_some(received);
        self
    }

    /// Says which of several it is about.
    #[must_use]
    pub fn of(mut self, which: &str) -> Self {
        self.message = format!("{}: {}", escaped(which), self.message);
        self
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        self.code
    }

    /// The line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }

    /// What a device had sent before, in vain.
    pub fn received(&self) -> Option<&Received> {
        self.received.as_ref()
    }

    /// Whether nothing should be printed.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Writing to standard output failed.
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::reader_gone(),
            io::ErrorKind::StorageFull => {
                Failure::new(ExitCode::NoSpace, format!("could not write the output: {error}"))
            }
            _ => Failure::new(ExitCode::Failed, format!("could not write the output: {error}")),
        }
    }

    /// Reading a verified stream failed: the engine's own error stands inside.
    pub fn reading(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(inner) => inner.into(),
            Err(error) => Failure::new(ExitCode::Failed, format!("could not read: {error}")),
        }
    }
}

/// The error and its causes in one line, a cause that says what was just said left out.
fn with_causes(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !line.ends_with(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        cause = inner.source();
    }
    line
}

/// What the caller can act on: a source that stopped because of the engine has the engine's kind.
fn acting_kind(error: &Error) -> ErrorKind {
    let mut cause = error.source();
    while let (ErrorKind::SourceFailed, Some(inner)) = (error.kind(), cause) {
        if let Some(engine) = inner.downcast_ref::<Error>() {
            return engine.kind();
        }
        cause = inner.source();
    }
    error.kind()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Some(of_device) = device::in_error(&error) {
            return of_device;
        }
        let kind = acting_kind(&error);
        let failure = Failure::new(code_of(kind), with_causes(&error));
        match advice_of(kind) {
            Some(advice) => failure.hint(advice),
            None => failure,
        }
    }
}

fn code_of(kind: ErrorKind) -> ExitCode {
    match kind {
        ErrorKind::Damaged | ErrorKind::RolledBack => ExitCode::Damaged,
        ErrorKind::WrongPassword | ErrorKind::WrongKey => ExitCode::WrongPassword,
        ErrorKind::NoRepository => ExitCode::NoRepository,
        ErrorKind::NoSpace => ExitCode::NoSpace,
        ErrorKind::Interrupted => ExitCode::Interrupted,
        _ => ExitCode::Failed,
    }
}

fn advice_of(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Damaged => "run `devsnap check --read-data` to see what is affected",
        ErrorKind::WrongPassword => {
            "try again; if the password is lost, open with --recovery-key-file"
        }
        ErrorKind::WrongKey => {
            "name this repository's key file with --key-file or DEVSNAP_KEY_FILE; \
             `devsnap key writer add` makes one"
        }
        ErrorKind::Fenced => "run the same command again; what was stored is found",
        ErrorKind::NotFound => "`devsnap snapshots` and `devsnap ls SNAP` show what is there",
        ErrorKind::NoRepository => "check --repo, or make a repository there with `devsnap init`",
        ErrorKind::AlreadyExists => "choose another place; nothing was changed",
        ErrorKind::Conflict => "see with `devsnap key list` what holds, and run it again",
        ErrorKind::RolledBack => {
            "somebody put an old copy there; if that was you, `devsnap cache clear` forgets the rest"
        }
        ErrorKind::NoSpace => "free some space and run the same command again; it continues",
        ErrorKind::Denied => "check permissions and credentials",
        ErrorKind::Archived => {
            "have the storage bring the repository's objects back from its archive (S3: \
             `restore-object`), and run the same command again"
        }
        ErrorKind::Unreachable => "check the connection and run the same command again",
        ErrorKind::TooNew => "use a newer devsnap; nothing was changed",
        ErrorKind::CacheFolder => "name another folder with --cache-dir or DEVSNAP_CACHE_DIR",
        ErrorKind::Interrupted => "what was stored is kept; the same command continues there",
        _ => return None,
    })
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let line = with_causes(&error);
        match error {
            OpenError::NoFolder { .. } => Failure::new(ExitCode::NoRepository, line)
                .hint("check --repo, or make a repository there with `devsnap init`"),
            OpenError::Folder { kind: BackendErrorKind::NoSpace, .. } => {
                Failure::new(ExitCode::NoSpace, line).hint("free some space")
            }
            OpenError::Folder { kind: BackendErrorKind::Denied, .. } => {
                Failure::new(ExitCode::Failed, line).hint("check the folder's permissions")
            }
            OpenError::Settings(_) => Failure::usage(line),
            _ => Failure::new(ExitCode::Failed, line),
        }
    }
}

impl From<SelectError> for Failure {
    fn from(error: SelectError) -> Self {
        let code = match error {
            SelectError::NoMoment(_) => ExitCode::Usage,
            _ => ExitCode::Failed,
        };
        let failure = Failure::new(code, error.to_string());
        match error {
            SelectError::NoMoment(_) => failure,
            SelectError::NoneAtAll => failure.hint("make one with `devsnap snapshot PATH`"),
            SelectError::SeveralOf { .. } => failure.hint("use the UDID or the folder before @"),
            SelectError::SeveralIds { .. } => failure.hint("type more digits of the id"),
            _ => failure.hint("`devsnap snapshots` lists them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_engine::source::SourceError;

    #[test]
    fn every_kind_a_caller_can_act_on_has_its_exit_code() {
        for (kind, code) in [
            (ErrorKind::NoRepository, 10),
            (ErrorKind::WrongPassword, 12),
            (ErrorKind::NoSpace, 20),
            (ErrorKind::Damaged, 26),
            (ErrorKind::Interrupted, 130),
            (ErrorKind::NotFound, 1),
            (ErrorKind::TooNew, 1),
            (ErrorKind::Conflict, 1),
            (ErrorKind::RolledBack, 26),
            (ErrorKind::Unreachable, 1),
        ] {
            let failure = Failure::from(Error::new(kind, "reading pack 3f2a9c01"));
            assert_eq!(failure.code() as u8, code, "{kind:?}");
            assert!(failure.advice().is_some(), "{kind:?}");
        }
    }

    #[test]
    fn who_stops_is_told_that_it_goes_on_only_where_something_is_of_use() {
        let advice = |received: Received| {
            let stopped = Failure::from(Error::new(ErrorKind::Interrupted, "stopping as asked"));
            stopped.after(received).advice().map(str::to_owned).unwrap_or_default()
        };
        let came = Received { files: 2, bytes: 2048, ..Received::default() };
        assert!(advice(came).contains("begins anew"));
        let stored = Received { bytes_stored: 1024, ..came };
        assert!(advice(stored).contains("continues there"));
        assert!(advice(Received { encrypted: true, ..stored }).contains("begins anew"));
    }

    #[test]
    fn a_source_that_was_asked_to_stop_counts_as_interrupted() {
        let asked = Error::new(ErrorKind::Interrupted, "stopping as asked");
        let stopped = Error::new(ErrorKind::SourceFailed, "reading the folder")
            .because(SourceError(Box::new(asked)));
        assert_eq!(Failure::from(stopped).code(), ExitCode::Interrupted);

        let refused = Error::new(ErrorKind::SourceFailed, "reading the folder")
            .because(SourceError(Box::new(io::Error::from(io::ErrorKind::PermissionDenied))));
        assert_eq!(Failure::from(refused).code(), ExitCode::Failed);
    }

    #[test]
    fn a_failure_is_one_line_and_cannot_move_the_cursor() {
        let cause = io::Error::other("a\x1b[2Jb\nc");
        let error = Error::local("writing \u{9b}2J", cause);
        let failure = Failure::from(error);
        assert!(!failure.message().chars().any(char::is_control), "{failure:?}");
        assert!(failure.message().contains("a\\u{1b}[2Jb\\nc"));
    }

    #[test]
    fn damage_met_while_reading_a_file_is_damage() {
        let damaged = Error::new(ErrorKind::Damaged, "reading blob 00");
        let failure = Failure::reading(io::Error::other(damaged));
        assert_eq!(failure.code(), ExitCode::Damaged);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::output(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.is_silent());
        assert_eq!(failure.code(), ExitCode::Done);
    }

    #[test]
    fn every_exit_code_stands_in_the_reference() {
        const REFERENCE: &str = include_str!("../../docs/cli.md");
        for code in [
            ExitCode::Done,
            ExitCode::Failed,
            ExitCode::Usage,
            ExitCode::Incomplete,
            ExitCode::NoRepository,
            ExitCode::WrongPassword,
            ExitCode::NoSpace,
            ExitCode::NoDevice,
            ExitCode::Locked,
            ExitCode::Refused,
            ExitCode::WrongBackupPassword,
            ExitCode::Damaged,
            ExitCode::Interrupted,
        ] {
            let row = format!("| {} | `{}` |", code as u8, code.word());
            assert!(REFERENCE.contains(&row), "{row}");
        }
    }
}
