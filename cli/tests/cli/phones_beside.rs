//! What happens beside a backup: the computer stays awake, the battery is looked at, devices come
//! and go; and what a person is told of a session that failed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::Table;
use crate::program::{ends_with, err, objects_of};
use devsnap_simulator::contents::Proportions;
use devsnap_simulator::phone::{Battery, Cut, CutAt, Faults, Passcode, Stage};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long anything may take that happens at once.
const AT_ONCE: Duration = Duration::from_secs(60);

/// A program that goes on, and what it says line by line.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // It ends when the program does.
        std::thread::spawn(move || {
            said.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Running { child, lines }
    }

    /// The next line, or none in time.
    fn line(&self) -> String {
        self.lines.recv_timeout(AT_ONCE).unwrap()
    }

    /// The next object that `is_meant`.
    fn object(&self, is_meant: impl Fn(&Value) -> bool) -> Value {
        loop {
            let object: Value = serde_json::from_str(&self.line()).unwrap();
            if is_meant(&object) {
                return object;
            }
        }
    }

    fn is_told(&self, event: &str) -> Value {
        self.object(|line| line["event"] == event)
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn devices_are_watched_as_they_come_are_paired_and_go() {
    let table = Table::with(&[0]);
    let mut watch = Running::start(&mut table.command(&["devices", "--watch", "--json"]));
    let told = watch.is_told("attached");
    assert_eq!((&told["udid"], &told["paired"]), (&table.udid(0).into(), &false.into()));
    assert_eq!(told["connections"][0], "usb");
    assert_eq!(
        (&told["message_type"], &told["name"]),
        (&"device".into(), &"Ada\u{2019}s iPhone".into())
    );
    table.done(&["pair", "--wait", "1s"]);
    assert_eq!(watch.is_told("paired")["paired"], true);
    for _ in 0..2 {
        table.simulator.unplug(table.udid(0));
        let told = watch.is_told("detached");
        assert_eq!((&told["udid"], &told["name"]), (&table.udid(0).into(), &"".into()));
        table.simulator.plug_in(table.udid(0));
        let told = watch.is_told("attached");
        assert_eq!((&told["os_version"], &told["paired"]), (&"17.5.1".into(), &true.into()));
    }
    watch.signal(Signal::TERM);
    assert_eq!(watch.child.wait().unwrap().code(), Some(130));
}

#[test]
fn devices_are_watched_in_words() {
    let table = Table::with(&[0]);
    let mut watch = Running::start(&mut table.command(&["devices", "--watch"]));
    let (udid, name) = (table.udid(0), "Ada\u{2019}s iPhone");
    assert_eq!(watch.line(), format!("attached  {udid}  USB  {name}"));
    table.simulator.unplug(udid);
    assert_eq!(watch.line(), format!("detached  {udid}  USB"));
    watch.signal(Signal::TERM);
    assert_eq!(watch.child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_battery_that_is_low_and_does_not_charge_is_warned_of() {
    let table = Table::ready(&[0]);
    let warnings = |table: &Table| {
        let said = table.json(&["snapshot"]);
        assert_eq!(said.last().unwrap()["message_type"], "summary", "{said:?}");
        said.iter().filter(|line| line["message_type"] == "warning").count()
    };
    assert_eq!(warnings(&table), 0, "it is on a charger");
    table.phone(0).set_battery(Battery { percent: 12, is_powered: true, is_charging: true });
    assert_eq!(warnings(&table), 0, "it charges");
    table.phone(0).set_battery(Battery { percent: 12, is_powered: false, is_charging: false });
    let output = table.run(&["snapshot"]);
    ends_with(&output, 0, "warning: Ada\u{2019}s iPhone has 12 % of its battery left");
    assert!(table.done(&["device", "info"]).contains("12 %, not charging"));
    let info = &table.json(&["device", "info"])[0];
    assert_eq!((&info["battery_percent"], &info["battery_charging"]), (&12.into(), &false.into()));
}

/// A computer that can be kept awake, in name only: how it fares stands in a file.
struct Sleeper<'t> {
    table: &'t Table,
}

impl Sleeper<'_> {
    /// With programs that do as the system's would, after `first`.
    fn with<'t>(table: &'t Table, first: &str) -> Sleeper<'t> {
        let folder = table.at("system");
        fs::create_dir_all(&folder).unwrap();
        let said = table.at("home/sleep");
        let said = said.display();
        for name in ["systemd-inhibit", "elogind-inhibit", "caffeinate"] {
            // Where a password is, it is none of its business.
            let script = format!(
                "#!/bin/sh\n{first}\nif env | grep -q DEVSNAP; then exit 1; fi\n\
                 echo \"held $*\" >> \"{said}\"\ncat\necho released >> \"{said}\"\n"
            );
            fs::write(folder.join(name), script).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Sleeper { table }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.table.command(words);
        let usual = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{usual}", self.table.at("system").display()));
        command.env("DEVSNAP_PASSWORD_FILE", self.table.at("password"));
        command
    }

    /// The first word of each line so far.
    fn so_far(&self) -> Vec<String> {
        let said = fs::read_to_string(self.table.at("home/sleep")).unwrap_or_default();
        said.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

#[test]
fn the_computer_stays_awake_for_exactly_the_run_however_it_ends() {
    let table = Table::ready(&[0]);
    let sleeper = Sleeper::with(&table, "");
    let output = sleeper.command(&["snapshot", "--verbose"]).output().unwrap();
    ends_with(&output, 0, "");
    assert!(!err(&output).contains("asleep"), "{}", err(&output));
    assert_eq!(sleeper.so_far(), ["held", "released"]);
    table.fault(0, Faults { passcode: Passcode::Denied, ..Faults::default() });
    ends_with(&sleeper.command(&["snapshot"]).output().unwrap(), 22, "enter the passcode");
    assert_eq!(sleeper.so_far(), ["held", "released", "held", "released"]);
    // Killed, it has no time to say so.
    table.fault(0, Faults { passcode: Passcode::Never, ..Faults::default() });
    let mut run = Running::start(&mut sleeper.command(&["snapshot", "--json"]));
    run.object(|line| line["kind"] == "passcode");
    assert_eq!(sleeper.so_far().len(), 5);
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    for _ in 0..600 {
        if sleeper.so_far().len() == 6 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(sleeper.so_far()[4..], ["held", "released"]);
}

#[test]
fn a_computer_that_cannot_be_kept_awake_is_no_reason_to_fail() {
    let table = Table::ready(&[0]);
    let sleeper = Sleeper::with(&table, "exit 1");
    let output = sleeper.command(&["snapshot", "--verbose"]).output().unwrap();
    ends_with(&output, 0, "from falling asleep");
    assert_eq!(sleeper.so_far(), <[&str; 0]>::default());
    // Unless somebody wants to know, nobody is told.
    let output = sleeper.command(&["snapshot"]).output().unwrap();
    assert!(output.status.success() && !err(&output).contains("asleep"));
}

/// Fails twice after all has come and is stored, and then is well: what the program said, and what
/// came of the run after it.
fn failed_at_the_end(table: &Table) -> (Value, Value) {
    let service = "com.apple.mobilebackup2".to_owned();
    let cut = Cut { service, at: CutAt::Stage(Stage::Verifying), times: 2 };
    table.fault(0, Faults { cut: Some(cut), ..Faults::default() });
    let said = table.json(&["snapshot"]);
    let failed = said.last().unwrap().clone();
    assert_eq!(
        (&failed["message_type"], &failed["code"]),
        (&"error".into(), &1.into()),
        "{said:?}"
    );
    assert!(failed["files_received"].as_u64() > Some(200), "two tries: {failed}");
    assert!(failed["bytes_stored"].as_u64() > Some(100 << 10), "{failed}");
    assert_eq!(table.summary(&["snapshots"])["snapshots"], 0);
    let made = table.summary(&["snapshot"]);
    assert_eq!(made["device"]["full"], true);
    (failed, made)
}

/// Its files outweigh its lists.
fn heavy() -> Table {
    Table::holding(Proportions { files: 120, bytes: 8 << 20 }, &[0]).made_ready()
}

fn of_all(part: &Value, all: &Value) -> f64 {
    part.as_f64().unwrap() / all.as_f64().unwrap()
}

#[test]
fn what_a_failed_session_stored_is_not_stored_again() {
    let table = heavy();
    let (failed, made) = failed_at_the_end(&table);
    assert_eq!(failed["stored_is_of_use"], true);
    assert!(of_all(&made["bytes_added"], &made["bytes_received"]) < 0.3, "{made}");
    table.is_true(0, "latest");
    // Nothing came: there is nothing to tell.
    table.fault(0, Faults { refusal: Some(208), ..Faults::default() });
    let said = table.json(&["snapshot"]);
    assert!(said.last().unwrap().get("files_received").is_none(), "{said:?}");
}

#[test]
fn what_a_failed_session_stored_of_an_encrypted_phone_is_of_no_use() {
    let table = heavy();
    table.phone(0).set_backup_password(Some("secret".to_owned()));
    let (failed, made) = failed_at_the_end(&table);
    assert_eq!(failed["stored_is_of_use"], false);
    assert!(of_all(&made["bytes_added"], &made["bytes_received"]) > 0.6, "{made}");
}

#[test]
fn a_person_is_told_what_came_before_it_failed() {
    let table = Table::ready(&[0]);
    table.fault(0, Faults { refusal: Some(202), ..Faults::default() });
    let output = table.run(&["snapshot"]);
    ends_with(&output, 130, "cancelled on the device");
    let said = err(&output);
    assert!(said.contains("files came whole, ") && said.contains("stored"), "{said}");
    let last = objects_of(&String::from_utf8(table.run(&["snapshot", "--json"]).stdout).unwrap());
    assert!(last.last().unwrap()["files_received"].as_u64() > Some(0), "{last:?}");
}
