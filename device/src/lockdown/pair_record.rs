//! What makes a computer trusted: the secrets of one pairing, and where they are kept.
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use plist::{Dictionary, Value};
use zeroize::Zeroizing;

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::plist_guard::{BadPlist, PlistLimits, read_value};
use crate::udid::Udid;

/// The longest record read, in bytes; a real one is 8 to 11 KB.
const RECORD_LEN_MAX: usize = 256 << 10;

const LIMITS: PlistLimits = PlistLimits {
    bytes_max: RECORD_LEN_MAX,
    depth_max: 8,
    values_max: 256,
    content_bytes_max: RECORD_LEN_MAX,
};

/// One pairing of a device with a computer. Whoever has it is the computer: it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PairRecord {
    /// PEM; its key is the one the device proves to have.
    pub device_certificate: Vec<u8>,
    /// PEM; ours, shown to the device.
    pub host_certificate: Vec<u8>,
    /// PEM; the key of that.
    pub host_private_key: Zeroizing<Vec<u8>>,
    /// PEM; has signed the other two.
    pub root_certificate: Vec<u8>,
    /// PEM; some tools leave it out.
    pub root_private_key: Option<Zeroizing<Vec<u8>>>,
    /// What the device knows the computer by.
    pub host_id: String,
    /// What usbmuxd calls the computer.
    pub system_buid: String,
    /// Lets services read what is protected while the device is locked.
    pub escrow_bag: Option<Zeroizing<Vec<u8>>>,
    /// The device's address on Wi-Fi, to find it there.
    pub wifi_mac: Option<String>,
}

impl PairRecord {
    /// Reads a record, binary or XML.
    ///
    /// # Errors
    ///
    /// It is no list, or lacks what a session cannot do without.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadPlist> {
        let mut record =
            read_value(bytes, &LIMITS)?.into_dictionary().ok_or(BadPlist::NotADictionary)?;
        let mut data = |key: &'static str| match record.remove(key) {
            None => Ok(None),
            Some(Value::Data(data)) => Ok(Some(data).filter(|data| !data.is_empty())),
            Some(_) => Err(BadPlist::WrongType { key, expected: "data" }),
        };
        let needed = |key, found: Option<Vec<u8>>| found.ok_or(BadPlist::Missing { key });
        let device_certificate = needed("DeviceCertificate", data("DeviceCertificate")?)?;
        let host_certificate = needed("HostCertificate", data("HostCertificate")?)?;
        let host_private_key = needed("HostPrivateKey", data("HostPrivateKey")?)?;
        let root_certificate = needed("RootCertificate", data("RootCertificate")?)?;
        let root_private_key = data("RootPrivateKey")?.map(Zeroizing::new);
        let escrow_bag = data("EscrowBag")?.map(Zeroizing::new);
        let mut text = |key: &'static str| match record.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= 128 => Ok(Some(text)),
            Some(_) => Err(BadPlist::WrongType { key, expected: "a short text" }),
        };
        Ok(PairRecord {
            device_certificate,
            host_certificate,
            host_private_key: Zeroizing::new(host_private_key),
            root_certificate,
            root_private_key,
            host_id: text("HostID")?.ok_or(BadPlist::Missing { key: "HostID" })?,
            system_buid: text("SystemBUID")?.ok_or(BadPlist::Missing { key: "SystemBUID" })?,
            escrow_bag,
            wifi_mac: text("WiFiMACAddress")?,
        })
    }

    /// The record as a list in XML, as usbmuxd keeps it.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut record = self.shown_to_the_device();
        let mut put = |key: &str, value: Option<&[u8]>| {
            value.map(|value| record.insert(key.to_owned(), Value::Data(value.to_vec())))
        };
        put("EscrowBag", self.escrow_bag.as_deref().map(Vec::as_slice));
        put("HostPrivateKey", Some(&self.host_private_key));
        put("RootPrivateKey", self.root_private_key.as_deref().map(Vec::as_slice));
        if let Some(mac) = &self.wifi_mac {
            record.insert("WiFiMACAddress".to_owned(), mac.as_str().into());
        }
        let mut bytes = Zeroizing::new(Vec::new());
        Value::Dictionary(record)
            .to_writer_xml(&mut *bytes)
            .expect("because a vector takes everything and our own lists can be written");
        bytes
    }

    /// The part that a request to pair carries: no private key and no escrow bag.
    pub fn shown_to_the_device(&self) -> Dictionary {
        let mut shown = Dictionary::new();
        for (key, certificate) in [
            ("DeviceCertificate", &self.device_certificate),
            ("HostCertificate", &self.host_certificate),
            ("RootCertificate", &self.root_certificate),
        ] {
            shown.insert(key.to_owned(), Value::Data(certificate.clone()));
        }
        shown.insert("SystemBUID".to_owned(), self.system_buid.as_str().into());
        shown.insert("HostID".to_owned(), self.host_id.as_str().into());
        shown
    }
}

/// Without the secrets.
impl fmt::Debug for PairRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairRecord")
            .field("has_escrow_bag", &self.escrow_bag.is_some())
            .finish_non_exhaustive()
    }
}

/// Our own folder of pair records, one file a device, readable by its owner only.
#[derive(Debug, Clone)]
pub struct PairRecords {
    folder: PathBuf,
}

impl PairRecords {
    /// The records in `folder`, which is made when the first is kept.
    pub fn in_folder(folder: PathBuf) -> Self {
        PairRecords { folder }
    }

