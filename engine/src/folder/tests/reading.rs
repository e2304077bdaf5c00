use super::memory::{Desk, Snapshot};
use super::without_privileges;
use crate::folder::FolderOptions;
use crate::node::{Attached, Content, Node, NodeKind, decode_holes};
use crate::path::TreePath;
use crate::progress::{FaultKind, Progress, Silent};
use crate::source::Edit;
use globset::{Glob, GlobSetBuilder};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

fn path(text: &str) -> TreePath {
    TreePath::from_slashed(text.as_bytes()).unwrap()
}

fn put(root: &Path, name: &str, len: usize) {
    let at = root.join(name);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, vec![b'x'; len]).unwrap();
}

#[test]
fn the_walk_meets_paths_in_the_order_of_the_tree() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a/z", "a!", "a.b/c", "ab", "a/b/c/d", "B", "é"] {
        put(root.path(), name, 3);
    }
    fs::write(root.path().join(OsStr::from_bytes(b"\xff\xfe")), b"not UTF-8").unwrap();
    let fd =
        rustix::fs::open(root.path(), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty());
    let mut walk = super::super::walk::Walk::new(fd.unwrap()).unwrap();
    let mut met_paths = Vec::new();
    while let Some(Ok(met)) = walk.next() {
        met_paths.push(met.path.clone());
        if let Ok(fd) = walk.open(&met) {
            walk.enter(&met, fd).unwrap();
        }
    }
    assert_eq!(met_paths.len(), 12);
    assert!(met_paths.is_sorted(), "{met_paths:?}");
    assert!(met_paths.iter().any(|path| path.key() == b"\xff\xfe"));
}

#[test]
fn a_second_run_gives_no_edits_and_reads_nothing_again() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "big", 5000);
    put(root.path(), "folder/small", 10);
    fs::hard_link(root.path().join("big"), root.path().join("folder/big")).unwrap();
    symlink("big", root.path().join("link")).unwrap();
    // What changed within two seconds is not remembered.
    std::thread::sleep(Duration::from_millis(2100));
    let desk = Desk::new();
    let first = desk.back_up(root.path(), None);
    assert_eq!(first.edits.len(), 6);
    let read = desk.store.count();
    let second = desk.back_up(root.path(), Some(&first.snapshot));
    assert_eq!(second.edits, []);
    assert_eq!(desk.store.count(), read);
}

#[test]
fn a_file_changed_just_now_is_read_again() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "new", 5000);
    let desk = Desk::new();
    let first = desk.back_up(root.path(), None);
    let read = desk.store.count();
    desk.back_up(root.path(), Some(&first.snapshot));
    assert_eq!(desk.store.count(), read + 1);
}

#[test]
fn what_is_gone_is_removed_once_with_all_below_it() {
    let root = tempfile::tempdir().unwrap();
    for name in ["keep", "gone/a/b", "gone/c", "was-folder/x", "z"] {
        put(root.path(), name, 5);
    }
    let desk = Desk::new();
    let first = desk.back_up(root.path(), None);
    fs::remove_dir_all(root.path().join("gone")).unwrap();
    fs::remove_dir_all(root.path().join("was-folder")).unwrap();
    fs::write(root.path().join("was-folder"), b"a file").unwrap();
    fs::remove_file(root.path().join("z")).unwrap();
    let second = desk.back_up(root.path(), Some(&first.snapshot));
    let removed: Vec<_> =
        second.edits.iter().filter(|(_, edit)| *edit == Edit::Remove).map(|(p, _)| p).collect();
    assert_eq!(removed, [&path("gone"), &path("was-folder/x"), &path("z")]);
    assert_eq!(second.snapshot, desk.back_up(root.path(), None).snapshot);
}

#[test]
fn a_new_prefix_leaves_only_this_folder_in_the_snapshot() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "a/b", 5);
    let desk = Desk::new();
    let under = |prefix: &str, parent: Option<&Snapshot>| {
        let options = FolderOptions { prefix: path(prefix), ..FolderOptions::default() };
        desk.back_up_with(root.path(), parent, options, &Silent).unwrap().snapshot
    };
    for before in ["", "UDID", "other", "UDID/deep"] {
        let parent = under(before, None);
        for after in ["", "UDID", "UDID/deep"] {
            assert_eq!(under(after, Some(&parent)), under(after, None), "{before:?} {after:?}");
        }
    }
}

#[test]
fn what_is_excluded_is_not_in_the_snapshot_nor_anything_below() {
    let root = tempfile::tempdir().unwrap();
    for name in ["keep/a", "keep/b.tmp", "cache/x/y"] {
        put(root.path(), name, 5);
    }
    let mut exclude = GlobSetBuilder::new();
    exclude.add(Glob::new("**/*.tmp").unwrap()).add(Glob::new("cache").unwrap());
    let options = FolderOptions { exclude: exclude.build().unwrap(), ..FolderOptions::default() };
    let desk = Desk::new();
    let ran = desk.back_up_with(root.path(), None, options.clone(), &Silent).unwrap();
    let paths: Vec<_> = ran.snapshot.0.keys().map(ToString::to_string).collect();
    assert_eq!(paths, ["", "keep", "keep/a"]);
    let all = desk.back_up(root.path(), None).snapshot;
    let again = desk.back_up_with(root.path(), Some(&all), options, &Silent).unwrap();
    assert_eq!(again.snapshot, ran.snapshot);
}

