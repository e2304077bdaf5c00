//! Sets in memory, and what of them arrives in a folder.
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use devsnap_engine::error::Result;
use devsnap_engine::folder::{FolderTarget, TargetOptions};
use devsnap_engine::node::{FileContent, NodeKind};
use devsnap_engine::progress::Silent;
use devsnap_engine::reader::Entries;
use devsnap_engine::restore::Overwrite;
use plist::{Dictionary, Uid, Value};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::*;
use crate::manifest::{FileId, Order, Within};

const UDID: &str = "00008030-001A2B3C4D5E6F78";

/// Files by their paths in the snapshot.
struct InMemory(BTreeMap<TreePath, Vec<u8>>);

impl SnapshotReader for InMemory {
    fn entry(&self, path: &TreePath) -> Result<Option<Node>> {
        Ok(self.0.get(path).map(|bytes| {
            let mut node = Node::new(NodeKind::File, 0o644);
            node.content = FileContent { len: bytes.len() as u64, ..FileContent::default() };
            node
        }))
    }
    fn walk<'a>(&'a self, _: &TreePath) -> Entries<'a> {
        Box::new(std::iter::empty())
    }
    fn list<'a>(&'a self, _: &TreePath) -> Entries<'a> {
        Box::new(std::iter::empty())
    }
    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send>> {
        let bytes = self.0.get(path).cloned();
        let bytes = bytes.ok_or_else(|| Error::new(ErrorKind::NotFound, "opening"))?;
        Ok(Box::new(io::Cursor::new(bytes)))
    }
    fn prefetch(&self, _: &[TreePath]) {}
}

/// A row and what is stored of it.
struct Put<'a> {
    domain: &'a str,
    path: &'a str,
    flags: i64,
    fields: &'a [(&'a str, Value)],
    content: Option<&'a [u8]>,
}

fn file<'a>(domain: &'a str, path: &'a str, content: &'a [u8]) -> Put<'a> {
    Put { domain, path, flags: 1, fields: &[], content: Some(content) }
}

fn folder<'a>(domain: &'a str, path: &'a str) -> Put<'a> {
    Put { domain, path, flags: 2, fields: &[], content: None }
}

fn record(put: &Put<'_>) -> Vec<u8> {
    let mut fields = Dictionary::new();
    fields.insert("LastModified".to_owned(), 1_600_000_000.into());
    fields.insert("Mode".to_owned(), 0o104_555.into());
    for (key, value) in put.fields {
        fields.insert((*key).to_owned(), value.clone());
    }
    let top = Dictionary::from_iter([("root".to_owned(), Value::Uid(Uid::new(1)))]);
    let objects = Value::Array(vec!["$null".into(), Value::Dictionary(fields)]);
    binary([("$top", Value::Dictionary(top)), ("$objects", objects)])
}

fn binary<const N: usize>(entries: [(&str, Value); N]) -> Vec<u8> {
    let list = Dictionary::from_iter(entries.map(|(key, value)| (key.to_owned(), value)));
    let mut bytes = Vec::new();
    Value::Dictionary(list).to_writer_binary(&mut bytes).unwrap();
    bytes
}

fn set_of(rows: &[Put<'_>]) -> InMemory {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("Manifest.db");
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch("CREATE TABLE Files(fileID, domain, relativePath, flags, file)")
        .unwrap();
    let udid = Udid::parse(UDID).unwrap();
    let mut files = BTreeMap::new();
    for put in rows {
        let id = FileId::of(put.domain, put.path);
        let values = params![id.to_string(), put.domain, put.path, put.flags, record(put)];
        database.execute("INSERT INTO Files VALUES (?, ?, ?, ?, ?)", values).unwrap();
        if let Some(content) = put.content {
            files.insert(path_in_set(&udid, &id.stored_path()), content.to_vec());
        }
    }
    drop(database);
    files.insert(path_in_set(&udid, "Manifest.db"), fs::read(&path).unwrap());
    files.insert(path_in_set(&udid, "Manifest.plist"), binary([("IsEncrypted", false.into())]));
    InMemory(files)
}

/// Extracts everything into `out` of a new folder.
fn extracted(rows: &[Put<'_>]) -> (TempDir, ExtractReport) {
    let root = tempfile::tempdir().unwrap();
    let done = extract_into(root.path(), rows, Overwrite::IfChanged);
    (root, done)
}

fn extract_into(root: &Path, rows: &[Put<'_>], overwrite: Overwrite) -> ExtractReport {
    let set = set_of(rows);
    let lists = StoredLists::read(&set, Udid::parse(UDID).unwrap()).unwrap();
    assert!(!lists.is_encrypted());
    let scratch = tempfile::tempdir().unwrap();
    let view = lists.open(None, None, scratch.path(), &Interrupt::new()).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "the manifest has no name");
    let target = FolderTarget::open(&root.join("out"), &TargetOptions { create: true }).unwrap();
    let options = ExtractOptions { overwrite, dry_run: false };
    let (within, all) = (Within::everything(), |_: &str, _: &str| true);
    extract(&view, &within, &all, &target, &options, &Silent, &Interrupt::new()).unwrap()
}

fn reasons(done: &ExtractReport) -> String {
    done.faults.iter().map(|fault| format!("{}: {}\n", fault.path, fault.reason)).collect()
}

#[test]
fn files_and_folders_come_with_their_dates_and_without_the_devices_rights() {
    let (root, done) = extracted(&[
        folder("HomeDomain", ""),
        folder("HomeDomain", "Library"),
        file("HomeDomain", "Library/a", b"hello"),
        file("CameraRollDomain", "Media/DCIM/IMG_0001.HEIC", b""),
    ]);

    assert_eq!((done.files, done.bytes, done.faults_total), (2, 5, 0), "{}", reasons(&done));
    let library = root.path().join("out/HomeDomain/Library");
    assert_eq!(fs::read(library.join("a")).unwrap(), b"hello");
    for path in [&library, &library.join("a")] {
        assert_eq!(path.metadata().unwrap().mtime(), 1_600_000_000, "{path:?}");
    }
    let mode = library.join("a").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755, "no set-user bit, and writable by who extracted it");
    assert!(root.path().join("out/CameraRollDomain/Media/DCIM/IMG_0001.HEIC").is_file());
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let (root, done) = extracted(&[
        file("HomeDomain", "../escaped", b"x"),
        file("HomeDomain", "/etc/escaped", b"x"),
        file("HomeDomain", "a//escaped", b"x"),
        file("HomeDomain", "a/./escaped", b"x"),
        file("..", "escaped", b"x"),
        file("a/b", "escaped", b"x"),
        file("", "escaped", b"x"),
        file("HomeDomain", "a\0b", b"x"),
        file("HomeDomain", &"n".repeat(300), b"x"),
        file("HomeDomain", "good", b"x"),
    ]);

    assert_eq!((done.files, done.faults_total), (1, 9), "{}", reasons(&done));
    assert!(root.path().join("out/HomeDomain/good").is_file());
    let names = |path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names(root.path()).collect::<Vec<_>>(), ["out"]);
    assert_eq!(names(&root.path().join("out")).collect::<Vec<_>>(), ["HomeDomain"]);
}

