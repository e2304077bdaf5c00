//! Who the phone is and what it is set to: what all services share.
mod apps;
mod battery;
mod faults;
mod locks;
mod media;
mod mishaps;
mod notices;

use crate::transcript::{Call, Transcript};
pub use apps::App;
pub use battery::Battery;
pub use faults::{
    Cut, CutAt, Faults, Lie, LockdownRefusal, LockdownValue, OddRestore, Passcode, Silence, Stage,
    SyncLock, Trust,
};
pub use locks::{Locks, SYNC_LOCK_FILE};
pub use media::{Entry, Item, Media, Refused, normal_path};
pub use mishaps::Mishaps;
use notices::Notices;
pub use notices::Observer;
use plist::{Dictionary, Value};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// The file of the phone's folder that holds what is kept here.
const SETTINGS_FILE: &str = "settings.plist";
const BACKUP_PASSWORD: &str = "BackupPassword";

/// What lockdown tells of the phone, and Info.plist repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// 25 characters with a hyphen after the eighth, or 40 hex digits.
    pub udid: String,
    /// As the person named it: may hold a typographic apostrophe, an emoji, anything.
    pub name: String,
    /// E.g. `iPhone15,2`.
    pub product_type: String,
    /// E.g. `17.5.1`.
    pub product_version: String,
    /// E.g. `21F90`.
    pub build_version: String,
    /// Twelve characters or so.
    pub serial_number: String,
}

/// One phone. Shared by the threads that serve its connections.
pub struct Phone {
    identity: Identity,
    folder: PathBuf,
    seed: u64,
    apps: Vec<App>,
    backup_password: Mutex<Option<String>>,
    battery: Mutex<Battery>,
    faults: Mutex<Arc<Faults>>,
    /// How many more connections the cut of `faults` happens to.
    cuts_left: Mutex<u32>,
    notices: Notices,
    media: Mutex<Media>,
    locks: Mutex<Locks>,
    numbers: AtomicU64,
    is_off: Mutex<bool>,
    turned_off: Condvar,
    transcript: Option<Arc<Transcript>>,
}

impl Phone {
    /// A phone that keeps all it must remember in `folder`, which exists: what an earlier one left
    /// there it remembers. Nothing is wrong with it.
    pub fn new(identity: Identity, folder: PathBuf) -> Phone {
        let backup_password = remembered_password(&folder);
        Phone {
            identity,
            folder,
            seed: 0,
            apps: apps::default_apps(),
            backup_password: Mutex::new(backup_password),
            battery: Mutex::default(),
            faults: Mutex::default(),
            cuts_left: Mutex::new(0),
            notices: Notices::default(),
            media: Mutex::new(Media::of_a_phone_in_use()),
            locks: Mutex::default(),
            numbers: AtomicU64::new(1),
            is_off: Mutex::new(false),
            turned_off: Condvar::new(),
            transcript: None,
        }
    }