/// Appends to a file whenever a piece of it was read.
struct Meddler(File);

impl Progress for Meddler {
    fn advance(&self, _: u64, bytes: u64) {
        if bytes > 0 {
            (&self.0).write_all(b"more").unwrap();
        }
    }
}

#[test]
fn a_file_that_changes_once_is_read_again_and_is_whole() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "log", 1000);
    let log = OpenOptions::new().append(true).open(root.path().join("log")).unwrap();
    let desk = Desk::new();
    let ran = desk.back_up_with(root.path(), None, FolderOptions::default(), &Meddler(log));
    let ran = ran.unwrap();
    let node = &ran.snapshot.0[&path("log")];
    assert_eq!(ran.faults, []);
    assert!(!node.changed_while_read);
    assert_eq!(desk.store.bytes(&node.content), fs::read(root.path().join("log")).unwrap());
}

#[test]
fn a_file_that_never_rests_is_kept_with_a_fault() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "busy", 40 * 1024 * 1024);
    let busy = OpenOptions::new().write(true).open(root.path().join("busy")).unwrap();
    let stop = crate::interrupt::Interrupt::new();
    let stopped = stop.clone();
    let writer = std::thread::spawn(move || {
        let mut nanos = 0;
        while !stopped.is_raised() {
            nanos += 1;
            busy.write_all_at(b"y", nanos % 1000).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
            busy.set_modified(time).unwrap();
        }
    });
    let ran = Desk::new().back_up(root.path(), None);
    stop.raise();
    writer.join().unwrap();
    assert!(ran.snapshot.0[&path("busy")].changed_while_read);
    assert_eq!(ran.faults.len(), 1);
    assert_eq!(ran.faults[0].kind, FaultKind::ChangedWhileRead);
}

/// Adds up what is said to be ahead and to be done.
#[derive(Default)]
struct Sums {
    ahead: std::sync::Mutex<(u64, u64)>,
    done: std::sync::Mutex<(u64, u64)>,
    is_all: std::sync::atomic::AtomicBool,
}

impl Progress for Sums {
    fn wants_totals(&self) -> bool {
        true
    }
    fn expect(&self, files: u64, bytes: u64) {
        let mut ahead = self.ahead.lock().unwrap();
        *ahead = (ahead.0 + files, ahead.1 + bytes);
    }
    fn expect_no_more(&self) {
        self.is_all.store(true, std::sync::atomic::Ordering::SeqCst);
    }
    fn advance(&self, files: u64, bytes: u64) {
        // The counter must get to the end first, or there is nothing to compare.
        while !self.is_all.load(std::sync::atomic::Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let mut done = self.done.lock().unwrap();
        *done = (done.0 + files, done.1 + bytes);
    }
}

#[test]
fn what_is_counted_ahead_is_what_is_done_in_the_end() {
    let root = tempfile::tempdir().unwrap();
    for (name, len) in [("a", 100), ("b/c", 100_000), ("b/d", 0), ("no/e", 7)] {
        put(root.path(), name, len);
    }
    fs::hard_link(root.path().join("b/c"), root.path().join("f")).unwrap();
    symlink("a", root.path().join("g")).unwrap();
    let exclude = GlobSetBuilder::new().add(Glob::new("no").unwrap()).build().unwrap();
    let options = FolderOptions { exclude, ..FolderOptions::default() };
    let sums = Sums::default();
    Desk::new().back_up_with(root.path(), None, options, &sums).unwrap();
    let (ahead, done) = (*sums.ahead.lock().unwrap(), *sums.done.lock().unwrap());
    assert_eq!(ahead, (7, 200_100), "the folder, a, b, b/c, b/d, f, g");
    assert_eq!(done, ahead);
}

/// Does something to the folder when the bytes of the first file are counted.
struct Once<F>(std::sync::Mutex<Option<F>>);

impl<F: FnOnce() + Send> Progress for Once<F> {
    fn advance(&self, _: u64, bytes: u64) {
        if bytes > 0
            && let Some(act) = self.0.lock().unwrap().take()
        {
            act();
        }
    }
}

#[test]
fn a_file_gone_since_it_was_listed_is_a_fault_and_no_node() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "a", 100);
    put(root.path(), "b", 100);
    let gone = root.path().join("b");
    let act = move || fs::remove_file(gone).unwrap();
    let meddler = Once(std::sync::Mutex::new(Some(act)));
    let ran = Desk::new().back_up_with(root.path(), None, FolderOptions::default(), &meddler);
    let ran = ran.unwrap();
    assert_eq!(ran.faults.len(), 1);
    assert_eq!((&ran.faults[0].path, ran.faults[0].kind), (&path("b"), FaultKind::Vanished));
    assert!(!ran.snapshot.0.contains_key(&path("b")));
}

