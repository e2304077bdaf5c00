//! A snapshot's bytes: a named MessagePack map behind its writer's signature.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 32 | the writer's public key |
//! | 32 | 64 | Ed25519 signature, purpose `snapshot` |
//! | 96 | – | map with the field names below |
//!
//! All of it is sealed as an object under the index key. What is hashed and signed is the stored
//! bytes, never a re-serialisation; unknown fields are ignored, so later versions may add some.
use super::{Completeness, DeviceIdentity, Origin, Snapshot, Totals};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BlobId, RepositoryId, SessionId, SnapshotId};
use crate::node::Time;
use crate::path::TreePath;
use crate::progress::FaultKind;
use crate::seal::{Signer, WriterId, open_record, sign_record};
use crate::source::Verification;
use crate::tree::PageRef;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The longest snapshot, in bytes, before it is sealed.
pub const SNAPSHOT_LEN_MAX: usize = 4 << 20;

const PURPOSE: &str = "snapshot";

#[derive(Serialize, Deserialize)]
struct Written {
    origin: WrittenOrigin,
    taken_at: (i64, u32),
    utc_offset_secs: i32,
    root: Option<WrittenRoot>,
    parent: Option<ByteBuf>,
    totals: Totals,
    faults_total: u64,
    faults_first: Vec<(ByteBuf, String)>,
    tags: Vec<String>,
    session: ByteBuf,
    sequence: u64,
    previous: Option<ByteBuf>,
    program: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenOrigin {
    Folder { host: String, path: ByteBuf },
    Device(WrittenDevice),
}

#[derive(Serialize, Deserialize)]
struct WrittenDevice {
    udid: String,
    name: String,
    product_type: String,
    os_version: String,
    os_build: String,
    encrypted: bool,
    full: Option<bool>,
    backup_at: Option<(i64, u32)>,
    host: String,
    /// Not written by the first version.
    #[serde(default)]
    verification: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WrittenRoot {
    page: ByteBuf,
    level: u8,
    entries: u64,
    size_bytes: u64,
}

/// The snapshot's signed bytes, to be sealed.
pub fn encode(snapshot: &Snapshot, repository: RepositoryId, signer: &Signer) -> Vec<u8> {
    debug_assert_eq!(snapshot.writer, signer.writer(), "a writer signs what it wrote");
    let map = rmp_serde::to_vec_named(&Written::from(snapshot))
        .expect("because every field has a MessagePack form");
    sign_record(signer, repository, PURPOSE, &map)
}

/// The snapshot that `bytes` spell, when the writer that `certified` vouches for signed it.
///
/// # Errors
///
/// [`Damaged`](ErrorKind::Damaged) when the bytes or the signature are wrong, or `certified` does
/// not know the public key.
pub fn decode(
    bytes: &[u8],
    repository: RepositoryId,
    certified: impl FnOnce(&[u8; 32]) -> Option<WriterId>,
) -> Result<Snapshot> {
    let damaged = |what: &'static str| {
        Error::new(ErrorKind::Damaged, "reading a snapshot").because(crate::codec::Malformed(what))
    };
    if bytes.len() > SNAPSHOT_LEN_MAX {
        return Err(damaged("length"));
    }
    let (writer, map) = open_record(bytes, repository, PURPOSE, certified)?;
    let mut reader = map;
    let written: Written = rmp_serde::from_read(&mut reader)
        .map_err(|e| Error::new(ErrorKind::Damaged, "reading a snapshot").because(e))?;
    if !reader.is_empty() {
        return Err(damaged("end"));
    }
    written.into_snapshot(writer).ok_or_else(|| damaged("field"))
}

impl From<&Snapshot> for Written {
    fn from(s: &Snapshot) -> Written {
        let (faults_total, first) = match &s.completeness {
            Completeness::Complete => (0, [].as_slice()),
            Completeness::Incomplete { total, first } => (*total, first.as_slice()),
        };
        let fault = |(path, kind): &(TreePath, FaultKind)| {
            (ByteBuf::from(path.key()), kind.word().to_owned())
        };
        Written {
            origin: WrittenOrigin::from(&s.origin),
            taken_at: (s.taken_at.secs, s.taken_at.nanos),
            utc_offset_secs: s.utc_offset_secs,
            root: s.root.map(|root| WrittenRoot {
                page: ByteBuf::from(root.id.as_bytes()),
                level: root.level,
                entries: root.entries,
                size_bytes: root.size_bytes,
            }),
            parent: s.parent.map(|id| ByteBuf::from(id.as_bytes())),
            totals: s.totals,
            faults_total,
            faults_first: first.iter().map(fault).collect(),
            tags: s.tags.clone(),
            session: ByteBuf::from(s.session.as_bytes()),
            sequence: s.sequence,
            previous: s.previous.map(|id| ByteBuf::from(id.as_bytes())),
            program: s.program.clone(),
        }
    }
}

impl From<&Origin> for WrittenOrigin {
    fn from(origin: &Origin) -> WrittenOrigin {
        match origin {
            Origin::Folder { host, path } => {
                WrittenOrigin::Folder { host: host.clone(), path: ByteBuf::from(path.as_slice()) }
            }
            Origin::Device(d) => WrittenOrigin::Device(WrittenDevice {
                udid: d.udid.clone(),
                name: d.name.clone(),
                product_type: d.product_type.clone(),
                os_version: d.os_version.clone(),
                os_build: d.os_build.clone(),
                encrypted: d.encrypted,
                full: d.full,
                backup_at: d.backup_at.map(|t| (t.secs, t.nanos)),
                host: d.host.clone(),
                verification: d.verification.map(|what| what.word().to_owned()),
            }),
        }
    }
}

impl Written {
    fn into_snapshot(self, writer: WriterId) -> Option<Snapshot> {
        let completeness = if self.faults_total == 0 {
            Completeness::Complete
        } else {
            // A kind of fault that only a newer program knows is no reason to refuse its snapshot:
            // these are examples, the total tells how many there are.
            let first = self.faults_first.into_iter().filter_map(|(path, word)| {
                let kind = fault_of(&word)?;
                Some(TreePath::from_key(path.into_vec()).ok().map(|path| (path, kind)))
            });
            Completeness::Incomplete {
                total: self.faults_total,
                first: first.collect::<Option<_>>()?,
            }
        };
        Some(Snapshot {
            origin: self.origin.into_origin()?,
            taken_at: time(self.taken_at)?,
            utc_offset_secs: self.utc_offset_secs,
            root: if_there(self.root, WrittenRoot::into_root)?,
            parent: if_there(self.parent, snapshot_id)?,
            totals: self.totals,
            completeness,
            tags: self.tags,
            session: SessionId::from_bytes(exact(&self.session)?),
            writer,
            sequence: self.sequence,
            previous: if_there(self.previous, snapshot_id)?,
            program: self.program,
        })
    }
}

impl WrittenOrigin {
    fn into_origin(self) -> Option<Origin> {
        Some(match self {
            WrittenOrigin::Folder { host, path } => Origin::Folder { host, path: path.into_vec() },
            WrittenOrigin::Device(d) => Origin::Device(DeviceIdentity {
                udid: d.udid,
                name: d.name,
                product_type: d.product_type,
                os_version: d.os_version,
                os_build: d.os_build,
                encrypted: d.encrypted,
                full: d.full,
                backup_at: if_there(d.backup_at, time)?,
                host: d.host,
                verification: d.verification.as_deref().and_then(verification_of),
            }),
        })
    }
}

impl WrittenRoot {
    fn into_root(self) -> Option<PageRef> {
        Some(PageRef {
            id: BlobId::from_bytes(exact(&self.page)?),
            level: self.level,
            entries: self.entries,
            size_bytes: self.size_bytes,
        })
    }
}

/// Converts what is there: absent is fine, present and wrong is not.
fn if_there<T, U>(value: Option<T>, convert: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match value {
        None => Some(None),
        Some(value) => convert(value).map(Some),
    }
}

fn snapshot_id(bytes: ByteBuf) -> Option<SnapshotId> {
    Some(SnapshotId::from_bytes(exact(&bytes)?))
}

fn exact<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn time((secs, nanos): (i64, u32)) -> Option<Time> {
    (nanos < 1_000_000_000).then_some(Time { secs, nanos })
}

/// A word of a newer program says nothing to this one, and is no reason to refuse its snapshot.
fn verification_of(word: &str) -> Option<Verification> {
    Verification::ALL.into_iter().find(|what| what.word() == word)
}

fn fault_of(word: &str) -> Option<FaultKind> {
    use FaultKind::{ChangedWhileRead, Unreadable, Unsupported, Vanished};
    [Unreadable, Vanished, ChangedWhileRead, Unsupported].into_iter().find(|k| k.word() == word)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: RepositoryId = RepositoryId::from_bytes([1; 16]);

    pub(crate) fn of_device(udid: &str, name: &str, secs: i64) -> Snapshot {
        Snapshot {
            origin: Origin::Device(DeviceIdentity {
                udid: udid.to_owned(),
                name: name.to_owned(),
                product_type: "iPhone16,1".to_owned(),
                os_version: "26.1".to_owned(),
                os_build: "23B85".to_owned(),
                encrypted: true,
                full: Some(false),
                backup_at: Some(Time { secs, nanos: 5 }),
                host: "desk".to_owned(),
                verification: Some(Verification::Names),
            }),
            taken_at: Time { secs, nanos: 0 },
            utc_offset_secs: 3600,
            root: Some(PageRef {
                id: BlobId::from_bytes([6; 32]),
                level: 2,
                entries: 7,
                size_bytes: 8,
            }),
            parent: Some(SnapshotId::from_bytes([2; 32])),
            totals: Totals { new: 1, removed: 3, ..Totals::default() },
            completeness: Completeness::Incomplete {
                total: 2,
                first: vec![(TreePath::from_slashed(b"a/b").unwrap(), FaultKind::Vanished)],
            },
            tags: vec!["before-update".to_owned()],
            session: SessionId::from_bytes([3; 16]),
            writer: signer().writer(),
            sequence: 9,
            previous: None,
            program: "devsnap 0.1.0".to_owned(),
        }
    }

    fn signer() -> Signer {
        Signer::from_seed(&[4; 32])
    }

    fn known(public: &[u8; 32]) -> Option<WriterId> {
        (*public == signer().public()).then(|| signer().writer())
    }

    #[test]
    fn every_field_survives_the_round_trip() {
        let device = of_device("00008130-000A1B2C3D4E5678", "My iPhone", 1_700_000_000);
        let mut folder = device.clone();
        folder.origin = Origin::Folder { host: "desk".to_owned(), path: b"/\xff".to_vec() };
        folder.completeness = Completeness::Complete;
        folder.root = None;
        let mut set = device.clone();
        let Origin::Device(of_set) = &mut set.origin else { panic!("it is of a device") };
        of_set.full = None;
        for snapshot in [device, folder, set] {
            let bytes = encode(&snapshot, HERE, &signer());
            assert_eq!(decode(&bytes, HERE, known).unwrap(), snapshot);
        }
    }

    #[test]
    fn a_snapshot_that_its_writer_did_not_sign_is_refused() {
        let bytes = encode(&of_device("u", "n", 0), HERE, &signer());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(decode(&changed, HERE, known).is_err(), "byte {at}");
        }
        assert!(decode(&bytes, RepositoryId::from_bytes([2; 16]), known).is_err());
        assert!(decode(&bytes, HERE, |_| None).is_err());
    }

    #[test]
    fn a_kind_of_fault_of_a_newer_program_is_left_out_of_the_examples() {
        let device = of_device("u", "n", 0);
        let mut written = Written::from(&device);
        let path = ByteBuf::from(b"c".to_vec());
        written.faults_first.push((path, "of-tomorrow".to_owned()));
        assert_eq!(written.into_snapshot(device.writer), Some(device));
    }

    #[test]
    fn a_verification_of_a_newer_program_says_nothing() {
        let mut device = of_device("u", "n", 0);
        let mut written = Written::from(&device);
        if let WrittenOrigin::Device(of) = &mut written.origin {
            of.verification = Some("of-tomorrow".to_owned());
        }
        if let Origin::Device(of) = &mut device.origin {
            of.verification = None;
        }
        assert_eq!(written.into_snapshot(device.writer), Some(device));
    }

    proptest! {
        #[test]
        fn no_map_makes_the_decoder_panic(map in proptest::collection::vec(any::<u8>(), 0..300)) {
            let signature = signer().sign(HERE, PURPOSE, &map);
            let bytes = [signer().public().as_slice(), &signature, &map].concat();
            let _ = decode(&bytes, HERE, known);
        }
    }
}
