//! The two hosts: somebody else's program, and ours.
use crate::desk::Desk;
use crate::tools::{client, idevice, run};
use devsnap_device::lockdown::{PairRecords, Pairing, PairingPatience};
use devsnap_device::mobilebackup2::password::PasswordChange;
use devsnap_device::restore::{Extent, Offer, RestoreChoices, RestoreRun};
use devsnap_device::transport::{AtMost, Transport, Usbmuxd, UsbmuxdAddress};
use devsnap_device::watch::Unwatched;
use devsnap_device::{
    BackupEncryption, DeviceOptions, DeviceRestore, DeviceRestoreOptions, DeviceSource,
    EncryptionOptions,
};
use devsnap_engine::backup::{BackupOptions, create_snapshot};
use devsnap_engine::check::preflight;
use devsnap_engine::folder::{FolderTarget, TargetOptions};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::Time;
use devsnap_engine::progress::{Progress, Silent};
use devsnap_engine::restore::{RestoreOptions, restore};
use devsnap_engine::snapshot::Origin;
use devsnap_testkit::TestRepository;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Somebody's computer with one of the two programs.
pub(crate) trait Host {
    /// What it calls itself.
    fn name(&self) -> &'static str;
    /// Backs up the phone on `desk`.
    fn back_up(&mut self, desk: &Desk, full: bool);
    /// Has the phone on `desk` take `new` for a backup password instead of `old`.
    fn change_password(&mut self, desk: &Desk, old: Option<&str>, new: Option<&str>);
    /// The folder above the phone's set, as a person has it in hand after that.
    fn sets(&self) -> PathBuf;
}

/// idevicebackup2, which keeps a folder.
pub(crate) struct Theirs {
    home: TempDir,
}

impl Theirs {
    pub(crate) fn new() -> Theirs {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("sets")).unwrap();
        Theirs { home }
    }
}

impl Host for Theirs {
    fn name(&self) -> &'static str {
        "idevicebackup2"
    }

    fn back_up(&mut self, desk: &Desk, full: bool) {
        let program = idevice("idevicebackup2");
        let mut command = client(&program, desk.simulator(), self.home.path());
        command.arg("backup");
        if full {
            command.arg("--full");
        }
        let ran = run(command.arg(self.sets()), self.home.path());
        assert!(ran.succeeded && ran.output.contains("Backup Successful"), "{ran:?}");
    }

    fn change_password(&mut self, desk: &Desk, old: Option<&str>, new: Option<&str>) {
        let words = match (old, new) {
            (None, Some(new)) => vec!["encryption", "on", new],
            (Some(old), None) => vec!["encryption", "off", old],
            (Some(old), Some(new)) => vec!["changepw", old, new],
            (None, None) => panic!("neither an old one nor a new one"),
        };
        let program = idevice("idevicebackup2");
        let mut command = client(&program, desk.simulator(), self.home.path());
        let ran = run(command.args(words).arg(self.sets()), self.home.path());
        assert!(ran.succeeded && ran.output.contains("successfully"), "{ran:?}");
    }

    fn sets(&self) -> PathBuf {
        self.home.path().join("sets")
    }
}

impl Theirs {
    /// Restores from the folder `sets`.
    pub(crate) fn restore(&self, desk: &Desk, sets: &Path, flags: &[&str]) {
        let program = idevice("idevicebackup2");
        let mut command = client(&program, desk.simulator(), self.home.path());
        command.arg("restore").args(flags).arg(sets);
        let ran = run(&mut command, self.home.path());
        assert!(ran.succeeded && ran.output.contains("Restore Successful"), "{ran:?}");
    }
}

/// devsnap, which keeps a repository, from which it restores a folder.
pub(crate) struct Ours {
    repository: TestRepository,
    records: TempDir,
    restored: TempDir,
}

impl Ours {
    pub(crate) fn new() -> Ours {
        let folder = || tempfile::tempdir().unwrap();
        Ours { repository: TestRepository::new(), records: folder(), restored: folder() }
    }

    fn connect(&self, desk: &Desk, full: bool) -> DeviceSource {
        let address = UsbmuxdAddress::parse(&desk.simulator().address().to_string()).unwrap();
        let records = PairRecords::in_folder(self.records.path().join("records"));
        let now = Time { secs: 1_800_000_000, nanos: 0 };
        let options = DeviceOptions { full, ..DeviceOptions::new(records, 1 << 40, now) };
        let transport = Arc::new(Usbmuxd::at(address));
        let watch = Arc::new(Unwatched);
        DeviceSource::connect(transport, None, options, watch, &Interrupt::new()).unwrap()
    }
}

