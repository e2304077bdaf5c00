//! What a device says, made of bytes: well-formed messages with any words in them, and some that
//! are not.
use crate::tape::framed;
use plist::{Dictionary, Value};

pub(super) const UDID: &str = "00008030-001A2B3C4D5E6F78";
const BLOB: &str = "3d0d7e5fb2ce288813306e4d4636395e047a3d28";

/// What comes after the UDID in paths that have a number.
const INNER: [&str; 16] = [
    "",
    "/Snapshot",
    "/Status.plist",
    "/Snapshot/Status.plist",
    "/Manifest.db",
    "/Manifest.plist",
    "/Info.plist",
    "/3d",
    "/Snapshot/3d",
    "/3d/3d0d7e5fb2ce288813306e4d4636395e047a3d28",
    "/Snapshot/3d/3d0d7e5fb2ce288813306e4d4636395e047a3d28",
    "/ab/3d0d7e5fb2ce288813306e4d4636395e047a3d28",
    "-20261127-101500",
    "/../x",
    "/3d/..",
    "//3d",
];

/// One message and what follows it.
#[derive(Default)]
pub(super) struct Step {
    bytes: Vec<u8>,
    /// Paths that a host must look at.
    pub(super) paths: Vec<String>,
    contents: Vec<Vec<u8>>,
    is_last: bool,
    /// What it says depends on how it is read.
    is_raw: bool,
}

/// All that a device says after it has greeted.
pub(super) struct Script(Vec<Step>);

impl Script {
    /// Per step one byte for its kind, then what the kind needs: a path is one byte for one of the known ones,
    /// or 0xff and a text; a text is its length (1 byte) and itself, shorter when the input ends.
    pub(super) fn of(data: &[u8]) -> Script {
        let mut rest = Rest(data);
        let mut steps = Vec::new();
        while let Some(kind) = rest.byte() {
            steps.push(step(kind, &mut rest));
        }
        Script(steps)
    }

    /// The bytes of the connection.
    pub(super) fn stream(&self) -> Vec<u8> {
        let greeting = ["DLMessageVersionExchange".into(), 400_u64.into(), 0_u64.into()];
        let ready = message(&[Value::from("DLMessageDeviceReady")]);
        let steps = self.0.iter().flat_map(|step| step.bytes.iter().copied());
        message(&greeting).into_iter().chain(ready).chain(steps).collect()
    }

    /// What a host that does not give up has heard: up to the last word, or to where nobody can say any more what is
    /// heard.
    pub(super) fn heard(&self) -> impl Iterator<Item = &Step> {
        self.0.iter().take_while(|step| !step.is_last && !step.is_raw)
    }

    /// Whether nobody can say what it brings.
    pub(super) fn is_raw(&self) -> bool {
        self.0.iter().any(|step| step.is_raw)
    }

    /// Every content that comes whole; raw bytes may bring others.
    pub(super) fn contents(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|step| &step.contents).map(Vec::as_slice)
    }

    /// Whether a finished status is among the contents.
    pub(super) fn says_finished(&self) -> bool {
        self.contents().any(|content| content == status("finished"))
    }
}

struct Rest<'d>(&'d [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte().unwrap_or(0) % end
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn path(&mut self) -> String {
        match self.byte().unwrap_or(0) {
            0xff => self.text(),
            0xfe => format!("{UDID}/{}", self.text()),
            number => format!("{UDID}{}", INNER[usize::from(number) % INNER.len()]),
        }
    }

    fn paths(&mut self) -> Vec<String> {
        let count = 1 + self.below(3);
        (0..count).map(|_| self.path()).collect()
    }
}

