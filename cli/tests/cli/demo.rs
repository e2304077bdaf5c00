//! `devsnap demo`: what it claims is checked here by other means, with the other commands and the
//! truth that its phone left on disk.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::program::{ends_with, err, objects_of, program, said_by};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A call with an environment that would fail if anybody looked at it.
fn demo(home: &Path, words: &[&str]) -> Command {
    let mut command = program(home, home.join("not a repository"), words);
    command.env("DEVSNAP_CACHE_DIR", home.join("not a cache"));
    command.env("DEVSNAP_KEY_FILE", home.join("not a key"));
    command.env("DEVSNAP_PASSWORD_COMMAND", "exit 1");
    command.env("USBMUXD_SOCKET_ADDRESS", "nowhere");
    command.env("TMPDIR", home);
    command
}

fn ended(command: &mut Command) -> Output {
    command.output().expect("because it was built")
}

/// The files that a backup holds by the phone's own word: name of the blob, SHA-256.
fn truth(path: &Path) -> BTreeMap<String, String> {
    let truth: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let text = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
    truth["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["kind"] == "file")
        .map(|item| {
            let name = format!("{}-{}", text(item, "domain"), text(item, "relativePath"));
            (hex(&Sha1::digest(name.as_bytes())), text(item, "sha256"))
        })
        .collect()
}

/// The files that a set holds: name of the blob, SHA-256.
fn blobs(set: &Path) -> BTreeMap<String, String> {
    let shards = fs::read_dir(set).unwrap().map(|shard| shard.unwrap().path());
    shards
        .filter(|shard| shard.is_dir())
        .flat_map(|shard| fs::read_dir(shard).unwrap())
        .map(|blob| {
            let blob = blob.unwrap();
            let digest = hex(&Sha256::digest(fs::read(blob.path()).unwrap()));
            (blob.file_name().into_string().unwrap(), digest)
        })
        .collect()
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A call of another command, as the demo's last lines tell.
fn with_its_repository(home: &Path, dir: &Path, words: &[&str]) -> String {
    let mut command = program(home, dir.join("repository"), words);
    command.env("DEVSNAP_PASSWORD_FILE", dir.join("password"));
    command.env("DEVSNAP_CACHE_DIR", dir.join("cache"));
    said_by(ended(&mut command))
}

#[test]
fn what_a_demo_claims_is_so() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("demo of Ada's");
    let words = ["demo", "--json", "--no-progress", "--dir", dir.to_str().unwrap()];
    let lines = objects_of(&said_by(ended(&mut demo(home.path(), &words))));

    let told = |kind: &str| -> Vec<&Value> {
        let of = |line: &&Value| line["message_type"] == "demo" && line["step"] == kind;
        lines.iter().filter(of).collect()
    };
    let (backups, restored) = (told("backup"), told("restored"));
    assert_eq!((told("phone").len(), backups.len(), restored.len()), (1, 2, 2), "{lines:#?}");
    assert_eq!((&backups[0]["full"], &backups[1]["full"]), (&true.into(), &false.into()));
    assert_eq!(backups[0]["asked_for_trust"], true, "nobody trusted this computer before");
    assert_eq!(backups[1]["asked_for_trust"], false, "and then it was known");
    assert_eq!(backups[1]["asked_for_passcode"], true);
    let of = |line: &Value, key: &str| line[key].as_u64().unwrap();
    assert!(of(backups[1], "files_received") * 4 < of(backups[0], "files_received"));
    assert!(of(backups[1], "bytes_stored") * 2 < of(backups[0], "bytes_stored"));
    let summary = lines.last().unwrap();
    assert_eq!(summary["message_type"], "summary");
    assert_eq!(summary["dir"], dir.canonicalize().unwrap().to_str().unwrap());

    let udid = told("phone")[0]["udid"].as_str().unwrap();
    let truths = dir.join("phone/phones").join(udid).join("truth");
    let backed_up = names(&truths).into_iter().filter(|name| name.starts_with("backup-"));
    let truths: Vec<PathBuf> = backed_up.map(|name| truths.join(name)).collect();
    assert_eq!(truths.len(), 2);
    // What the phone had, less what it was not asked for and what went away: the counts add up.
    let phone = told("phone")[0];
    let held = of(phone, "files") - of(phone, "files_only_encrypted");
    let held = held - of(backups[0], "files_deleted_meanwhile");
    assert_eq!(of(restored[0], "files_equal"), held);
    let day = told("day")[0];
    let held =
        held + of(day, "new") - of(day, "deleted") - of(backups[1], "files_deleted_meanwhile");
    assert_eq!(of(restored[1], "files_equal"), held);

    let mut files = 0;
    for (number, (truth_of_day, line)) in truths.iter().zip(restored).enumerate() {
        let id = line["snapshot_id"].as_str().unwrap();
        assert_eq!(backups[number]["snapshot_id"], id);
        let again = home.path().join(format!("again-{number}"));
        let to = again.to_str().unwrap();
        with_its_repository(home.path(), &dir, &["restore", id, "--target", to]);
        let expected = truth(truth_of_day);
        assert_eq!(blobs(&again.join(udid)), expected, "day {}", number + 1);
        let shown = dir.join(line["day"].as_str().unwrap());
        assert_eq!(blobs(&shown.join(udid)), expected);
        assert_eq!(of(line, "files_equal"), u64::try_from(expected.len()).unwrap());
        files += expected.len();
        for name in ["Info.plist", "Manifest.db", "Manifest.plist", "Status.plist"] {
            assert!(again.join(udid).join(name).is_file(), "{name}");
        }
    }
    assert_ne!(truth(&truths[0]), truth(&truths[1]), "a day has passed");
    assert_eq!(of(summary, "files_equal"), u64::try_from(files).unwrap());

    let check = with_its_repository(home.path(), &dir, &["check", "--read-data"]);
    assert!(check.contains("all is well"), "{check}");
    let mode = fs::metadata(dir.join("password")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let new = ["again-0", "again-1", "demo of Ada's"].map(str::to_owned);
    assert_eq!(names(home.path()), BTreeSet::from(new), "nothing beside it was made");

    let again = ended(demo(home.path(), &words[..1]).arg("--dir").arg(&dir));
    ends_with(&again, 1, "is not empty");
}

#[test]
fn a_demo_without_a_folder_leaves_nothing_and_a_quiet_one_says_one_line() {
    let home = TempDir::new().unwrap();
    let said = said_by(ended(&mut demo(home.path(), &["demo", "--quiet"])));
    assert!(said.starts_with("Proved") && said.lines().count() == 1, "{said}");
    assert_eq!(names(home.path()), BTreeSet::new());
}

#[test]
fn a_demo_that_is_stopped_ends_with_130_and_leaves_nothing() {
    let home = TempDir::new().unwrap();
    let mut command = demo(home.path(), &["demo", "--json", "--no-progress"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("because it was built");
    // Its first line tells that it is at work; what comes next is the first backup.
    let mut out = std::io::BufReader::new(child.stdout.take().expect("because it is a pipe"));
    let mut first = String::new();
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    assert!(first.contains("\"phone\""), "{first}");
    let pid = child.id().to_string();
    // Not SIGINT: whoever starts the tests in the background has it ignored, for all they start.
    let killed = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status();
    assert!(killed.unwrap().success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    let output = child.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(130), "{rest} {}", err(&output));
    let error = objects_of(&rest).pop().unwrap();
    assert_eq!(
        (&error["kind"], &error["text"]),
        (&"interrupted".into(), &"the demo was stopped".into())
    );
    assert_eq!(names(home.path()), BTreeSet::new());
}
