//! The program itself.
use crate::tools::{Running, idevice};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_devsnap-simulator");

#[test]
fn the_program_says_where_clients_find_its_phones_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let mut child = Running(
        Command::new(PROGRAM)
            .args(["serve", "--phone", "name=Ada\u{2019}s,udid=00008120-000A000A000A000A"])
            .arg("--ready-file")
            .arg(&ready)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("USBMUXD_SOCKET_ADDRESS=").unwrap();
    let listed = Command::new(idevice("idevice_id"))
        .arg("-l")
        .env("USBMUXD_SOCKET_ADDRESS", address)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "00008120-000A000A000A000A");

    // Written after the line is printed.
    for _ in 0..1000 {
        if ready.is_file() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(fs::read_to_string(&ready).unwrap(), line);
    let told = Command::new("kill").arg(child.0.id().to_string()).status().unwrap();
    assert!(told.success());
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn the_program_serves_nobody_but_this_machine() {
    let refused = Command::new(PROGRAM).args(["serve", "--address", "0.0.0.0:0"]).output().unwrap();

    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("loopback"));
}

fn run(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(PROGRAM).args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_phone_is_made_and_lives_through_days_whose_truth_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let done = |words: &[&str]| {
        let (code, said, complaint) = run(&[words, &["--state", state]].concat());
        assert_eq!(code, Some(0), "{complaint}");
        said
    };

    let made = done(&["generate", "--files", "80", "--bytes", "1MiB", "--seed", "5"]);
    done(&["day", "--days", "2"]);

    assert!(made.starts_with("point 0: "), "{made}");
    assert_eq!(done(&["points"]).lines().count(), 3);
    let truth = |point: &str| -> serde_json::Value {
        serde_json::from_str(&done(&["truth", "--point", point])).unwrap()
    };
    let (first, last) = (truth("0"), truth("2"));
    assert_ne!(first["items"], last["items"]);
    let files = first["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "file");
    for file in files.clone() {
        for key in ["domain", "relativePath", "mode", "mtime", "sha256"] {
            assert!(!file[key].is_null(), "{key} of {file}");
        }
    }
    assert!(files.count() >= 60);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&done(&["truth"])).unwrap(), last);
    // Nothing is made over a phone that is there, and no backup was made.
    assert_eq!(run(&["generate", "--state", state]).0, Some(1));
    assert_eq!(run(&["truth", "--state", state, "--backup", "latest"]).0, Some(1));
}

#[test]
fn a_recording_that_cannot_be_used_is_told_from_a_host_that_departs() {
    const LINES: &str = r#"{"devsnap_recording":1,"program":"devsnap 1","os":"linux"}
{"usbmuxd":"devices","answer":[{"udid":"00000000-0000000000000001","connection":"usb","handle":3}]}
{"open":1,"handle":3,"port":62078,"service":"com.apple.mobile.lockdown","refused":false}
{"connection":1,"closed_by":"host"}
{"end":true}
"#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.jsonl");
    let name = file.to_str().unwrap();

    assert_eq!(run(&["replay", name, "--", "true"]).0, Some(2));
    fs::write(&file, "{}").unwrap();
    assert_eq!(run(&["replay", name, "--", "true"]).0, Some(2));
    fs::write(&file, LINES).unwrap();
    let (code, _, complaint) = run(&["replay", name, "--", "true"]);
    assert_eq!(code, Some(1), "{complaint}");
    assert!(
        complaint.contains("line 3") && complaint.contains("the host has ended"),
        "{complaint}"
    );
    assert_eq!(run(&["parent", name, folder.path().to_str().unwrap()]).0, Some(2));
}
