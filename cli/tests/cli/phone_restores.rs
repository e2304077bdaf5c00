//! Snapshots go back onto phones, as a person has them go: what must be named and confirmed, what is
//! told, and what a phone holds afterwards.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::{Table, newest};
use crate::program::{ends_with, err};
use devsnap_simulator::contents::{Contents, Item, Kind, Truth};
use devsnap_simulator::mobilebackup2::{Habits, RestoreReport};
use devsnap_simulator::phone::{Cut, CutAt, Faults, LockdownValue, Stage as At};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Output, Stdio};
use std::time::Duration;

const CAPACITY: (&str, &str) = ("com.apple.disk_usage", "TotalDataCapacity");

const FOUR: &[&str] = &["--replace", "--yes"];

fn report(table: &Table, place: usize) -> Option<RestoreReport> {
    RestoreReport::newest(table.phone(place).folder()).ok()
}

fn sums<'i>(items: impl Iterator<Item = &'i Item>) -> Vec<(String, Option<String>)> {
    let files = items.filter(|item| item.kind == Kind::File);
    files.map(|item| (item.file_id(), item.sha256.clone())).collect()
}

#[track_caller]
fn phone_holds(table: &Table, place: usize, truth: &Truth) {
    let contents = Contents::open(table.phone(place).folder()).unwrap();
    assert_eq!(sums(contents.items()), sums(truth.items.iter()));
}

/// Backs a phone up on so many days; each day's snapshot and truth.
fn days(table: &Table, place: usize, count: u64) -> Vec<(String, Truth)> {
    let days = (0..count).map(|day| {
        let made = table.summary(&["snapshot", "-d", table.udid(place)]);
        let truth = newest(table.phone(place).folder());
        table.day(place, day + 1);
        (made["snapshot_id"].as_str().unwrap().to_owned(), truth)
    });
    days.collect()
}

fn restore(table: &Table, words: &[&str]) -> Output {
    table.run(&[&["restore"], words].concat())
}

