//! Where the secret that opens a repository comes from, in order; never from the command line.
//!
//! `--recovery-key-file`, `--key-file`, `--password-file`, `--password-command`, `DEVSNAP_KEY_FILE`,
//! `DEVSNAP_PASSWORD`, `DEVSNAP_PASSWORD_FILE`, `DEVSNAP_PASSWORD_COMMAND`, and then a prompt, if
//! somebody sits there. A new password comes from `--new-password-file`, `--new-password-command`,
//! `DEVSNAP_NEW_PASSWORD` and so on in the same way.
use crate::args::{Global, NewPassword};
use crate::failure::{ExitCode, Failure};
use devsnap_engine::error::ErrorKind;
use devsnap_engine::repository::Unlock;
use devsnap_engine::seal::{RecoveryKey, WriterKey};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
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
        if let Some(file) = self.key_file() {
            return writer_key(&file).map(|key| Secret::Station(Box::new(key)));
        }
        if let Some(password) = self.named()? {
            return Ok(Secret::Password(password));
        }
        let typed = self.person.ask("Repository password:")?;
        typed.ok_or_else(nobody_to_ask).and_then(not_empty).map(Secret::Password)
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
        self.set("DEVSNAP_KEY_FILE").map(PathBuf::from)
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
        match self.named()? {
            Some(password) => Ok(password),
            None => self.typed_twice("New repository password:", nobody_to_ask),
        }
    }

    /// A new password for a repository that exists, typed twice when it is typed.
    ///
    /// # Errors
    ///
    /// As [`fresh`](Self::fresh).
    pub fn new_password(&self, flags: &NewPassword) -> Result<Password, Failure> {
        let file = flags.new_password_file.as_deref();
        let command = flags.new_password_command.as_deref();
        match self.first_of(file, command, "DEVSNAP_NEW_PASSWORD")? {
            Some(password) => Ok(password),
            None => self.typed_twice("New password:", nobody_to_ask_for_new),
        }
    }

    fn typed_twice(&self, sentence: &str, nobody: fn() -> Failure) -> Result<Password, Failure> {
        let first = self.person.ask(sentence)?.ok_or_else(nobody).and_then(not_empty)?;
        let again = self.person.ask("The same again:")?.ok_or_else(nobody)?;
        if *first != *again {
            return Err(Failure::usage("the two passwords differ").hint("nothing was changed"));
        }
        Ok(first)
    }

    /// The first password that flags or environment name.
    fn named(&self) -> Result<Option<Password>, Failure> {
        let Global { password_file, password_command, .. } = self.global;
        self.first_of(password_file.as_deref(), password_command.as_deref(), "DEVSNAP_PASSWORD")
    }

    /// The password of a file, of a command, or of the variable and its two companions.
    fn first_of(
        &self,
        file: Option<&Path>,
        command: Option<&OsStr>,
        variable: &str,
    ) -> Result<Option<Password>, Failure> {
        if let Some(file) = file {
            return from_file(file).map(Some);
        }
        if let Some(command) = command {
            return from_command(command).map(Some);
        }
        if let Some(password) = self.set(variable) {
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

    fn set(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }
}

fn nobody_to_ask() -> Failure {
    Failure::usage("no password is given and there is no terminal to ask on")
        .hint("use --password-file, --password-command or DEVSNAP_PASSWORD_FILE")
}

fn nobody_to_ask_for_new() -> Failure {
    Failure::usage("no new password is given and there is no terminal to ask on")
        .hint("use --new-password-file, --new-password-command or DEVSNAP_NEW_PASSWORD_FILE")
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

#[cfg(test)]
mod tests {
    use super::*;
    use devsnap_engine::id::RepositoryId;
    use devsnap_engine::seal::RootSecret;
    use std::cell::RefCell;

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
                Secret::Station(_) => Ok("the writer key".to_owned()),
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
        let root = RootSecret::from_bytes([7; 32]);
        let writer = WriterKey::generate(RepositoryId::from_bytes([1; 16]), &root).unwrap();
        let writer = file(&folder, "writer", &writer.to_text("hall"));
        fixture.global.key_file = Some(writer.clone());
        assert_eq!(fixture.existing().unwrap(), "the writer key");
        fixture.global.key_file = None;
        fixture.variables.insert(0, ("DEVSNAP_KEY_FILE", writer.into()));
        assert_eq!(fixture.existing().unwrap(), "flag file");
        fixture.global.password_file = None;
        assert_eq!(fixture.existing().unwrap(), "flag command");
        fixture.global.password_command = None;
        assert_eq!(fixture.existing().unwrap(), "the writer key");
        fixture.variables.remove(0);
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
    fn a_new_password_has_sources_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut fixture = nothing_but(&["typed", "typed"]);
        fixture.global.password_file = Some(file(&folder, "old", "old"));
        fixture.variables = vec![("DEVSNAP_PASSWORD", "old".into())];
        let given = |fixture: &Fixture, flags: &NewPassword| {
            let password = fixture.sources(|sources| sources.new_password(flags));
            password.map(|password| String::from_utf8(password.to_vec()).unwrap())
        };
        let none = NewPassword::default();
        assert_eq!(given(&fixture, &none).unwrap(), "typed");
        fixture.answers = vec!["typed", "otherwise"];
        assert_eq!(given(&fixture, &none).unwrap_err().code(), ExitCode::Usage);
        fixture.answers.clear();
        let nobody = given(&fixture, &none).unwrap_err();
        assert_eq!(nobody.code(), ExitCode::Usage);
        assert!(nobody.advice().unwrap().contains("--new-password-file"));
        fixture.variables.push(("DEVSNAP_NEW_PASSWORD_COMMAND", "echo new command".into()));
        assert_eq!(given(&fixture, &none).unwrap(), "new command");
        fixture.variables.push(("DEVSNAP_NEW_PASSWORD", "new".into()));
        assert_eq!(given(&fixture, &none).unwrap(), "new");
        let flags = NewPassword {
            new_password_file: Some(file(&folder, "new", "new file\n")),
            ..NewPassword::default()
        };
        assert_eq!(given(&fixture, &flags).unwrap(), "new file");
    }

    #[test]
    fn what_is_no_writer_key_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for (text, code) in [
            ("devsnap writer key 1\n00\n", ExitCode::WrongPassword),
            ("a password\n", ExitCode::WrongPassword),
            ("devsnap writer key 9\n00\n", ExitCode::Failed),
        ] {
            let mut fixture = nothing_but(&["typed"]);
            fixture.global.key_file = Some(file(&folder, "key", text));
            assert_eq!(fixture.existing().unwrap_err().code(), code, "{text}");
        }
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
