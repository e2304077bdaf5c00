//! Unmodified idevicebackup2 and pymobiledevice3: they back the phone up, restore to it and change its
//! password; what they wrote is compared with the truth, and what they sent back too.
use crate::compare::{compare, newest};
use crate::tools::{Ran, client, idevice, pymobiledevice3, run, simulator_of};
use devsnap_simulator::contents::{Contents, Proportions};
use devsnap_simulator::mobilebackup2::{Habits, RestoreReport};
use devsnap_simulator::{Phone, Simulator};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// Which program.
#[derive(Debug, Clone, Copy)]
enum Client {
    Libimobiledevice,
    Pymobiledevice3,
}

/// A phone, and somebody's computer with the program and a folder for backups.
struct Desk {
    simulator: Simulator,
    home: TempDir,
    client: Client,
}

impl Desk {
    fn new(client: Client, seed: u64) -> Desk {
        let simulator = simulator_of(1);
        let folder = simulator.phones()[0].folder();
        let proportions = Proportions { files: 260, bytes: 3 << 20 };
        Contents::generate(seed, &proportions).save(folder).unwrap();
        let habits = Habits { keybag_rounds: 1000, ..Habits::default() };
        habits.save(folder).unwrap();
        let desk = Desk { simulator, home: tempfile::tempdir().unwrap(), client };
        std::fs::create_dir(desk.sets()).unwrap();
        if matches!(client, Client::Libimobiledevice) {
            let mut pair = client_command(&idevice("idevicepair"), &desk);
            let paired = run(pair.arg("pair"), desk.home.path());
            assert!(paired.succeeded, "{paired:?}");
        }
        desk
    }

    fn phone(&self) -> &Arc<Phone> {
        &self.simulator.phones()[0]
    }

    fn sets(&self) -> PathBuf {
        self.home.path().join("sets")
    }

    fn set(&self) -> PathBuf {
        self.sets().join(&self.phone().identity().udid)
    }

    fn day(&self, seed: u64) {
        let mut contents = Contents::open(self.phone().folder()).unwrap();
        contents.mutate(seed);
        contents.save(self.phone().folder()).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let program = match self.client {
            Client::Libimobiledevice => idevice("idevicebackup2"),
            Client::Pymobiledevice3 => pymobiledevice3(),
        };
        run(client_command(&program, self).args(arguments), self.home.path())
    }

    fn back_up(&self, full: bool) {
        let sets = self.sets();
        let sets = sets.to_str().unwrap();
        let ran = match (self.client, full) {
            (Client::Libimobiledevice, false) => self.run(&["backup", sets]),
            (Client::Libimobiledevice, true) => self.run(&["backup", "--full", sets]),
            (Client::Pymobiledevice3, false) => self.run(&["backup2", "backup", sets]),
            (Client::Pymobiledevice3, true) => self.run(&["backup2", "backup", "--full", sets]),
        };
        assert!(ran.succeeded, "{ran:?}");
        if matches!(self.client, Client::Libimobiledevice) {
            assert!(ran.output.contains("Backup Successful"), "{ran:?}");
        }
    }

    fn restore(&self, password: Option<&str>) -> Ran {
        let sets = self.sets();
        let sets = sets.to_str().unwrap();
        let mut arguments = match self.client {
            Client::Libimobiledevice => vec!["restore", "--system", "--settings", "--no-reboot"],
            Client::Pymobiledevice3 => vec!["backup2", "restore", "--system", "--no-reboot"],
        };
        arguments.extend(password.iter().flat_map(|password| ["--password", password]));
        arguments.push(sets);
        self.run(&arguments)
    }

    fn encryption(&self, mode: &str, password: &str) -> Ran {
        let sets = self.sets();
        let sets = sets.to_str().unwrap();
        match self.client {
            Client::Libimobiledevice => self.run(&["encryption", mode, password, sets]),
            Client::Pymobiledevice3 => {
                self.run(&["backup2", "encryption", mode, password, "-b", sets])
            }
        }
    }

    fn change_password(&self, old: &str, new: &str) -> Ran {
        let sets = self.sets();
        let sets = sets.to_str().unwrap();
        match self.client {
            Client::Libimobiledevice => self.run(&["changepw", old, new, sets]),
            Client::Pymobiledevice3 => {
                self.run(&["backup2", "change-password", old, new, "-b", sets])
            }
        }
    }
}

fn client_command(program: &Path, desk: &Desk) -> Command {
    client(program, &desk.simulator, desk.home.path())
}