#[test]
fn the_first_of_five_days_takes_the_place_of_all_that_is_on_the_phone() {
    let table = Table::ready(&[0]);
    let days = days(&table, 0, 5);
    let (first, truth) = &days[0];
    let words = [&["restore", first, "--device", "Ada's iPhone"], FOUR].concat();
    let said = table.json(&words);
    let report = report(&table, 0).unwrap();
    assert_eq!((report.same, report.error), (report.asked, None));
    phone_holds(&table, 0, truth);
    let plans: Vec<_> = said.iter().filter(|line| line["message_type"] == "plan").collect();
    assert_eq!(plans.len(), 1, "{said:?}");
    assert_eq!(
        (&plans[0]["snapshot_id"], &plans[0]["dry_run"]),
        (&first.as_str().into(), &false.into())
    );
    assert_eq!(plans[0]["target"]["name"], "Ada\u{2019}s iPhone");
    assert_eq!(
        (&plans[0]["remove_not_restored"], &plans[0]["reboot"]),
        (&true.into(), &true.into())
    );
    let summary = said.last().unwrap();
    assert_eq!(summary["message_type"], "summary", "{said:?}");
    assert!(summary["files_sent"].as_u64() >= Some(report.asked as u64), "{summary}");
    assert_eq!(summary["apps"].as_u64(), report.applications.map(|apps| apps.len() as u64));
    let unproven = |line: &&Value| line["text"].as_str().is_some_and(|t| t.contains("real one"));
    assert_eq!(said.iter().filter(unproven).count(), 1, "{said:?}");
    // What the phone holds now is what its next backup goes on from, once.
    let next = table.summary(&["snapshot"]);
    assert_eq!((&next["parent"], &next["device"]["full"]), (&first.as_str().into(), &false.into()));
    table.is_true(0, "latest");
    let after = table.summary(&["snapshot"]);
    assert_eq!(after["parent"], next["snapshot_id"]);
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_even_looked_at() {
    let table = Table::with(&[0]);
    // There is no repository and no trust: neither is asked for.
    let refused = table.command(&["restore", "latest", "-d", "Ada's iPhone"]).output().unwrap();
    ends_with(&refused, 2, "nobody is there to ask");
    assert!(err(&refused).contains("--yes"), "{}", err(&refused));
    for words in [
        &["restore", "latest"][..],
        &["restore", "latest", "-d", "x", "--target", "y"],
        &["restore", "latest", "--target", "y", "--replace"],
        &["restore", "latest", "-d", "x", "--include", "*.jpg", "--yes"],
        &["restore", "latest:/part", "-d", "x", "--yes"],
    ] {
        ends_with(&table.run(words), 2, "");
    }
}

#[test]
fn a_dry_run_looks_and_asks_nothing_of_the_phone() {
    let table = Table::ready(&[0]);
    let (first, _) = days(&table, 0, 1).remove(0);
    let said = table.json(&["restore", &first, "-d", table.udid(0), "--dry-run"]);
    let summary = said.last().unwrap();
    assert_eq!((&summary["message_type"], &summary["dry_run"]), (&"summary".into(), &true.into()));
    assert!(said.iter().any(|line| line["message_type"] == "plan"), "{said:?}");
    let told = |place, value: plist::Value| Faults {
        lockdown_values: vec![LockdownValue::of(place, Some(value))],
        ..Faults::default()
    };
    for (faults, code, words) in [
        (told(LockdownValue::FIND_MY, true.into()), 24, "Find My"),
        (told(CAPACITY, 1000.into()), 20, "holds 1000 at most"),
        (told(("", "ProductVersion"), "16.7".into()), 1, "update the device"),
    ] {
        table.fault(0, faults);
        for how in ["--dry-run", "--yes"] {
            ends_with(&restore(&table, &["latest", "-d", table.udid(0), how]), code, words);
        }
    }
    assert!(report(&table, 0).is_none(), "the phone was asked");
    // Most of it is on the phone already: what is free need not be enough.
    table.fault(0, told(LockdownValue::FREE_BYTES, 1000.into()));
    let words = ["latest", "-d", table.udid(0), "--dry-run"];
    ends_with(&restore(&table, &words), 0, "room for 1000 now");
}

#[test]
fn only_the_phones_own_snapshots_are_meant_unless_another_is_named_and_welcome() {
    let table = Table::ready(&[0, 2]);
    let (first, truth) = days(&table, 0, 1).remove(0);
    ends_with(
        &restore(&table, &["latest", "-d", table.udid(1), "--dry-run"]),
        1,
        "is in the repository",
    );
    let (second, _) = days(&table, 1, 1).remove(0);
    let [own, other] = [0, 1].map(|place| table.udid(place).to_owned());
    let dry = |words: &[&str]| restore(&table, &[words, &["--dry-run"]].concat());
    // The newest of all is the other's.
    let said = table.json(&["restore", "latest", "-d", &own, "--dry-run"]);
    assert_eq!(said.last().unwrap()["snapshot_id"], first.as_str());
    ends_with(&dry(&["latest~1", "-d", &own]), 1, "another device's is named");
    let named = format!("{own}@latest");
    for meant in [&named, &first] {
        ends_with(&dry(&[meant, "-d", &other]), 2, "--other-device");
        let said = table.json(&["restore", meant, "-d", &other, "--other-device", "--dry-run"]);
        let last = said.last().unwrap();
        assert_eq!(
            (&last["snapshot_id"], &last["other_device"]),
            (&first.as_str().into(), &true.into())
        );
    }
    let all = table.json(&["restore", "latest", "-d", &other, "--other-device", "--dry-run"]);
    assert_eq!(all.last().unwrap()["snapshot_id"], second.as_str(), "unnamed it is still its own");
    // And it goes there, byte for byte.
    let folder = table.phone(1).folder().to_owned();
    let mut habits = Habits::load(&folder).unwrap();
    habits.other_phones = vec![table.phone(0).folder().to_owned()];
    habits.save(&folder).unwrap();
    let words = [&[named.as_str(), "-d", &other, "--other-device"], FOUR].concat();
    ends_with(&restore(&table, &words), 0, "ANOTHER DEVICE");
    let report = report(&table, 1).unwrap();
    assert_eq!((report.known, report.same), (true, report.asked));
    phone_holds(&table, 1, &truth);
    // It is no parent of the other's.
    let next = table.summary(&["snapshot", "-d", &other]);
    assert_eq!(next["parent"], second.as_str());
}

/// Both ends of a terminal: the one that a person has, and the program's.
fn terminal() -> (fs::File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (master.into(), slave)
}

/// What it says to a person at a terminal who types `line`.
fn at_a_terminal(table: &Table, words: &[&str], line: &str) -> Output {
    let (mut master, slave) = terminal();
    let mut command = table.command(words);
    command.env("DEVSNAP_PASSWORD_FILE", table.at("password"));
    command.stdin(slave).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    drop(command);
    // It lies there until it is read.
    master.write_all(line.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(master);
    output
}

#[test]
fn a_person_names_the_device_or_nothing_is_sent() {
    let table = Table::ready(&[0]);
    let (first, _) = days(&table, 0, 1).remove(0);
    let words = ["restore", &first, "-d", table.udid(0)];
    for wrong in ["yes\n", "\n", "Ada\n", "\x04"] {
        let refused = at_a_terminal(&table, &words, wrong);
        ends_with(&refused, 2, "not the device's name");
        let said = err(&refused);
        assert!(said.contains("nothing was sent"), "{said}");
        // What it is about to do stood there in words.
        for told in [
            "Ada\u{2019}s iPhone, iPhone15,2, UDID ending in",
            "not in the snapshot stays",
            "settings stay as they are",
            "restarts when it is done",
            "fetches its apps",
            "never with a real one",
        ] {
            assert!(said.contains(told), "{told}: {said}");
        }
    }
    assert!(report(&table, 0).is_none(), "the phone was asked");
    let udid = table.udid(0);
    for right in ["ada's iphone\n".to_owned(), format!("{}\n", &udid[udid.len() - 4..])] {
        ends_with(&at_a_terminal(&table, &words, &right), 0, "");
    }
    let options = report(&table, 0).unwrap().options;
    assert!(!options.system_files && options.preserve_settings && !options.remove_not_restored);
}

#[test]
fn the_question_stays_on_the_terminal_while_it_is_thought_about() {
    let table = Table::ready(&[0]);
    days(&table, 0, 1);
    let (mut terminal, slave) = terminal();
    let mut command = table.command(&["restore", "latest", "-d", table.udid(0)]);
    command.env("DEVSNAP_PASSWORD_FILE", table.at("password")).env("TERM", "xterm");
    command.stdin(slave.try_clone().unwrap()).stdout(Stdio::null()).stderr(slave);
    let mut child = command.spawn().unwrap();
    drop(command);
    let (said, heard) = std::sync::mpsc::channel();
    let mut from = terminal.try_clone().unwrap();
    // It ends when nobody has the terminal any more.
    let reading = std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut piece) {
            let _ = said.send(piece[..len].to_vec());
        }
    });
    let mut screen = String::new();
    let is_asked = |screen: &str| screen.contains("To go on, type") && screen.ends_with("): ");
    while !is_asked(&screen) {
        let more = heard.recv_timeout(Duration::from_secs(60));
        screen.push_str(&String::from_utf8_lossy(&more.expect(&screen)));
    }
    // Progress is drawn five times a second.
    let more = heard.recv_timeout(Duration::from_secs(1)).map(|b| String::from_utf8(b).unwrap());
    assert!(more.is_err(), "{more:?}");
    rustix::process::kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    terminal.write_all(b"\n").unwrap();
    drop(terminal);
    reading.join().unwrap();
    assert!(report(&table, 0).is_none(), "the phone was asked");
}

