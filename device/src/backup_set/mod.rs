//! The folder that Finder, iTunes, idevicebackup2 or pymobiledevice3 keeps per device.
//!
//! A set is recognised by the four files its top level has: `Info.plist`, `Manifest.plist`,
//! `Status.plist` and `Manifest.db`. Nothing else is opened, and of those only what a snapshot
//! says about itself is taken over: no serial number, phone number, IMEI or list of apps.
//!
//! The set of one device may be copied, archived or renamed; whose it is stands inside it. A
//! snapshot of a recognised set is rooted at `<UDID>/` whatever the folder is called
//! ([`BackupSet::udid`]).
//!
//! Sets of iOS 9 and older (`Manifest.mbdb`, no `Manifest.db`) are not recognised. They are
//! ordinary folders to a snapshot, complete but without a device's name on them.
use std::fmt;
use std::path::Path;

use jiff::Timestamp;

use devsnap_engine::path::TreePath;

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::{BadPlist, PlistLimits};
use crate::udid::Udid;

mod folder;
mod info;
mod manifest;
mod status;

use folder::{SetFile, SetFolder};
use info::Info;
use manifest::Manifest;
pub use status::SnapshotState;
pub(crate) use status::Status;

/// A backup set, as its own files describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupSet {
    /// Whose backup it is, and the name of the folder a snapshot of it is rooted at.
    pub udid: Udid,
    /// What its owner calls the device.
    pub device_name: Option<String>,
    /// The model as Apple numbers it, e.g. `iPhone14,5`.
    pub product_type: Option<String>,
    /// The version of iOS or iPadOS, e.g. `17.5.1`.
    pub product_version: Option<String>,
    /// The build of that version, e.g. `21F90`.
    pub build_version: Option<String>,
    /// Whether `Manifest.plist` says that the set is encrypted with a backup password. That is
    /// what a restore goes by; [`Oddity::EncryptionDisagrees`] when the bytes say otherwise.
    pub encrypted: bool,
    /// When the device finished its last session with this set, by its own clock.
    pub backup_date: Timestamp,
    /// What `Status.plist` says of that session, if it does. A finished full backup may well say
    /// `false`, so this is a word for people and nothing to decide by.
    pub full: Option<bool>,
    /// How far that session came.
    pub state: SnapshotState,
    /// What is unusual, yet no reason to refuse the set. Worth a warning each.
    pub oddities: Vec<Oddity>,
}

/// Something about a set that a person should know and that does not make it useless.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oddity {
    /// `Info.plist`, which the host writes, names another device than `Manifest.plist`, which the
    /// device writes. So it is after Apple's software copied a set for another device.
    IdentifiersDisagree {
        /// By `Manifest.plist`; this one is believed.
        device: Udid,
        /// By `Info.plist`.
        host: Udid,
    },
    /// Neither list names a device; the folder's name was taken.
    NamedByFolderOnly,
    /// `Manifest.plist` and the first bytes of `Manifest.db` disagree about encryption.
    EncryptionDisagrees {
        /// What `Manifest.plist` says.
        said: bool,
    },
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Oddity::IdentifiersDisagree { device, host } => {
                write!(f, "Info.plist names device {host}, but the data is of device {device}")
            }
            Oddity::NamedByFolderOnly => {
                f.write_str("no list names the device, so the name of the folder was taken for it")
            }
            Oddity::EncryptionDisagrees { said: true } => {
                f.write_str("Manifest.plist says encrypted, but Manifest.db is not")
            }
            Oddity::EncryptionDisagrees { said: false } => {
                f.write_str("Manifest.plist says not encrypted, but Manifest.db is no database")
            }
        }
    }
}

impl BackupSet {
    /// Reads what `folder` says about itself; `None` when it is not a backup set.
    ///
    /// `folder` may be a symbolic link; nothing inside it is followed. The answer holds for the
    /// moment: a phone may be writing to the set right now. Asking again after the contents were
    /// read, and comparing, tells whether it did.
    ///
    /// An unfinished set is recognised too: see [`require_finished`](Self::require_finished).
    ///
    /// # Errors
    ///
    /// - [`BadBackupSet`](DeviceErrorKind::BadBackupSet): the folder clearly is one (three of the
    ///   four files are there, or one is and the folder is named like a UDID), but a file is
    ///   missing, empty, damaged, too large or a link, or no UDID is to be found.
    /// - [`Unreadable`](DeviceErrorKind::Unreadable): permissions, or the disk. On macOS, reading
    ///   `MobileSync/Backup` needs "Full Disk Access".
    pub fn recognise(folder: &Path) -> Result<Option<BackupSet>> {
        let Some(folder) = SetFolder::open(folder)? else { return Ok(None) };
        let named_as = folder.name().and_then(|name| Udid::parse(&name));
        if !looks_like_a_set(&folder, named_as.is_some())? {
            return Ok(None);
        }
        let info = parse(&folder, SetFile::Info, Info::parse)?;
        let status = parse(&folder, SetFile::Status, Status::parse)?;
        // Until a first session moves them into place, the device's own files lie in `Snapshot/`.
        let may_lack = |file: SetFile| -> Result<bool> {
            Ok(status.state != SnapshotState::Finished && !folder.has(file.name())?)
        };
        let manifest = match may_lack(SetFile::Manifest)? {
            true => Manifest::default(),
            false => parse(&folder, SetFile::Manifest, Manifest::parse)?,
        };
        let database_is_plain = match may_lack(SetFile::Database)? {
            true => !manifest.encrypted.unwrap_or(false),
            false => folder.database_is_plain()?,
        };

        let mut oddities = Vec::new();
        let udid = choose_udid(&manifest, &info, named_as, &mut oddities).ok_or_else(|| {
            bad_set(&folder, "names no device: neither Info.plist nor Manifest.plist has a UDID")
        })?;
        let encrypted = manifest.encrypted.unwrap_or(!database_is_plain);
        if encrypted == database_is_plain {
            oddities.push(Oddity::EncryptionDisagrees { said: encrypted });
        }
        // The device's own word first: hosts copy it into Info.plist, and some do not.
        let about = manifest.about.or(info.about);
        Ok(Some(BackupSet {
            udid,
            device_name: about.device_name,
            product_type: about.product_type,
            product_version: about.product_version,
            build_version: about.build_version,
            encrypted,
            backup_date: status.date,
            full: status.full,
            state: status.state,
            oddities,
        }))
    }

