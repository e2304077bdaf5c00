use super::compare::look_at;
use super::memory::Desk;
use super::without_privileges;
use crate::folder::{FolderTarget, TargetOptions};
use crate::node::{Hole, Node, NodeKind, Time};
use crate::path::TreePath;
use crate::target::{Present, Restored, Target};
use proptest::prelude::*;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

fn path(text: &str) -> TreePath {
    TreePath::from_slashed(text.as_bytes()).unwrap()
}

fn open(root: &Path) -> FolderTarget {
    FolderTarget::open(root, &TargetOptions::default()).unwrap()
}

fn node(kind: NodeKind) -> Node {
    let mut node = Node::new(kind, 0o640);
    node.uid = rustix::process::geteuid().as_raw();
    node.gid = rustix::process::getegid().as_raw();
    node.mtime = Time { secs: 1_700_000_000, nanos: 5 };
    node
}

fn write(target: &FolderTarget, at: &str, bytes: &[u8]) -> crate::error::Result<Vec<String>> {
    let path = path(at);
    let ticket = target.begin_file(&path, bytes.len() as u64)?;
    target.write_piece(ticket, 0, bytes)?;
    let node = node(NodeKind::File);
    target.finish_file(ticket, &Restored { path: &path, node: &node, xattrs: &[], holes: &[] })
}

/// One thing in a random tree.
#[derive(Debug, Clone)]
enum Thing {
    File(Vec<u8>),
    Sparse(u64),
    Folder,
    Link(Vec<u8>),
    Pipe,
    HardLink(usize),
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Thing::File),
        (0usize..300_000).prop_map(|len| Thing::File(vec![0; len])),
        (1u64..40).prop_map(|n| Thing::Sparse(n * 50_000)),
        Just(Thing::Folder),
        Just(Thing::Folder),
        prop::collection::vec(1u8..255, 1..50).prop_map(Thing::Link),
        Just(Thing::Pipe),
        (0usize..8).prop_map(Thing::HardLink),
    ]
}

/// A name, the folder it goes in (by number), the thing, its mode, its time and an attribute.
type Planned = (Vec<u8>, usize, Thing, u32, u64, Vec<u8>);

fn plan() -> impl Strategy<Value = Vec<Planned>> {
    let name =
        prop::collection::vec(any::<u8>().prop_filter("a name", |b| *b != 0 && *b != b'/'), 1..12)
            .prop_filter("a name", |name| name != b"." && name != b"..");
    let value = prop::collection::vec(any::<u8>(), 0..1500);
    prop::collection::vec(
        (name, any::<usize>(), thing(), 0u32..0o10000, 0u64..4_000_000_000, value),
        0..25,
    )
}

fn plant(root: &Path, plan: &[Planned]) {
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    let mut made = Vec::new();
    for (name, folder, thing, mode, time, value) in plan {
        let at = folders[folder % folders.len()].join(OsStr::from_bytes(name));
        if fs::symlink_metadata(&at).is_ok() {
            continue;
        }
        match thing {
            Thing::File(bytes) => fs::write(&at, bytes).unwrap(),
            Thing::Sparse(len) => {
                let file = File::create(&at).unwrap();
                file.write_all_at(b"in the middle", len / 2).unwrap();
                file.set_len(*len).unwrap();
            }
            Thing::Folder => {
                fs::create_dir(&at).unwrap();
                folders.push(at.clone());
            }
            Thing::Link(target) => symlink(OsStr::from_bytes(target), &at).unwrap(),
            Thing::Pipe => {
                let kind = rustix::fs::FileType::Fifo;
                let mode = rustix::fs::Mode::RWXU;
                rustix::fs::mknodat(rustix::fs::CWD, &at, kind, mode, 0).unwrap();
            }
            Thing::HardLink(n) => match files.get(*n) {
                Some(first) => {
                    fs::hard_link(first, &at).unwrap();
                    continue;
                }
                None => continue,
            },
        }
        if matches!(thing, Thing::File(_) | Thing::Sparse(_)) {
            files.push(at.clone());
        }
        made.push((at, thing, *mode, *time, value));
    }
    for (at, thing, mode, time, value) in made.iter().rev() {
        if matches!(thing, Thing::File(_) | Thing::Sparse(_) | Thing::Folder) {
            // A file system without such attributes leaves that part untried.
            let flags = rustix::fs::XattrFlags::empty();
            let _ = rustix::fs::setxattr(at, c"user.devsnap.test", value, flags);
            let mode = if rustix::process::geteuid().is_root() { *mode } else { mode | 0o700 };
            let time = SystemTime::UNIX_EPOCH + Duration::new(*time, 123_456_789);
            File::open(at).unwrap().set_modified(time).unwrap();
            fs::set_permissions(at, Permissions::from_mode(mode)).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_random_tree_comes_back_as_it_was(plan in plan(), piece in 1000usize..100_000) {
        let root = tempfile::tempdir().unwrap();
        let back = tempfile::tempdir().unwrap();
        plant(root.path(), &plan);
        let desk = Desk::new();
        let ran = desk.back_up(root.path(), None);
        prop_assert_eq!(&ran.faults, &[]);
        let notes = desk.restore(&ran.snapshot, back.path(), piece);
        prop_assert_eq!(notes, Vec::<String>::new());
        prop_assert_eq!(look_at(root.path()), look_at(back.path()));
        // Once more over what is there now.
        desk.restore(&ran.snapshot, back.path(), piece);
        prop_assert_eq!(look_at(root.path()), look_at(back.path()));
    }
}

#[test]
fn a_link_planted_in_the_target_is_replaced_and_never_followed() {
    let outside = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), b"theirs").unwrap();
    symlink(outside.path(), root.path().join("folder")).unwrap();
    symlink(outside.path().join("file"), root.path().join("file")).unwrap();
    let before = look_at(outside.path());
    let target = open(root.path());

    assert_eq!(target.present(&path("folder/file")).unwrap(), Present::Nothing);
    assert_eq!(target.present(&path("file")).unwrap(), Present::Other);
    assert!(target.read_present(&path("file")).is_err());
    assert!(target.names_in(&path("folder")).unwrap().is_empty());
    assert!(target.begin_file(&path("folder/new"), 3).is_err());
    assert!(target.make_hard_link(&path("x"), &path("file")).is_err());
    let link = node(NodeKind::File);
    let at = path("file");
    let restored = Restored { path: &at, node: &link, xattrs: &[], holes: &[] };
    assert!(target.set_attributes(&restored).is_err());
    target.remove(&path("folder/file")).unwrap();

    target.make_folder(&path("folder")).unwrap();
    write(&target, "folder/file", b"ours").unwrap();
    write(&target, "file", b"ours").unwrap();
    assert_eq!(fs::read(root.path().join("folder/file")).unwrap(), b"ours");
    assert!(fs::symlink_metadata(root.path().join("file")).unwrap().is_file());
    assert_eq!(look_at(outside.path()), before);
}

