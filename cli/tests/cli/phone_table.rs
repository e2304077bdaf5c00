//! Phones in software on a table, a home, a repository, and the program in between.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::program::{PASSWORD, objects_of, program, said_by};
use devsnap_device::BackupSet;
use devsnap_simulator::contents::{Contents, Kind, Proportions, Truth, truth};
use devsnap_simulator::mobilebackup2::Habits;
use devsnap_simulator::phone::Faults;
use devsnap_simulator::wire::Weather;
use devsnap_simulator::{Options, Phone, PhoneOptions, Simulator, simulator};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Phones, a home and a repository.
pub(crate) struct Table {
    pub(crate) simulator: Simulator,
    root: TempDir,
}

impl Table {
    /// With the phones of these numbers ([`simulator::identity`]), which nobody trusts yet.
    pub(crate) fn with(numbers: &[usize]) -> Table {
        Table::holding(Proportions { files: 120, bytes: 1 << 20 }, numbers)
    }

    pub(crate) fn holding(proportions: Proportions, numbers: &[usize]) -> Table {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        let mut phones = Vec::new();
        for number in numbers {
            let identity = simulator::identity(*number);
            let folder = state.join("phones").join(&identity.udid);
            fs::create_dir_all(&folder).unwrap();
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
        Table::with(numbers).made_ready()
    }

    pub(crate) fn made_ready(self) -> Table {
        self.done(&["init"]);
        for phone in self.simulator.phones() {
            self.done(&["pair", "-d", &phone.identity().udid, "--wait", "1s"]);
        }
        self
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn phone(&self, place: usize) -> &Phone {
        &self.simulator.phones()[place]
    }

    pub(crate) fn udid(&self, place: usize) -> &str {
        &self.phone(place).identity().udid
    }

    pub(crate) fn fault(&self, place: usize, faults: Faults) {
        self.phone(place).set_faults(faults);
    }

    /// Lets a day pass on a phone.
    pub(crate) fn day(&self, place: usize, seed: u64) {
        let mut contents = Contents::open(self.phone(place).folder()).unwrap();
        contents.mutate(seed);
        contents.save(self.phone(place).folder()).unwrap();
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
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
    pub(crate) fn json(&self, words: &[&str]) -> Vec<Value> {
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
    pub(crate) fn newest(&self) -> String {
        self.summary(&["show", "latest"])["id"].as_str().unwrap().to_owned()
    }

    /// Brings a snapshot back, and holds it against what the phone has written down of its newest
    /// backup: every file under its name, byte for byte, and no other.
    pub(crate) fn is_true(&self, place: usize, snapshot: &str) {
        self.holds(place, snapshot, &newest(self.phone(place).folder()));
    }

    /// The same, of a backup that may not be the newest.
    pub(crate) fn holds(&self, place: usize, snapshot: &str, truth: &Truth) {
        let target = tempfile::tempdir_in(self.root.path()).unwrap();
        self.done(&["restore", snapshot, "--target", target.path().to_str().unwrap()]);
        let set = target.path().join(self.udid(place));
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
pub(crate) fn newest(phone: &Path) -> Truth {
    let date = *truth::backups(phone).unwrap().last().expect("a backup was made");
    Truth::read(&truth::backup_path(phone, date)).unwrap()
}

fn blobs_in(set: &Path) -> usize {
    let folders = fs::read_dir(set).unwrap().flatten().filter(|entry| entry.path().is_dir());
    folders.map(|folder| fs::read_dir(folder.path()).unwrap().count()).sum()
}
