//! Phones as a person backs them up: phones in software on a table, the program in between.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::program::{PASSWORD, ends_with, err, objects_of, program, said_by};
use devsnap_device::BackupSet;
use devsnap_simulator::contents::{Contents, Kind, Proportions, Truth, truth};
use devsnap_simulator::mobilebackup2::Habits;
use devsnap_simulator::phone::Stage as At;
use devsnap_simulator::phone::{Cut, CutAt, Faults, Passcode, Trust};
use devsnap_simulator::wire::Weather;
use devsnap_simulator::{Options, Phone, PhoneOptions, Simulator, simulator};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Phones, a home and a repository.
pub(crate) struct Table {
    simulator: Simulator,
    root: TempDir,
}

impl Table {
    /// With the phones of these numbers ([`simulator::identity`]), which nobody trusts yet.
    pub(crate) fn with(numbers: &[usize]) -> Table {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        let mut phones = Vec::new();
        for number in numbers {
            let identity = simulator::identity(*number);
            let folder = state.join("phones").join(&identity.udid);
            fs::create_dir_all(&folder).unwrap();
            let proportions = Proportions { files: 120, bytes: 1 << 20 };
            let seed = u64::try_from(*number).unwrap() + 70;
            Contents::generate(seed, &proportions).save(&folder).unwrap();
            Habits { keybag_rounds: 200, ..Habits::default() }.save(&folder).unwrap();
            phones.push(PhoneOptions::new(identity));
        }
        let options =
            Options { state: Some(state), phones, weather: Weather::Fair, ..Options::default() };
        let table = Table { simulator: Simulator::start(options).unwrap(), root };
        fs::create_dir(table.at("home")).unwrap();
        fs::write(table.at("password"), format!("{PASSWORD}\n")).unwrap();
        table
    }

