//! Snapshots.
use crate::fixed::{HERE, SIGNED_LEN, certified, signed, signer};
use devsnap_engine::id::{BlobId, SessionId, SnapshotId};
use devsnap_engine::node::Time;
use devsnap_engine::path::TreePath;
use devsnap_engine::progress::FaultKind;
use devsnap_engine::snapshot::{
    self as snapshots, Completeness, DeviceIdentity, Origin, Snapshot, Totals,
};
use devsnap_engine::source::Verification;
use devsnap_engine::tree::PageRef;

/// A snapshot that is accepted survives being written again. Input: the map that is signed.
pub fn snapshot(data: &[u8]) {
    assert!(snapshots::decode(data, HERE, |_| None).is_err());
    if let Ok(read) = snapshots::decode(&signed("snapshot", data), HERE, certified) {
        let again = snapshots::encode(&read, HERE, &signer());
        let again = snapshots::decode(&again, HERE, certified).expect("because it was just read");
        assert_eq!(again, read);
        assert!(!read.lineage().is_empty());
    }
}

/// A snapshot of a device, with something in every field but one.
pub(crate) fn of_device(udid: &str, name: &str, secs: i64) -> Snapshot {
    let device = Origin::Device(DeviceIdentity {
        udid: udid.to_owned(),
        name: name.to_owned(),
        product_type: "iPhone16,1".to_owned(),
        os_version: "26.1".to_owned(),
        os_build: "23B85".to_owned(),
        encrypted: true,
        full: Some(false),
        backup_at: Some(Time { secs, nanos: 5 }),
        host: "desk".to_owned(),
        verification: Some(Verification::Rows),
    });
    let root = BlobId::from_bytes([6; 32]);
    let path = TreePath::from_slashed(b"a/b").expect("because it is a path");
    Snapshot {
        origin: device,
        taken_at: Time { secs, nanos: 0 },
        utc_offset_secs: 3600,
        root: Some(PageRef { id: root, level: 2, entries: 7, size_bytes: 8 }),
        parent: Some(SnapshotId::from_bytes([2; 32])),
        totals: Totals { new: 1, removed: 3, ..Totals::default() },
        completeness: Completeness::Incomplete {
            total: 2,
            first: vec![(path, FaultKind::Vanished)],
        },
        tags: vec!["before-update".to_owned()],
        session: SessionId::from_bytes([3; 16]),
        writer: signer().writer(),
        sequence: 9,
        previous: None,
        program: "devsnap 0.1.0".to_owned(),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let of_device = of_device("00008130-000A1B2C3D4E5678", "Ann\u{2019}s iPhone", 1_700_000_000);
    let mut of_folder = of_device.clone();
    of_folder.origin = Origin::Folder { host: "desk".to_owned(), path: b"/home/\xff".to_vec() };
    of_folder.completeness = Completeness::Complete;
    of_folder.root = None;
    let map = |read: &Snapshot| snapshots::encode(read, HERE, &signer())[SIGNED_LEN..].to_vec();
    [of_device, of_folder].iter().map(map).collect()
}
