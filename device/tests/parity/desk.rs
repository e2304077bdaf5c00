//! One phone in one state, handed to each host as a copy.
use crate::tools::{client, idevice, run};
use devsnap_simulator::contents::{Contents, Proportions};
use devsnap_simulator::mobilebackup2::Habits;
use devsnap_simulator::transcript::{Line, Transcript};
use devsnap_simulator::wire::Weather;
use devsnap_simulator::{Options, Phone, PhoneOptions, Simulator, simulator};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// What the phones' chance is drawn from.
const SEED: u64 = 71;

/// No phone takes nearly so long to hear that a host has gone, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(60);

/// A phone on somebody's desk, and the usbmuxd it is plugged into.
pub(crate) struct Desk {
    simulator: Simulator,
    transcript: Arc<Transcript>,
    _state: TempDir,
}

/// A phone of some hundred files that trusts nobody: on disk, so that there can be several of it.
pub(crate) fn phone() -> TempDir {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("phones").join(simulator::identity(0).udid);
    fs::create_dir_all(&folder).unwrap();
    let proportions = Proportions { files: 260, bytes: 3 << 20 };
    Contents::generate(SEED, &proportions).save(&folder).unwrap();
    Habits { keybag_rounds: 200, ..Habits::default() }.save(&folder).unwrap();
    state
}

/// As [`phone`], and it trusts this computer, by the record that usbmuxd has.
pub(crate) fn paired_phone(password: Option<&str>) -> TempDir {
    let state = phone();
    let simulator = simulator_on(state.path(), None);
    simulator.phones()[0].set_backup_password(password.map(str::to_owned));
    let home = tempfile::tempdir().unwrap();
    let mut pair = client(&idevice("idevicepair"), &simulator, home.path());
    let paired = run(pair.arg("pair"), home.path());
    assert!(paired.succeeded, "{paired:?}");
    state
}

fn simulator_on(state: &Path, transcript: Option<Arc<Transcript>>) -> Simulator {
    Simulator::start(Options {
        state: Some(state.to_owned()),
        phones: vec![PhoneOptions::new(simulator::identity(0))],
        weather: Weather::Fair,
        seed: SEED,
        transcript,
        ..Options::default()
    })
    .unwrap()
}

impl Desk {
    /// A desk of one's own with a phone in the state of `phone`.
    pub(crate) fn with(phone: &TempDir) -> Desk {
        let state = tempfile::tempdir().unwrap();
        copy(phone.path(), state.path());
        let transcript = Arc::new(Transcript::default());
        let simulator = simulator_on(state.path(), Some(transcript.clone()));
        let desk = Desk { simulator, transcript, _state: state };
        desk.put_files_of_itunes();
        desk
    }

    /// Files that both hosts read, of lengths at which they might part ways: none, one piece, more.
    fn put_files_of_itunes(&self) {
        let mut media = self.phone().media();
        let names = ["IC-Info.sidb", "PhotosFolderPrefs", "VoiceMemos.plist"];
        for (name, length) in names.into_iter().zip([0, 65_536, 150_000]) {
            let path = format!("/iTunes_Control/iTunes/{name}");
            media.make_file(&path, false).unwrap();
            media.write(&path, 0, &vec![7; length]).unwrap();
        }
    }

    /// Another desk with a phone in the state this one's is in now.
    pub(crate) fn as_it_is(&self) -> Desk {
        Desk::with(&self._state)
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    pub(crate) fn phone(&self) -> &Phone {
        &self.simulator.phones()[0]
    }

    /// Lets a day pass on the phone.
    pub(crate) fn day(&self, seed: u64) {
        let mut contents = Contents::open(self.phone().folder()).unwrap();
        contents.mutate(seed);
        contents.save(self.phone().folder()).unwrap();
    }

    /// What was said since the last time; the hosts have gone.
    pub(crate) fn transcript(&self) -> Vec<Line> {
        self.transcript.take(PATIENCE).expect("a connection has not ended")
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}
