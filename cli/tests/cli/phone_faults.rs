//! What a person is told when a phone does not do as it should: the exit code, the sentence, and
//! what to do, as `docs/cli.md` has them in one table.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::Table;
use devsnap_simulator::phone::{Battery, Cut, CutAt, Faults, LockdownRefusal, Passcode, Stage};

/// The table in the reference, row by row.
const REFERENCE: &str = include_str!("../../../docs/cli.md");

/// One thing that goes wrong.
struct Case {
    faults: Faults,
    code: u8,
    /// What stands in the table.
    row: &'static str,
    /// Words of the sentence, and of the advice.
    words: [&'static str; 2],
}

fn code(mb_error: u32, code: u8, row: &'static str, words: [&'static str; 2]) -> Case {
    Case { faults: Faults { refusal: Some(mb_error), ..Faults::default() }, code, row, words }
}

fn refused(
    request: &str,
    error: &str,
    code: u8,
    row: &'static str,
    words: [&'static str; 2],
) -> Case {
    let (request, error) = (request.to_owned(), error.to_owned());
    let refusal = LockdownRefusal { request, error, times: None };
    let faults = Faults { lockdown_refusals: vec![refusal], ..Faults::default() };
    Case { faults, code, row, words }
}

/// Plays all cases one after the other on a phone with a snapshot: each ends as it is written, and
/// leaves no other snapshot. Then the phone is well, and goes on from there.
fn play(cases: Vec<Case>) {
    let table = Table::ready(&[0]);
    let before = table.summary(&["snapshot"]);
    for (day, case) in (1..).zip(cases) {
        table.day(0, day);
        table.fault(0, case.faults);
        let said = table.json(&["snapshot", "--wait", "1s", "--no-progress"]);
        let Case { code, row, words: [sentence, advice], .. } = case;
        let last = said.last().unwrap();
        assert_eq!(
            (&last["message_type"], &last["code"]),
            (&"error".into(), &code.into()),
            "{last}"
        );
        assert!(last["text"].as_str().unwrap().contains(sentence), "{last}");
        assert!(last["action"].as_str().unwrap().contains(advice), "{last}");
        let row = format!("| {row} | {code} |");
        assert!(REFERENCE.contains(&row), "{row}");
    }
    table.fault(0, Faults::default());
    assert_eq!(table.summary(&["snapshots"])["snapshots"], 1);
    let made = table.summary(&["snapshot"]);
    assert_eq!(made["parent"], before["snapshot_id"]);
    assert_eq!((&made["device"]["full"], &made["complete"]), (&false.into(), &true.into()));
    table.is_true(0, "latest");
}

#[test]
fn what_the_phone_says_is_told_with_its_exit_code_and_what_to_do() {
    let (full, restart) = ("--full", "restart the device");
    play(vec![
        code(1, 24, "a management profile forbids it", ["profile", "who manages the device"]),
        code(13, 22, "it could not read protected files", ["protected files", "unlock the device"]),
        code(14, 1, "it is busy", ["busy", "run it again"]),
        code(25, 24, "it is being restored from iCloud", ["from iCloud", "let the device finish"]),
        code(104, 1, "it failed in one of many ways", ["hand its files over", restart]),
        code(105, 20, "the storage has too little room for it", ["too little room", "--max-size"]),
        code(106, 20, "it has too little room itself", ["too little room", "on the device"]),
    ]);
    play(vec![
        code(202, 130, "it was cancelled on the device, or put off by it", ["cancelled", "suits"]),
        code(203, 1, "it cannot use the last backup", ["another version", full]),
        code(205, 1, "it cannot use the last backup", ["incomplete", full]),
        code(
            207,
            25,
            "the backup password is wrong or missing",
            ["password", "Reset All Settings"],
        ),
        code(208, 22, "nobody entered its passcode", ["passcode in time", "enter the passcode"]),
        code(211, 24, "\"Find My\" is on", ["Find My", "switch it off"]),
        code(
            212,
            24,
            "it is not set up, or not activated",
            ["not set up", "setting the device up"],
        ),
    ]);
}

#[test]
fn what_lockdown_refuses_is_told_with_its_exit_code_and_what_to_do() {
    let locked = "it is locked, or was never unlocked since it was switched on";
    let managed = "a management profile forbids it";
    let setup = "it is not set up, or not activated";
    let passcode = |passcode| Faults { passcode, ..Faults::default() };
    let nobody = "nobody entered its passcode";
    play(vec![
        refused("StartSession", "PasswordProtected", 22, locked, ["is locked", "unlock"]),
        refused("StartService", "EscrowLocked", 22, locked, ["switched on", "unlocked once"]),
        refused("StartService", "ServiceProhibited", 24, managed, ["profile", "who manages"]),
        refused("StartService", "FMiPProtected", 24, "\"Find My\" is on", ["Find My", "switch it"]),
        refused("StartSession", "MissingActivationRecord", 24, setup, ["activated", "finish"]),
        refused(
            "StartService",
            "InvalidService",
            1,
            "it failed in one of many ways",
            ["InvalidService", "restart"],
        ),
        Case {
            faults: passcode(Passcode::Denied),
            code: 22,
            row: nobody,
            words: ["passcode", "enter the passcode"],
        },
        Case {
            faults: passcode(Passcode::Never),
            code: 22,
            row: nobody,
            words: ["nobody has entered the passcode for 1 s", "enter the passcode"],
        },
    ]);
}

#[test]
fn a_link_that_drops_twice_is_told_and_the_battery_only_once() {
    let service = "com.apple.mobilebackup2".to_owned();
    let table = Table::ready(&[0]);
    table.phone(0).set_battery(Battery { percent: 5, is_powered: false, is_charging: false });
    let cut = Cut { service, at: CutAt::Stage(Stage::Uploading), times: 2 };
    table.fault(0, Faults { cut: Some(cut), ..Faults::default() });
    let said = table.json(&["snapshot", "--no-progress"]);
    let warnings = said.iter().filter(|line| line["message_type"] == "warning");
    let warnings: Vec<_> = warnings.filter_map(|line| line["text"].as_str()).collect();
    let last = said.last().unwrap();
    assert_eq!((warnings.len(), &last["code"]), (2, &1.into()), "{said:?}");
    assert!(warnings[0].contains("5 % of its battery") && warnings[1].contains("trying once more"));
    assert!(REFERENCE.contains("| the link to it broke off twice | 1 |"));
    table.done(&["snapshot"]);
    table.is_true(0, "latest");
}
