//! Hosts that do what hosts may not, and phones that are unkind on purpose.
use crate::host::{Host, Lent, Quirk};
use devsnap_simulator::phone::{Cut, CutAt, Faults, Passcode, Silence, Stage};
use std::fs::File;
use std::time::{Duration, Instant};

const SERVICE: &str = "com.apple.mobilebackup2";

#[test]
fn a_host_that_breaks_the_protocol_ends_the_session() {
    for (quirk, word) in [
        (Quirk::LargeBlocks, "a block of 65537 bytes"),
        (Quirk::ShortAnswers, "a status of 3 elements"),
        (Quirk::ShapelessAnswers, "a code of another shape"),
    ] {
        let lent = Lent::new(21);
        let root = tempfile::tempdir().unwrap();
        Host::new(root.path()).back_up(&lent);

        let said = Host::with(root.path(), quirk).fails(&lent);

        assert!(said.contains(word), "{quirk:?}: {said}");
    }
}

#[test]
fn a_host_that_does_not_answer_is_left() {
    let lent = Lent::new(22);
    lent.habits(|habits| habits.patience_seconds = 1);
    let root = tempfile::tempdir().unwrap();

    Host::with(root.path(), Quirk::Silent).fails(&lent);
}

#[test]
fn a_host_that_lies_about_its_files_is_told_so() {
    for (quirk, code, word) in [
        (Quirk::LosesAFile, 205, "bytes instead of"),
        (Quirk::KeepsAll, 104, "still there"),
        (Quirk::WrongSizes, 205, "bytes instead of"),
    ] {
        let lent = Lent::new(23);
        let root = tempfile::tempdir().unwrap();

        let response = Host::with(root.path(), quirk).backup(&lent).unwrap();

        assert_eq!(response.code, code, "{quirk:?}: {response:?}");
        assert!(response.text.contains(word), "{quirk:?}: {response:?}");
    }
}

#[test]
fn too_little_room_is_code_105_after_one_wish_for_more() {
    let lent = Lent::new(24);
    let root = tempfile::tempdir().unwrap();
    let mut host = Host::with(root.path(), Quirk::Free(100 << 20));
    assert_eq!(host.backup(&lent).unwrap().code, 105);
    let purges = host.asked.iter().filter(|a| a.starts_with("DLMessagePurgeDiskSpace")).count();
    assert_eq!(purges, 1);

    lent.phone.set_faults(Faults { low_space: Some(2 << 40), ..Faults::default() });
    assert_eq!(Host::new(root.path()).backup(&lent).unwrap().code, 105);
}

#[test]
fn refusals_and_a_passcode_that_nobody_types_have_their_codes() {
    let lent = Lent::new(25);
    lent.habits(|habits| habits.patience_seconds = 1);
    let root = tempfile::tempdir().unwrap();
    let observer = lent.phone.observe();
    observer.watch("com.apple.LocalAuthentication.ui.presented");
    observer.watch("com.apple.itunes-client.syncCancelRequest");
    for (faults, code) in [
        (Faults { refusal: Some(205), ..Faults::default() }, 205),
        (Faults { refusal: Some(3), ..Faults::default() }, 3),
        (Faults { passcode: Passcode::Never, ..Faults::default() }, 208),
        (Faults { passcode: Passcode::Denied, ..Faults::default() }, 208),
    ] {
        lent.phone.set_faults(faults);
        assert_eq!(Host::new(root.path()).backup(&lent).unwrap().code, code);
    }
    assert_eq!(observer.take().as_deref(), Some("com.apple.LocalAuthentication.ui.presented"));

    while observer.take().is_some() {}
    lent.phone.set_faults(Faults { refusal: Some(202), ..Faults::default() });
    let mut host = Host::new(root.path());
    assert_eq!(host.backup(&lent).unwrap().code, 202);
    assert_eq!(observer.take().as_deref(), Some("com.apple.itunes-client.syncCancelRequest"));
    assert!(host.asked.iter().any(|asked| asked.starts_with("DLMessageUploadFiles")));
}

#[test]
fn a_second_session_is_refused_while_one_is_running() {
    let lent = Lent::new(28);
    let root = tempfile::tempdir().unwrap();
    let running = File::create(lent.path().join("session.lock")).unwrap();
    running.lock().unwrap();

    assert_eq!(Host::new(root.path()).backup(&lent).unwrap().code, 14);
    running.unlock().unwrap();
    Host::new(root.path()).back_up(&lent);
}

#[test]
fn a_cut_comes_at_the_stage_or_message_it_is_meant_for() {
    let lent = Lent::new(26);
    let root = tempfile::tempdir().unwrap();
    for at in [CutAt::Message(7), CutAt::Stage(Stage::Uploading), CutAt::Stage(Stage::Moving)] {
        let cut = Cut { service: SERVICE.into(), at, times: 1 };
        lent.phone.set_faults(Faults { cut: Some(cut), ..Faults::default() });

        let said = Host::new(root.path()).fails(&lent);

        assert!(said.contains("cut on purpose"), "{at:?}: {said}");
    }
    Host::new(root.path()).back_up(&lent);
}

/// Longer than the 60 seconds after which some hosts give up, and shorter than phones are silent.
#[test]
fn a_silence_of_75_seconds_is_only_a_silence() {
    let lent = Lent::new(27);
    let root = tempfile::tempdir().unwrap();
    let lasts = Duration::from_secs(75);
    let before = CutAt::Stage(Stage::Preparing);
    let silence = Silence { service: SERVICE.into(), before, lasts };
    lent.phone.set_faults(Faults { silence: Some(silence), ..Faults::default() });
    let began = Instant::now();

    Host::new(root.path()).back_up(&lent);

    assert!(began.elapsed() >= lasts);
}
