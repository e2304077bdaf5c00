//! What a phone gets of a snapshot, and what it is told when it does not.
use super::*;
use devsnap_engine::error::{Error, ErrorKind, Result as EngineResult};
use devsnap_engine::node::{FileContent, Node};
use devsnap_engine::progress::Silent;
use devsnap_engine::reader::Entries;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

const UDID: &str = "00008030-001A2B3C4D5E6F78";
const OTHER: &str = "00008030-001A2B3C4D5E6F79";
const BLOB: &str = "ab00000000000000000000000000000000000001";

/// Files by path, and what was done with them.
#[derive(Default)]
struct Shelf {
    files: BTreeMap<TreePath, Vec<u8>>,
    /// One whose reading fails after its first bytes.
    damaged: Option<TreePath>,
    done: Mutex<Vec<String>>,
}

impl Shelf {
    fn of(files: &[(&str, &[u8])]) -> Shelf {
        let files = files.iter().map(|(name, bytes)| (path(name), bytes.to_vec())).collect();
        Shelf { files, ..Shelf::default() }
    }

    /// As [`ServedOptions::size`].
    fn size(&self) -> (u64, u64) {
        let bytes = self.files.values().map(|bytes| bytes.len() as u64).sum();
        (self.files.len() as u64, bytes)
    }

    fn note(&self, what: &str, path: &TreePath) {
        let name = path.name().unwrap_or_default().to_vec();
        self.done.lock().unwrap().push(format!("{what} {}", String::from_utf8(name).unwrap()));
    }
}

fn path(name: &str) -> TreePath {
    TreePath::from_slashed(format!("{UDID}/{name}").as_bytes()).unwrap()
}

fn node(bytes: &[u8]) -> Node {
    let mut node = Node::new(NodeKind::File, 0o600);
    let content = Content::Inline(bytes.to_vec());
    node.content = FileContent { content, len: bytes.len() as u64 };
    node
}

/// What is left fails.
struct Breaking(Vec<u8>);

impl Read for Breaking {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::Error::other(Error::new(ErrorKind::Damaged, "reading a content")));
        }
        let len = self.0.len().min(into.len());
        into[..len].copy_from_slice(&self.0[..len]);
        self.0.drain(..len);
        Ok(len)
    }
}

impl SnapshotReader for Shelf {
    fn entry(&self, path: &TreePath) -> EngineResult<Option<Node>> {
        Ok(self.files.get(path).map(|bytes| node(bytes)))
    }
    fn walk<'a>(&'a self, _: &TreePath) -> Entries<'a> {
        Box::new(std::iter::empty())
    }
    fn list<'a>(&'a self, folder: &TreePath) -> Entries<'a> {
        let folder = folder.clone();
        let inside = self.files.iter().filter(move |(path, _)| path.is_within(&folder));
        Box::new(inside.map(|(path, bytes)| Ok((path.clone(), node(bytes)))))
    }
    fn open(&self, path: &TreePath) -> EngineResult<Box<dyn Read + Send>> {
        self.note("open", path);
        let bytes = self.files.get(path).cloned();
        let bytes = bytes.ok_or_else(|| Error::new(ErrorKind::NotFound, "opening"))?;
        match self.damaged.as_ref() == Some(path) {
            true => Ok(Box::new(Breaking(bytes))),
            false => Ok(Box::new(io::Cursor::new(bytes))),
        }
    }
    fn prefetch(&self, paths: &[TreePath]) {
        paths.iter().for_each(|path| self.note("prefetch", path));
    }
}

/// What went to the phone.
#[derive(Default)]
struct Tape(Vec<u8>);

