//! The contract of [`Backend`] as tests, one claim each.
//!
//! [`backend_suite!`](crate::backend_suite) turns them into `#[test]`s for one implementation. The
//! functions are public so that the macro can name them; call them through it.
use bytes::Bytes;
use devsnap_engine::backend::{
    Backend, BackendErrorKind, Body, NAME_LEN_MAX, ObjectKey, ObjectKind, path_of,
};
use std::collections::BTreeMap;
use std::ops::Deref;

/// Makes a module of tests that hold one backend to the contract.
///
/// The maker is called once per test and gives an *empty* backend, or anything that dereferences
/// to one; what must outlive the backend (a temporary folder, a server) travels in it.
///
/// ```
/// mod tests {
///     devsnap_testkit::backend_suite!(memory, devsnap_testkit::MemoryBackend::new);
/// }
/// ```
#[macro_export]
macro_rules! backend_suite {
    ($name:ident, $make:expr) => {
        $crate::backend_suite!(@tests $name, $make,
            what_was_put_is_read_back,
            an_empty_object_is_an_object,
            a_large_object_is_read_back_whole_and_in_part,
            names_of_every_legal_length_and_sign_are_kept,
            a_file_is_stored_and_given_up,
            a_second_put_of_the_same_bytes_succeeds,
            a_failed_put_leaves_no_object,
            ranges_are_exact,
            a_range_past_the_end_is_a_short_object,
            what_is_missing_is_not_found,
            an_object_longer_than_allowed_is_too_large,
            removing_is_seen_and_removing_nothing_succeeds,
            a_listing_names_each_object_of_its_kind_with_its_size,
            a_listing_keeps_to_its_prefix,
            a_listing_of_thousands_is_complete,
            puts_and_removes_from_many_threads_all_take_effect,
            racing_puts_of_one_name_leave_it_whole,
            listings_during_puts_name_only_whole_objects,
            the_place_and_the_connections_are_sane,
        );
    };
    (@tests $name:ident, $make:expr, $($claim:ident),+ $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "the maker may name nothing from around the module")]
            use super::*;
            $(
                #[test]
                fn $claim() {
                    let make = $make;
                    $crate::backend_suite::$claim(&make());
                }
            )+
        }
    };
}

fn key(kind: ObjectKind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, name)
}

fn put<B: Backend + ?Sized>(backend: &B, key: &ObjectKey, bytes: impl Into<Bytes>) {
    let stored = backend.put(key, Body::Bytes(bytes.into()));
    stored.unwrap_or_else(|e| panic!("{key} is stored: {e:?}"));
}

fn whole<B: Backend + ?Sized>(backend: &B, key: &ObjectKey) -> Bytes {
    let read = backend.get_whole(key, 1 << 30);
    read.unwrap_or_else(|e| panic!("{key} is read: {e:?}"))
}