    /// With a repository, and with phones that trust this computer.
    pub(crate) fn ready(numbers: &[usize]) -> Table {
        let table = Table::with(numbers);
        table.done(&["init"]);
        for phone in table.simulator.phones() {
            table.done(&["pair", "-d", &phone.identity().udid, "--wait", "1s"]);
        }
        table
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn phone(&self, place: usize) -> &Phone {
        &self.simulator.phones()[place]
    }

    fn udid(&self, place: usize) -> &str {
        &self.phone(place).identity().udid
    }

    fn fault(&self, place: usize, faults: Faults) {
        self.phone(place).set_faults(faults);
    }

    /// Lets a day pass on a phone.
    pub(crate) fn day(&self, place: usize, seed: u64) {
        let mut contents = Contents::open(self.phone(place).folder()).unwrap();
        contents.mutate(seed);
        contents.save(self.phone(place).folder()).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program(&self.at("home"), self.at("repository"), words);
        command.env("USBMUXD_SOCKET_ADDRESS", self.simulator.address().to_string());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).env("DEVSNAP_PASSWORD_FILE", self.at("password")).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn done(&self, words: &[&str]) -> String {
        said_by(self.run(words))
    }

    /// Whether it ends well or not.
    fn json(&self, words: &[&str]) -> Vec<Value> {
        let output = self.run(&[words, &["--json"]].concat());
        objects_of(&String::from_utf8(output.stdout).unwrap())
    }

    /// The last line of what must end well.
    #[track_caller]
    pub(crate) fn summary(&self, words: &[&str]) -> Value {
        let said = self.done(&[words, &["--json", "--no-progress"]].concat());
        objects_of(&said).pop().unwrap()
    }

    /// The id of the newest snapshot.
    fn newest(&self) -> String {
        self.summary(&["show", "latest"])["id"].as_str().unwrap().to_owned()
    }

    /// Brings a snapshot back, and holds it against what the phone has written down of its newest
    /// backup: every file under its name, byte for byte, and no other.
    fn is_true(&self, place: usize, snapshot: &str) {
        let target = tempfile::tempdir_in(self.root.path()).unwrap();
        self.done(&["restore", snapshot, "--target", target.path().to_str().unwrap()]);
        let set = target.path().join(self.udid(place));
        let truth = newest(self.phone(place).folder());
        let mut files = 0;
        for item in truth.items.iter().filter(|item| item.kind == Kind::File) {
            let name = item.file_id();
            let bytes = fs::read(set.join(&name[..2]).join(&name)).unwrap();
            let digest: String =
                Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(Some(digest), item.sha256, "{item:?}");
            files += 1;
        }
        assert!(files > 50);
        assert_eq!(blobs_in(&set), files);
        let recognised = BackupSet::recognise(&set).unwrap().unwrap();
        assert!(recognised.is_finished() && recognised.oddities.is_empty(), "{recognised:?}");
        assert_eq!(recognised.udid.as_str(), self.udid(place));
    }
}

/// The truth about a phone's newest backup.
fn newest(phone: &Path) -> Truth {
    let date = *truth::backups(phone).unwrap().last().expect("a backup was made");
    Truth::read(&truth::backup_path(phone, date)).unwrap()
}

fn blobs_in(set: &Path) -> usize {
    let folders = fs::read_dir(set).unwrap().flatten().filter(|entry| entry.path().is_dir());
    folders.map(|folder| fs::read_dir(folder.path()).unwrap().count()).sum()
}

#[test]
fn a_phone_becomes_a_snapshot_in_full_and_then_incrementally() {
    let table = Table::ready(&[0]);
    let said = table.json(&["snapshot", "--tag", "first"]);
    let phases: Vec<_> = said.iter().filter_map(|line| line["phase"].as_str()).collect();
    assert!(phases.contains(&"receiving") || phases.contains(&"finishing"), "{phases:?}");
    let first = said.last().unwrap();
    assert_eq!(first["message_type"], "summary", "{said:?}");
    assert_eq!((&first["device"]["full"], &first["complete"]), (&true.into(), &true.into()));
    assert_eq!(first["device"]["name"], "Ada\u{2019}s iPhone");
    assert!(first["device"]["backup_time"].is_string() && first["verification"] == "rows");
    table.is_true(0, "latest");
    table.day(0, 1);
    let second = table.summary(&["snapshot", "-d", "ada's iphone"]);
    assert_eq!(second["device"]["full"], false);
    assert_eq!(second["parent"], first["snapshot_id"]);
    assert!(second["files_received"].as_u64() < first["files_received"].as_u64());
    table.is_true(0, "latest");
    table.day(0, 2);
    let third = table.summary(&["snapshot", "--parent", "first"]);
    assert_eq!(third["parent"], first["snapshot_id"]);
    table.is_true(0, "Ada's iPhone@latest");
    let full = table.summary(&["snapshot", "--full"]);
    assert_eq!(full["device"]["full"], true);
    table.is_true(0, "latest");
}

#[test]
fn a_phone_continues_what_was_kept_from_a_folder() {
    let table = Table::ready(&[0]);
    table.done(&["snapshot"]);
    table.done(&["restore", "latest", "--target", "back"]);
    let folder = format!("back/{}", table.udid(0));
    let kept = table.summary(&["snapshot", &folder]);
    table.day(0, 1);
    let made = table.summary(&["snapshot"]);
    assert_eq!((&made["parent"], &made["device"]["full"]), (&kept["snapshot_id"], &false.into()));
    table.is_true(0, "latest");
}

#[test]
fn of_several_devices_one_is_named_or_all_are_taken() {
    let table = Table::ready(&[0, 3]);
    let refused = table.run(&["snapshot"]);
    ends_with(&refused, 2, "2 devices are attached");
    let refused = table.run(&["snapshot", "--device", "Ada's iPhone"]);
    ends_with(&refused, 2, &format!("{} (USB)", table.udid(0)));
    assert!(err(&refused).contains(table.udid(1)) && err(&refused).contains("UDID"));
    ends_with(&table.run(&["snapshot", "-d", "Zoë"]), 21, "no device is called `Zoë`");
    ends_with(&table.run(&["snapshot", "home", "-d", "Zoë"]), 2, "cannot be used with");
    // One that fails does not keep the other from being backed up.
    table.fault(0, Faults { passcode: Passcode::Denied, ..Faults::default() });
    ends_with(&table.run(&["snapshot", "--all"]), 22, "enter the passcode");
    table.is_true(1, &format!("{}@latest", table.udid(1)));
    assert_eq!(table.summary(&["snapshots"])["snapshots"], 1);
    ends_with(&table.run(&["snapshot", "-u", table.udid(0), "--parent", "latest"]), 2, "is not of");
}

#[test]
fn trust_is_given_kept_carried_and_taken_back() {
    let table = Table::with(&[0]);
    let devices = table.json(&["devices"]);
    assert_eq!(
        (&devices[0]["udid"], &devices[0]["paired"]),
        (&table.udid(0).into(), &false.into())
    );
    assert_eq!((&devices[0]["connections"][0], &devices[1]["devices"]), (&"usb".into(), &1.into()));
    ends_with(&table.run(&["device", "info"]), 21, "devsnap pair");
    table.fault(0, Faults { trust: Trust::After(1), ..Faults::default() });
    let said = table.json(&["pair", "--wait", "8s", "--export-record", "record.plist"]);
    assert_eq!((&said[0]["message_type"], &said[0]["kind"]), (&"prompt".into(), &"trust".into()));
    assert_eq!(said.last().unwrap()["was_paired"], false, "{said:?}");
    let mode = fs::metadata(table.at("home/record.plist")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(table.json(&["devices"])[0]["paired"], true);
    assert!(table.done(&["device", "info"]).contains("Ada\u{2019}s iPhone"));
    let redacted = table.done(&["device", "info", "--redact", "--json"]);
    for secret in [table.udid(0), "Ada", &table.phone(0).identity().serial_number] {
        assert!(!redacted.contains(secret), "{secret}: {redacted}");
    }
    assert!(redacted.contains("iPhone15,2"), "{redacted}");
    // The record is as good on another computer, until the phone has forgotten it.
    table.done(&["pair", "-d", table.udid(0), "--import-record", "record.plist"]);
    assert_eq!(table.summary(&["unpair"])["was_paired"], true);
    assert_eq!(table.json(&["devices"])[0]["paired"], false);
    let refused = table.run(&["pair", "--import-record", "record.plist"]);
    ends_with(&refused, 21, "does not take the record");
}

#[test]
fn who_does_not_want_a_backup_is_heard() {
    let table = Table::with(&[0]);
    table.done(&["init"]);
    table.fault(0, Faults { trust: Trust::Denied, ..Faults::default() });
    ends_with(&table.run(&["snapshot", "--wait", "1s"]), 21, "Don't Trust");
    table.fault(0, Faults { passcode: Passcode::Denied, ..Faults::default() });
    ends_with(&table.run(&["snapshot", "--wait", "1s"]), 22, "enter the passcode");
    table.fault(0, Faults { passcode: Passcode::Never, ..Faults::default() });
    let said = table.json(&["snapshot", "--wait", "1s"]);
    let prompts: Vec<_> = said.iter().filter(|line| line["message_type"] == "prompt").collect();
    assert_eq!((prompts.len(), &prompts[0]["kind"]), (1, &"passcode".into()), "{said:?}");
    let last = said.last().unwrap();
    assert_eq!((&last["code"], &last["kind"]), (&22.into(), &"locked".into()), "{last}");
    assert_eq!(table.summary(&["snapshots"])["snapshots"], 0);
}

#[test]
fn too_little_room_is_told_to_the_byte_and_can_be_ignored() {
    let table = Table::ready(&[0]);
    table.fault(0, Faults { low_space: Some(9 << 30), ..Faults::default() });
    let refused = table.run(&["snapshot", "--max-size", "1GiB"]);
    let wanted = (9_u64 << 30) + (128 << 20);
    ends_with(&refused, 20, &format!("wants {wanted} bytes of room"));
    assert!(err(&refused).contains("--ignore-space"));
    table.done(&["snapshot", "--ignore-space"]);
    table.is_true(0, "latest");
}

#[test]
fn a_link_that_drops_is_tried_once_more_and_costs_no_snapshot() {
    let table = Table::ready(&[0]);
    table.done(&["snapshot"]);
    let before = table.newest();
    table.day(0, 1);
    let service = "com.apple.mobilebackup2".to_owned();
    let cut = Cut { service, at: CutAt::Stage(At::Moving), times: 3 };
    table.fault(0, Faults { cut: Some(cut), ..Faults::default() });
    let failed = table.run(&["snapshot"]);
    ends_with(&failed, 1, "trying once more");
    assert_eq!(table.newest(), before);
    // Cut once more, and then it is well: incrementally, after the one that was there before.
    let made = table.summary(&["snapshot"]);
    assert_eq!((&made["parent"], &made["device"]["full"]), (&before.into(), &false.into()));
    table.is_true(0, "latest");
}

#[test]
fn a_station_backs_phones_up_and_reads_nothing_back() {
    let table = Table::ready(&[0]);
    table.done(&["key", "writer", "add", "hall", "--output", "hall.key"]);
    for day in 0..2 {
        table.day(0, day);
        let output = table.command(&["snapshot", "--key-file", "hall.key"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        table.is_true(0, "latest");
    }
}

#[test]
fn without_usbmuxd_or_a_device_it_says_how_to_get_there() {
    let table = Table::with(&[0]);
    let output = table.command(&["devices"]).env("USBMUXD_SOCKET_ADDRESS", "/nowhere").output();
    ends_with(&output.unwrap(), 21, "usbmuxd");
    let output = table.command(&["devices"]).env("USBMUXD_SOCKET_ADDRESS", "nowhere").output();
    ends_with(&output.unwrap(), 2, "USBMUXD_SOCKET_ADDRESS");
    table.simulator.unplug(table.udid(0));
    assert!(table.done(&["devices"]).contains("No device is attached"));
    let output = table.command(&["snapshot"]).output().unwrap();
    ends_with(&output, 21, "no device is attached");
    assert!(err(&output).contains("--wait"), "{}", err(&output));
}
