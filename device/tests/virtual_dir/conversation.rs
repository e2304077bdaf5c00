//! The conversation with a phone that says what a test tells it to.
use crate::scripted::{UDID, play};
use devsnap_device::DeviceErrorKind;
use devsnap_device::devicelink::DeviceLink;
use devsnap_device::mobilebackup2::backup::{self, BackupRequest, Conversation, LastWord};
use devsnap_device::plist_stream::{Encoding, PlistStream, frame};
use devsnap_device::transport::AtMost;
use devsnap_device::watch::Unwatched;
use devsnap_testkit::TestRepository;
use plist::{Dictionary, Value};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

const SOON: AtMost = AtMost(Duration::from_secs(60));

/// Says each of these, and hears one answer to each that is marked; then closes. Hands back the
/// host's request and the codes of its answers.
fn phone(says: Vec<(Vec<Value>, bool)>) -> (UnixStream, JoinHandle<(Dictionary, Vec<i64>)>) {
    let (near, mut far) = UnixStream::pair().unwrap();
    let talking = std::thread::spawn(move || {
        let heard = far.try_clone().unwrap();
        let mut heard = PlistStream::over(Box::new(heard), Encoding::Xml).unwrap();
        let mut hear = || heard.receive(&mut SOON.clone()).unwrap().unwrap().into_array().unwrap();
        let mut say = |words: Vec<Value>| {
            far.write_all(&frame(&Value::Array(words), Encoding::Binary)).unwrap();
        };
        say(vec!["DLMessageVersionExchange".into(), 400_u64.into(), 0_u64.into()]);
        hear();
        say(vec!["DLMessageDeviceReady".into()]);
        let request = hear().remove(1).into_dictionary().unwrap();
        let mut codes = Vec::new();
        for (words, wants_answer) in says {
            say(words);
            if wants_answer {
                codes.push(hear()[1].as_signed_integer().unwrap());
            }
        }
        (request, codes)
    });
    (near, talking)
}

fn word(word: &str, more: &[Value]) -> Vec<Value> {
    [&[Value::from(word)], more].concat()
}

fn response(code: Option<u64>) -> Vec<Value> {
    let mut response = Dictionary::new();
    response.insert("MessageName".to_owned(), "Response".into());
    if let Some(code) = code {
        response.insert("ErrorCode".to_owned(), code.into());
    }
    word("DLMessageProcessMessage", &[Value::Dictionary(response)])
}

/// What came of it, the request and the codes, and the kind of failure the folder noted.
fn converse(
    says: Vec<(Vec<Value>, bool)>,
) -> (Conversation, Dictionary, Vec<i64>, Option<DeviceErrorKind>) {
    let (near, talking) = phone(says);
    let mut near = Some(near);
    let mut came = None;
    let _ = play(&TestRepository::new(), &mut |dir| {
        let mut link = DeviceLink::greet(Box::new(near.take().unwrap())).unwrap();
        let request =
            BackupRequest { target: UDID.to_owned(), full: false, free_bytes: 123_456_789_012 };
        let talk = backup::run(&mut link, &request, dir, &Unwatched, &mut SOON.clone()).unwrap();
        came = Some((talk, dir.take_failure().map(|failure| failure.kind())));
    });
    let (talk, failure) = came.unwrap();
    let (request, codes) = talking.join().unwrap();
    (talk, request, codes, failure)
}

#[test]
fn each_message_that_wants_an_answer_gets_one_and_a_ping_none() {
    let (talk, request, codes, failure) = converse(vec![
        (word("DLMessageGetFreeDiskSpace", &[]), true),
        (word("DLMessagePing", &["hello".into()]), false),
        (word("DLMessagePurgeDiskSpace", &[(5_u64 << 30).into(), 4_u64.into()]), true),
        (word("DLMessageFly", &[]), true),
        (word("DLContentsOfDirectory", &[UDID.into()]), true),
        (response(Some(105)), false),
    ]);
    assert_eq!(codes, [0, -1, -1, 0]);
    assert_eq!(talk.last_word, LastWord::Response { code: 105, description: None });
    assert_eq!(talk.short_of, Some(3 << 30));
    assert_eq!((talk.finished, failure), (false, None));
    assert_eq!(request.get("MessageName").unwrap().as_string(), Some("Backup"));
    assert_eq!(request.get("TargetIdentifier").unwrap().as_string(), Some(UDID));
    assert!(!request.contains_key("Options"));
}

#[test]
fn a_message_in_a_shape_it_never_has_is_answered_and_ends_the_session() {
    for malformed in [
        word("DLMessageRemoveItems", &[Value::Array(vec![5_u64.into()])]),
        word("DLMessageMoveItems", &["x".into()]),
        word("DLContentsOfDirectory", &[]),
        word("DLMessageVersionExchange", &[400_u64.into()]),
    ] {
        let (talk, _, codes, failure) = converse(vec![(malformed, true)]);
        assert_eq!(codes, [-1]);
        assert_eq!((talk.last_word, failure), (LastWord::Left, Some(DeviceErrorKind::Protocol)));
    }
}

#[test]
fn a_last_word_without_a_code_is_no_success_and_silence_is_none_at_all() {
    let (talk, ..) = converse(vec![(response(None), false)]);
    assert_eq!(talk.last_word, LastWord::Response { code: -1, description: None });
    let (talk, ..) = converse(vec![(word("DLMessageDisconnect", &["bye".into()]), false)]);
    assert_eq!(talk.last_word, LastWord::Closed);
    let (talk, ..) = converse(vec![]);
    assert_eq!(talk.last_word, LastWord::Closed);
}