#[test]
fn a_read_that_fails_stops_the_file_and_not_the_run() {
    use crate::folder::read::{FileReader, Reading, Stopped};
    use std::os::fd::AsFd;
    let desk = Desk::new();
    let scratch = tempfile::tempdir().unwrap();
    let folder = File::open(scratch.path()).unwrap();
    let run = crate::source::SourceRun {
        parent: None,
        contents: &desk.store,
        remembered: &desk.memory,
        scratch: scratch.path(),
        progress: &Silent,
        interrupt: &desk.interrupt,
    };
    // Reading a folder as a file is `EISDIR`.
    let reading =
        Reading { run: &run, file: folder.as_fd(), host_path: scratch.path(), known: None };
    assert!(matches!(FileReader::new().read(&reading), Err(Stopped::File(_))));
    assert_eq!(desk.store.count(), 0);
}

#[test]
fn what_cannot_be_opened_stays_in_the_snapshot_without_bytes() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "secret", 100);
    fs::set_permissions(root.path().join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let ran = without_privileges(root.path(), || Desk::new().back_up(root.path(), None));
    let node = &ran.snapshot.0[&path("secret")];
    assert_eq!((&node.content.content, node.content.len), (&Content::Missing, 100));
    assert_eq!(ran.faults[0].kind, FaultKind::Unreadable);
}

#[test]
fn a_folder_that_cannot_be_opened_stays_and_is_a_fault() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "closed/file", 100);
    fs::set_permissions(root.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let ran = without_privileges(root.path(), || Desk::new().back_up(root.path(), None));
    assert_eq!(ran.snapshot.0[&path("closed")].kind, NodeKind::Folder);
    assert!(!ran.snapshot.0.contains_key(&path("closed/file")));
    assert_eq!((&ran.faults[0].path, ran.faults[0].kind), (&path("closed"), FaultKind::Unreadable));
    fs::set_permissions(root.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn holes_are_recorded_and_read_as_zeros() {
    let root = tempfile::tempdir().unwrap();
    let file = File::create(root.path().join("sparse")).unwrap();
    file.write_all_at(b"data", 1024 * 1024).unwrap();
    file.set_len(3 * 1024 * 1024).unwrap();
    let desk = Desk::new();
    let ran = desk.back_up(root.path(), None);
    let node: &Node = &ran.snapshot.0[&path("sparse")];
    let Attached::Here(holes) = &node.holes else { panic!("{:?}", node.holes) };
    let holes = decode_holes(holes).unwrap();
    assert_eq!(holes[0].offset, 0);
    assert_eq!(holes.last().map(|hole| hole.offset + hole.len), Some(3 * 1024 * 1024));
    assert_eq!(desk.store.bytes(&node.content), fs::read(root.path().join("sparse")).unwrap());
}

#[test]
fn hard_links_name_their_group_by_its_lowest_path() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "b/file", 100);
    for name in ["c", "a"] {
        fs::hard_link(root.path().join("b/file"), root.path().join(name)).unwrap();
    }
    let desk = Desk::new();
    let ran = desk.back_up(root.path(), None);
    for name in ["a", "b/file", "c"] {
        assert_eq!(ran.snapshot.0[&path(name)].hard_link, Some(path("a")), "{name}");
    }
    assert_eq!(desk.store.count(), 1, "the file is read once");
}

#[test]
fn a_folder_two_thousand_levels_deep_is_read_to_its_end() {
    let root = tempfile::tempdir().unwrap();
    let mut folder =
        rustix::fs::open(root.path(), rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty())
            .unwrap();
    for _ in 0..2000 {
        rustix::fs::mkdirat(&folder, c"d", rustix::fs::Mode::RWXU).unwrap();
        rustix::fs::mkdirat(&folder, c"e", rustix::fs::Mode::RWXU).unwrap();
        folder = super::super::safe_path::open_child_folder(&folder, b"d").unwrap();
    }
    let ran = Desk::new().back_up(root.path(), None);
    assert_eq!(ran.faults, []);
    assert_eq!(ran.snapshot.0.len(), 4001);
    assert!(ran.snapshot.0.values().all(|node| node.kind == NodeKind::Folder));
    let above = File::open(root.path().parent().unwrap()).unwrap();
    use std::os::fd::AsFd;
    let name = root.path().file_name().unwrap().as_bytes();
    super::super::clear::remove_all(above.as_fd(), name).unwrap();
    assert!(!root.path().exists());
}

#[test]
fn an_interrupt_stops_the_run() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "file", 100);
    let desk = Desk::new();
    desk.interrupt.raise();
    assert!(desk.back_up_with(root.path(), None, FolderOptions::default(), &Silent).is_err());
}