#[test]
fn a_link_is_made_only_where_it_stays_in_its_domain_and_nothing_goes_through_it() {
    let link = |path, fields| Put { domain: "HomeDomain", path, flags: 4, fields, content: None };
    let inside = [("Target", "../b/c".into())];
    let outside = [("Target", "../../..".into())];
    let (root, done) = extracted(&[
        link("a/in", &inside),
        link("a/out", &outside),
        file("HomeDomain", "a/out/through", b"x"),
        file("HomeDomain", "a/in/through", b"x"),
    ]);

    let home = root.path().join("out/HomeDomain");
    assert_eq!(fs::read_link(home.join("a/in")).unwrap().to_str(), Some("../b/c"));
    assert!(home.join("a/out").symlink_metadata().is_err());
    assert_eq!((done.links_left_out, done.faults_total), (1, 2), "{}", reasons(&done));
    assert!(!home.join("b").exists());
}

#[test]
fn a_file_where_a_folder_must_be_costs_what_is_below_it() {
    let (root, done) = extracted(&[
        file("HomeDomain", "a", b"file"),
        file("HomeDomain", "a/b", b"below"),
        file("HomeDomain", "a.c", b"beside"),
    ]);

    assert_eq!((done.files, done.faults_total), (2, 1), "{}", reasons(&done));
    assert_eq!(fs::read(root.path().join("out/HomeDomain/a")).unwrap(), b"file");
}

#[test]
fn what_is_there_stays_as_asked() {
    let root = tempfile::tempdir().unwrap();
    let (old, new) = ([file("HomeDomain", "a", b"old")], [file("HomeDomain", "a", b"newer")]);
    let now = || fs::read(root.path().join("out/HomeDomain/a")).unwrap();
    extract_into(root.path(), &old, Overwrite::IfChanged);

    let same = extract_into(root.path(), &old, Overwrite::IfChanged);
    assert_eq!((same.files, same.unchanged_files), (0, 1));
    let never = extract_into(root.path(), &new, Overwrite::Never);
    assert_eq!((never.skipped, now()), (1, b"old".to_vec()));
    let changed = extract_into(root.path(), &new, Overwrite::IfChanged);
    assert_eq!((changed.files, now()), (1, b"newer".to_vec()));
}

#[test]
fn what_the_snapshot_lacks_is_told_and_the_rest_comes() {
    let lost = Put { content: None, ..file("HomeDomain", "lost", b"") };
    let (_root, done) = extracted(&[lost, file("HomeDomain", "there", b"x")]);

    assert_eq!((done.files, done.faults_total), (1, 1));
    assert!(reasons(&done).contains("HomeDomain/lost: the snapshot does not have its content"));
}

#[test]
fn a_snapshot_without_a_set_says_which_list_it_lacks() {
    let udid = || Udid::parse(UDID).unwrap();
    let none = StoredLists::read(&InMemory(BTreeMap::new()), udid()).err().unwrap();
    assert!(matches!(none, NotLogical::NoSet("Manifest.plist")), "{none:?}");
    let mut set = set_of(&[]);
    set.0.remove(&path_in_set(&udid(), "Manifest.db"));
    let lists = StoredLists::read(&set, udid()).unwrap();
    let none = lists.open(None, None, Path::new("/tmp"), &Interrupt::new()).err().unwrap();
    assert!(matches!(none, NotLogical::NoSet("Manifest.db")), "{none:?}");
}

#[test]
fn rows_lead_to_their_stored_files() {
    let set = set_of(&[file("HomeDomain", "Library/SMS/sms.db", b"messages")]);
    let lists = StoredLists::read(&set, Udid::parse(UDID).unwrap()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let view = lists.open(None, None, scratch.path(), &Interrupt::new()).unwrap();
    let mut listing = view.manifest().list(Order::Name, &Within::everything()).unwrap();
    let row = listing.rows().unwrap().next().unwrap().unwrap();

    let path = "00008030-001A2B3C4D5E6F78/3d/3d0d7e5fb2ce288813306e4d4636395e047a3d28";
    assert_eq!(view.stored_path(&row).to_string(), path);
    let mut read = Vec::new();
    view.open(&row).unwrap().content.read_to_end(&mut read).unwrap();
    assert_eq!(read, b"messages");
}