/// Bytes that differ everywhere, so that a shifted or swapped part shows.
fn pattern(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

fn listed<B: Backend + ?Sized>(
    backend: &B,
    kind: ObjectKind,
    prefix: &str,
) -> BTreeMap<String, u64> {
    let mut names = BTreeMap::new();
    for info in backend.list(kind, prefix) {
        let info = info.unwrap_or_else(|e| panic!("the listing goes to its end: {e:?}"));
        assert_eq!(info.key.kind(), kind);
        let twice = names.insert(info.key.name().to_owned(), info.size_bytes);
        assert_eq!(twice, None, "{} is listed once", info.key);
    }
    names
}

/// Every kind of object is read back as it was put, whole and by range.
pub fn what_was_put_is_read_back<B: Deref<Target: Backend> + Sync>(backend: &B) {
    for (n, kind) in ObjectKind::ALL.into_iter().enumerate() {
        let key = key(kind, "7f3a.beat-3");
        let bytes = pattern(100 + n);
        put(&**backend, &key, bytes.clone());
        assert_eq!(whole(&**backend, &key), bytes);
        let range = backend.get(&key, 0..bytes.len() as u64).expect("the range is there");
        assert_eq!(range, bytes);
    }
}

/// Nought bytes are still an object: present, listed, readable.
pub fn an_empty_object_is_an_object<B: Deref<Target: Backend>>(backend: &B) {
    let key = key(ObjectKind::Session, "a.open");
    put(&**backend, &key, Bytes::new());
    assert_eq!(whole(&**backend, &key), Bytes::new());
    assert_eq!(backend.get(&key, 0..0).expect("an empty range of it"), Bytes::new());
    assert_eq!(listed(&**backend, ObjectKind::Session, ""), BTreeMap::from([("a.open".into(), 0)]));
}

/// More than 5 MiB, where object stores begin to send parts.
pub fn a_large_object_is_read_back_whole_and_in_part<B: Deref<Target: Backend>>(backend: &B) {
    let key = key(ObjectKind::DataPack, &"ab".repeat(32));
    let bytes = pattern((17 << 20) + 13);
    put(&**backend, &key, bytes.clone());
    assert!(whole(&**backend, &key) == bytes, "the whole object comes back");
    let middle = (9 << 20) - 7..(9 << 20) + 7000;
    let part = backend.get(&key, middle.start as u64..middle.end as u64).expect("the middle");
    assert!(part == bytes[middle], "the middle comes back");
}

/// One letter, 80 letters, dots and dashes.
pub fn names_of_every_legal_length_and_sign_are_kept<B: Deref<Target: Backend>>(backend: &B) {
    let names = ["0".to_owned(), "-".to_owned(), "a-b.c-9.".to_owned(), "z".repeat(NAME_LEN_MAX)];
    for kind in ObjectKind::ALL {
        for (n, name) in names.iter().enumerate() {
            put(&**backend, &key(kind, name), pattern(n + 1));
        }
        let want: BTreeMap<_, _> = names.iter().cloned().zip(1..).collect();
        assert_eq!(listed(&**backend, kind, ""), want);
    }
}

/// A temporary file, from the backend's staging folder or from elsewhere, becomes the object.
pub fn a_file_is_stored_and_given_up<B: Deref<Target: Backend>>(backend: &B) {
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let folders = [Some(elsewhere.path()), backend.staging()];
    for (n, folder) in folders.into_iter().flatten().enumerate() {
        let bytes = pattern(300_000 + n);
        let path = folder.join("pack.tmp");
        std::fs::write(&path, &bytes).expect("the file is written");
        let key = key(ObjectKind::DataPack, &format!("{n}f"));
        let body = Body::File { path: path.clone(), size_bytes: bytes.len() as u64 };
        backend.put(&key, body).expect("the file is stored");
        assert!(whole(&**backend, &key) == bytes);
        assert!(!path.exists(), "the file was given up: the backend leaves none behind");
    }
}

/// Write once: putting the same bytes again is fine and changes nothing.
pub fn a_second_put_of_the_same_bytes_succeeds<B: Deref<Target: Backend>>(backend: &B) {
    let key = key(ObjectKind::Snapshot, "5e");
    put(&**backend, &key, pattern(70));
    put(&**backend, &key, pattern(70));
    assert_eq!(whole(&**backend, &key), pattern(70));
    assert_eq!(listed(&**backend, ObjectKind::Snapshot, "").len(), 1);
}

/// A put that cannot succeed (its file is missing, or shorter than said) leaves the name absent.
pub fn a_failed_put_leaves_no_object<B: Deref<Target: Backend>>(backend: &B) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = key(ObjectKind::MetaPack, "0c");
    let missing = Body::File { path: folder.path().join("missing"), size_bytes: 5 };
    backend.put(&key, missing).expect_err("there is no such file");
    let path = folder.path().join("short");
    std::fs::write(&path, b"1234").expect("the file is written");
    backend.put(&key, Body::File { path, size_bytes: 5 }).expect_err("the file is too short");
    let kind = backend.get_whole(&key, 100).expect_err("nothing was stored").kind;
    assert_eq!(kind, BackendErrorKind::NotFound);
    assert_eq!(listed(&**backend, ObjectKind::MetaPack, ""), BTreeMap::new());
}