fn step(kind: u8, rest: &mut Rest<'_>) -> Step {
    let of_paths = |name: &str, paths: Vec<String>, value: Value| {
        let words = [name.into(), value, Value::from("x"), 50.0.into()];
        Step { bytes: message(&words), paths, ..Step::default() }
    };
    let list = |paths: &[String]| Value::Array(paths.iter().map(|p| p.as_str().into()).collect());
    match kind % 14 {
        0 | 1 => files(rest),
        2 => {
            let state =
                ["new", "uploading", "moving", "removing", "finished"][rest.below(5) as usize];
            let path = format!("{UDID}{}", INNER[2 + rest.below(2) as usize]);
            upload(vec![(path, status(state), 0)])
        }
        3 => {
            let path = rest.path();
            of_paths("DLContentsOfDirectory", vec![path.clone()], path.into())
        }
        4 => {
            let path = rest.path();
            of_paths("DLMessageCreateDirectory", vec![path.clone()], path.into())
        }
        5 => {
            let paths = [rest.paths(), rest.paths()].concat();
            let pairs = paths.chunks_exact(2).map(|p| (p[0].clone(), Value::from(p[1].as_str())));
            let moves: Dictionary = pairs.collect();
            // Of several moves the first that fails ends them, and nobody looks at the others.
            let looked_at = match moves.iter().next() {
                Some((from, Value::String(to))) if moves.len() == 1 => {
                    vec![from.clone(), to.clone()]
                }
                _ => Vec::new(),
            };
            of_paths("DLMessageMoveItems", looked_at, Value::Dictionary(moves))
        }
        6 => {
            let paths = rest.paths();
            let value = list(&paths);
            // As with moves.
            of_paths("DLMessageRemoveItems", paths[..1].to_vec(), value)
        }
        7 => {
            let (from, to) = (rest.path(), rest.path());
            let words = ["DLMessageCopyItem".into(), from.as_str().into(), to.as_str().into()];
            Step { bytes: message(&words), paths: vec![from, to], ..Step::default() }
        }
        8 => {
            let paths = rest.paths();
            let value = list(&paths);
            of_paths("DLMessageDownloadFiles", paths, value)
        }
        9 => match rest.below(4) {
            0 => plain(vec!["DLMessagePing".into()]),
            1 => plain(vec!["DLMessageGetFreeDiskSpace".into()]),
            2 => {
                let amount = u64::from(rest.below(255)) << 27;
                plain(vec!["DLMessagePurgeDiskSpace".into(), amount.into()])
            }
            // It may be one that is known, and mean anything.
            _ => Step { is_raw: true, ..plain(vec![Value::from(format!("DL{}", rest.text()))]) },
        },
        10 => {
            let mut response = Dictionary::new();
            response.insert("MessageName".to_owned(), "Response".into());
            response.insert("ErrorCode".to_owned(), u64::from(rest.below(2)).into());
            let words = vec!["DLMessageProcessMessage".into(), Value::Dictionary(response)];
            Step { is_last: true, ..plain(words) }
        }
        11 => Step { is_last: true, ..plain(vec!["DLMessageDisconnect".into()]) },
        12 => Step { bytes: framed(&rest.bytes()), is_raw: true, ..Step::default() },
        _ => {
            let upload = message(&["DLMessageUploadFiles".into()]);
            let bytes = [upload, rest.bytes()].concat();
            Step { bytes, is_raw: true, ..Step::default() }
        }
    }
}

/// Up to three files with short contents, which may end with an error.
fn files(rest: &mut Rest<'_>) -> Step {
    let count = rest.below(4);
    let file = |_| {
        let (path, code) = (rest.path(), [0, 0, 0, 0x0b][rest.below(4) as usize]);
        (path, rest.bytes(), code)
    };
    upload((0..count).map(file).collect())
}

/// An upload of files, each with its path, its bytes, and the code that ends it.
fn upload(files: Vec<(String, Vec<u8>, u8)>) -> Step {
    let mut step = plain(vec!["DLMessageUploadFiles".into(), "x".into(), 10.0.into()]);
    for (path, content, code) in files {
        // A path of no length is the end of the stream, and what follows it is no message.
        step.is_raw |= path.is_empty();
        step.bytes.extend(framed(b"/.b/6/somewhere"));
        step.bytes.extend(framed(path.as_bytes()));
        for block in content.chunks(100) {
            step.bytes.extend(framed(&[&[0x0c], block].concat()));
        }
        let words: &[u8] = if code == 0 { b"" } else { b"gone" };
        step.bytes.extend(framed(&[&[code], words].concat()));
        step.paths.push(path);
        if code == 0 {
            step.contents.push(content);
        }
    }
    step.bytes.extend([0; 4]);
    step
}

