//! A check finds what is lost or damaged and is silent about what is whole.
use devsnap_engine::backend::{Backend, ObjectKey, ObjectKind};
use devsnap_engine::check::{CheckOptions, CheckReport, check};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::progress::Silent;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::{MemoryBackend, TestRepository};
use std::sync::Arc;

fn scene() -> Arc<MemoryBackend> {
    let folder = tempfile::tempdir().expect("because there is room");
    let phone = PhoneLike { seed: 5, files: 40, total_bytes: 1 << 20 };
    phone.write(folder.path()).expect("because there is room");
    let memory = Arc::new(MemoryBackend::new());
    let here = TestRepository::over(memory.clone());
    here.snapshot(folder.path()).expect("because nothing is damaged");
    phone.mutate(folder.path(), 1).expect("because there is room");
    here.snapshot(folder.path()).expect("because nothing is damaged");
    memory
}

fn checked(memory: &Arc<MemoryBackend>, read_data_percent: Option<u8>) -> CheckReport {
    let repository =
        TestRepository::existing(memory.clone()).open().expect("because the config is whole");
    check(&repository, &CheckOptions { read_data_percent }, &Silent, &Interrupt::new())
        .expect("because damage is reported, not returned")
}

fn first(memory: &MemoryBackend, kind: ObjectKind) -> ObjectKey {
    let keys = memory.list(kind, "").map(|info| info.expect("because memory can be listed").key);
    keys.min().expect("because there is one")
}

#[test]
fn a_whole_repository_has_no_findings() {
    let memory = scene();
    for percent in [None, Some(100)] {
        let report = checked(&memory, percent);
        assert!(report.findings.is_empty(), "{:?}", report.findings);
        assert_eq!(report.snapshots, 2);
        assert_eq!(report.read_bytes > 0, percent.is_some());
    }
}

#[test]
fn a_lost_pack_and_a_lost_snapshot_are_told() {
    for kind in [ObjectKind::DataPack, ObjectKind::MetaPack] {
        let memory = scene();
        let pack = first(&memory, kind);
        memory.remove(&pack).unwrap();
        let report = checked(&memory, None);
        assert!(report.is_damaged(), "{kind:?}: {:?}", report.findings);
    }
    let memory = scene();
    memory.replace(&first(&memory, ObjectKind::Snapshot), vec![1; 400]);
    assert!(checked(&memory, None).is_damaged());
}

#[test]
fn a_lost_index_segment_is_told_and_a_snapshot_mends_it() {
    let memory = scene();
    memory.remove(&first(&memory, ObjectKind::IndexSegment)).unwrap();
    let report = checked(&memory, None);
    assert!(report.is_damaged());
    let words = &report.findings.last().unwrap().sentence;
    assert!(words.contains("no content is lost"), "{words}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("new"), "file".repeat(100)).unwrap();
    TestRepository::existing(memory.clone()).snapshot(folder.path()).unwrap();
    let after = checked(&memory, Some(100));
    assert!(after.findings.is_empty(), "{:?}", after.findings);
}

#[test]
fn a_flipped_bit_in_a_block_is_found_by_reading() {
    let memory = scene();
    let pack = first(&memory, ObjectKind::DataPack);
    let mut bytes = memory.contents()[&pack].to_vec();
    bytes[200] ^= 1;
    memory.replace(&pack, bytes);
    assert!(!checked(&memory, None).is_damaged(), "structure alone cannot tell");
    assert!(checked(&memory, Some(100)).is_damaged());
}