impl Wire for Tape {
    fn read_exact(&mut self, _: &mut [u8]) -> Result<()> {
        Err(crate::transport::lost())
    }
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl Tape {
    /// Each file with its bytes and how it ended.
    fn files(&self) -> Vec<(String, Vec<u8>, u8)> {
        let (mut rest, mut files) = (&self.0[..], Vec::new());
        let mut take = |wanted: usize| {
            let (taken, left) = rest.split_at(wanted);
            rest = left;
            taken.to_vec()
        };
        let len = |bytes: Vec<u8>| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
        loop {
            let name = len(take(4));
            if name == 0 {
                return files;
            }
            let name = String::from_utf8(take(name)).unwrap();
            let mut bytes = Vec::new();
            let end = loop {
                let block = len(take(4));
                let block = take(block);
                match block[0] {
                    0x0c => bytes.extend_from_slice(&block[1..]),
                    end => break end,
                }
            };
            files.push((name, bytes, end));
        }
    }
}

fn in_set(name: &str) -> String {
    format!("{UDID}/{name}")
}

/// Plays with the folder of a shelf.
fn play<T>(shelf: &Shelf, play: impl FnOnce(&mut ServedDir<'_>) -> T) -> T {
    let (stop, waiting) = (|| Ok(()), |_: &Error| ());
    let reading = Reading::default();
    let patience =
        Patience { reading: &reading, at_most: Duration::ZERO, stop: &stop, waiting: &waiting };
    let mut dir = ServedDir::new(ServedOptions {
        reader: shelf,
        source: Udid::parse(UDID).unwrap(),
        target: Udid::parse(OTHER).unwrap(),
        patience,
        size: shelf.size(),
        progress: &Silent,
    });
    play(&mut dir)
}

#[test]
fn a_batch_is_asked_for_at_once_and_goes_out_in_the_order_asked_each_time() {
    let blob = format!("ab/{BLOB}");
    let large = vec![7; 100_000];
    let shelf = Shelf::of(&[("Manifest.db", &large), ("Status.plist", b"ok"), (&blob, b"")]);
    let asked = [&blob, "Manifest.db", "Status.plist", "Manifest.db"].map(in_set);
    let mut tape = Tape::default();
    let status = play(&shelf, |dir| {
        let status = dir.download(&asked, &mut tape).unwrap();
        assert_eq!((dir.sent(), dir.has_failed()), ((4, 200_002), false));
        status
    });
    assert_eq!(status, Status::done());
    let sent: Vec<_> =
        tape.files().into_iter().map(|(name, bytes, end)| (name, bytes.len(), end)).collect();
    let lens = [0, 100_000, 2, 100_000];
    let expected: Vec<_> =
        asked.iter().cloned().zip(lens).map(|(name, len)| (name, len, 0)).collect();
    assert_eq!(sent, expected);
    let names = [BLOB, "Manifest.db", "Status.plist", "Manifest.db"];
    let done: Vec<_> = ["prefetch", "open"]
        .iter()
        .flat_map(|what| names.iter().map(move |name| format!("{what} {name}")))
        .collect();
    assert_eq!(*shelf.done.lock().unwrap(), done);
}

#[test]
fn what_is_not_there_is_told_and_fails_nothing_and_the_rest_goes_out() {
    let shelf = Shelf::of(&[("Info.plist", b"info")]);
    let own = format!("{OTHER}/Info.plist");
    let asked = [in_set("Status.plist"), own.clone(), in_set("ab"), in_set("Info.plist")];
    let mut tape = Tape::default();
    let status = play(&shelf, |dir| {
        let status = dir.download(&asked, &mut tape).unwrap();
        assert!(!dir.has_failed() && !dir.must_end());
        status
    });
    assert_eq!(tape.files().iter().map(|file| file.2).collect::<Vec<_>>(), [6, 6, 6, 0]);
    assert_eq!(status.code, StatusCode::Multi);
    let failed = status.payload.unwrap().into_dictionary().unwrap();
    let code = |name: &str| {
        let why = failed[name].as_dictionary().unwrap();
        why["DLFileErrorCode"].as_signed_integer().unwrap()
    };
    assert_eq!(failed.len(), 3);
    assert_eq!((code(&asked[0]), code(&own), code(&asked[2])), (-6, -6, -9));
}

#[test]
fn a_file_that_breaks_off_is_told_as_such_and_the_restore_has_failed() {
    let long = vec![1; 40_000];
    let mut shelf = Shelf::of(&[("Manifest.db", &long), ("Status.plist", b"ok")]);
    shelf.damaged = Some(path("Manifest.db"));
    let asked = ["Manifest.db", "Status.plist"].map(in_set);
    let mut tape = Tape::default();
    let failure = play(&shelf, |dir| {
        assert_eq!(dir.download(&asked, &mut tape).unwrap().code, StatusCode::Multi);
        assert!(!dir.must_end(), "the phone is heard out");
        dir.take_failure().unwrap()
    });
    assert_eq!(failure.kind(), DeviceErrorKind::StorageFailed);
    let files = tape.files();
    // Only whole blocks went out before it was told.
    assert_eq!((files[0].1.len(), files[0].2), (32_768, 6));
    assert_eq!((files[1].1.len(), files[1].2), (2, 0));
}

#[test]
fn no_path_outside_the_set_is_looked_at_and_none_is_changed() {
    let shelf = Shelf::of(&[("Status.plist", b"ok")]);
    for outside in [
        "../etc/passwd",
        "/etc/passwd",
        &format!("{UDID}/../x"),
        &format!("{UDID}/Status.plist/"),
        &format!("{UDID}/a/b"),
        &format!("{OTHER}/../x"),
        "",
    ] {
        let mut tape = Tape::default();
        let kind = play(&shelf, |dir| {
            dir.download(&[outside.to_owned()], &mut tape).unwrap();
            assert!(dir.must_end(), "{outside}");
            dir.take_failure().unwrap().kind()
        });
        assert_eq!(kind, DeviceErrorKind::Protocol, "{outside}");
        assert!(tape.files().iter().all(|file| file.1.is_empty() && file.2 == 6), "{outside}");
        play(&shelf, |dir| {
            assert_ne!(dir.list(outside).unwrap().code, StatusCode::Ok, "{outside}");
            assert!(dir.must_end());
        });
        play(&shelf, |dir| {
            assert_ne!(dir.refuse_change(&[outside]).code, StatusCode::Ok);
            assert!(dir.must_end());
        });
    }
    assert!(shelf.done.lock().unwrap().is_empty());
    play(&shelf, |dir| {
        assert_eq!(dir.refuse_change(&[&in_set("Status.plist")]).code, StatusCode::Unknown);
        assert!(!dir.has_failed(), "what is refused is done to nobody");
    });
}

#[test]
fn a_listing_has_every_entry_with_its_size() {
    let shelf = Shelf::of(&[("Info.plist", b"info"), ("Status.plist", b"ok")]);
    let status = play(&shelf, |dir| dir.list(UDID).unwrap());
    let lines = status.payload.unwrap().into_dictionary().unwrap();
    let size =
        |name: &str| lines[name].as_dictionary().unwrap()["DLFileSize"].as_unsigned_integer();
    assert_eq!((lines.len(), size("Info.plist"), size("Status.plist")), (2, Some(4), Some(2)));
}

#[test]
fn a_phone_that_reads_the_set_over_and_over_is_left() {
    let shelf = Shelf::of(&[("Manifest.db", b"rows")]);
    play(&shelf, |dir| {
        let batch = vec![in_set("Manifest.db"); 1000];
        let asks_max = TIMES_MAX + ASKS_OVER;
        for asked in (1000..).step_by(1000) {
            let status = dir.download(&batch, &mut Tape::default()).unwrap();
            assert_eq!(status, Status::done());
            assert_eq!(dir.must_end(), asked > asks_max, "after {asked}");
            if dir.must_end() {
                break;
            }
        }
        assert_eq!(dir.take_failure().unwrap().kind(), DeviceErrorKind::Protocol);
    });
}
