//! Which device is meant, and which sessions may be kept.
use super::*;
use crate::transport::ConnectionKind;

fn address(digit: char, kind: ConnectionKind) -> DeviceAddress {
    let udid = Udid::parse(&format!("00008030-001A2B3C4D5E6F7{digit}")).unwrap();
    DeviceAddress { udid, kind, handle: 1 }
}

#[test]
fn the_only_device_is_meant_or_the_one_that_is_named() {
    let (one, two) = (address('1', ConnectionKind::Usb), address('2', ConnectionKind::Network));
    assert_eq!(choose(vec![one.clone()], None).unwrap(), one);
    let both = || vec![one.clone(), two.clone()];
    assert_eq!(choose(both(), Some(&two.udid)).unwrap(), two);
    assert_eq!(choose(both(), None).unwrap_err().kind(), DeviceErrorKind::SeveralDevices);
    assert_eq!(choose(vec![], None).unwrap_err().kind(), DeviceErrorKind::NotConnected);
    let absent = choose(vec![one], Some(&two.udid)).unwrap_err();
    assert_eq!(absent.kind(), DeviceErrorKind::NotConnected);
}

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
