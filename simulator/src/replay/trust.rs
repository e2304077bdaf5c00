//! Trust between a host and a phone that has no keys of its own: what a recording hides is made
//! anew, and so handshakes succeed that had succeeded.
use super::made_up;
use super::recording::{Recording, Said, Side, Step};
use crate::lockdown::certificates::Certificates;
use crate::lockdown::key::DeviceKey;
use crate::tls::Trusted;
use plist::{Dictionary, Value};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::sync::{Mutex, MutexGuard};
use tempfile::TempDir;

/// Length of an escrow bag where the recording tells none.
const ESCROW_BAG_LEN: u64 = 32;

/// Keys and records.
pub(super) struct Trust {
    /// What usbmuxd has kept all along.
    record: Vec<u8>,
    system_buid: String,
    known: Trusted,
    /// The key that a pairing certifies; made when one was recorded.
    key: Option<DeviceKey>,
    paired: Mutex<Paired>,
    _folder: TempDir,
}

#[derive(Default)]
struct Paired {
    with: Option<Trusted>,
    record: Option<Vec<u8>>,
}

impl Trust {
    /// Makes what `recording` needs.
    ///
    /// # Errors
    ///
    /// No random bytes, or no temporary folder.
    pub(super) fn of(recording: &Recording) -> io::Result<Trust> {
        let name = |key: &str, otherwise: &str| {
            recording.named_by_host(key).unwrap_or_else(|| otherwise.to_owned())
        };
        let host_id = name("HostID", "00000000-0000-4000-8000-000000000000");
        let system_buid = name("SystemBUID", "00000000-0000-4000-8000-000000000001");
        let root = Certified::new(None)?;
        let host = Certified::new(Some(&root))?;
        let device = Certified::new(Some(&root))?;
        let bag = made_up::data("escrow bag", escrow_bag_len(recording));
        let mut record = Dictionary::new();
        for (name, bytes) in [
            ("DeviceCertificate", device.pem.as_bytes()),
            ("HostCertificate", host.pem.as_bytes()),
            ("HostPrivateKey", host.key.serialize_pem().as_bytes()),
            ("RootCertificate", root.pem.as_bytes()),
            ("RootPrivateKey", root.key.serialize_pem().as_bytes()),
            ("EscrowBag", &bag),
        ] {
            record.insert(name.to_owned(), Value::Data(bytes.to_vec()));
        }
        record.insert("HostID".to_owned(), host_id.into());
        record.insert("SystemBUID".to_owned(), system_buid.as_str().into());
        let mut bytes = Vec::new();
        Value::Dictionary(record).to_writer_xml(&mut bytes).map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(device.key.serialize_der());
        let known = Trusted::new(device.der, PrivateKeyDer::from(key), vec![host.der, root.der])?;
        let folder = tempfile::Builder::new().prefix("devsnap-replay-").tempdir()?;
        let key = match asks_for_key(recording) {
            true => Some(DeviceKey::kept_in(folder.path())?),
            false => None,
        };
        let paired = Mutex::default();
        Ok(Trust { record: bytes, system_buid, known, key, paired, _folder: folder })
    }

    fn paired(&self) -> MutexGuard<'_, Paired> {
        self.paired.lock().expect("because no holder panics")
    }

    /// What usbmuxd calls this computer.
    pub(super) fn system_buid(&self) -> &str {
        &self.system_buid
    }

    /// The record that usbmuxd keeps: the newest that was saved, or its own.
    pub(super) fn record(&self) -> Vec<u8> {
        self.paired().record.clone().unwrap_or_else(|| self.record.clone())
    }

    /// usbmuxd shall keep this.
    pub(super) fn save(&self, record: &[u8]) {
        self.paired().record = Some(record.to_vec());
    }

    /// The phone's key, as lockdown tells it.
    pub(super) fn public_key(&self) -> Option<&str> {
        self.key.as_ref().map(DeviceKey::public_pem)
    }

    /// A host offers to be trusted; false when its certificates do not belong together.
    pub(super) fn pair(&self, request: &Value) -> bool {
        let trusted = || {
            let record = request.as_dictionary()?.get("PairRecord")?.as_dictionary()?;
            let key = self.key.as_ref()?;
            let certificates = Certificates::offered(record, key)?;
            let hosts = vec![certificates.host, certificates.root];
            Trusted::new(certificates.device, key.private(), hosts).ok()
        };
        let trusted = trusted();
        let is_one = trusted.is_some();
        self.paired().with = trusted;
        is_one
    }

    /// How to speak TLS with the host.
    pub(super) fn trusted(&self) -> Trusted {
        self.paired().with.clone().unwrap_or_else(|| self.known.clone())
    }
}

/// A key and its certificate.
struct Certified {
    key: KeyPair,
    params: CertificateParams,
    pem: String,
    der: Vec<u8>,
}

impl Certified {
    /// Signed by `root`, or by itself and a root.
    fn new(root: Option<&Certified>) -> io::Result<Certified> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::default();
        let made = match root {
            None => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.self_signed(&key)
            }
            Some(root) => params.signed_by(&key, &Issuer::from_params(&root.params, &root.key)),
        };
        let made = made.map_err(io::Error::other)?;
        Ok(Certified { pem: made.pem(), der: made.der().to_vec(), key, params })
    }
}

fn messages(recording: &Recording) -> impl Iterator<Item = &serde_json::Value> {
    let steps = recording.connections.iter().flat_map(|(_, connection)| &connection.steps);
    steps.filter_map(|(_, step)| match step {
        Step::Said(Side::Host, Said::Message(list, _)) => list.get("dict"),
        _ => None,
    })
}

fn escrow_bag_len(recording: &Recording) -> u64 {
    let len = messages(recording).find_map(|fields| fields.get("EscrowBag")?.get("data")?.as_u64());
    len.filter(|len| *len <= 1 << 16).unwrap_or(ESCROW_BAG_LEN)
}

fn asks_for_key(recording: &Recording) -> bool {
    messages(recording)
        .any(|fields| fields.get("Key").and_then(|key| key.as_str()) == Some("DevicePublicKey"))
}
