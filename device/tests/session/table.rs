//! A table with a phone on it, and a repository beside it.
use devsnap_device::lockdown::{PairRecords, PairingPatience};
use devsnap_device::transport::{Usbmuxd, UsbmuxdAddress};
use devsnap_device::watch::{DeviceWatch, Stage};
use devsnap_device::{
    BackupEncryption, BackupOutcome, ConversionOptions, DeviceError, DeviceOptions, DeviceSource,
    EncryptionOptions,
};
use devsnap_engine::backup::{BackupOptions, create_snapshot};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{NodeKind, Time};
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::snapshot::{Named, Origin};
use devsnap_simulator::contents::{Contents, Proportions};
use devsnap_simulator::mobilebackup2::Habits;
use devsnap_simulator::phone::Faults;
use devsnap_simulator::wire::Weather;
use devsnap_simulator::{Options, Phone, PhoneOptions, Simulator, simulator};
use devsnap_testkit::{TestRepository, test_repository::held};
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A phone of some hundred files, a repository, and a computer that is between them.
pub(crate) struct Table {
    pub(crate) simulator: Simulator,
    pub(crate) repository: TestRepository,
    state: TempDir,
    pub(crate) seen: Arc<Seen>,
    pub(crate) interrupt: Interrupt,
    pub(crate) full: bool,
    pub(crate) conversion: Option<ConversionOptions>,
    pub(crate) free_bytes: u64,
    pub(crate) files_max: u64,
    pub(crate) patience: Patience,
}

/// How long what is waited for.
pub(crate) struct Patience {
    /// For usbmuxd's own pairing.
    pub(crate) for_usbmuxd: Duration,
    /// For "Trust" and for unlocking.
    pub(crate) for_person: Duration,
    pub(crate) for_passcode: Option<Duration>,
    pub(crate) for_silence: Duration,
}

/// What a person would have seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) stages: Mutex<Vec<Stage>>,
    pub(crate) warnings: Mutex<Vec<String>>,
    /// Raised as this stage is seen.
    pub(crate) stop_at: Mutex<Option<(Stage, Interrupt)>>,
    /// Told as this stage is seen.
    pub(crate) tell_at: Mutex<Option<(Stage, Sender<()>)>>,
}

impl DeviceWatch for Seen {
    fn stage(&self, stage: Stage) {
        self.stages.lock().unwrap().push(stage);
        if let Some((at, interrupt)) = &*self.stop_at.lock().unwrap()
            && *at == stage
        {
            interrupt.raise();
        }
        let mut tell_at = self.tell_at.lock().unwrap();
        if let Some((_, told)) = tell_at.take_if(|(at, _)| *at == stage) {
            told.send(()).unwrap();
        }
    }
    fn warn(&self, sentence: &str) {
        self.warnings.lock().unwrap().push(sentence.to_owned());
    }
}

impl Seen {
    pub(crate) fn saw(&self, stage: Stage) -> bool {
        self.stages.lock().unwrap().contains(&stage)
    }
}

/// A session that was kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) named: Named,
    pub(crate) outcome: BackupOutcome,
}

impl Table {
    /// The phone that `seed` stands for, in unkind weather, well.
    pub(crate) fn new(seed: u64) -> Table {
        Table::with(seed, Weather::Unkind, Faults::default(), (true, false))
    }

    /// As [`new`](Self::new), with something wrong.
    pub(crate) fn faulty(seed: u64, faults: Faults) -> Table {
        Table::with(seed, Weather::Fair, faults, (true, false))
    }

    pub(crate) fn with(seed: u64, weather: Weather, faults: Faults, by: (bool, bool)) -> Table {
        Table::holding(Proportions { files: 320, bytes: 4 << 20 }, seed, weather, faults, by)
    }

    pub(crate) fn holding(
        proportions: Proportions,
        seed: u64,
        weather: Weather,
        faults: Faults,
        by: (bool, bool),
    ) -> Table {
        let state = tempfile::tempdir().unwrap();
        let identity = simulator::identity(0);
        let folder = state.path().join("phones").join(&identity.udid);
        std::fs::create_dir_all(&folder).unwrap();
        Contents::generate(seed, &proportions).save(&folder).unwrap();
        Habits { keybag_rounds: 200, ..Habits::default() }.save(&folder).unwrap();
        let (by_usb, by_network) = by;
        let phone = PhoneOptions { faults, by_usb, by_network, ..PhoneOptions::new(identity) };
        let simulator = Simulator::start(Options {
            state: Some(state.path().to_owned()),
            phones: vec![phone],
            weather,
            seed,
            ..Options::default()
        })
        .unwrap();
        Table {
            simulator,
            repository: TestRepository::new(),
            state,
            seen: Arc::default(),
            interrupt: Interrupt::new(),
            full: false,
            conversion: None,
            free_bytes: 1 << 40,
            files_max: 1 << 20,
            patience: Patience {
                for_usbmuxd: Duration::ZERO,
                for_person: Duration::from_secs(60),
                for_passcode: None,
                for_silence: Duration::from_secs(120),
            },
        }
    }

    /// The same phone, reached another way: by cable, by the network.
    pub(crate) fn reached(self, by_usb: bool, by_network: bool) -> Table {
        let Table { simulator, state, .. } = self;
        let faults = Faults::clone(&simulator.phones()[0].faults());
        drop(simulator);
        let identity = simulator::identity(0);
        let phone = PhoneOptions { faults, by_usb, by_network, ..PhoneOptions::new(identity) };
        let simulator = Simulator::start(Options {
            state: Some(state.path().to_owned()),
            phones: vec![phone],
            weather: Weather::Fair,
            ..Options::default()
        })
        .unwrap();
        Table { simulator, state, ..self }
    }

