//! What people type: which snapshot they mean, for how long it is kept, and where a repository is.
use crate::snapshot::of_device;
use devsnap_engine::id::SnapshotId;
use devsnap_engine::retention::Within;
use devsnap_engine::snapshot::{Named, SelectError, Selector, select};
use jiff::tz::TimeZone;
use std::sync::OnceLock;
use written_place::Location;

// The file itself: the crate it belongs to brings an HTTP client with it, which takes longer to
// build than all of this crate, and the parser needs none of it.
#[path = "../../backends/src/location.rs"]
mod written_place;

/// 2026-10-24T12:00:00Z, the day before clocks go back in Europe.
const FIRST: i64 = 1_792_843_200;

fn history() -> Vec<Named> {
    let named = |n: u8, udid: &str, name: &str, days: i64| {
        let mut id = [n; 32];
        (id[0], id[1]) = (0xab, n / 2);
        let mut snapshot = of_device(udid, name, FIRST + days * 86_400);
        snapshot.sequence = n.into();
        if n == 2 {
            snapshot.tags = vec!["latest".to_owned(), "cafe".to_owned(), "2026-10-25".to_owned()];
        }
        Named { id: SnapshotId::from_bytes(id), snapshot, description: None }
    };
    vec![
        named(1, "A", "Ann\u{2019}s iPhone", 0),
        named(2, "A", "Ann\u{2019}s iPhone", 1),
        named(3, "A", "Ann\u{2019}s iPhone", 1),
        named(4, "B", "twin", 3),
        named(5, "C", "twin", 2),
    ]
}

/// What somebody types means the same whatever order the snapshots come in; what it finds is of
/// the device that was named, and is found by its own id too.
pub fn selector(data: &[u8]) {
    static SNAPSHOTS: OnceLock<[Vec<Named>; 2]> = OnceLock::new();
    static ZONES: OnceLock<[TimeZone; 2]> = OnceLock::new();
    let [snapshots, reversed] =
        SNAPSHOTS.get_or_init(|| [history(), history().into_iter().rev().collect()]);
    let zones = ZONES.get_or_init(|| {
        let here = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3");
        [TimeZone::UTC, here.expect("because it is a rule")]
    });
    let text = String::from_utf8_lossy(data);
    let selector = Selector::parse(&text);
    match &selector.of {
        Some(of) => assert_eq!(format!("{of}@{}", selector.which), text),
        None => assert_eq!(selector.which, text),
    }
    for zone in zones {
        let found = select(snapshots, &selector, zone);
        assert_eq!(found, select(reversed, &selector, zone));
        match found {
            Ok(found) => {
                let by_id = Selector { which: found.id.to_hex(), ..selector.clone() };
                assert_eq!(select(snapshots, &by_id, zone), Ok(found));
                let newest = Selector { which: "latest".to_owned(), ..selector.clone() };
                let newest = select(snapshots, &newest, zone).expect("because there is one");
                assert!(newest.snapshot.taken_at >= found.snapshot.taken_at);
                if selector.of.is_some() {
                    assert_eq!(newest.snapshot.lineage(), found.snapshot.lineage());
                }
            }
            Err(error) => assert_ne!(error, SelectError::NoneAtAll),
        }
    }
    assert_eq!(select(&[], &selector, &zones[0]), Err(SelectError::NoneAtAll));
}

pub(crate) fn selector_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "latest",
        "latest~2",
        "latest~18446744073709551615",
        "A@latest~1",
        "ann's iphone@2026-10-25",
        "2026-10-25T02:30",
        "2026-10-25T02:30:59",
        "-009999-01-01",
        "9999-12-31T23:59:59",
        "ab00",
        "ab01010101010101",
        "twin@cafe",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A location is shown so that it is read again, and holds no secret.
pub fn location(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(location) = text.parse::<Location>() else {
        return;
    };
    let shown = location.to_string();
    assert_eq!(shown.parse().as_ref(), Ok(&location));
    match &location {
        Location::Folder(path) => assert!(!path.as_os_str().is_empty() && !shown.contains('\0')),
        Location::S3(s3) => {
            assert!(!shown.contains(['@', '?', '#']) && !shown.chars().any(char::is_control));
            assert!((3..=63).contains(&s3.bucket.len()));
            let parts = s3.prefix.split('/');
            assert!(
                s3.prefix.is_empty() || parts.into_iter().all(|p| !["", ".", ".."].contains(&p))
            );
        }
    }
}

pub(crate) fn location_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "/mnt/backup",
        "./s3:x",
        "file:///a%20b/c%C3%A9",
        "s3://bucket/a/b/",
        "s3:https://host.example/bucket",
        "s3:http://[::1]:8333/bkt/p",
        "s3:https://key:hunter2@host/bucket",
        "sftp:user@host:/a",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A length of time is not nothing, and is shown so that it is read again.
pub fn within(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(within) = text.parse::<Within>() {
        let shown = within.to_string();
        assert!(!shown.is_empty());
        assert_eq!(shown.parse(), Ok(within));
    }
}

pub(crate) fn within_seeds() -> Vec<Vec<u8>> {
    let texts = ["1y6m14d2h", "72h", "007w", "19998y", "1y1y", "4294967295h"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
