//! Where the secret that opens a repository comes from, in order; never from the command line.
//!
//! `--recovery-key-file`, `--password-file`, `--password-command`, `DEVSNAP_PASSWORD`,
//! `DEVSNAP_PASSWORD_FILE`, `DEVSNAP_PASSWORD_COMMAND`, and then a prompt, if somebody sits there.
use crate::args::Global;
use crate::failure::{ExitCode, Failure};
use devsnap_engine::repository::Unlock;
use devsnap_engine::seal::RecoveryKey;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// The longest secret, in bytes: who names a film by mistake gets an answer soon.
const SECRET_LEN_MAX: usize = 64 * 1024;

/// Bytes that are wiped when they are dropped.
pub type Password = Zeroizing<Vec<u8>>;

/// What opens a repository.
pub enum Secret {
    /// A password.
    Password(Password),
    /// The key from paper.
    Recovery(RecoveryKey),
}

impl Secret {
    /// As the engine takes it.
    pub fn unlock(&self) -> Unlock<'_> {
        match self {
            Secret::Password(password) => Unlock::Password(password),
            Secret::Recovery(key) => Unlock::Recovery(key),
        }
    }
}

/// Somebody who can be asked for a password.
pub trait Person {
    /// What they typed after `sentence`; `None` when nobody is there.
    ///
    /// # Errors
    ///
    /// The terminal failed, or they gave up.
    fn ask(&self, sentence: &str) -> Result<Option<Password>, Failure>;
}

/// The places a secret is looked for.
pub struct Sources<'a> {
    /// The flags.
    pub global: &'a Global,
    /// Looks up the environment.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Asked last.
    pub person: &'a dyn Person,
}

impl Sources<'_> {
    /// The secret of a repository that exists.
    ///
    /// # Errors
    ///
    /// There is none; a file or command that was named does not give one.
    pub fn existing(&self) -> Result<Secret, Failure> {
        if let Some(file) = &self.global.recovery_key_file {
            return recovery_key(file).map(Secret::Recovery);
        }
        if let Some(password) = self.named()? {
            return Ok(Secret::Password(password));
        }
        let typed = self.person.ask("Repository password:")?;
        typed.ok_or_else(nobody_to_ask).and_then(not_empty).map(Secret::Password)
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
        if let Some(password) = self.named()? {
            return Ok(password);
        }
        let first = self.person.ask("New repository password:")?;
        let first = first.ok_or_else(nobody_to_ask).and_then(not_empty)?;
        let again = self.person.ask("The same again:")?.ok_or_else(nobody_to_ask)?;
        if *first != *again {
            return Err(Failure::usage("the two passwords differ").hint("nothing was made"));
        }
        Ok(first)
    }

    /// The first password that flags or environment name.
    fn named(&self) -> Result<Option<Password>, Failure> {
        let set = |name| (self.variable)(name).filter(|value| !value.is_empty());
        if let Some(file) = &self.global.password_file {
            return from_file(file).map(Some);
        }
        if let Some(command) = &self.global.password_command {
            return from_command(command).map(Some);
        }
        if let Some(password) = set("DEVSNAP_PASSWORD") {
            return Ok(Some(Zeroizing::new(password.into_vec())));
        }
        if let Some(file) = set("DEVSNAP_PASSWORD_FILE") {
            return from_file(Path::new(&file)).map(Some);
        }
        if let Some(command) = set("DEVSNAP_PASSWORD_COMMAND") {
            return from_command(&command).map(Some);
        }
        Ok(None)
    }
}

fn nobody_to_ask() -> Failure {
    Failure::usage("no password is given and there is no terminal to ask on")
        .hint("use --password-file, --password-command or DEVSNAP_PASSWORD_FILE")
}

fn from_file(path: &Path) -> Result<Password, Failure> {
    let unreadable = |error| {
        Failure::new(ExitCode::Failed, format!("could not read {}: {error}", path.display()))
            .hint("check the password file's name and permissions")
    };
    let file = File::open(path).map_err(unreadable)?;
    capped(file).map_err(unreadable).and_then(one_secret)
}

