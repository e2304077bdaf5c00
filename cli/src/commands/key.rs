//! `devsnap key`: who may do what. Each change says what it does not take back.
use super::Session;
use super::init::{shown, unheard};
use crate::args::{
    AddKeyArgs, AddWriterArgs, KeyCommand, NewPassword, RemoveKeyArgs, WriterCommand,
};
use crate::failure::{ExitCode, Failure};
use crate::password::Password;
use crate::report::text::{Column, moment, table};
use crate::report::{escaped, json};
use devsnap_engine::node::Time;
use devsnap_engine::repository::{KeyEntry, KeyKind, Keyring};
use devsnap_engine::seal::{KdfCost, RecoveryKey};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Of a password or recovery key that was removed or replaced.
const COPIES_OPEN: &str = "Not taken back: whoever opened the repository with it may have kept its \
    secrets, and copies of the repository made before still open with it. `devsnap key rotate` \
    keeps new sessions from them; only a new repository keeps everything from them.";

/// Of a password that was changed.
const ONLY_REWRAPPED: &str = "Not taken back: this only wraps the same secrets anew. Copies of the \
    repository made before still open with the old password, and whoever kept the secrets needs \
    no password.";

/// Of a recipient that was replaced.
const ONLY_NEW_SESSIONS: &str = "Not taken back: what is stored already opens with the secrets as \
    they were, and the index (devices, times, sizes) of new sessions too. Sessions that are running \
    now end with the old key. Only a new repository keeps everything from who kept the secrets.";

/// Of a writer key that was removed.
const STATION_KNOWS: &str = "Not taken back: its snapshots stay, and the file still opens the index \
    (devices, times, sizes). Take the station's access to the storage away too: who can write \
    there and has the file can still sign as it.";

/// Of a key that was added.
const ADDED: &str = "It opens everything, and what was opened with it once cannot be taken back.";

/// Of a writer key that was made.
const STATION_MAY: &str = "Whoever has the file, and access to the storage, can add snapshots, see \
    devices, times and sizes, and tell whether a content they already have is stored. It reads no \
    contents and no names of files, and forgets nothing.";

pub(super) fn run(session: &Session<'_>, what: &KeyCommand) -> Result<ExitCode, Failure> {
    match what {
        KeyCommand::List => list(session),
        KeyCommand::Add(args) => add(session, args),
        KeyCommand::Remove(args) => remove(session, args),
        KeyCommand::Passwd(new) => change_password(session, new),
        KeyCommand::Recovery => recovery(session),
        KeyCommand::Rotate => rotate(session),
        KeyCommand::Writer(WriterCommand::Add(args)) => add_station(session, args),
    }?;
    Ok(ExitCode::Done)
}

fn list(session: &Session<'_>) -> Result<(), Failure> {
    let keys = with_keyring(session, None, |keyring, _| Ok(keyring.entries()))?;
    if session.report.is_json() {
        for entry in &keys {
            session.report.data(|| for_programs(entry), String::new)?;
        }
    } else {
        for line in rows(session, &keys) {
            session.report.data(|| Value::Null, || line)?;
        }
    }
    session.report.summary(
        || json!({ "message_type": "summary", "keys": keys.len() }),
        || "* opened the repository just now".to_owned(),
    )
}

fn add(session: &Session<'_>, args: &AddKeyArgs) -> Result<(), Failure> {
    let id = with_keyring(session, Some(&args.new), |keyring, password| {
        Ok(keyring.add_password(password, KdfCost::STANDARD, &args.label)?)
    })?;
    let what = format!("Added the password {}", named(&id.short(), &args.label));
    changed(session, &what, ADDED, json!({ "key_id": id.to_hex(), "label": args.label }))
}

fn remove(session: &Session<'_>, args: &RemoveKeyArgs) -> Result<(), Failure> {
    let removed = with_keyring(session, None, |keyring, _| {
        let entry = keyring.find(&args.id.to_ascii_lowercase()).map_err(|error| {
            Failure::from(error).hint("`devsnap key list` shows the ids of all keys")
        })?;
        keyring.remove(entry.id)?;
        Ok(entry)
    })?;
    let name = named(&removed.id.short(), &removed.label);
    let (what, not_revoked) = match removed.kind {
        KeyKind::Password(_) | KeyKind::Recovery => (
            format!("Removed the {} {name}: it opens nothing now", word(removed.kind)),
            COPIES_OPEN,
        ),
        KeyKind::Station => {
            (format!("Removed the writer key {name}: it adds nothing now"), STATION_KNOWS)
        }
    };
    changed(session, &what, not_revoked, json!({ "key_id": removed.id.to_hex() }))
}

