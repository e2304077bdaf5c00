//! Every place, and their order.
use super::read::SECRET_LEN_MAX;
use super::*;
use crate::args::{BackupPasswordArgs, Global, NewBackupPasswordArgs, NewPassword};
use crate::failure::{ExitCode, Failure};
use devsnap_engine::id::RepositoryId;
use devsnap_engine::seal::RootSecret;
use devsnap_engine::seal::{RecoveryKey, WriterKey};
use std::cell::RefCell;
use std::ffi::OsString;
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
    fn places<T>(&self, ask: impl FnOnce(Places<'_>) -> T) -> T {
        let variable = |name: &str| {
            self.variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
        };
        let person = Scripted(RefCell::new(self.answers.clone()));
        ask(Places { variable: &variable, person: &person })
    }
    fn sources<T>(&self, ask: impl FnOnce(&Sources<'_>) -> T) -> T {
        self.places(|places| ask(&Sources { global: &self.global, places }))
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
        nothing_but(answers).sources(|sources| sources.fresh().map(|password| password.to_vec()))
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

fn text(password: Password) -> String {
    String::from_utf8(password.to_vec()).unwrap()
}

#[test]
fn a_backup_password_has_sources_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut fixture = nothing_but(&["typed"]);
    fixture.global.password_file = Some(file(&folder, "repository", "of the repository"));
    fixture.variables = vec![
        ("DEVSNAP_PASSWORD", "of the repository".into()),
        ("DEVSNAP_NEW_BACKUP_PASSWORD", "a new one".into()),
    ];
    let existing = |fixture: &Fixture, flags: &BackupPasswordArgs| {
        fixture.places(|places| BackupSources { places }.existing(flags)).map(text)
    };
    let if_given = |fixture: &Fixture, flags: &BackupPasswordArgs| {
        fixture.places(|places| BackupSources { places }.if_given(flags)).unwrap().map(text)
    };
    let none = BackupPasswordArgs::default();
    assert_eq!(if_given(&fixture, &none), None, "nobody is asked");
    assert_eq!(existing(&fixture, &none).unwrap(), "typed");
    fixture.answers.clear();
    let nobody = existing(&fixture, &none).unwrap_err();
    assert_eq!(nobody.code(), ExitCode::Usage);
    assert!(nobody.message().contains("no backup password is given"), "{nobody:?}");
    assert!(nobody.advice().unwrap().contains("DEVSNAP_BACKUP_PASSWORD_FILE"), "{nobody:?}");
    for (variable, value, password) in [
        ("DEVSNAP_BACKUP_PASSWORD_COMMAND", "echo env command", "env command"),
        ("DEVSNAP_BACKUP_PASSWORD", "variable", "variable"),
    ] {
        fixture.variables.push((variable, value.into()));
        assert_eq!(if_given(&fixture, &none).unwrap(), password);
        assert_eq!(existing(&fixture, &none).unwrap(), password);
    }
    let flags = BackupPasswordArgs {
        backup_password_command: Some("printf ' as typed \\n'".into()),
        ..BackupPasswordArgs::default()
    };
    assert_eq!(if_given(&fixture, &flags).unwrap(), " as typed ");
    let flags = BackupPasswordArgs {
        backup_password_file: Some(file(&folder, "backup", "Füße 🦶\n")),
        ..BackupPasswordArgs::default()
    };
    assert_eq!(if_given(&fixture, &flags).unwrap(), "Füße 🦶");
}

#[test]
fn a_new_backup_password_is_typed_twice_or_given() {
    let fresh = |fixture: &Fixture, flags: &NewBackupPasswordArgs| {
        fixture.places(|places| BackupSources { places }.fresh(flags)).map(text)
    };
    let none = NewBackupPasswordArgs::default();
    let mut fixture = nothing_but(&["once", "once"]);
    fixture.variables = vec![("DEVSNAP_BACKUP_PASSWORD", "the old one".into())];
    assert_eq!(fresh(&fixture, &none).unwrap(), "once");
    fixture.answers = vec!["once", "twice"];
    assert_eq!(fresh(&fixture, &none).unwrap_err().code(), ExitCode::Usage);
    fixture.answers.clear();
    let nobody = fresh(&fixture, &none).unwrap_err();
    assert!(nobody.advice().unwrap().contains("--new-backup-password-file"), "{nobody:?}");
    fixture.variables.push(("DEVSNAP_NEW_BACKUP_PASSWORD_COMMAND", "echo new".into()));
    assert_eq!(fresh(&fixture, &none).unwrap(), "new");
}