fn from_command(command: &OsStr) -> Result<Password, Failure> {
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

fn not_empty(password: Password) -> Result<Password, Failure> {
    if password.is_empty() {
        return Err(Failure::usage("the password is empty"));
    }
    Ok(password)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::path::PathBuf;

    /// Answers one after the other, and then nobody is there.
    struct Scripted(RefCell<Vec<&'static str>>);
    impl Person for Scripted {
        fn ask(&self, _: &str) -> Result<Option<Password>, Failure> {
            let mut answers = self.0.borrow_mut();
            let next = (!answers.is_empty()).then(|| answers.remove(0));
            Ok(next.map(|answer| Zeroizing::new(answer.as_bytes().to_vec())))
        }
    }

    struct Fixture {
        global: Global,
        variables: Vec<(&'static str, OsString)>,
        answers: Vec<&'static str>,
    }

    impl Fixture {
        fn sources<T>(&self, ask: impl FnOnce(&Sources<'_>) -> T) -> T {
            let variable = |name: &str| {
                self.variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
            };
            let person = Scripted(RefCell::new(self.answers.clone()));
            ask(&Sources { global: &self.global, variable: &variable, person: &person })
        }
        fn existing(&self) -> Result<String, Failure> {
            self.sources(|sources| match sources.existing()? {
                Secret::Password(password) => Ok(String::from_utf8(password.to_vec()).unwrap()),
                Secret::Recovery(_) => Ok("the recovery key".to_owned()),
            })
        }
    }

    fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn each_source_comes_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let key = RecoveryKey::generate().unwrap().to_paper();
        let mut fixture = Fixture {
            global: Global {
                recovery_key_file: Some(file(&folder, "key", &key)),
                password_file: Some(file(&folder, "flag", "flag file\n")),
                password_command: Some("echo flag command".into()),
                ..Global::default()
            },
            variables: vec![
                ("DEVSNAP_PASSWORD", "variable".into()),
                ("DEVSNAP_PASSWORD_FILE", file(&folder, "env", "env file").into()),
                ("DEVSNAP_PASSWORD_COMMAND", "printf 'env command\\r\\n'".into()),
            ],
            answers: vec!["typed"],
        };
        assert_eq!(fixture.existing().unwrap(), "the recovery key");
        fixture.global.recovery_key_file = None;
        assert_eq!(fixture.existing().unwrap(), "flag file");
        fixture.global.password_file = None;
        assert_eq!(fixture.existing().unwrap(), "flag command");
        fixture.global.password_command = None;
        assert_eq!(fixture.existing().unwrap(), "variable");
        fixture.variables.remove(0);
        assert_eq!(fixture.existing().unwrap(), "env file");
        fixture.variables.remove(0);
        assert_eq!(fixture.existing().unwrap(), "env command");
        fixture.variables.remove(0);
        assert_eq!(fixture.existing().unwrap(), "typed");
        fixture.answers.clear();
        assert_eq!(fixture.existing().unwrap_err().code(), ExitCode::Usage);
    }

    fn nothing_but(answers: &[&'static str]) -> Fixture {
        let answers = answers.to_vec();
        Fixture { global: Global::default(), variables: vec![], answers }
    }

    #[test]
    fn a_new_password_is_typed_twice_and_the_same() {
        let fresh = |answers: &[&'static str]| {
            nothing_but(answers)
                .sources(|sources| sources.fresh().map(|password| password.to_vec()))
        };
        assert_eq!(fresh(&["once", "once"]).unwrap(), b"once");
        assert_eq!(fresh(&["once", "twice"]).unwrap_err().code(), ExitCode::Usage);
        assert_eq!(fresh(&["", ""]).unwrap_err().code(), ExitCode::Usage);
        assert_eq!(fresh(&[]).unwrap_err().code(), ExitCode::Usage);
    }

    #[test]
    fn only_one_newline_at_the_end_is_taken_off() {
        let folder = tempfile::tempdir().unwrap();
        for (written, password) in
            [(" a b \n", " a b "), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r")]
        {
            let mut fixture = nothing_but(&[]);
            fixture.global.password_file = Some(file(&folder, "p", written));
            assert_eq!(fixture.existing().unwrap(), password);
        }
    }

    #[test]
    fn what_gives_no_password_is_refused_and_never_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let long = file(&folder, "long", &"x".repeat(SECRET_LEN_MAX + 1));
        let empty = file(&folder, "empty", "\n");
        let missing = folder.path().join("missing");
        for (path, code) in
            [(long, ExitCode::Usage), (empty, ExitCode::Usage), (missing, ExitCode::Failed)]
        {
            let mut fixture = nothing_but(&["typed"]);
            fixture.global.password_file = Some(path);
            assert_eq!(fixture.existing().unwrap_err().code(), code);
        }
        let mut fixture = nothing_but(&["typed"]);
        fixture.global.password_command = Some("echo hunter2; exit 3".into());
        let failure = fixture.existing().unwrap_err();
        assert_eq!(failure.code(), ExitCode::Failed);
        assert!(!format!("{failure:?}").contains("hunter2"));
    }

    #[test]
    fn a_misspelt_recovery_key_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut fixture = nothing_but(&["typed"]);
        fixture.global.recovery_key_file = Some(file(&folder, "key", "ABCD-EFGH"));
        assert_eq!(fixture.existing().unwrap_err().code(), ExitCode::WrongPassword);
    }
}
