//! Sessions that are recorded, and played to the program again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::Table;
use crate::program::{PASSWORD, err, program, said_by};
use devsnap_simulator::contents::{Contents, Kind};
use devsnap_simulator::replay::{Divergence, Recording, Replay, parent};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Who plays a recording: a computer that has never seen the phone.
struct Elsewhere {
    root: TempDir,
    recording: PathBuf,
}

impl Elsewhere {
    fn with(recording: &Path) -> Elsewhere {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        fs::write(root.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        let elsewhere = Elsewhere { root, recording: recording.to_owned() };
        said_by(elsewhere.command(&["init"], None).output().unwrap());
        elsewhere
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn command(&self, words: &[&str], muxd: Option<SocketAddr>) -> std::process::Command {
        let mut command = program(&self.at("home"), self.at("repository"), words);
        command.env("DEVSNAP_PASSWORD_FILE", self.at("password"));
        if let Some(address) = muxd {
            command.env("USBMUXD_SOCKET_ADDRESS", address.to_string());
        }
        command
    }

    /// Makes up what there was before the recorded session, and keeps it.
    fn prepare(&self) {
        let recording = Recording::read(&self.recording).unwrap();
        let folder = parent::write(&recording, &self.at("before")).unwrap();
        said_by(self.command(&["snapshot", folder.to_str().unwrap()], None).output().unwrap());
    }

    /// Plays the recording to the program; what it said on standard error is told on failure.
    fn play(&self, words: &[&str]) -> Result<(), Box<(Divergence, String)>> {
        let recording = Recording::read(&self.recording).unwrap();
        assert!(recording.is_whole);
        let replay = Replay::start(recording, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let said = self.at("said");
        let mut command = self.command(words, Some(replay.address()));
        let out = fs::File::create(&said).unwrap();
        let mut host = command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        let played = replay.wait(Duration::from_secs(60), || host.try_wait().unwrap().is_some());
        if played.is_err() {
            host.kill().unwrap();
        }
        host.wait().unwrap();
        let said = || fs::read_to_string(&said).unwrap();
        played.map_err(|divergence| Box::new((divergence, said())))
    }
}

fn recorded(table: &Table, name: &str, words: &[&str]) -> PathBuf {
    let file = table.at(name);
    table.done(&[words, &["--record", file.to_str().unwrap()]].concat());
    file
}

/// All texts in a list of values, but for those below keys that say nothing of whose phone it is.
fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(into.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, into)),
        _ => {}
    }
}

/// What tells whose phone it is, or what is on it.
fn secrets(table: &Table) -> BTreeSet<String> {
    let phone = table.phone(0);
    let mut secrets = BTreeSet::new();
    let all = table.summary(&["device", "info"]);
    let harmless = table.summary(&["device", "info", "--redact"]);
    for (key, value) in all["values"].as_object().unwrap() {
        if harmless["values"].get(key).is_none() {
            texts(value, &mut secrets);
        }
    }
    // Bytes are told by their number there, and some values are words of everybody's.
    secrets.retain(|text| text.len() >= 6 && !text.ends_with(" bytes)"));
    assert!(secrets.len() > 8, "{secrets:?}");
    secrets.extend(phone.apps().iter().map(|app| app.bundle_id.clone()));
    for item in Contents::open(phone.folder()).unwrap().items() {
        secrets.insert(item.file_id());
        secrets.extend(item.sha256.clone());
        if item.kind == Kind::File && item.relative_path.len() > 12 {
            secrets.insert(item.relative_path.clone());
        }
    }
    let udid = phone.identity().udid.clone();
    secrets.insert(udid.replace('-', ""));
    secrets.insert(udid.to_lowercase());
    secrets.insert(udid);
    secrets.insert(phone.identity().name.clone());
    secrets.insert(phone.identity().serial_number.clone());
    // The pair record: identifiers, keys and certificates, each line of them.
    let record = table.at("state/usbmuxd").join(format!("{}.plist", phone.identity().udid));
    let record = plist::Value::from_file(record).unwrap();
    for (key, value) in record.as_dictionary().unwrap() {
        match (value.as_string(), value.as_data()) {
            (Some(text), _) if key != "WiFiMACAddress" => drop(secrets.insert(text.to_owned())),
            (_, Some(pem)) => {
                let text = String::from_utf8_lossy(pem);
                secrets.extend(text.lines().filter(|line| line.len() > 20).map(str::to_owned));
            }
            _ => {}
        }
    }
    secrets
}