#[test]
fn flags_are_sent_and_a_failure_has_its_code() {
    let table = Table::ready(&[0]);
    let (first, _) = days(&table, 0, 1).remove(0);
    let run =
        |more: &[&str]| restore(&table, &[&[&first, "-d", table.udid(0), "--yes"], more].concat());
    ends_with(&run(&["--system", "--no-reboot", "--skip-apps"]), 0, "does not restart");
    let sent = report(&table, 0).unwrap();
    assert!(sent.options.system_files && !sent.options.should_reboot);
    assert!(sent.options.preserve_settings && !sent.options.remove_not_restored);
    assert_eq!(sent.applications, None);
    ends_with(&run(&["--settings", "--remove"]), 0, "IS DELETED");
    let sent = report(&table, 0).unwrap();
    assert!(!sent.options.preserve_settings && sent.options.remove_not_restored);
    for (code, exit, words) in [
        (205, 1, "choose another snapshot"),
        (211, 24, "Find My"),
        (106, 20, "too little room for the snapshot"),
        (208, 22, "passcode"),
        (202, 130, "may hold a part"),
    ] {
        table.fault(0, Faults { refusal: Some(code), ..Faults::default() });
        ends_with(&run(&[]), exit, words);
    }
    let service = "com.apple.mobilebackup2".to_owned();
    let cut = Cut { service, at: CutAt::Stage(At::Uploading), times: 1 };
    table.fault(0, Faults { cut: Some(cut), ..Faults::default() });
    ends_with(&run(&[]), 1, "begins anew");
}

