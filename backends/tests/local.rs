//! The contract, held by a folder; and what only a folder has: strangers, crashes, permissions.
use devsnap_backends::{LocalBackend, OpenError};
use devsnap_engine::backend::{
    Backend, BackendErrorKind, Body, NAME_LEN_MAX, ObjectKey, ObjectKind,
};
use std::fs::{self, File};
use std::ops::Deref;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

struct InFolder {
    backend: LocalBackend,
    folder: TempDir,
}

impl InFolder {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("the test has a folder");
        let backend = LocalBackend::create(&folder.path().join("new/repository"))
            .expect("the test has a folder");
        InFolder { backend, folder }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("new/repository")
    }
}

impl Deref for InFolder {
    type Target = LocalBackend;

    fn deref(&self) -> &LocalBackend {
        &self.backend
    }
}

devsnap_testkit::backend_suite!(a_folder_keeps_the_contract, InFolder::new);

fn snapshot(name: &str) -> ObjectKey {
    ObjectKey::new(ObjectKind::Snapshot, name)
}

fn put(backend: &LocalBackend, key: &ObjectKey, bytes: &'static [u8]) {
    backend.put(key, Body::Bytes(bytes.into())).expect("the test has a folder");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the test can list its folder");
    entries
        .map(|e| {
            e.expect("the test can list its folder")
                .file_name()
                .into_string()
                .expect("the test can list its folder")
        })
        .collect()
}

#[test]
fn strangers_in_a_folder_are_not_listed() {
    let store = InFolder::new();
    put(&store, &snapshot("a1"), b"ours");
    let folder = store.root().join("snapshots");
    for stranger in [".DS_Store", "Thumbs.DB", "a1 (copy)", &"x".repeat(NAME_LEN_MAX + 1)] {
        fs::write(folder.join(stranger), b"not ours").unwrap();
    }
    fs::create_dir(folder.join("b2")).unwrap();
    fs::write(folder.join("b2/b2c3"), b"packs lie so, snapshots do not").unwrap();
    symlink("a1", folder.join("c3")).unwrap();
    let listed: Vec<_> = store.list(ObjectKind::Snapshot, "").map(|i| i.unwrap().key).collect();
    assert_eq!(listed, [snapshot("a1")]);
}

#[test]
fn nothing_temporary_is_left_after_puts_that_succeed_or_fail() {
    let store = InFolder::new();
    put(&store, &snapshot("a1"), b"one");
    put(&store, &snapshot("a1"), b"one");
    // A folder in the object's place cannot be replaced by it.
    fs::create_dir_all(store.root().join("snapshots/b2/c")).unwrap();
    let refused = store.put(&snapshot("b2"), Body::Bytes("two".into())).unwrap_err();
    assert_eq!(refused.kind, BackendErrorKind::Medium);
    assert_eq!(store.get(&snapshot("b2"), 0..1).unwrap_err().kind, BackendErrorKind::Medium);
    // Nor is a shorter object under this name a success.
    fs::write(store.root().join("snapshots/c3"), b"t").unwrap();
    store.put(&snapshot("c3"), Body::Bytes("three".into())).unwrap_err();
    assert_eq!(names(&store.root().join("tmp")), [""; 0]);
}

#[test]
fn folders_and_objects_are_for_their_owner_alone() {
    let store = InFolder::new();
    put(&store, &ObjectKey::new(ObjectKind::DataPack, "abcd"), b"pack");
    let staged = store.staging().unwrap().join("pack");
    fs::write(&staged, b"pack").unwrap();
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o644)).unwrap();
    let moved = ObjectKey::new(ObjectKind::DataPack, "abce");
    store.put(&moved, Body::File { path: staged, size_bytes: 4 }).unwrap();
    for (path, mode) in [
        ("", 0o700),
        ("tmp", 0o700),
        ("data/ab", 0o700),
        ("data/ab/abcd", 0o600),
        ("data/ab/abce", 0o600),
    ] {
        let found = fs::metadata(store.root().join(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path:?}");
    }
}

#[test]
fn opening_removes_what_crashed_writers_left_a_day_ago_and_nothing_younger() {
    let store = InFolder::new();
    put(&store, &ObjectKey::new(ObjectKind::Config, "1"), b"config");
    let staging = store.staging().unwrap();
    for (name, age_hours) in
        [("put-old", 25), ("pack-old", 25), ("pack-young", 23), ("somebody-elses", 1000)]
    {
        let file = File::create(staging.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age_hours * 3600)).unwrap();
    }
    LocalBackend::open(&store.root()).unwrap();
    let mut left = names(staging);
    left.sort();
    assert_eq!(left, ["pack-young", "somebody-elses"]);
}

#[test]
fn a_folder_that_is_no_repository_is_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("tmp")).unwrap();
    let old = SystemTime::now() - Duration::from_secs(1000 * 3600);
    for name in ["tmp/thesis.tex", "tmp/put-away"] {
        File::create(home.path().join(name)).unwrap().set_modified(old).unwrap();
    }
    let store = LocalBackend::open(home.path()).unwrap();
    assert_eq!(store.list(ObjectKind::Config, "").count(), 0);
    assert_eq!(
        store.get(&snapshot("a1"), 0..1).unwrap_err().kind,
        BackendErrorKind::NotFound,
        "no repository is no lost disk"
    );
    drop(store);
    assert_eq!(names(home.path()), ["tmp"]);
    let mut left = names(&home.path().join("tmp"));
    left.sort();
    assert_eq!(left, ["put-away", "thesis.tex"]);
    let empty = tempfile::tempdir().unwrap();
    drop(LocalBackend::open(empty.path()).unwrap());
    assert_eq!(names(empty.path()), [""; 0]);
}

#[test]
fn a_missing_folder_is_said_when_opening_and_a_file_is_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let missing = LocalBackend::open(&folder.path().join("none")).unwrap_err();
    assert!(matches!(missing, OpenError::NoFolder { .. }));
    fs::write(folder.path().join("file"), b"").unwrap();
    let file = LocalBackend::open(&folder.path().join("file")).unwrap_err();
    assert!(matches!(file, OpenError::Folder { .. }));
}

#[test]
fn the_root_may_be_a_symbolic_link() {
    let store = InFolder::new();
    let link = store.folder.path().join("link");
    symlink(store.root(), &link).unwrap();
    put(&LocalBackend::open(&link).unwrap(), &snapshot("a1"), b"one");
    assert_eq!(store.get_whole(&snapshot("a1"), 10).unwrap().as_ref(), b"one");
}

#[test]
fn a_repository_that_vanished_is_not_taken_for_an_empty_one() {
    let store = InFolder::new();
    put(&store, &ObjectKey::new(ObjectKind::Config, "1"), b"config");
    put(&store, &snapshot("a1"), b"one");
    fs::rename(store.root(), store.folder.path().join("unplugged")).unwrap();
    fs::create_dir(store.root()).unwrap();
    let listed: Vec<_> = store.list(ObjectKind::Snapshot, "").collect();
    assert!(matches!(listed.as_slice(), [Err(e)] if e.kind == BackendErrorKind::Medium));
    let read = store.get(&snapshot("a1"), 0..1).unwrap_err();
    assert_eq!(read.kind, BackendErrorKind::Medium);
    let removed = store.remove(&snapshot("a1")).unwrap_err();
    assert_eq!(removed.kind, BackendErrorKind::Medium);
    store.put(&snapshot("b2"), Body::Bytes("two".into())).unwrap_err();
    assert_eq!(names(&store.root()), [""; 0], "nothing is written where a disk was mounted");
}