fn all_went_back(desk: &Desk, password: Option<&str>) {
    let restored = desk.restore(password);
    assert!(restored.succeeded, "{restored:?}");
    let report = RestoreReport::newest(desk.phone().folder()).unwrap();
    assert!(report.known && report.error.is_none(), "{report:?}");
    assert!(report.asked > 100 && report.same == report.asked, "{report:?}");
    assert!(report.rows_different.is_empty() && report.different.is_empty(), "{report:?}");
}

/// Full, a day, incremental, restored; each time compared.
fn plain_rounds(client: Client) {
    let desk = Desk::new(client, 61);

    desk.back_up(true);
    compare(&desk.set(), None, &newest(desk.phone().folder()));
    desk.day(1);
    desk.back_up(false);
    let truth = newest(desk.phone().folder());
    assert!(!truth.backup.as_ref().unwrap().full);
    compare(&desk.set(), None, &truth);
    all_went_back(&desk, None);
    desk.back_up(true);
    compare(&desk.set(), None, &newest(desk.phone().folder()));
}

/// Encryption on, full, a day, incremental, restored, another password, encryption off.
fn encrypted_rounds(client: Client) {
    let desk = Desk::new(client, 62);
    let password = || desk.phone().backup_password();

    let switched = desk.encryption("on", "geheim1");
    assert!(switched.succeeded, "{switched:?}");
    assert_eq!(password().as_deref(), Some("geheim1"));
    desk.back_up(false);
    compare(&desk.set(), Some("geheim1"), &newest(desk.phone().folder()));
    desk.day(1);
    desk.back_up(false);
    let truth = newest(desk.phone().folder());
    assert!(!truth.backup.as_ref().unwrap().full);
    compare(&desk.set(), Some("geheim1"), &truth);
    all_went_back(&desk, Some("geheim1"));

    desk.change_password("wrong", "other2");
    assert_eq!(password().as_deref(), Some("geheim1"));
    let changed = desk.change_password("geheim1", "other2");
    assert!(changed.succeeded, "{changed:?}");
    assert_eq!(password().as_deref(), Some("other2"));
    desk.back_up(false);
    let truth = newest(desk.phone().folder());
    assert!(truth.backup.as_ref().unwrap().full, "another keybag");
    compare(&desk.set(), Some("other2"), &truth);
    desk.encryption("off", "other2");
    assert_eq!(password(), None);
}

#[test]
fn idevicebackup2_backs_up_and_restores_a_phone() {
    plain_rounds(Client::Libimobiledevice);
}

#[test]
fn idevicebackup2_backs_up_and_restores_an_encrypted_phone_and_changes_its_password() {
    encrypted_rounds(Client::Libimobiledevice);
}

#[test]
fn pymobiledevice3_backs_up_and_restores_a_phone() {
    plain_rounds(Client::Pymobiledevice3);
}

#[test]
fn pymobiledevice3_backs_up_and_restores_an_encrypted_phone_and_changes_its_password() {
    encrypted_rounds(Client::Pymobiledevice3);
}

/// Decrypts every file of a set and prints the digests: the work of other people's software.
const DECRYPT: &str = include_str!("decrypt.py");

#[test]
fn an_independent_decryptor_reads_every_file_of_an_encrypted_backup() {
    let desk = Desk::new(Client::Libimobiledevice, 63);
    let folder = desk.phone().folder();
    // It reads no unusual records, and takes a file's class for that of its key, which they are not
    // for class 7.
    let habits = Habits { odd_records: 0, ..Habits::load(folder).unwrap() };
    habits.save(folder).unwrap();
    let mut contents = Contents::open(folder).unwrap();
    let seventh: Vec<_> = contents.items().filter(|i| i.protection_class == 7).cloned().collect();
    for mut item in seventh {
        item.protection_class = 3;
        contents.put(item);
    }
    contents.save(folder).unwrap();
    desk.phone().set_backup_password(Some("correct horse".into()));
    desk.back_up(false);

    let python = pymobiledevice3().with_file_name("python");
    let mut command = Command::new(python);
    command.args(["-c", DECRYPT, desk.set().to_str().unwrap(), "correct horse"]);
    let ran = run(&mut command, desk.home.path());

    assert!(
        !ran.errors.contains("No module named"),
        "iphone_backup_decrypt is not installed: run tests/servers/install"
    );
    assert!(ran.succeeded, "{ran:?}");
    let digests: serde_json::Value =
        serde_json::from_str(ran.output.lines().last().unwrap()).unwrap();
    let truth = newest(folder);
    let files: Vec<_> = truth.items.iter().filter(|item| item.sha256.is_some()).collect();
    assert_eq!(digests.as_object().unwrap().len(), files.len());
    for item in files {
        assert_eq!(digests[item.file_id()].as_str(), item.sha256.as_deref(), "{item:?}");
    }
}