#[test]
fn a_recording_holds_no_secret_of_the_phone_and_is_its_owners_alone() {
    let table = Table::ready(&[0]);
    let mut secrets = secrets(&table);

    let paired = {
        table.done(&["unpair"]);
        recorded(&table, "pair.jsonl", &["pair", "--wait", "1s"])
    };
    let info = recorded(&table, "info.jsonl", &["device", "info"]);
    let full = recorded(&table, "full.jsonl", &["snapshot"]);
    table.day(0, 1);
    let incremental = recorded(&table, "incremental.jsonl", &["snapshot"]);
    // Of the new pairing and the new day too.
    secrets.extend(self::secrets(&table));

    for file in [&paired, &info, &full, &incremental] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(file).unwrap();
        let (lower, lines) = (text.to_lowercase(), text.lines().count());
        assert!(lines > 20 && text.ends_with('\n'), "{lines}");
        for secret in &secrets {
            assert!(!lower.contains(&secret.to_lowercase()), "{}: {secret}", file.display());
        }
    }
    // It says what it must: messages, files, sizes.
    let text = fs::read_to_string(full).unwrap();
    for word in ["DLMessageUploadFiles", "\"blocks\":[[", "Status.plist", "com.apple.afc", "17.5.1"]
    {
        assert!(text.contains(word), "{word}");
    }
    // Nothing is written over.
    let again = table.run(&["device", "info", "--record", info.to_str().unwrap()]);
    assert!(err(&again).contains("is there already"), "{}", err(&again));
}

#[test]
fn a_recorded_pairing_and_full_backup_play_to_their_end() {
    let table = Table::with(&[1]);
    table.done(&["init"]);
    let paired = recorded(&table, "pair.jsonl", &["pair", "--wait", "1s"]);
    let full = recorded(&table, "full.jsonl", &["snapshot"]);

    assert_eq!(Elsewhere::with(&paired).play(&["pair", "--wait", "1s"]), Ok(()));
    let elsewhere = Elsewhere::with(&full);
    assert_eq!(elsewhere.play(&["snapshot"]), Ok(()));
    // A snapshot came of it, of a phone that nobody has.
    let listed = said_by(elsewhere.command(&["ls", "latest"], None).output().unwrap());
    assert!(listed.contains("000000000001"), "{listed}");
}

#[test]
fn a_recorded_incremental_backup_plays_after_its_made_up_parent_and_a_changed_host_is_told() {
    let table = Table::ready(&[0]);
    table.done(&["snapshot"]);
    table.day(0, 1);
    let incremental = recorded(&table, "incremental.jsonl", &["snapshot"]);

    let elsewhere = Elsewhere::with(&incremental);
    elsewhere.prepare();
    let (divergence, _) = *elsewhere.play(&["snapshot", "--full"]).unwrap_err();
    assert_eq!(divergence.at, "[1].Options", "{divergence}");
    assert!(divergence.now.contains("ForceFullBackup"), "{divergence}");
    assert!(divergence.recorded.contains("nothing"), "{divergence}");
    assert!(divergence.connection.contains("com.apple.mobilebackup2"), "{divergence}");

    assert_eq!(elsewhere.play(&["snapshot"]), Ok(()));

    // A host that does less than was recorded is told too.
    let (divergence, _) = *elsewhere.play(&["device", "info"]).unwrap_err();
    assert!(divergence.line > 1, "{divergence}");
}
