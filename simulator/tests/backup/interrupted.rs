//! A session that broke off is no loss: the next one goes on from what the host has.
use crate::compare::{compare, newest};
use crate::host::{Host, Lent};
use devsnap_simulator::phone::{Cut, CutAt, Faults, Stage};

fn cut_at(stage: Stage) -> Faults {
    let at = CutAt::Stage(stage);
    let cut = Cut { service: "com.apple.mobilebackup2".into(), at, times: 1 };
    Faults { cut: Some(cut), ..Faults::default() }
}

#[test]
fn a_backup_cut_at_any_stage_is_followed_by_a_whole_one() {
    for password in [None, Some("secret")] {
        let lent = Lent::new(31);
        lent.phone.set_backup_password(password.map(str::to_owned));
        let root = tempfile::tempdir().unwrap();
        let set = root.path().join(lent.udid());
        // First over nothing, later over what the round before has left.
        for (day, stage) in (0..).zip(Stage::ALL) {
            lent.phone.set_faults(cut_at(stage));
            let said = Host::new(root.path()).fails(&lent);
            assert!(said.contains("cut on purpose"), "{stage:?}: {said}");

            Host::new(root.path()).back_up(&lent);

            compare(&set, password, &newest(lent.path()));
            lent.day(day);
        }
    }
}