    /// Whether the set's last session ended, so that its files belong together.
    pub fn is_finished(&self) -> bool {
        self.state == SnapshotState::Finished
    }

    /// Refuses a set whose last session did not end.
    ///
    /// While files are moved the folder is a mixture of two backups, which a device will not take
    /// back.
    ///
    /// # Errors
    ///
    /// [`UnfinishedBackupSet`](DeviceErrorKind::UnfinishedBackupSet), with the state in words.
    pub fn require_finished(&self) -> Result<()> {
        if self.is_finished() {
            return Ok(());
        }
        Err(DeviceError::new(
            DeviceErrorKind::UnfinishedBackupSet,
            format!(
                "the backup set of {} is not finished: Status.plist says \"{}\" where a whole set \
                 says \"finished\"",
                self.udid, self.state
            ),
        ))
    }
}

/// Where a snapshot has the file `name` of the set of `udid`: a list such as `Manifest.plist`, or a stored
/// file's `ab/ab…`.
///
/// # Panics
///
/// When `name` is no path of plain words.
pub fn path_in_set(udid: &Udid, name: &str) -> TreePath {
    let path = TreePath::from_slashed(format!("{udid}/{name}").as_bytes());
    path.expect("because it is hex digits and plain words")
}

/// The four words that both lists may have about a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct AboutDevice {
    device_name: Option<String>,
    product_type: Option<String>,
    product_version: Option<String>,
    build_version: Option<String>,
}

impl AboutDevice {
    /// These words, and the `other`'s where one is missing.
    fn or(self, other: AboutDevice) -> AboutDevice {
        AboutDevice {
            device_name: self.device_name.or(other.device_name),
            product_type: self.product_type.or(other.product_type),
            product_version: self.product_version.or(other.product_version),
            build_version: self.build_version.or(other.build_version),
        }
    }
}

/// Whether the folder is a set, by its names alone.
///
/// `Info.plist` is a common name, so one file says nothing unless the folder is named like a
/// device. The fourth file missing is damage, not doubt, unless an old manifest stands in for it.
fn looks_like_a_set(folder: &SetFolder, named_like_a_device: bool) -> Result<bool> {
    let mut present = 0;
    for file in SetFile::ALL {
        present += usize::from(folder.has(file.name())?);
    }
    if !folder.has(SetFile::Database.name())? && folder.has("Manifest.mbdb")? {
        return Ok(false);
    }
    Ok(present >= 3 || (present >= 1 && named_like_a_device))
}

/// Whose set it is: the device's own word, then the host's, then the folder's name.
///
/// A folder that is named otherwise is nothing to mention: archives and copies are.
fn choose_udid(
    manifest: &Manifest,
    info: &Info,
    named_as: Option<Udid>,
    oddities: &mut Vec<Oddity>,
) -> Option<Udid> {
    match (&manifest.udid, &info.udid) {
        (Some(device), host) => {
            if let Some(host) = host.as_ref().filter(|&host| host != device) {
                oddities.push(Oddity::IdentifiersDisagree {
                    device: device.clone(),
                    host: host.clone(),
                });
            }
            Some(device.clone())
        }
        (None, Some(host)) => Some(host.clone()),
        (None, None) => {
            if named_as.is_some() {
                oddities.push(Oddity::NamedByFolderOnly);
            }
            named_as
        }
    }
}

/// Reads one of the lists and takes from it what `parse` takes.
fn parse<T>(
    folder: &SetFolder,
    file: SetFile,
    parse: fn(&[u8], &PlistLimits) -> Result<T, BadPlist>,
) -> Result<T> {
    let limits = PlistLimits::BACKUP_SET;
    let bytes = folder.read(file, limits.bytes_max)?;
    parse(&bytes, &limits).map_err(|bad| {
        bad_set(folder, &format!("cannot be used: {} is damaged", file.name())).because(bad)
    })
}

/// `"the backup set "/Backup/0000…" cannot be used: …"`
fn bad_set(folder: &SetFolder, what: &str) -> DeviceError {
    DeviceError::new(
        DeviceErrorKind::BadBackupSet,
        format!("the backup set {:?} {what}", folder.path()),
    )
}
