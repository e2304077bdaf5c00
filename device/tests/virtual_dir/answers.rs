//! What the phone hears when it does what phones do, and what it hears otherwise.
use crate::scripted::{FILES_MAX, Tape, UDID, code, play, status, stream};
use devsnap_device::devicelink::Status;
use devsnap_device::{DeviceError, DeviceErrorKind, SnapshotState};
use devsnap_engine::backend::BackendErrorKind;
use devsnap_engine::node::NodeKind;
use devsnap_testkit::test_repository::held;
use devsnap_testkit::{Call, Effect, FaultBackend, MemoryBackend, TestRepository, When};
use plist::Value;
use std::error::Error;
use std::sync::Arc;

const BLOB: &str = "ab00000000000000000000000000000000000001";

fn in_set(path: &str) -> String {
    format!("{UDID}/{path}")
}

fn names(listing: Status) -> Vec<String> {
    let Some(Value::Dictionary(listing)) = listing.payload else { panic!("a listing") };
    let mut names: Vec<_> = listing.keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn a_first_backup_goes_through_staging_into_the_tree() {
    let here = TestRepository::new();
    let staged = in_set(&format!("Snapshot/ab/{BLOB}"));
    let (blob, bytes) = (in_set(&format!("ab/{BLOB}")), vec![7; 5000]);
    let report = play(&here, &mut |dir| {
        for folder in ["", "/ab", "/Snapshot", "/Snapshot/ab"] {
            assert_eq!(code(dir.create_directory(&format!("{UDID}{folder}"))), 0);
        }
        let status_path = in_set("Status.plist");
        let first = stream(&[(&status_path, &status("uploading")), (&staged, &bytes)]);
        assert_eq!(code(dir.upload(&mut Tape::new(first)).unwrap()), 0);
        assert_eq!(dir.state(), Some(SnapshotState::Uploading));
        assert_eq!(names(dir.list(UDID)), ["Snapshot", "Status.plist", "ab"]);
        assert_eq!(code(dir.move_items(&[(staged.clone(), blob.clone())])), 0);
        assert_eq!(code(dir.remove_items(&[in_set("Snapshot"), in_set("Manifest.mbdx")])), 0);
        let last = stream(&[(&status_path, &status("finished"))]);
        assert_eq!(code(dir.upload(&mut Tape::new(last)).unwrap()), 0);
        assert_eq!(dir.state(), Some(SnapshotState::Finished));
        assert_eq!(code(dir.flush()), 0);
        // The finished status is read back, byte by byte.
        let mut wire = Tape::new(Vec::new());
        assert_eq!(code(dir.download(&[status_path], &mut wire).unwrap()), 0);
        let read = status("finished");
        assert!(wire.written.windows(read.len()).any(|window| window == read));
        assert_eq!(names(dir.list(&in_set("ab"))), [BLOB]);
    })
    .unwrap();
    let held = held(&here.open().unwrap(), &report.named.snapshot).unwrap();
    let paths: Vec<_> = held.keys().map(String::as_str).collect();
    assert_eq!(paths, [UDID, &in_set("Status.plist"), &in_set("ab"), &blob]);
    assert_eq!(held[&blob], (NodeKind::File, bytes));
}

#[test]
fn what_is_not_there_is_said_to_be_missing_and_a_missing_folder_is_empty() {
    play(&TestRepository::new(), &mut |dir| {
        let path = in_set("Status.plist");
        let mut wire = Tape::new(Vec::new());
        let answer = dir.download(std::slice::from_ref(&path), &mut wire).unwrap();
        let Some(Value::Dictionary(each)) = &answer.payload else { panic!("one line a path") };
        let why = each.get(&path).unwrap().as_dictionary().unwrap();
        assert_eq!(why.get("DLFileErrorCode").unwrap().as_signed_integer(), Some(-6));
        assert_eq!(code(answer), -13);
        let listing = dir.list(UDID);
        assert_eq!(names(listing.clone()), [] as [&str; 0]);
        assert_eq!(code(listing), 0);
        assert!(!dir.has_failed());
        let moved = dir.move_items(&[(in_set(&format!("ab/{BLOB}")), in_set("Status.plist"))]);
        assert_eq!(code(moved), -6);
    })
    .unwrap();
}

#[test]
fn a_path_that_no_backup_has_ends_the_session_after_the_stream_was_read_to_its_end() {
    let here = TestRepository::new();
    let outside = format!("{UDID}/../../etc/passwd");
    let failed = play(&here, &mut |dir| {
        let good = in_set(&format!("Snapshot/ab/{BLOB}"));
        let sent = stream(&[(&good, b"one"), (&outside, b"two"), (&good, b"three")]);
        let mut wire = Tape::new(sent);
        let answer = dir.upload(&mut wire).unwrap();
        assert!(wire.is_over(), "the next message begins where the stream ends");
        assert_eq!(code(answer), -1);
        assert!(dir.must_end());
    });
    let error = failed.unwrap_err();
    let device = error.source().unwrap().downcast_ref::<DeviceError>().unwrap();
    assert_eq!(device.kind(), DeviceErrorKind::Protocol);
    for refuse in ["create", "list", "move", "remove", "copy", "download", "folder"] {
        let failed = play(&here, &mut |dir| {
            let bad = "/etc/passwd".to_owned();
            let answer = match refuse {
                "create" => dir.create_directory(&bad),
                "list" => dir.list(&bad),
                "move" => dir.move_items(&[(in_set("Status.plist"), bad)]),
                "remove" => dir.remove_items(&[bad]),
                "copy" => dir.copy_item(&bad, UDID),
                "folder" => dir.create_directory(&in_set("Status.plist")),
                _ => dir.download(&[bad], &mut Tape::new(Vec::new())).unwrap(),
            };
            assert_ne!(code(answer), 0, "{refuse}");
            assert!(dir.must_end(), "{refuse}");
        });
        assert!(failed.is_err(), "{refuse}");
    }
}

#[test]
fn a_file_that_the_device_could_not_send_is_no_failure() {
    play(&TestRepository::new(), &mut |dir| {
        let path = in_set(&format!("Snapshot/ab/{BLOB}"));
        let mut sent = stream(&[(&path, b"half a file")]);
        // In place of its end and the stream's: an error, then the end.
        sent.truncate(sent.len() - 9);
        sent.extend(b"\0\0\0\x08\x0bchanged\0\0\0\0");
        assert_eq!(code(dir.upload(&mut Tape::new(sent)).unwrap()), 0);
        assert_eq!(dir.files_failed(), 1);
        assert_eq!(names(dir.list(&in_set("Snapshot/ab"))), [] as [&str; 0]);
    })
    .unwrap();
}

#[test]
fn a_full_store_is_told_the_device_as_such_and_streams_are_still_read_to_their_end() {
    let faulty = Arc::new(FaultBackend::new(Arc::new(MemoryBackend::new()), 5));
    let here = TestRepository::over(faulty.clone());
    let failed = play(&here, &mut |dir| {
        faulty.fail(Call::Put, When::From(1), Effect::Refused(BackendErrorKind::NoSpace));
        let path = in_set(&format!("Snapshot/ab/{BLOB}"));
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let first = stream(&[(&path, &bytes)]);
        let _ = dir.upload(&mut Tape::new(first)).unwrap();
        assert_eq!(code(dir.flush()), -15);
        let mut next = Tape::new(stream(&[(&path, &bytes)]));
        assert_eq!(code(dir.upload(&mut next).unwrap()), -15);
        assert!(next.is_over());
        assert!(dir.has_failed() && !dir.must_end(), "the device may end it by itself");
    });
    assert_eq!(failed.unwrap_err().kind(), devsnap_engine::error::ErrorKind::NoSpace);
}

#[test]
fn files_without_end_end_the_session_also_when_they_are_empty_or_fail() {
    let path = in_set(&format!("Snapshot/ab/{BLOB}"));
    let empty = [(path.as_str(), b"".as_slice()); FILES_MAX + 1];
    for broken in [false, true] {
        let mut sent = stream(&empty);
        if broken {
            // Code 0 ends each file; now they end with an error.
            let each = stream(&empty[..1]).len() - 4;
            (1..=empty.len()).for_each(|n| sent[n * each - 1] = 0x0b);
        }
        let failed = play(&TestRepository::new(), &mut |dir| {
            let allowed = stream(&empty[..FILES_MAX]).len() - 4;
            let mut within = Tape::new([&sent[..allowed], &[0; 4]].concat());
            dir.upload(&mut within).unwrap();
            assert_eq!(dir.files_failed(), if broken { FILES_MAX as u64 } else { 0 });
            let mut one_more = Tape::new(sent[allowed..].to_vec());
            let error = dir.upload(&mut one_more).unwrap_err();
            assert_eq!(error.kind(), DeviceErrorKind::Protocol);
            dir.refuse("it is over".to_owned());
        });
        assert!(failed.is_err());
    }
}
