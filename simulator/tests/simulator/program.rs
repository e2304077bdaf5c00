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