#[test]
fn both_ways_of_opening_a_folder_refuse_links() {
    use crate::folder::safe_path::{open_folder, open_folder_by_components};
    use std::os::fd::AsFd;
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("real/inner")).unwrap();
    symlink("real", root.path().join("link")).unwrap();
    let fd = File::open(root.path()).unwrap();
    for open in [open_folder, open_folder_by_components] {
        assert!(open(fd.as_fd(), &path("real/inner")).is_ok());
        assert!(open(fd.as_fd(), &path("link")).is_err());
        assert!(open(fd.as_fd(), &path("link/inner")).is_err());
    }
}

#[test]
fn a_file_takes_the_place_of_a_folder_and_a_folder_that_of_a_file() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("a/b/c/d")).unwrap();
    fs::write(root.path().join("f"), b"file").unwrap();
    let target = open(root.path());
    write(&target, "a", b"now a file").unwrap();
    target.make_folder(&path("f")).unwrap();
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"now a file");
    assert!(root.path().join("f").is_dir());
}

#[test]
fn unfinished_files_leave_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let target = open(root.path());
    let abandoned = target.begin_file(&path("a"), 10).unwrap();
    target.begin_file(&path("b"), 10).unwrap();
    assert!(target.names_in(&TreePath::root()).unwrap().is_empty());
    // And the note that a restore is under way, which nobody but a sync may take away.
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
    target.abandon_file(abandoned);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    drop(target);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    let target = open(root.path());
    assert!(target.is_doubtful());
    target.sync(false).unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "not all of it was looked at");
    target.sync(true).unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn more_files_than_stay_open_are_put_together_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let target = open(root.path());
    let names: Vec<_> = (0..300).map(|n| path(&format!("f{n}"))).collect();
    let tickets: Vec<_> = names.iter().map(|at| target.begin_file(at, 8).unwrap()).collect();
    for half in [b"half", b"HALF"] {
        for ticket in &tickets {
            let offset = if half == b"half" { 4 } else { 0 };
            target.write_piece(*ticket, offset, half).unwrap();
        }
    }
    let node = node(NodeKind::File);
    for (at, ticket) in names.iter().zip(tickets) {
        let restored = Restored { path: at, node: &node, xattrs: &[], holes: &[] };
        assert!(target.finish_file(ticket, &restored).unwrap().is_empty());
    }
    for n in 0..300 {
        assert_eq!(fs::read(root.path().join(format!("f{n}"))).unwrap(), b"HALFhalf");
    }
}

#[test]
fn a_piece_past_the_end_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let target = open(root.path());
    let ticket = target.begin_file(&path("a"), 10).unwrap();
    assert!(target.write_piece(ticket, 8, b"long").is_err());
    assert!(target.write_piece(ticket, u64::MAX, b"long").is_err());
}