/// Ranges begin and end where asked, at every edge.
pub fn ranges_are_exact<B: Deref<Target: Backend>>(backend: &B) {
    let key = key(ObjectKind::DataPack, "77");
    let bytes = pattern(1000);
    put(&**backend, &key, bytes.clone());
    for range in [0..1, 0..1000, 1..2, 500..500, 999..1000, 1000..1000, 3..998] {
        let part = backend.get(&key, range.start as u64..range.end as u64);
        assert_eq!(part.expect("the range is inside"), bytes[range]);
    }
}

/// A short read is an error, never fewer bytes.
pub fn a_range_past_the_end_is_a_short_object<B: Deref<Target: Backend>>(backend: &B) {
    let key = key(ObjectKind::DataPack, "88");
    put(&**backend, &key, pattern(1000));
    for range in [0..1001, 999..1002, 1000..1001, 5000..5001, 1001..1001, 0..u64::MAX] {
        let failed = backend.get(&key, range.clone()).expect_err("the object ends before");
        assert_eq!(failed.kind, BackendErrorKind::ShortObject, "{range:?}: {failed:?}");
        assert_eq!(failed.key.as_ref(), Some(&key));
    }
}

/// Missing objects are `NotFound`, whichever way they are asked for.
pub fn what_is_missing_is_not_found<B: Deref<Target: Backend>>(backend: &B) {
    for kind in ObjectKind::ALL {
        let key = key(kind, "1234");
        let by_range = backend.get(&key, 0..10).expect_err("there is none");
        let whole = backend.get_whole(&key, 10).expect_err("there is none");
        let nothing = backend.get(&key, 0..0).expect_err("there is none");
        for failed in [by_range, whole, nothing] {
            assert_eq!(failed.kind, BackendErrorKind::NotFound, "{failed:?}");
        }
    }
}

/// `max_bytes` is the most that is taken; exactly that much is fine.
pub fn an_object_longer_than_allowed_is_too_large<B: Deref<Target: Backend>>(backend: &B) {
    let key = key(ObjectKind::Note, "n1");
    put(&**backend, &key, pattern(1000));
    assert_eq!(backend.get_whole(&key, 1000).expect("it just fits"), pattern(1000));
    for max_bytes in [999, 1, 0] {
        let failed = backend.get_whole(&key, max_bytes).expect_err("it is longer");
        assert_eq!(failed.kind, BackendErrorKind::TooLarge);
    }
}

/// What is removed is gone from reads and listings at once; the rest stays.
pub fn removing_is_seen_and_removing_nothing_succeeds<B: Deref<Target: Backend>>(backend: &B) {
    let (gone, kept) = (key(ObjectKind::DataPack, "aa01"), key(ObjectKind::DataPack, "aa02"));
    backend.remove(&gone).expect("removing what is not there succeeds");
    put(&**backend, &gone, pattern(10));
    put(&**backend, &kept, pattern(11));
    backend.remove(&gone).expect("it is removed");
    assert_eq!(backend.get(&gone, 0..1).expect_err("it is gone").kind, BackendErrorKind::NotFound);
    let want = BTreeMap::from([("aa02".to_owned(), 11)]);
    assert_eq!(listed(&**backend, ObjectKind::DataPack, ""), want);
    backend.remove(&gone).expect("removing it again succeeds");
    put(&**backend, &gone, pattern(10));
    assert_eq!(whole(&**backend, &gone), pattern(10));
}

/// Kinds do not mix, sizes are right, and an empty store lists nothing.
pub fn a_listing_names_each_object_of_its_kind_with_its_size<B: Deref<Target: Backend>>(
    backend: &B,
) {
    for kind in ObjectKind::ALL {
        assert_eq!(listed(&**backend, kind, ""), BTreeMap::new());
    }
    for (n, kind) in ObjectKind::ALL.into_iter().enumerate() {
        put(&**backend, &key(kind, "ab12"), pattern(10 + n));
        put(&**backend, &key(kind, "cd34"), pattern(50 + n));
    }
    for (n, kind) in ObjectKind::ALL.into_iter().enumerate() {
        let n = n as u64;
        let want = BTreeMap::from([("ab12".to_owned(), 10 + n), ("cd34".to_owned(), 50 + n)]);
        assert_eq!(listed(&**backend, kind, ""), want);
    }
}

