//! The contract, held by a bucket of a real S3 server; and what a service adds: refusals, absence.
use devsnap_backends::{Credentials, Location, LocationError, create, open};
use devsnap_engine::backend::{Backend, BackendErrorKind, Body, ObjectKey, ObjectKind};
use devsnap_engine::interrupt::Interrupt;
use devsnap_testkit::S3Server;
use std::net::{Ipv4Addr, TcpListener};

fn location(written: &str) -> Location {
    written.parse().unwrap_or_else(|e: LocationError| panic!("{written}: {e}"))
}

fn in_bucket() -> Box<dyn Backend> {
    let server = S3Server::shared();
    let credentials: Credentials = server.variables().into_iter().collect();
    create(&location(&server.fresh_location()), &credentials, &Interrupt::new())
        .expect("the server has a bucket for this test")
}

devsnap_testkit::backend_suite!(a_bucket_keeps_the_contract, in_bucket);

fn snapshot() -> ObjectKey {
    ObjectKey::new(ObjectKind::Snapshot, "a1")
}

#[test]
fn a_wrong_secret_is_denied_and_not_shown() {
    let server = S3Server::shared();
    let [(id, key_id), (secret, _)] = server.variables();
    let credentials: Credentials =
        [(id, key_id), (secret, "hunter2-hunter2")].into_iter().collect();
    let backend =
        open(&location(&server.fresh_location()), &credentials, &Interrupt::new()).unwrap();
    let put = backend.put(&snapshot(), Body::Bytes("x".into())).unwrap_err();
    let get = backend.get(&snapshot(), 0..1).unwrap_err();
    let list = backend.list(ObjectKind::Snapshot, "").next().unwrap().unwrap_err();
    for error in [put, get, list] {
        assert_eq!(error.kind, BackendErrorKind::Denied, "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    assert!(!backend.place().contains(key_id));
}

#[test]
fn a_missing_bucket_is_not_taken_for_an_empty_repository() {
    let server = S3Server::shared();
    let credentials: Credentials = server.variables().into_iter().collect();
    let backend =
        open(&location(&server.missing_bucket()), &credentials, &Interrupt::new()).unwrap();
    let listed: Vec<_> = backend.list(ObjectKind::Snapshot, "").collect();
    assert!(matches!(listed.as_slice(), [Err(_)]), "{listed:?}");
    let get = backend.get_whole(&snapshot(), 10).map(|_| ()).unwrap_err();
    assert!(
        matches!(get.kind, BackendErrorKind::Medium | BackendErrorKind::NotFound),
        "a HEAD has no body that could say which of both is missing: {get:?}"
    );
}

#[test]
fn repositories_in_one_bucket_do_not_see_each_other() {
    let (one, other) = (in_bucket(), in_bucket());
    one.put(&snapshot(), Body::Bytes("one".into())).unwrap();
    assert_eq!(other.list(ObjectKind::Snapshot, "").count(), 0);
    assert_eq!(other.get(&snapshot(), 0..1).unwrap_err().kind, BackendErrorKind::NotFound);
}

#[test]
fn half_a_pair_of_keys_and_a_missing_region_are_said_at_once() {
    let open = |variables: &[(&str, &str)]| {
        let credentials: Credentials = variables.iter().copied().collect();
        open(&location("s3://bucket/a"), &credentials, &Interrupt::new())
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let half = open(&[("AWS_ACCESS_KEY_ID", "id"), ("AWS_REGION", "eu-west-1")]);
    assert!(half.contains("AWS_SECRET_ACCESS_KEY"), "{half}");
    assert!(open(&[]).contains("AWS_REGION"));
    let style = open(&[("DEVSNAP_S3_STYLE", "odd"), ("AWS_REGION", "eu-west-1")]);
    assert!(style.contains("DEVSNAP_S3_STYLE"), "{style}");
}

#[test]
fn a_service_that_takes_everything_and_says_nothing_is_let_go_of_when_somebody_wants_to_stop() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place = format!("s3:http://{}/bucket/a", silent.local_addr().unwrap());
    let credentials: Credentials =
        [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")].into_iter().collect();
    let interrupt = Interrupt::new();
    let backend = open(&location(&place), &credentials, &interrupt).unwrap();
    let key = ObjectKey::new(ObjectKind::DataPack, "ab".repeat(32));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| backend.get(&key, 0..10).unwrap_err().kind);
        let (taken, _) = silent.accept().unwrap();
        interrupt.raise();
        assert_eq!(waiting.join().unwrap(), BackendErrorKind::Interrupted);
        let listed = backend.list(ObjectKind::DataPack, "").next().unwrap();
        assert_eq!(listed.unwrap_err().kind, BackendErrorKind::Interrupted);
        drop(taken);
    });
}