fn change_password(session: &Session<'_>, new: &NewPassword) -> Result<(), Failure> {
    let id = with_keyring(session, Some(new), |keyring, password| {
        let current = keyring.entries().into_iter().find(|entry| entry.is_current);
        if current.as_ref().is_some_and(|entry| entry.kind == KeyKind::Recovery) {
            return Err(Failure::usage("the recovery key has no password that could be changed")
                .hint(
                    "`devsnap key add` makes a new one, `devsnap key remove ID` takes the old one",
                ));
        }
        keyring.change_password(password, KdfCost::STANDARD)?;
        Ok(current.map(|entry| entry.id))
    })?;
    let id = id.map(|id| id.to_hex());
    changed(session, "Changed the password", ONLY_REWRAPPED, json!({ "key_id": id }))
}

fn recovery(session: &Session<'_>) -> Result<(), Failure> {
    with_keyring(session, None, |keyring, _| {
        keyring.replace_recovery_key(|key| show_recovery(session, key))
    })?;
    changed(session, "The old recovery key opens nothing now", COPIES_OPEN, json!({}))
}

/// While the old one still opens: one of the two is on paper at any moment.
fn show_recovery(session: &Session<'_>, key: &RecoveryKey) -> Result<(), Failure> {
    let paper = key.to_paper();
    let said = session.report.data(
        || json!({ "message_type": "recovery_key", "recovery_key": &*paper }),
        || format!("{}\n", shown(&paper)),
    );
    said.and_then(|()| session.report.flush()).map_err(|failure| {
        unheard(&failure, "run `devsnap key recovery` again; the old recovery key still opens")
    })
}

fn rotate(session: &Session<'_>) -> Result<(), Failure> {
    with_keyring(session, None, |keyring, _| Ok(keyring.rotate()?))?;
    let what = "New sessions are sealed to a new key, which all keys of the list open";
    changed(session, what, ONLY_NEW_SESSIONS, json!({}))
}

fn add_station(session: &Session<'_>, args: &AddWriterArgs) -> Result<(), Failure> {
    let AddWriterArgs { label, output } = args;
    let id = with_keyring(session, None, |keyring, _| {
        let key = keyring.new_station_key()?;
        let comment = format!(
            "{}: adds snapshots to devsnap repository {}, and reads none.\n\
             Keep it on the station alone, readable by who runs devsnap there.",
            escaped(label),
            keyring.repository().short(),
        );
        // The file first: a key that is certified and kept nowhere would be of use to nobody.
        write_new(output, key.to_text(&comment).as_bytes()).map_err(|e| unwritten(output, &e))?;
        if let Err(error) = keyring.certify_station(&key, label) {
            let _ = fs::remove_file(output);
            return Err(error.into());
        }
        Ok(key.writer())
    })?;
    let place = escaped(&output.display().to_string());
    let what = format!("Wrote the writer key {} to {place}", named(&id.short(), label));
    let mut fields = json::line("summary");
    json::put_path(&mut fields, "output", output.as_os_str().as_bytes());
    fields.insert("key_id".to_owned(), id.to_hex().into());
    fields.insert("label".to_owned(), label.as_str().into());
    changed(session, &what, STATION_MAY, fields.into())
}

