//! What a snapshot has to offer to a device: read before the device is asked for anything.
use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::NodeKind;
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::snapshot::DeviceIdentity;
use plist::Value;

use crate::backup_set::{SnapshotState, Status};
use crate::conversion::{Locked, Unlocked};
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::keybag::EncryptedSet;
use crate::plist_guard::{PlistLimits, read_bytes, read_keys, read_value};
use crate::udid::Udid;
use crate::virtual_dir::path::BackupPath;

/// How much there is, as whoever has looked through the snapshot knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Whether the snapshot holds all that the device had.
    pub is_complete: bool,
    /// Files in it, lists included.
    pub files: u64,
    /// Their bytes, as the device gets them.
    pub bytes: u64,
    /// How many of the files have no bytes: the snapshot never had them.
    pub without_bytes: u64,
}

/// What a snapshot holds, as far as a restore onto a device must know it.
pub struct Offer {
    udid: Udid,
    pub(super) state: Option<SnapshotState>,
    pub(super) product_version: String,
    encrypted: Option<EncryptedSet>,
    /// Files of a set that must be there and are not.
    pub(super) absent: Vec<&'static str>,
    pub(super) extent: Extent,
    applications: Option<(usize, Vec<u8>)>,
}

impl Offer {
    /// Reads the lists of a snapshot of `device`.
    ///
    /// # Errors
    ///
    /// The snapshot is of no device, or cannot be read; a list of it is damaged.
    pub fn read(
        reader: &dyn SnapshotReader,
        device: &DeviceIdentity,
        extent: Extent,
    ) -> Result<Offer> {
        let udid = Udid::parse(&device.udid).ok_or_else(|| {
            let sentence = "the snapshot names a device that none can be";
            DeviceError::new(DeviceErrorKind::SnapshotUnfit, sentence)
        })?;
        let mut absent = Vec::new();
        let mut list = |name: &'static str| -> Result<Option<Vec<u8>>> {
            let read = read_list(reader, &BackupPath::of_file(&udid, name).tree_path());
            let read = read.map_err(|error| unreadable(name, error))?;
            if read.is_none() {
                absent.push(name);
            }
            Ok(read)
        };
        let status = list("Status.plist")?;
        let manifest = list("Manifest.plist")?;
        // Devices bear that it is missing, so it is none of those that must be there.
        let info = BackupPath::of_file(&udid, "Info.plist").tree_path();
        let info = read_list(reader, &info).map_err(|error| unreadable("Info.plist", error))?;
        let db = BackupPath::of_file(&udid, "Manifest.db").tree_path();
        if reader.entry(&db).map_err(|error| unreadable("Manifest.db", error))?.is_none() {
            absent.push("Manifest.db");
        }
        let state = status.and_then(|bytes| Status::parse(&bytes, &LIMITS).ok()).map(|s| s.state);
        let encrypted = match &manifest {
            Some(bytes) => EncryptedSet::of_manifest_plist(bytes)
                .map_err(|why| damaged("Manifest.plist", why))?,
            None => None,
        };
        let (version, applications) = match &info {
            Some(bytes) => of_info(bytes)?,
            None => (None, None),
        };
        Ok(Offer {
            udid,
            state,
            product_version: version.unwrap_or_else(|| device.os_version.clone()),
            encrypted,
            absent,
            extent,
            applications,
        })
    }

    /// Whose set it is.
    pub fn udid(&self) -> &Udid {
        &self.udid
    }

    /// The version of the system it is of, e.g. `17.5.1`; empty when it does not say.
    pub fn product_version(&self) -> &str {
        &self.product_version
    }

    /// Whether it is encrypted with a backup password, by its manifest.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted.is_some()
    }

    /// Whether `password` opens the keybag of the set, if it has one: asked here, since the device would
    /// say it only once the restore has begun. Takes seconds.
    ///
    /// # Errors
    ///
    /// [`WrongPassword`](DeviceErrorKind::WrongPassword); the keybag is none that a device makes; somebody
    /// asked to stop.
    pub fn require_opens_with(&self, password: &str, interrupt: &Interrupt) -> Result<()> {
        let Some(set) = &self.encrypted else { return Ok(()) };
        let (kind, sentence) = match Unlocked::of_set(set, password.as_bytes(), None, interrupt) {
            Ok(_) => return Ok(()),
            Err(Locked::Wrong) => {
                (DeviceErrorKind::WrongPassword, "the backup password does not open the snapshot")
            }
            Err(Locked::Interrupted) => (DeviceErrorKind::Cancelled, "stopping as asked"),
            Err(why) => return Err(damaged("the keybag", why)),
        };
        Err(DeviceError::new(kind, sentence))
    }

    /// How many files there are, lists included, and how many bytes they have: the most that a device
    /// asks for. It leaves out what it does not want.
    pub fn size(&self) -> (u64, u64) {
        (self.extent.files, self.extent.bytes)
    }

    /// How many apps the device had, and the list of them as the device wants it.
    pub(super) fn applications(&self) -> Option<(usize, &[u8])> {
        self.applications.as_ref().map(|(count, list)| (*count, &list[..]))
    }
}

const LIMITS: PlistLimits = PlistLimits::BACKUP_SET;

/// A whole list of the set; `None` when the snapshot has none. Longer ones than are read are damaged.
fn read_list(reader: &dyn SnapshotReader, path: &TreePath) -> Result<Option<Vec<u8>>, Error> {
    if reader.entry(path)?.is_none_or(|node| node.kind != NodeKind::File) {
        return Ok(None);
    }
    let bytes = read_bytes(reader.open(path)?, &LIMITS).map_err(|error| {
        let kind = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(Error::kind);
        Error::new(kind.unwrap_or(ErrorKind::Damaged), "reading a list").because(error)
    })?;
    Ok(Some(bytes))
}

fn unreadable(what: &str, error: Error) -> DeviceError {
    let sentence = format!("{what} of the snapshot could not be read");
    DeviceError::new(DeviceErrorKind::StorageFailed, sentence).because(error)
}

fn damaged(name: &str, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DeviceError {
    let sentence = format!("{name} of the snapshot is damaged");
    DeviceError::new(DeviceErrorKind::SnapshotUnfit, sentence).because(why)
}

/// The system's version and the list of apps in `Info.plist`.
type OfInfo = (Option<String>, Option<(usize, Vec<u8>)>);

fn of_info(bytes: &[u8]) -> Result<OfInfo> {
    let bad = |why| damaged("Info.plist", why);
    let fields = read_keys(bytes, &LIMITS, &["Product Version"]).map_err(bad)?;
    let version = fields.text("Product Version").map_err(bad)?;
    let whole = read_value(bytes, &LIMITS).map_err(bad)?;
    let list = whole.into_dictionary().and_then(|mut info| info.remove("Applications"));
    let applications = match list {
        Some(Value::Dictionary(apps)) => {
            let (count, mut list) = (apps.len(), Vec::new());
            let written = Value::Dictionary(apps).to_writer_xml(&mut list);
            written.map_err(|why| damaged("Info.plist", why))?;
            // As other clients' lists end.
            list.push(b'\n');
            Some((count, list))
        }
        _ => None,
    };
    Ok((version, applications))
}