#[test]
fn zeros_are_written_and_holes_are_not() {
    const MIB: u64 = 1024 * 1024;
    let root = tempfile::tempdir().unwrap();
    let target = open(root.path());
    let at = path("sparse");
    let ticket = target.begin_file(&at, 4 * MIB).unwrap();
    let zeros = vec![0; 1024 * 1024];
    for piece in [3, 1, 0, 2] {
        target.write_piece(ticket, piece * MIB, &zeros).unwrap();
    }
    let holes = [Hole { offset: MIB, len: 2 * MIB }];
    let node = node(NodeKind::File);
    target
        .finish_file(ticket, &Restored { path: &at, node: &node, xattrs: &[], holes: &holes })
        .unwrap();
    let meta = fs::metadata(root.path().join("sparse")).unwrap();
    assert_eq!((meta.len(), meta.blocks() * 512), (4 * MIB, 2 * MIB));
    assert_eq!(meta.mtime(), 1_700_000_000);
}

#[test]
fn a_file_that_has_a_name_outside_is_not_changed_through_it() {
    let (outside, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let precious = outside.path().join("precious");
    fs::write(&precious, b"mine").unwrap();
    fs::set_permissions(&precious, Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&precious, root.path().join("file")).unwrap();
    let before = fs::metadata(&precious).unwrap();

    let target = open(root.path());
    let place = path("file");
    let Present::File { names, .. } = target.present(&place).unwrap() else { panic!("a file") };
    assert_eq!(names, 2);
    let node = node(NodeKind::File);
    let restored = Restored { path: &place, node: &node, xattrs: &[], holes: &[] };
    assert!(target.set_attributes(&restored).is_err());
    write(&target, "file", b"theirs").unwrap();

    let after = fs::metadata(&precious).unwrap();
    assert_eq!((after.mode(), after.mtime_nsec()), (before.mode(), before.mtime_nsec()));
    assert_eq!(fs::read(&precious).unwrap(), b"mine");
    assert_eq!(fs::read(root.path().join("file")).unwrap(), b"theirs");
}

#[test]
fn bytes_that_stand_where_a_hole_was_recorded_are_kept_and_told() {
    const LEN: usize = 256 * 1024;
    let root = tempfile::tempdir().unwrap();
    let target = open(root.path());
    let at = path("changed");
    let mut bytes = vec![0; LEN];
    bytes[100_000] = 7;
    let ticket = target.begin_file(&at, LEN as u64).unwrap();
    target.write_piece(ticket, 0, &bytes).unwrap();
    let holes = [Hole { offset: 65_536, len: 65_536 }, Hole { offset: 131_072, len: 65_536 }];
    let node = node(NodeKind::File);
    let notes = target
        .finish_file(ticket, &Restored { path: &at, node: &node, xattrs: &[], holes: &holes })
        .unwrap();
    assert_eq!(notes, ["the hole at 65536 holds data, which was kept"]);
    assert_eq!(fs::read(root.path().join("changed")).unwrap(), bytes);
    let blocks = fs::metadata(root.path().join("changed")).unwrap().blocks();
    assert_eq!(blocks * 512, (LEN - 65_536) as u64);
}

#[test]
fn an_ordinary_user_gets_files_of_others_as_their_own_and_one_remark() {
    let root = tempfile::tempdir().unwrap();
    let (notes, remarks) = without_privileges(root.path(), || {
        let target = open(root.path());
        let mut stranger = node(NodeKind::File);
        (stranger.uid, stranger.gid, stranger.mode) = (4001, 4002, 0o4755);
        let mut notes = Vec::new();
        for name in ["a", "b"] {
            let at = path(name);
            let ticket = target.begin_file(&at, 0).unwrap();
            let restored = Restored { path: &at, node: &stranger, xattrs: &[], holes: &[] };
            notes.extend(target.finish_file(ticket, &restored).unwrap());
        }
        (notes, target.remarks())
    });
    assert_eq!(notes, [""; 0]);
    assert_eq!(remarks.len(), 1);
    assert!(remarks[0].starts_with("owners of 2 paths"), "{remarks:?}");
    let mode = fs::metadata(root.path().join("a")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o755, "a stranger's set-uid program does not become ours");
}

#[test]
fn a_file_that_was_begun_too_long_is_cut_also_where_zeros_were_left_out() {
    let root = tempfile::tempdir().unwrap();
    let target = open(root.path());
    for (at, bytes, len) in [("data", [7; 64], 50), ("zeros", [0; 64], 50), ("none", [0; 64], 0)] {
        let path = path(at);
        let ticket = target.begin_file(&path, 64).unwrap();
        target.write_piece(ticket, 0, &bytes).unwrap();

        assert!(target.shorten_file(ticket, 65).is_err());
        target.shorten_file(ticket, len).unwrap();

        let node = node(NodeKind::File);
        let restored = Restored { path: &path, node: &node, xattrs: &[], holes: &[] };
        assert_eq!(target.finish_file(ticket, &restored).unwrap(), Vec::<String>::new());
        let len = usize::try_from(len).unwrap();
        assert_eq!(fs::read(root.path().join(at)).unwrap(), bytes[..len]);
    }
}