    /// The same phone, whose chance is drawn from `seed`.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Phone {
        self.seed = seed;
        self
    }

    /// The same phone, of which all that is said goes into `transcript`.
    #[must_use]
    pub fn with_transcript(mut self, transcript: Option<Arc<Transcript>>) -> Phone {
        self.transcript = transcript;
        self
    }

    /// A connection to `service` begins, and is written down if anything is.
    pub fn call(&self, service: &str) -> Call {
        Call::begin(self.transcript.as_ref(), service)
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it keeps its state.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What its chance is drawn from ([`Random::split`](crate::random::Random::split)).
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The apps of its person.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// What its battery has left.
    pub fn battery(&self) -> Battery {
        *self.battery.lock().expect("because no holder panics")
    }

    /// Charges it, drains it, or pulls its plug.
    pub fn set_battery(&self, battery: Battery) {
        *self.battery.lock().expect("because no holder panics") = battery;
    }

    /// What goes wrong with it at the moment.
    pub fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.lock().expect("because no holder panics"))
    }

    /// Lets other things go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        *self.cuts_left.lock().expect("because no holder panics") =
            faults.cut.as_ref().map_or(0, |cut| cut.times);
        self.locks().set_fault(faults.sync_lock);
        *self.faults.lock().expect("because no holder panics") = Arc::new(faults);
    }

    /// At which message or stage the service itself must break off a connection that now begins.
    /// An answer uses up one of [`Cut::times`], so a service asks once per connection.
    pub fn take_cut(&self, service: &str) -> Option<CutAt> {
        self.take_cut_if(service, |at| matches!(at, CutAt::Message(_) | CutAt::Stage(_)))
    }

    /// At which byte the transport must break off a connection that now begins, as
    /// [`take_cut`](Phone::take_cut).
    pub fn take_byte_cut(&self, service: &str) -> Option<CutAt> {
        self.take_cut_if(service, |at| matches!(at, CutAt::SentByte(_) | CutAt::ReceivedByte(_)))
    }

    fn take_cut_if(&self, service: &str, mine: impl Fn(CutAt) -> bool) -> Option<CutAt> {
        let faults = self.faults();
        let cut = faults.cut.as_ref().filter(|cut| cut.service == service && mine(cut.at))?;
        let mut left = self.cuts_left.lock().expect("because no holder panics");
        *left = left.checked_sub(1)?;
        Some(cut.at)
    }

    /// The backup password, when backups are encrypted (`WillEncrypt`).
    pub fn backup_password(&self) -> Option<String> {
        self.backup_password.lock().expect("because no holder panics").clone()
    }

    /// Sets, changes or (with `None`) removes the backup password. The phone's folder remembers it,
    /// as long as that can be written.
    pub fn set_backup_password(&self, password: Option<String>) {
        let mut settings = Dictionary::new();
        if let Some(password) = &password {
            settings.insert(BACKUP_PASSWORD.into(), password.as_str().into());
        }
        *self.backup_password.lock().expect("because no holder panics") = password;
        // A folder that cannot be written makes a forgetful phone, which is still a phone.
        let _ = Value::Dictionary(settings).to_file_xml(self.folder.join(SETTINGS_FILE));
    }

    /// Relays a Darwin notification to every host that observes `name`.
    pub fn post(&self, name: &str) {
        self.notices.post(name);
    }

    /// Begins to observe notifications; of none until names are watched.
    pub fn observe(&self) -> Observer {
        self.notices.observe()
    }

    /// `/var/mobile/Media`.
    pub fn media(&self) -> MutexGuard<'_, Media> {
        self.media.lock().expect("because no holder panics")
    }

    /// The locks on files of the media folder.
    pub fn locks(&self) -> MutexGuard<'_, Locks> {
        self.locks.lock().expect("because no holder panics")
    }

    /// A number that this phone gives out once: a lock's owner, a connection.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits. Whatever a service waits for, it waits here, so that a phone can be turned off.
    ///
    /// # Errors
    ///
    /// `ConnectionAborted`: it was turned off meanwhile.
    pub fn wait(&self, time: Duration) -> io::Result<()> {
        let is_off = self.is_off.lock().expect("because no holder panics");
        let (is_off, _) = self
            .turned_off
            .wait_timeout_while(is_off, time, |is_off| !*is_off)
            .expect("because no holder panics");
        if *is_off { Err(ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Whether it was turned off.
    pub fn is_off(&self) -> bool {
        *self.is_off.lock().expect("because no holder panics")
    }

    /// Ends all waiting, for good.
    pub fn turn_off(&self) {
        *self.is_off.lock().expect("because no holder panics") = true;
        self.turned_off.notify_all();
    }
}

fn remembered_password(folder: &Path) -> Option<String> {
    let settings = Value::from_file(folder.join(SETTINGS_FILE)).ok()?.into_dictionary()?;
    settings.get(BACKUP_PASSWORD)?.as_string().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(folder: &Path) -> Phone {
        let text = String::new;
        let identity = Identity {
            udid: text(),
            name: text(),
            product_type: text(),
            product_version: text(),
            build_version: text(),
            serial_number: text(),
        };
        Phone::new(identity, folder.to_owned())
    }

    #[test]
    fn the_backup_password_is_remembered_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();

        phone(folder.path()).set_backup_password(Some("pa\u{df}wort".into()));
        assert_eq!(phone(folder.path()).backup_password().as_deref(), Some("pa\u{df}wort"));

        phone(folder.path()).set_backup_password(None);
        assert_eq!(phone(folder.path()).backup_password(), None);
    }

    #[test]
    fn a_cut_happens_to_as_many_connections_as_were_asked_for_and_to_its_service_only() {
        let folder = tempfile::tempdir().unwrap();
        let phone = phone(folder.path());
        let cut = Cut { service: "com.apple.afc".into(), at: CutAt::Message(3), times: 2 };

        phone.set_faults(Faults { cut: Some(cut), ..Faults::default() });

        assert_eq!(phone.take_cut("com.apple.mobilebackup2"), None);
        assert_eq!(phone.take_byte_cut("com.apple.afc"), None);
        let taken: Vec<_> = (0..3).map(|_| phone.take_cut("com.apple.afc").is_some()).collect();
        assert_eq!(taken, [true, true, false]);
    }

    #[test]
    fn a_notification_reaches_those_who_watch_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let phone = phone(folder.path());
        let (one, other) = (phone.observe(), phone.observe());
        one.watch("a");
        other.watch("b");

        phone.post("a");

        assert_eq!((one.take(), one.take(), other.take()), (Some("a".into()), None, None));
    }

    #[test]
    fn turning_the_phone_off_ends_all_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let phone = Arc::new(phone(folder.path()));
        let waiting = Arc::clone(&phone);
        let waiter = std::thread::spawn(move || waiting.wait(Duration::from_secs(600)));

        phone.turn_off();

        assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
    }
}
