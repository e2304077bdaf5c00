//! Which device is meant, and which sessions may be kept.
use super::*;

fn talk(last_word: LastWord, finished: bool, read_back: bool) -> Conversation {
    Conversation { last_word, finished, read_back, short_of: None, full: None }
}

fn answer(code: i64) -> LastWord {
    LastWord::Response { code, description: None }
}

#[test]
fn a_session_is_kept_when_it_finished_and_the_device_said_so() {
    assert!(must_be_kept(&talk(answer(0), true, true), 0).unwrap());
    assert!(must_be_kept(&talk(answer(0), true, false), 0).unwrap());
    // iOS 26.0.1 has closed without a last word.
    assert!(!must_be_kept(&talk(LastWord::Closed, true, true), 0).unwrap());
}

#[test]
fn no_other_session_is_kept() {
    for (talk, kind) in [
        (talk(answer(0), false, false), DeviceErrorKind::Protocol),
        (talk(answer(-1), true, true), DeviceErrorKind::DeviceFailed),
        (talk(answer(208), true, true), DeviceErrorKind::PasscodeNeeded),
        (talk(LastWord::Closed, true, false), DeviceErrorKind::ConnectionLost),
        (talk(LastWord::Closed, false, true), DeviceErrorKind::ConnectionLost),
        (talk(LastWord::Left, true, true), DeviceErrorKind::Protocol),
    ] {
        assert_eq!(must_be_kept(&talk, 0).unwrap_err().kind(), kind, "{talk:?}");
    }
}

#[test]
fn a_device_that_is_short_of_room_has_said_how_much() {
    let mut talk = talk(answer(105), false, false);
    talk.short_of = Some(12_345);
    let error = must_be_kept(&talk, 1_000_000).unwrap_err();
    assert_eq!(error.kind(), DeviceErrorKind::NoSpaceHere);
    assert!(error.to_string().contains("wants 1012345 bytes of room"), "{error}");
}