fn plain(words: Vec<Value>) -> Step {
    Step { bytes: message(&words), ..Step::default() }
}

fn message(words: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = Value::Array(words.to_vec()).to_writer_binary(&mut bytes);
    written.expect("because a Vec takes every write");
    framed(&bytes)
}

fn status(state: &str) -> Vec<u8> {
    let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
    let status = Dictionary::from_iter([
        ("SnapshotState", Value::from(state)),
        ("IsFullBackup", true.into()),
        ("Date", Value::Date(date.into())),
    ]);
    let mut bytes = Vec::new();
    let written = Value::Dictionary(status).to_writer_binary(&mut bytes);
    written.expect("because a Vec takes every write");
    bytes
}

/// The shapes of `docs/device-protocol.md`, "Paths", said once more.
pub(super) fn is_backup_path(path: &str) -> bool {
    let is_shard = |name: &str| {
        name.len() == 2 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_blob = |name: &str| {
        name.len() == 40 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_name = |name: &str| {
        let letters = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        (1..=64).contains(&name.len())
            && name.bytes().all(letters)
            && !name.starts_with('.')
            && !name.ends_with('.')
    };
    let is_udid = |name: &str| {
        let plain = |name: &str| name.replace('-', "").to_ascii_lowercase();
        plain(name) == plain(UDID)
    };
    let is_stamp = |stamp: &str| {
        let digits = stamp
            .bytes()
            .enumerate()
            .all(|(at, b)| (at == 8) == (b == b'-') && (at == 8 || b.is_ascii_digit()));
        stamp.len() == 15 && digits
    };
    let mut names: Vec<&str> = path.split('/').collect();
    let set = names.remove(0);
    if !is_udid(set) {
        let aside = set.len().checked_sub(16).and_then(|at| set.split_at_checked(at));
        let aside = aside.and_then(|(set, stamp)| Some((set, stamp.strip_prefix('-')?)));
        return names.is_empty()
            && aside.is_some_and(|(set, stamp)| is_udid(set) && is_stamp(stamp));
    }
    if names.first() == Some(&"Snapshot") {
        names.remove(0);
    }
    match names[..] {
        [] => true,
        [name] => is_name(name),
        [shard, blob] => is_shard(shard) && is_blob(blob),
        _ => false,
    }
}

/// A backup, one that lies, and one of each other thing a device says.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let file = |path: u8, content: &[u8]| [&[0, 1, path, 0, content.len() as u8], content].concat();
    let backup = [
        vec![4, 0, 4, 7, 4, 1, 4, 8, 2, 1, 0],
        file(10, b"hello"),
        file(4, b"SQLite format 3"),
        file(5, b"bplist00"),
        vec![5, 0, 10, 0, 9, 6, 0, 1, 2, 4, 0, 8, 0, 2, 10, 0],
    ]
    .concat();
    let other_path =
        [&[0, 1, 0xfe, BLOB.len() as u8][..], BLOB.as_bytes(), &[0, 1, b'x', 11]].concat();
    let odd = vec![9, 0, 9, 1, 9, 2, 40, 9, 3, 3, b'F', b'l', b'y', 3, 0, 7, 6, 4, 8, 2, 2, 9, 13];
    let raw = vec![13, 9, 0, 0, 0, 1, b'a', 0, 0, 0, 0, 12, 3, 1, 2, 3];
    let climbs = vec![3, 13, 4, 14, 0, 1, 15, 0, 1, b'x', 10, 0];
    let says_gone = vec![0, 2, 10, 3, 2, b'n', b'o', 9, 0, 1, b'y', 10, 1];
    vec![backup, other_path, odd, raw, climbs, says_gone]
}