#[test]
fn an_encrypted_snapshot_wants_its_password_here_and_not_on_the_phone() {
    let table = Table::ready(&[0]);
    table.phone(0).set_backup_password(Some("secret".to_owned()));
    let (first, truth) = days(&table, 0, 2).remove(0);
    let words = [&["restore", &first, "-d", table.udid(0)], FOUR].concat();
    ends_with(&table.run(&words), 2, "DEVSNAP_BACKUP_PASSWORD");
    let with = |password: &str| {
        let mut command = table.command(&words);
        command.env("DEVSNAP_PASSWORD_FILE", table.at("password"));
        command.env("DEVSNAP_BACKUP_PASSWORD", password).output().unwrap()
    };
    ends_with(&with("wrong"), 25, "neither its passcode");
    ends_with(
        &table.run(&["restore", &first, "-d", table.udid(0), "--dry-run"]),
        0,
        "none was tried",
    );
    assert!(report(&table, 0).is_none(), "the phone was asked");
    ends_with(&with("secret"), 0, "encrypted");
    phone_holds(&table, 0, &truth);
}

#[test]
fn a_restore_that_is_recorded_tells_no_password_no_app_and_nobodys_name() {
    let table = Table::ready(&[0]);
    table.phone(0).set_backup_password(Some("open sesame".to_owned()));
    let (first, _) = days(&table, 0, 1).remove(0);
    let words = ["restore", &first, "-d", table.udid(0), "--record", "it.jsonl", "--yes"];
    let mut command = table.command(&words);
    command.env("DEVSNAP_PASSWORD_FILE", table.at("password"));
    let output = command.env("DEVSNAP_BACKUP_PASSWORD", "open sesame").output().unwrap();
    ends_with(&output, 0, "recording");
    let told = fs::read_to_string(table.at("home/it.jsonl")).unwrap();
    for is_told in ["RestoreSystemFiles", "RemoveItemsNotRestored", "RestoreApplications.plist"] {
        assert!(told.contains(is_told), "{is_told}");
    }
    for secret in ["open sesame", "org.example", "Ada", table.udid(0)] {
        assert!(!told.contains(secret), "{secret}");
    }
}

#[test]
fn what_the_repository_has_lost_is_found_before_the_phone_is_asked() {
    let table = Table::ready(&[0]);
    let (first, truth) = days(&table, 0, 2).remove(0);
    let words = [&["restore", &first, "-d", table.udid(0)], FOUR].concat();
    ends_with(&table.run(&[&words[..], &["--stage", "always"]].concat()), 0, "");
    phone_holds(&table, 0, &truth);
    fs::remove_dir_all(table.phone(0).folder().join("reports")).unwrap();
    let mut packs = Vec::new();
    files_below(&table.at("repository/data"), &mut packs);
    let (largest, kept) =
        (packs.iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap(), table.at("kept"));
    fs::rename(largest, &kept).unwrap();
    for how in [&["--yes"][..], &["--dry-run"]] {
        let refused = restore(&table, &[&[&first, "-d", table.udid(0)], how].concat());
        ends_with(&refused, 26, "nothing was asked of the device");
    }
    assert!(report(&table, 0).is_none(), "the phone was asked");
    fs::rename(&kept, largest).unwrap();
    ends_with(&table.run(&words), 0, "");
}

fn files_below(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => files_below(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

#[test]
fn a_snapshot_of_a_folder_is_none_for_a_phone() {
    let table = Table::ready(&[0]);
    fs::create_dir(table.at("home/papers")).unwrap();
    fs::write(table.at("home/papers/one"), "x").unwrap();
    let made = table.summary(&["snapshot", "papers"]);
    let id = made["snapshot_id"].as_str().unwrap();
    let refused = restore(&table, &[id, "-d", table.udid(0), "--yes"]);
    ends_with(&refused, 2, "is of a folder");
    ends_with(&restore(&table, &["latest", "-d", table.udid(0), "--yes"]), 1, "");
}

#[test]
fn pruning_waits_while_a_phone_reads() {
    let table = Table::ready(&[0]);
    let (first, truth) = days(&table, 0, 1).remove(0);
    let put = |table: &Table| fs::read_dir(table.at("repository/sessions")).unwrap().count();
    let before = put(&table);
    let silence = devsnap_simulator::phone::Silence {
        service: "com.apple.mobilebackup2".to_owned(),
        before: CutAt::Stage(At::Uploading),
        lasts: std::time::Duration::from_secs(3),
    };
    table.fault(0, Faults { silence: Some(silence), ..Faults::default() });
    let words = [&["restore", &first, "-d", table.udid(0)], FOUR].concat();
    let mut command = table.command(&words);
    command.env("DEVSNAP_PASSWORD_FILE", table.at("password"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut seen = false;
    for _ in 0..600 {
        seen |= put(&table) > before;
        if seen {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let ended = child.wait_with_output().unwrap();
    ends_with(&ended, 0, "");
    assert!(seen, "no session was open meanwhile");
    assert_eq!(put(&table), before, "nothing of it stays");
    phone_holds(&table, 0, &truth);
}
