//! A phone that lies: whatever it says, the session is soon refused, and nothing is kept.
use crate::play::{Watchdog, small, well_again};
use devsnap_device::DeviceErrorKind as Kind;
use devsnap_simulator::phone::{Faults, Lie};

#[test]
fn every_lie_ends_in_a_refusal_and_keeps_nothing() {
    for lie in Lie::ALL {
        let mut table = small(300, Faults { lie: Some(lie), ..Faults::default() }, (true, false));
        // So much that the phone begins, and little enough to be sent in no time.
        table.free_bytes = 140 << 20;
        table.files_max = 20_000;
        let watchdog = Watchdog::over(&table.interrupt);
        let error = table.back_up().expect_err(&format!("{lie:?}"));
        drop(watchdog);
        assert_eq!(error.kind(), Kind::Protocol, "{lie:?}: {error}");
        well_again(&table, None, &format!("{lie:?}"));
    }
}

#[test]
fn after_a_lie_the_last_good_snapshot_is_shown_again() {
    for lie in [Lie::RemovesOutside, Lie::SaysItIsFinished] {
        let table = small(301, Faults::default(), (true, false));
        let first = well_again(&table, None, "before");
        table.phone().set_faults(Faults { lie: Some(lie), ..Faults::default() });
        table.back_up().expect_err(&format!("{lie:?}"));
        let next = well_again(&table, Some(&first.named), &format!("{lie:?}"));
        assert!(!next.outcome.full, "{lie:?}");
    }
}