/// A prefix may be a part of a name, a whole name, one letter, or fit nothing.
pub fn a_listing_keeps_to_its_prefix<B: Deref<Target: Backend>>(backend: &B) {
    let names = ["ab", "ab1", "ab12.open", "ab12.beat-1", "ac", "b"];
    for kind in [ObjectKind::Session, ObjectKind::DataPack] {
        for name in names {
            put(&**backend, &key(kind, name), pattern(3));
        }
        for prefix in ["", "a", "ab", "ab1", "ab12.", "ab12.open", "ab12.open-", "b", "z", "."] {
            let want: Vec<_> = {
                let mut fit: Vec<_> = names.iter().filter(|n| n.starts_with(prefix)).collect();
                fit.sort();
                fit
            };
            let found = listed(&**backend, kind, prefix);
            let found: Vec<_> = found.keys().collect();
            assert_eq!(found, want, "{prefix:?} in {}", path_of(&key(kind, "x")));
        }
    }
}

/// More objects than one page of an object store's listing (1,000) holds.
pub fn a_listing_of_thousands_is_complete<B: Deref<Target: Backend> + Sync>(backend: &B) {
    const EACH: usize = 160;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for n in 0..EACH {
                    let name = format!("{:02x}{thread}{n}", (n * 8 + thread) % 256);
                    put(&**backend, &key(ObjectKind::MetaPack, &name), pattern(1));
                }
            });
        }
    });
    assert_eq!(listed(&**backend, ObjectKind::MetaPack, "").len(), 8 * EACH);
}

/// Calls that overlap do not disturb each other.
pub fn puts_and_removes_from_many_threads_all_take_effect<B: Deref<Target: Backend> + Sync>(
    backend: &B,
) {
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for n in 0..12 {
                    let key = key(ObjectKind::DataPack, &format!("{thread}{n:x}.k"));
                    put(&**backend, &key, pattern(1000 * thread + n));
                    assert_eq!(whole(&**backend, &key), pattern(1000 * thread + n));
                    if n % 2 == 1 {
                        backend.remove(&key).expect("it is removed");
                    }
                }
            });
        }
    });
    let left = listed(&**backend, ObjectKind::DataPack, "");
    assert_eq!(left.len(), 8 * 6);
    assert!(left.keys().all(|name| {
        let n = u64::from_str_radix(&name[1..2], 16).expect("a digit");
        n % 2 == 0
    }));
}

/// Two writers of one name, as two retries are: the object is whole afterwards.
pub fn racing_puts_of_one_name_leave_it_whole<B: Deref<Target: Backend> + Sync>(backend: &B) {
    let key = key(ObjectKind::IndexSegment, "5e6");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| put(&**backend, &key, pattern(200_000)));
        }
    });
    assert!(whole(&**backend, &key) == pattern(200_000));
    let want = BTreeMap::from([("5e6".to_owned(), 200_000)]);
    assert_eq!(listed(&**backend, ObjectKind::IndexSegment, ""), want);
}

/// Whole or absent, also for who looks on: a name that is listed has its full length, and is read.
pub fn listings_during_puts_name_only_whole_objects<B: Deref<Target: Backend> + Sync>(backend: &B) {
    const SIZE: usize = 400_000;
    let want = pattern(SIZE);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..20 {
                put(&**backend, &key(ObjectKind::Snapshot, &format!("s{n}")), want.clone());
            }
        });
        loop {
            let last_look = writer.is_finished();
            for (name, size_bytes) in listed(&**backend, ObjectKind::Snapshot, "") {
                assert_eq!(size_bytes, SIZE as u64, "{name} is listed when it is whole");
                let key = key(ObjectKind::Snapshot, &name);
                if last_look {
                    assert!(whole(&**backend, &key) == want, "{name} is whole");
                }
            }
            if last_look {
                break;
            }
        }
    });
    assert_eq!(listed(&**backend, ObjectKind::Snapshot, "").len(), 20);
}

/// There is a name for people, and a sane number of calls at once.
pub fn the_place_and_the_connections_are_sane<B: Deref<Target: Backend>>(backend: &B) {
    assert!(!backend.place().is_empty());
    assert!((1..=256).contains(&backend.connections().get()));
}
