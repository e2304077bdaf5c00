//! What a snapshot has to offer to a device: read before the device is asked for anything.
use std::io::Read;

use devsnap_engine::error::{Error, ErrorKind};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::{Content, NodeKind};
use devsnap_engine::path::TreePath;
use devsnap_engine::reader::SnapshotReader;
use devsnap_engine::snapshot::DeviceIdentity;
use plist::Value;

use crate::backup_set::{SnapshotState, Status};
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::{PlistLimits, read_keys, read_value};
use crate::udid::Udid;
use crate::virtual_dir::path::BackupPath;

/// What a snapshot holds, as far as a restore onto a device must know it.
pub struct Offer {
    udid: Udid,
    pub(super) is_complete: bool,
    pub(super) state: Option<SnapshotState>,
    pub(super) product_version: String,
    pub(super) is_encrypted: bool,
    /// Files of a set that must be there and are not.
    pub(super) absent: Vec<&'static str>,
    /// How many files the snapshot names and does not hold.
    pub(super) without_bytes: u64,
    files: u64,
    bytes: u64,
    applications: Option<(usize, Vec<u8>)>,
}

impl Offer {
    /// Reads the lists of a snapshot of `device`, and counts what else there is.
    ///
    /// # Errors
    ///
    /// The snapshot is of no device, or cannot be read; a list of it is damaged; somebody asked to
    /// stop.
    pub fn read(
        reader: &dyn SnapshotReader,
        device: &DeviceIdentity,
        is_complete: bool,
        interrupt: &Interrupt,
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
        let info = list("Info.plist")?;
        let db = BackupPath::of_file(&udid, "Manifest.db").tree_path();
        if reader.entry(&db).map_err(|error| unreadable("Manifest.db", error))?.is_none() {
            absent.push("Manifest.db");
        }
        let state = status.and_then(|bytes| Status::parse(&bytes, &LIMITS).ok()).map(|s| s.state);
        let is_encrypted = match &manifest {
            Some(bytes) => flag_of_manifest(bytes)?.unwrap_or(device.encrypted),
            None => device.encrypted,
        };
        let (version, applications) = match &info {
            Some(bytes) => of_info(bytes)?,
            None => (None, None),
        };
        let mut offer = Offer {
            udid,
            is_complete,
            state,
            product_version: version.unwrap_or_else(|| device.os_version.clone()),
            is_encrypted,
            absent,
            without_bytes: 0,
            files: 0,
            bytes: 0,
            applications,
        };
        offer.count(reader, interrupt).map_err(|error| unreadable("the names", error))?;
        Ok(offer)
    }

    fn count(&mut self, reader: &dyn SnapshotReader, interrupt: &Interrupt) -> Result<(), Error> {
        let set = TreePath::from_slashed(self.udid.as_str().as_bytes()).unwrap_or_default();
        for entry in reader.walk(&set) {
            interrupt.check()?;
            let (_, node) = entry?;
            if node.kind != NodeKind::File {
                continue;
            }
            self.files += 1;
            self.bytes = self.bytes.saturating_add(node.size_bytes());
            self.without_bytes += u64::from(node.content.content == Content::Missing);
        }
        Ok(())
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
        self.is_encrypted
    }

    /// How many files there are, lists included, and how many bytes they have: the most that a device
    /// asks for. It leaves out what it does not want.
    pub fn size(&self) -> (u64, u64) {
        (self.files, self.bytes)
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
    let mut bytes = Vec::new();
    let content = reader.open(path)?;
    content.take(LIMITS.bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|error| {
        let kind = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(Error::kind);
        Error::new(kind.unwrap_or(ErrorKind::Damaged), "reading a list").because(error)
    })?;
    Ok(Some(bytes))
}

fn unreadable(what: &str, error: Error) -> DeviceError {
    let kind = match error.kind() {
        ErrorKind::Interrupted => DeviceErrorKind::Cancelled,
        _ => DeviceErrorKind::StorageFailed,
    };
    DeviceError::new(kind, format!("{what} of the snapshot could not be read")).because(error)
}

fn damaged(name: &str, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DeviceError {
    let sentence = format!("{name} of the snapshot is damaged");
    DeviceError::new(DeviceErrorKind::SnapshotUnfit, sentence).because(why)
}

fn flag_of_manifest(bytes: &[u8]) -> Result<Option<bool>> {
    let bad = |why| damaged("Manifest.plist", why);
    read_keys(bytes, &LIMITS, &["IsEncrypted"]).and_then(|f| f.flag("IsEncrypted")).map_err(bad)
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
