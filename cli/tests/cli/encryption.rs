//! A phone's backup password, as a person sets, changes, tries and takes it away.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::Table;
use crate::program::{ends_with, err, objects_of};
use devsnap_simulator::phone::Stage as At;
use devsnap_simulator::phone::{Cut, CutAt, Faults, Passcode};
use serde_json::Value;
use std::fs;
use std::process::Output;

/// What must be seen nowhere.
const FIRST: &str = "Füße hunter2 🦶";
const SECOND: &str = " zweites geheimnis ";

/// With the two passwords in files of the home.
fn table(numbers: &[usize]) -> Table {
    let table = Table::ready(numbers);
    fs::write(table.at("home/first"), format!("{FIRST}\n")).unwrap();
    fs::write(table.at("home/second"), SECOND).unwrap();
    table
}

fn has(table: &Table) -> Option<String> {
    table.phone(0).backup_password()
}

/// Runs with `variables`; none of the passwords may come out again.
fn run(table: &Table, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = table.command(words);
    command.env("DEVSNAP_PASSWORD_FILE", table.at("password"));
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    for secret in [FIRST, SECOND.trim(), "hunter2"] {
        assert!(!said.contains(secret), "{words:?}: {said}");
    }
    output
}

#[track_caller]
fn done(table: &Table, words: &[&str], variables: &[(&str, &str)]) -> Vec<Value> {
    let output = run(table, &[words, &["--json", "--no-progress"]].concat(), variables);
    assert_eq!(output.status.code(), Some(0), "{}{}", err(&output), shown(&output));
    objects_of(&String::from_utf8(output.stdout).unwrap())
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_password_is_set_changed_and_taken_away_from_files_commands_and_variables() {
    let table = table(&[0]);
    let on = ["encryption", "on", "--new-backup-password-file", "first"];
    let said = done(&table, &on, &[]);
    assert!(said.iter().any(|line| line["message_type"] == "warning"), "{said:?}");
    let last = said.last().unwrap();
    assert_eq!((&last["encrypts"], &last["changed"]), (&true.into(), &true.into()), "{last}");
    assert_eq!(has(&table).as_deref(), Some(FIRST));

    let change = ["encryption", "change-password", "-d", "ada's iphone"];
    let variables =
        [("DEVSNAP_BACKUP_PASSWORD_COMMAND", "cat first"), ("DEVSNAP_NEW_BACKUP_PASSWORD", SECOND)];
    let output = run(&table, &change, &variables);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(shown(&output).contains("next snapshot transfers everything"), "{}", shown(&output));
    assert_eq!(has(&table).as_deref(), Some(SECOND));

    let off = ["encryption", "off", "--backup-password-command", "cat second"];
    let last = done(&table, &off, &[]).pop().unwrap();
    assert_eq!((&last["encrypts"], &last["changed"]), (&false.into(), &true.into()), "{last}");
    assert_eq!(has(&table), None);
    let again = done(&table, &off, &[]).pop().unwrap();
    assert_eq!((&again["encrypts"], &again["changed"]), (&false.into(), &false.into()), "{again}");
}

#[test]
fn without_a_terminal_and_a_password_nothing_is_asked_of_the_phone() {
    // Nobody trusts anybody: who asked the phone anything would hear of that.
    let table = Table::with(&[0]);
    for (words, flag) in [
        (vec!["on"], "--new-backup-password-file"),
        (vec!["off"], "--backup-password-file"),
        (vec!["change-password"], "--backup-password-file"),
        (vec!["verify"], "--backup-password-file"),
    ] {
        let output = run(&table, &[&["encryption"], words.as_slice()].concat(), &[]);
        ends_with(&output, 2, "no terminal to ask on");
        assert!(err(&output).contains(flag), "{words:?}: {}", err(&output));
    }
    let old = [("DEVSNAP_BACKUP_PASSWORD", "old")];
    let output = run(&table, &["encryption", "change-password"], &old);
    ends_with(&output, 2, "no new backup password");
    let empty = [("DEVSNAP_NEW_BACKUP_PASSWORD_COMMAND", "true")];
    ends_with(&run(&table, &["encryption", "on"], &empty), 2, "empty");
    let no_text = [("DEVSNAP_NEW_BACKUP_PASSWORD_COMMAND", "printf 'a\\377'")];
    ends_with(&run(&table, &["encryption", "on"], &no_text), 2, "not UTF-8");
}

#[test]
fn what_a_phone_refuses_is_told_and_leaves_its_password_as_it_is() {
    let table = table(&[0]);
    table.phone(0).set_backup_password(Some(FIRST.to_owned()));
    let off = ["encryption", "off", "--backup-password-file", "first"];
    let wrong = ["encryption", "off", "--backup-password-file", "second"];
    let change = ["encryption", "change-password", "--backup-password-file", "first"];
    let change = [&change[..], &["--new-backup-password-file", "second"]].concat();
    let on = ["encryption", "on", "--new-backup-password-file", "second"];

    let output = run(&table, &[&wrong[..], &["--json"]].concat(), &[]);
    let last = objects_of(&shown(&output)).pop().unwrap();
    assert_eq!((&last["code"], &last["kind"]), (&25.into(), &"wrong-backup-password".into()));
    ends_with(&run(&table, &on, &[]), 1, "encrypts its backups already");
    let same = ["encryption", "change-password", "--backup-password-file", "first"];
    let same = [&same[..], &["--new-backup-password-file", "first"]].concat();
    ends_with(&run(&table, &same, &[]), 2, "the new backup password is the old one");
    table.fault(0, Faults { requires_encryption: true, ..Faults::default() });
    ends_with(&run(&table, &off, &[]), 24, "requires encrypted backups");
    table.fault(0, Faults { refusal: Some(22), ..Faults::default() });
    ends_with(&run(&table, &change, &[]), 24, "management profile");
    table.fault(0, Faults { passcode: Passcode::Denied, ..Faults::default() });
    ends_with(&run(&table, &change, &[]), 22, "enter the passcode");
    let cut = Cut {
        service: "com.apple.mobilebackup2".to_owned(),
        at: CutAt::Stage(At::Passcode),
        times: 1,
    };
    table.fault(0, Faults { cut: Some(cut), ..Faults::default() });
    ends_with(&run(&table, &change, &[]), 1, "did not say whether the password was changed");
    assert_eq!(has(&table).as_deref(), Some(FIRST));

    table.fault(0, Faults::default());
    table.phone(0).set_backup_password(None);
    ends_with(&run(&table, &change, &[]), 1, "no password to change");
    table.simulator.unplug(table.udid(0));
    ends_with(&run(&table, &off, &[]), 21, "no device is attached");
}

#[test]
fn the_passcode_is_asked_for_and_a_recording_has_no_password() {
    let table = table(&[0]);
    let passcode = Passcode::Entered(std::time::Duration::from_millis(200));
    table.fault(0, Faults { passcode, ..Faults::default() });
    let on = ["encryption", "on", "--new-backup-password-file", "first", "--record", "talk.jsonl"];
    let said = done(&table, &on, &[]);
    assert!(said.iter().any(|line| line["kind"] == "passcode"), "{said:?}");
    let recording = fs::read_to_string(table.at("home/talk.jsonl")).unwrap();
    assert!(recording.contains("NewPassword") && !recording.contains("hunter2"), "{recording}");
}

#[test]
fn a_password_is_tried_against_the_newest_snapshot_without_the_phone() {
    let table = table(&[0]);
    done(&table, &["snapshot", "--tag", "plain"], &[]);
    table.phone(0).set_backup_password(Some(FIRST.to_owned()));
    let made = done(&table, &["snapshot", "--tag", "one"], &[]);
    let warned = |said: &[Value]| {
        said.iter().any(|line| {
            line["message_type"] == "warning" && line.to_string().contains("nobody has verified")
        })
    };
    assert!(warned(&made), "nobody gave the password: {made:?}");
    table.phone(0).set_backup_password(Some(SECOND.to_owned()));
    let made = done(&table, &["snapshot"], &[("DEVSNAP_BACKUP_PASSWORD_FILE", "second")]);
    assert!(!warned(&made), "{made:?}");
    table.day(0, 1);
    let made = done(&table, &["snapshot"], &[]);
    assert!(!warned(&made), "it was known when the phone sent everything: {made:?}");
    let newest = made.last().unwrap()["snapshot_id"].clone();
    table.simulator.unplug(table.udid(0));

    let verify = ["encryption", "verify"];
    let second = [("DEVSNAP_BACKUP_PASSWORD_FILE", "second")];
    let first = [("DEVSNAP_BACKUP_PASSWORD_FILE", "first")];
    let right = done(&table, &verify, &second).pop().unwrap();
    assert_eq!((&right["snapshot_id"], &right["password_right"]), (&newest, &true.into()));
    ends_with(&run(&table, &verify, &first), 25, "the backup password is wrong");
    done(&table, &["encryption", "verify", "one"], &first);
    done(&table, &["encryption", "verify", "-d", "Ada's iPhone"], &second);
    ends_with(&run(&table, &["encryption", "verify", "plain"], &first), 1, "is not encrypted");
    ends_with(&run(&table, &["encryption", "verify", "nothing"], &first), 1, "nothing");
    done(&table, &["snapshot", ".", "--tag", "folder"], &[]);
    ends_with(&run(&table, &["encryption", "verify", "folder"], &first), 1, "of a folder");
    done(&table, &verify, &second);
}

#[test]
fn status_tells_of_every_phone_and_asks_nobody() {
    let table = table(&[0, 1]);
    table.phone(1).set_backup_password(Some(FIRST.to_owned()));
    table.fault(1, Faults { requires_encryption: true, ..Faults::default() });
    done(&table, &["snapshot", "-d", table.udid(1)], &[]);

    let said = done(&table, &["encryption", "status"], &[]);

    let of = |place: usize| {
        said.iter().find(|line| line["udid"] == table.udid(place)).unwrap_or(&Value::Null)
    };
    let required = |place| (&of(place)["encrypts"], &of(place)["encryption_required"]);
    assert_eq!(required(0), (&false.into(), &false.into()), "{said:?}");
    assert_eq!(required(1), (&true.into(), &true.into()), "{said:?}");
    assert_eq!(of(0)["newest_snapshot"], Value::Null);
    let newest = &of(1)["newest_snapshot"];
    assert_eq!(newest["encrypted"], true, "{said:?}");
    assert_eq!(newest["password_verified"], false, "{said:?}");
    assert_eq!(said.last().unwrap()["devices"], 2);

    let output = table.command(&["encryption", "status", "-d", table.udid(1)]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let words = shown(&output);
    assert!(words.contains("not looked at: no repository password is given"), "{words}");
    assert!(words.contains("by a management profile"), "{words}");
}

#[test]
fn a_station_may_change_a_password_and_read_no_keybag() {
    let table = table(&[0]);
    done(&table, &["key", "writer", "add", "hall", "--output", "hall.key"], &[]);
    let station = |words: &[&str]| {
        let mut command = table.command(words);
        command.args(["--key-file", "hall.key"]).output().unwrap()
    };
    let on = station(&["encryption", "on", "--new-backup-password-file", "first"]);
    assert_eq!(on.status.code(), Some(0), "{}", err(&on));
    let verify = station(&["encryption", "verify", "--backup-password-file", "first"]);
    ends_with(&verify, 1, "needs the password");
    let status = station(&["encryption", "status"]);
    assert_eq!(status.status.code(), Some(0), "{}", err(&status));
}
