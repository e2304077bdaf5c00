//! The hosts that the phone trusts, kept in its folder.
use super::certificates::Certificates;
use super::key::DeviceKey;
use plist::{Dictionary, Value};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Hosts that are remembered; the one paired longest ago is forgotten first.
const HOSTS_MAX: usize = 64;
/// Longest identifier of a host, in bytes. They are UUIDs.
const ID_BYTES_MAX: usize = 128;
const ESCROW_BAG_BYTES: usize = 32;
const FILE: &str = "pairings.plist";

/// One trusted host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pairing {
    pub(super) host_id: String,
    pub(super) certificates: Certificates,
    pub(super) escrow_bag: Vec<u8>,
}

/// All trusted hosts, the newest last.
pub(super) struct Pairings {
    path: PathBuf,
    hosts: Vec<Pairing>,
}

impl Pairing {
    /// What a host offers in its `PairRecord`. `None`: the record is not in order.
    pub(super) fn offered(record: &Dictionary, key: &DeviceKey) -> Option<Pairing> {
        let host_id = record.get("HostID")?.as_string()?;
        let buid = record.get("SystemBUID")?.as_string()?;
        if host_id.is_empty() || host_id.len() > ID_BYTES_MAX || buid.len() > ID_BYTES_MAX {
            return None;
        }
        let certificates = Certificates::offered(record, key)?;
        let mut escrow_bag = vec![0; ESCROW_BAG_BYTES];
        getrandom::fill(&mut escrow_bag).ok()?;
        Some(Pairing { host_id: host_id.to_owned(), certificates, escrow_bag })
    }

    fn to_value(&self) -> Value {
        let mut dictionary = Dictionary::new();
        let mut data = |name: &str, bytes: &[u8]| {
            dictionary.insert(name.into(), Value::Data(bytes.to_vec()));
        };
        data("DeviceCertificate", &self.certificates.device);
        data("HostCertificate", &self.certificates.host);
        data("RootCertificate", &self.certificates.root);
        data("EscrowBag", &self.escrow_bag);
        dictionary.insert("HostID".into(), self.host_id.as_str().into());
        Value::Dictionary(dictionary)
    }

    fn from_value(value: &Value) -> Option<Pairing> {
        let dictionary = value.as_dictionary()?;
        let data = |name: &str| Some(dictionary.get(name)?.as_data()?.to_vec());
        Some(Pairing {
            host_id: dictionary.get("HostID")?.as_string()?.to_owned(),
            certificates: Certificates {
                device: data("DeviceCertificate")?,
                host: data("HostCertificate")?,
                root: data("RootCertificate")?,
            },
            escrow_bag: data("EscrowBag")?,
        })
    }
}

impl Pairings {
    /// Those kept in `folder`.
    ///
    /// # Errors
    ///
    /// The folder cannot be read, or the file in it is none of ours.
    pub(super) fn kept_in(folder: &Path) -> io::Result<Pairings> {
        let path = folder.join(FILE);
        let hosts = match fs::read(&path) {
            Ok(bytes) => read_hosts(&bytes).ok_or(ErrorKind::InvalidData)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Pairings { path, hosts })
    }

    pub(super) fn find(&self, host_id: &str) -> Option<&Pairing> {
        self.hosts.iter().find(|host| host.host_id == host_id)
    }

    /// Whether `escrow_bag` is one of any trusted host.
    pub(super) fn knows_escrow_bag(&self, escrow_bag: &[u8]) -> bool {
        self.hosts.iter().any(|host| host.escrow_bag == escrow_bag)
    }

    /// Trusts a host; what was known of it is replaced.
    ///
    /// # Errors
    ///
    /// It cannot be remembered.
    pub(super) fn add(&mut self, pairing: Pairing) -> io::Result<()> {
        self.hosts.retain(|host| host.host_id != pairing.host_id);
        if self.hosts.len() >= HOSTS_MAX {
            self.hosts.remove(0);
        }
        self.hosts.push(pairing);
        self.keep()
    }

    /// Trusts a host no more; false when it was not trusted.
    ///
    /// # Errors
    ///
    /// It cannot be remembered.
    pub(super) fn remove(&mut self, host_id: &str) -> io::Result<bool> {
        let before = self.hosts.len();
        self.hosts.retain(|host| host.host_id != host_id);
        if self.hosts.len() == before {
            return Ok(false);
        }
        self.keep()?;
        Ok(true)
    }

    fn keep(&self) -> io::Result<()> {
        let hosts = Value::Array(self.hosts.iter().map(Pairing::to_value).collect());
        hosts.to_file_xml(&self.path).map_err(io::Error::other)
    }
}

fn read_hosts(bytes: &[u8]) -> Option<Vec<Pairing>> {
    let value = crate::plist_stream::parse(bytes).ok()?;
    value.as_array()?.iter().map(Pairing::from_value).collect()
}