impl Ours {
    /// Pairs, as this computer would when nobody has yet.
    pub(crate) fn pair(&self, desk: &Desk) {
        let address = UsbmuxdAddress::parse(&desk.simulator().address().to_string()).unwrap();
        let transport = Usbmuxd::at(address);
        let patience =
            PairingPatience { for_usbmuxd: Duration::ZERO, ..PairingPatience::default() };
        let pairing = Pairing {
            transport: &transport,
            address: &transport.devices().unwrap().remove(0),
            records: &PairRecords::in_folder(self.records.path().join("records")),
            watch: &Unwatched,
            patience,
        };
        pairing.trusted_record(&mut AtMost(Duration::from_secs(60))).unwrap();
    }
}

impl Ours {
    /// Restores the newest snapshot.
    pub(crate) fn restore(&self, desk: &Desk, choices: RestoreChoices, password: Option<&str>) {
        let address = UsbmuxdAddress::parse(&desk.simulator().address().to_string()).unwrap();
        let records = PairRecords::in_folder(self.records.path().join("records"));
        let (transport, watch) = (Arc::new(Usbmuxd::at(address)), Arc::new(Unwatched));
        let (options, interrupt) = (DeviceRestoreOptions::new(records), Interrupt::new());
        let device = DeviceRestore::connect(transport, None, options, watch, &interrupt).unwrap();
        let repository = self.repository.open().unwrap();
        let named = repository.snapshots().unwrap().named.pop().unwrap();
        let Origin::Device(identity) = &named.snapshot.origin else { panic!("of a device") };
        let needs = preflight(&repository, &named.snapshot, &Silent, &interrupt).unwrap();
        let view = repository.view(&named.snapshot);
        let extent = Extent {
            is_complete: named.snapshot.is_complete(),
            files: needs.files,
            bytes: needs.bytes,
            without_bytes: needs.never_stored.count,
        };
        let offer = Offer::read(&view, identity, extent).unwrap();
        assert_eq!(device.preflight(&offer, choices).findings, []);
        let run = RestoreRun {
            reader: &view,
            offer: &offer,
            choices,
            with_apps: true,
            password: password.map(|password| Zeroizing::new(password.to_owned())),
            progress: &Silent,
            interrupt: &interrupt,
        };
        device.run(&run).unwrap();
    }
}

impl Host for Ours {
    fn name(&self) -> &'static str {
        "devsnap"
    }

    fn back_up(&mut self, desk: &Desk, full: bool) {
        let mut source = self.connect(desk, full);
        let repository = self.repository.open().unwrap();
        let known = repository.snapshots().unwrap().named.len();
        let options = BackupOptions {
            origin: Origin::Device(source.identity("here".to_owned())),
            tags: Vec::new(),
            taken_at: Time { secs: 1_800_000_000 + i64::try_from(known).unwrap(), nanos: 0 },
            utc_offset_secs: 0,
            program: "test".to_owned(),
            dry_run: false,
        };
        let (progress, interrupt): (Arc<dyn Progress>, _) = (Arc::new(Silent), Interrupt::new());
        let made =
            create_snapshot(&repository, &mut source, &options, &progress, &interrupt).unwrap();
        assert!(made.named.snapshot.is_complete());
        self.restored = tempfile::tempdir().unwrap();
        let target = FolderTarget::open(self.restored.path(), &TargetOptions::default()).unwrap();
        let (snapshot, how) = (&made.named.snapshot, RestoreOptions::default());
        let report = restore(&repository, snapshot, &target, &how, &Silent, &interrupt).unwrap();
        assert_eq!(report.faults_total, 0, "{report:?}");
    }

    fn change_password(&mut self, desk: &Desk, old: Option<&str>, new: Option<&str>) {
        let text = |password: &str| password.to_owned().into();
        let change = match (old.map(text), new.map(text)) {
            (None, Some(new)) => PasswordChange::On { new },
            (Some(old), None) => PasswordChange::Off { old },
            (Some(old), Some(new)) => PasswordChange::Change { old, new },
            (None, None) => panic!("neither an old one nor a new one"),
        };
        let address = UsbmuxdAddress::parse(&desk.simulator().address().to_string()).unwrap();
        let records = PairRecords::in_folder(self.records.path().join("records"));
        let (transport, watch) = (Arc::new(Usbmuxd::at(address)), Arc::new(Unwatched));
        let (options, interrupt) = (EncryptionOptions::new(records), Interrupt::new());
        let mut device =
            BackupEncryption::connect(transport, None, options, watch, &interrupt).unwrap();
        let state = device.change(&change, &interrupt).unwrap();
        assert_eq!(state.will_encrypt, Some(new.is_some()));
    }

    fn sets(&self) -> PathBuf {
        self.restored.path().to_owned()
    }
}