    fn path(&self, udid: &Udid) -> PathBuf {
        self.folder.join(format!("{udid}.plist"))
    }

    /// The record of a device, if there is one that can be used.
    ///
    /// # Errors
    ///
    /// [`Unreadable`](DeviceErrorKind::Unreadable): it is there and cannot be read.
    pub fn read(&self, udid: &Udid) -> Result<Option<PairRecord>> {
        match read_record(&self.path(udid)) {
            Ok(record) => Ok(record),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("reading", &self.path(udid), error)),
        }
    }

    /// Keeps a record, replacing an older one.
    ///
    /// # Errors
    ///
    /// [`Unreadable`](DeviceErrorKind::Unreadable): it could not be written.
    pub fn keep(&self, udid: &Udid, record: &PairRecord) -> Result<()> {
        let path = self.path(udid);
        self.write(&path, &record.encode()).map_err(|e| failed("writing", &path, e))
    }

    /// Whole or not at all: a record cut short would lock us out of a device that trusts us.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        // Temporary files are made for their owner only, and keep that when they are renamed.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }

    /// Forgets the record of a device, if there is one.
    ///
    /// # Errors
    ///
    /// [`Unreadable`](DeviceErrorKind::Unreadable): it is there and cannot be removed.
    pub fn forget(&self, udid: &Udid) -> Result<()> {
        match std::fs::remove_file(self.path(udid)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("removing", &self.path(udid), error))
            }
            _ => Ok(()),
        }
    }

    /// Takes over a record that another program wrote.
    ///
    /// # Errors
    ///
    /// [`Unreadable`](DeviceErrorKind::Unreadable): it cannot be read, or it is no pair record.
    pub fn import(&self, udid: &Udid, file: &Path) -> Result<()> {
        let record = read_record(file).map_err(|e| failed("reading", file, e))?;
        let record = record.ok_or_else(|| {
            DeviceError::new(
                DeviceErrorKind::Unreadable,
                format!("{:?} is no pair record of a device", file.display()),
            )
        })?;
        self.keep(udid, &record)
    }
}

fn read_record(path: &Path) -> io::Result<Option<PairRecord>> {
    let mut bytes = Zeroizing::new(Vec::new());
    std::fs::File::open(path)?.take(RECORD_LEN_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(PairRecord::decode(&bytes).ok())
}

fn failed(doing: &str, path: &Path, error: io::Error) -> DeviceError {
    DeviceError::new(
        DeviceErrorKind::Unreadable,
        format!("{doing} the pair record {:?}", path.display().to_string()),
    )
    .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn record() -> PairRecord {
        PairRecord {
            device_certificate: b"device".to_vec(),
            host_certificate: b"host".to_vec(),
            host_private_key: Zeroizing::new(b"host key".to_vec()),
            root_certificate: b"root".to_vec(),
            root_private_key: Some(Zeroizing::new(b"root key".to_vec())),
            host_id: "ABC".to_owned(),
            system_buid: "BUID".to_owned(),
            escrow_bag: Some(Zeroizing::new(vec![7; 32])),
            wifi_mac: Some("aa:bb:cc:dd:ee:ff".to_owned()),
        }
    }

    fn udid() -> Udid {
        Udid::parse("00008030-001A2B3C4D5E6F78").unwrap()
    }

    #[test]
    fn a_record_comes_back_as_it_was_kept_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let records = PairRecords::in_folder(folder.path().join("deep/pairs"));
        assert_eq!(records.read(&udid()).unwrap(), None);
        records.forget(&udid()).unwrap();
        records.keep(&udid(), &record()).unwrap();
        assert_eq!(records.read(&udid()).unwrap(), Some(record()));
        let file = folder.path().join("deep/pairs/00008030-001A2B3C4D5E6F78.plist");
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        records.forget(&udid()).unwrap();
        assert_eq!(records.read(&udid()).unwrap(), None);
    }

    #[test]
    fn no_secret_is_shown_to_the_device_or_printed() {
        let mut shown = Vec::new();
        Value::Dictionary(record().shown_to_the_device()).to_writer_xml(&mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(!shown.contains("PrivateKey") && !shown.contains("EscrowBag"), "{shown}");
        let printed = format!("{:?}", record());
        assert!(!printed.contains("ABC") && !printed.contains("104"), "{printed}");
    }

    #[test]
    fn a_record_without_what_a_session_needs_is_none() {
        for key in ["DeviceCertificate", "HostPrivateKey", "HostID", "SystemBUID"] {
            let whole = PairRecord::decode(&record().encode()).unwrap();
            assert_eq!(whole, record());
            let Value::Dictionary(mut less) = read_value(&record().encode(), &LIMITS).unwrap()
            else {
                panic!("a record is a dictionary")
            };
            less.remove(key);
            let mut bytes = Vec::new();
            Value::Dictionary(less).to_writer_binary(&mut bytes).unwrap();
            assert!(PairRecord::decode(&bytes).is_err(), "{key}");
        }
    }

    #[test]
    fn what_is_no_record_is_not_imported() {
        let folder = tempfile::tempdir().unwrap();
        let records = PairRecords::in_folder(folder.path().join("pairs"));
        let file = folder.path().join("other.plist");
        std::fs::write(&file, b"not a list").unwrap();
        assert!(records.import(&udid(), &file).is_err());
        std::fs::write(&file, &*record().encode()).unwrap();
        records.import(&udid(), &file).unwrap();
        assert_eq!(records.read(&udid()).unwrap(), Some(record()));
    }
}