    /// Where our own pair records are.
    pub(crate) fn records(&self) -> PathBuf {
        self.state.path().join("ours")
    }

    pub(crate) fn phone(&self) -> &Phone {
        &self.simulator.phones()[0]
    }

    pub(crate) fn phone_folder(&self) -> PathBuf {
        self.phone().folder().to_owned()
    }

    /// Lets a day pass on the phone.
    pub(crate) fn day(&self, seed: u64) {
        let mut contents = Contents::open(&self.phone_folder()).unwrap();
        contents.mutate(seed);
        contents.save(&self.phone_folder()).unwrap();
    }

    pub(crate) fn connect(&self) -> Result<DeviceSource, DeviceError> {
        let address = UsbmuxdAddress::parse(&self.simulator.address().to_string()).unwrap();
        let records = PairRecords::in_folder(self.records());
        let now = Time { secs: 1_800_000_000, nanos: 0 };
        let options = DeviceOptions {
            full: self.full,
            conversion: self.conversion.clone(),
            pairing: PairingPatience {
                for_usbmuxd: self.patience.for_usbmuxd,
                for_person: self.patience.for_person,
                ask_every: Duration::from_millis(20),
            },
            lock_patience: Duration::from_millis(900),
            passcode_patience: self.patience.for_passcode,
            idle_max: self.patience.for_silence,
            files_max: self.files_max,
            ..DeviceOptions::new(records, self.free_bytes, now)
        };
        let transport = Arc::new(Usbmuxd::at(address));
        DeviceSource::connect(transport, None, options, self.seen.clone(), &self.interrupt)
    }

    /// The phone as one whose backup password is of interest.
    pub(crate) fn encryption(&self) -> Result<BackupEncryption, DeviceError> {
        let address = UsbmuxdAddress::parse(&self.simulator.address().to_string()).unwrap();
        let options = EncryptionOptions {
            pairing: PairingPatience {
                for_usbmuxd: self.patience.for_usbmuxd,
                for_person: self.patience.for_person,
                ask_every: Duration::from_millis(20),
            },
            passcode_patience: self.patience.for_passcode,
            idle_max: self.patience.for_silence,
            ..EncryptionOptions::new(PairRecords::in_folder(self.records()))
        };
        let transport = Arc::new(Usbmuxd::at(address));
        BackupEncryption::connect(transport, None, options, self.seen.clone(), &self.interrupt)
    }

    /// Backs the phone up.
    pub(crate) fn back_up(&self) -> Result<Kept, DeviceError> {
        self.try_back_up().map_err(|failed| match failed {
            Failed::Device(error) => error,
            Failed::Engine(error) => device_error(error),
        })
    }

    fn try_back_up(&self) -> Result<Kept, Failed> {
        let mut source = self.connect().map_err(Failed::Device)?;
        let repository = self.repository.open().unwrap();
        let known = repository.snapshots().unwrap().named.len();
        let origin = Origin::Device(source.identity("here".to_owned()));
        let options = BackupOptions {
            origin,
            tags: Vec::new(),
            taken_at: Time { secs: 1_800_000_000 + known as i64, nanos: 0 },
            utc_offset_secs: 0,
            program: "test".to_owned(),
            dry_run: false,
        };
        let progress: Arc<dyn Progress> = Arc::new(Silent);
        let made = create_snapshot(&repository, &mut source, &options, &progress, &self.interrupt);
        match made {
            Ok(report) => {
                let outcome = source.outcome().unwrap().clone();
                Ok(Kept { named: report.named, outcome })
            }
            Err(error) => {
                let snapshots = self.repository.open().unwrap().snapshots().unwrap();
                assert_eq!(snapshots.named.len(), known, "a failed session makes no snapshot");
                Err(Failed::Engine(error))
            }
        }
    }

    /// Backs the phone up while somebody stops it; whether that is what it says.
    pub(crate) fn back_up_stopped(&self) -> bool {
        use devsnap_device::DeviceErrorKind::Cancelled;
        use devsnap_engine::error::ErrorKind::Interrupted;
        match self.try_back_up() {
            Ok(_) => false,
            Err(Failed::Device(error)) => error.kind() == Cancelled,
            Err(Failed::Engine(error)) => error.kind() == Interrupted,
        }
    }

    /// Writes a snapshot's set into a folder, as it would be restored.
    pub(crate) fn export(&self, kept: &Kept) -> (TempDir, PathBuf) {
        let repository = self.repository.open().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (path, (kind, bytes)) in held(&repository, &kept.named.snapshot).unwrap() {
            let path = folder.path().join(path);
            match kind {
                NodeKind::Folder => std::fs::create_dir(path).unwrap(),
                _ => std::fs::write(path, bytes).unwrap(),
            }
        }
        let set = folder.path().join(&self.phone().identity().udid);
        (folder, set)
    }
}

/// Whose error it is.
enum Failed {
    Device(DeviceError),
    Engine(devsnap_engine::error::Error),
}

/// The device's own error in the engine's.
fn device_error(error: devsnap_engine::error::Error) -> DeviceError {
    use std::error::Error;
    let shown = format!("{error:?}");
    let source = error.source().unwrap_or_else(|| panic!("{shown}"));
    let device = source.downcast_ref::<DeviceError>().unwrap_or_else(|| panic!("{shown}"));
    DeviceError::new(device.kind(), format!("{device:?}"))
}