/// Opens the keys, with a new password at hand if one is needed: nobody pays for opening them
/// before it is known that there is one.
fn with_keyring<T>(
    session: &Session<'_>,
    new: Option<&NewPassword>,
    work: impl FnOnce(&mut Keyring<'_>, &Password) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (settings, backend) = session.reach_repository()?;
    let secret = session.with_sources(|sources| sources.existing())?;
    let password = match new {
        Some(flags) => session.with_sources(|sources| sources.new_password(flags))?,
        None => Password::default(),
    };
    let watch = session.report.watch();
    let keyring = Keyring::open(&*backend, &secret.unlock(), &settings.cache, &watch);
    work(&mut keyring.map_err(|error| super::no_default_yet(error.into(), &settings))?, &password)
}

/// Says what was changed, and what that does not take back.
fn changed(
    session: &Session<'_>,
    what: &str,
    not_revoked: &str,
    fields: Value,
) -> Result<(), Failure> {
    session.report.summary(
        || {
            let mut line = json::line("summary");
            if let Value::Object(fields) = fields {
                line.extend(fields);
            }
            line.insert("not_revoked".to_owned(), not_revoked.into());
            line.into()
        },
        || format!("{what}.\n{}", wrapped(not_revoked)),
    )
}

/// A file that only its owner reads, and that was not there.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let written = written.and_then(|()| File::open(folder.unwrap_or(Path::new(".")))?.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

pub(super) fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(ExitCode::Failed, format!("{shown} is there already"))
                .hint("name another file; nothing was changed")
        }
        io::ErrorKind::StorageFull => {
            Failure::new(ExitCode::NoSpace, format!("could not write {shown}: {error}"))
                .hint("free some space; nothing was changed")
        }
        _ => Failure::new(ExitCode::Failed, format!("could not write {shown}: {error}"))
            .hint("name another file; nothing was changed"),
    }
}

fn named(id: &str, label: &str) -> String {
    if label.is_empty() { id.to_owned() } else { format!("{id} ({})", escaped(label)) }
}

fn word(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Password(_) => "password",
        KeyKind::Recovery => "recovery key",
        KeyKind::Station => "writer key",
    }
}

fn for_programs(entry: &KeyEntry) -> Value {
    let kind = match entry.kind {
        KeyKind::Password(_) => "password",
        KeyKind::Recovery => "recovery",
        KeyKind::Station => "writer",
    };
    let kdf = match entry.kind {
        KeyKind::Password(KdfCost { memory_kib, passes, lanes }) => {
            json!({ "memory_kib": memory_kib, "passes": passes, "lanes": lanes })
        }
        _ => Value::Null,
    };
    json!({
        "message_type": "key",
        "id": entry.id.to_hex(),
        "short_id": entry.id.short(),
        "kind": kind,
        "label": entry.label,
        "created": json::moment(made(entry)),
        "kdf": kdf,
        "current": entry.is_current,
    })
}

fn rows(session: &Session<'_>, keys: &[KeyEntry]) -> Vec<String> {
    let row = |entry: &KeyEntry| {
        let mark = if entry.is_current { "*" } else { "" };
        let cost = match entry.kind {
            KeyKind::Password(cost) => {
                format!("{} MiB × {}", cost.memory_kib.div_ceil(1024), cost.passes)
            }
            _ => String::new(),
        };
        let kind = word(entry.kind).to_owned();
        let made = moment(made(entry), &session.zone);
        [mark.to_owned(), entry.id.short(), kind, made, cost, escaped(&entry.label)]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    let heading = [
        ("", Column::Left),
        ("ID", Column::Left),
        ("Kind", Column::Left),
        ("Made", Column::Left),
        ("Cost", Column::Left),
        ("Label", Column::Left),
    ];
    table(heading, &rows)
}

fn made(entry: &KeyEntry) -> Time {
    Time { secs: entry.created_at_secs, nanos: 0 }
}

/// Lines of at most 80 characters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 80 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_file_is_its_owners_alone_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hall.key");
        write_new(&path, b"secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = write_new(&path, b"other").unwrap_err();
        assert_eq!(unwritten(&path, &again).code(), ExitCode::Failed);
        assert_eq!(fs::read(&path).unwrap(), b"secret");
    }

    #[test]
    fn what_is_not_taken_back_fits_a_terminal_and_loses_no_word() {
        for text in [COPIES_OPEN, ONLY_REWRAPPED, ONLY_NEW_SESSIONS, STATION_KNOWS, STATION_MAY] {
            let lines = wrapped(text);
            assert!(lines.lines().all(|line| line.chars().count() <= 80), "{lines}");
            assert_eq!(lines.replace('\n', " "), text);
        }
    }
}
