//! The program with nothing of the tester's environment, what it said, and what it must never say.
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The password of test repositories.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A call from `home`, of the repository there, with no password in sight.
pub(crate) fn program(home: &Path, repository: impl AsRef<OsStr>, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devsnap"));
    command.args(words).current_dir(home).stdin(Stdio::null()).env_clear().env("TZ", "UTC");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("DEVSNAP_REPOSITORY", repository);
    command
}

/// A home with a file `password`, and a repository beside it that it opens.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Home {
        let home = Home(tempfile::tempdir().expect("because there is room"));
        fs::write(home.at("password"), format!("{PASSWORD}\n")).expect("because there is room");
        home
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = program(self.0.path(), self.at("repository"), words);
        command.env("DEVSNAP_PASSWORD_FILE", self.at("password"));
        command
    }

    /// Standard output of a call that must end well.
    #[track_caller]
    pub(crate) fn done(&self, words: &[&str]) -> String {
        said_by(self.command(words).output().expect("because it was built"))
    }
}

/// Runs with a standard output that nobody reads.
pub(crate) fn unread(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("because it was built");
    drop(child.stdout.take());
    child.wait_with_output().expect("because it was started")
}

/// Standard output of a call that must end well.
#[track_caller]
pub(crate) fn said_by(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    String::from_utf8(output.stdout).expect("because it prints text")
}

/// One JSON object per line, or it fails.
#[track_caller]
pub(crate) fn objects_of(said: &str) -> Vec<serde_json::Value> {
    said.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
pub(crate) fn ends_with(output: &Output, code: i32, words: &str) {
    let said = err(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(!said.contains(PASSWORD) && !said.contains("panicked"), "{said}");
}
