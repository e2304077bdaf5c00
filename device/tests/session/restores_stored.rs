//! Restores from a storage that has lost something, does not answer, or holds what no password given opens.
use crate::restores::{How, days, holds, report, restore, restore_after, was_asked};
use crate::table::Table;
use devsnap_device::DeviceErrorKind as Kind;
use devsnap_engine::backend::{Backend, BackendErrorKind, ObjectKind};
use devsnap_simulator::phone::Faults;
use devsnap_testkit::{Call, Effect, FaultBackend, MemoryBackend, TestRepository, When};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_wrong_password_and_a_lost_pack_are_found_before_the_phone_is_asked() {
    let memory = Arc::new(MemoryBackend::new());
    let mut table = Table::faulty(73, Faults::default());
    table.repository = TestRepository::over(memory.clone());
    table.phone().set_backup_password(Some("secret".into()));
    let kept = days(&table, 1).remove(0).0;
    for wrong in ["Secret", "secret\n", ""] {
        let how = How { password: Some(wrong), ..How::default() };
        let refused = restore(&table, &kept, &how).unwrap_err();
        assert_eq!(refused.kind(), Kind::WrongPassword, "{wrong:?}: {refused}");
    }
    let packs = memory.list(ObjectKind::DataPack, "").map(|pack| pack.unwrap().key);
    let lost = packs.min_by_key(|key| key.name().to_owned()).unwrap();
    memory.remove(&lost).unwrap();
    let how = How { password: Some("secret"), ..How::default() };
    let refused = restore(&table, &kept, &how).unwrap_err();
    assert_eq!(refused.to_string(), "not whole");
    assert!(!was_asked(&table));
}

/// A table over a storage that fails when it is told to.
fn over_faults(seed: u64) -> (Table, Arc<FaultBackend>) {
    let backend = Arc::new(FaultBackend::new(Arc::new(MemoryBackend::new()), seed));
    let mut table = Table::faulty(seed, Faults::default());
    table.repository = TestRepository::over(backend.clone());
    (table, backend)
}

fn is_down(backend: &FaultBackend) {
    backend.fail(Call::Get, When::From(1), Effect::Refused(BackendErrorKind::Unreachable));
}

#[test]
fn a_storage_that_does_not_answer_for_a_while_is_waited_for_and_that_is_said_once() {
    let (table, backend) = over_faults(71);
    let (kept, truth) = days(&table, 2).remove(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // What is fetched ahead may fail unheard; it is over when somebody was told.
            let is_told = || !table.seen.warnings.lock().unwrap().is_empty();
            while !is_told() && !table.interrupt.is_raised() {
                std::thread::sleep(Duration::from_millis(5));
            }
            backend.heal();
        });
        let restored = restore_after(&table, &kept, &How::default(), &|| is_down(&backend));
        // Should it have failed, the other need not wait.
        if restored.is_err() {
            table.interrupt.raise();
        }
        restored.unwrap();
    });
    let report = report(&table);
    assert_eq!((report.same, report.error), (report.asked, None));
    holds(&table, &truth);
    let warnings = table.seen.warnings.lock().unwrap();
    let said = warnings.iter().filter(|warning| warning.contains("does not answer"));
    assert_eq!(said.count(), 1, "{warnings:?}");
}

#[test]
fn a_storage_that_stays_away_ends_the_restore_when_patience_does() {
    let (table, backend) = over_faults(72);
    let kept = days(&table, 1).remove(0).0;
    let how = How { storage_patience: Duration::from_millis(200), ..How::default() };
    let failed = restore_after(&table, &kept, &how, &|| is_down(&backend)).unwrap_err();
    assert_eq!(failed.kind(), Kind::StorageFailed, "{failed}");
    let of_engine = std::error::Error::source(&failed).unwrap().to_string();
    assert!(of_engine.contains("cannot be reached"), "{of_engine}");
    assert!(report(&table).error.is_some(), "the phone is not told that all is well");
    backend.heal();
    restore(&table, &kept, &How::default()).unwrap();
}
