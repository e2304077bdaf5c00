//! The paths a device may speak of: a handful of shapes, and nothing else.
//!
//! A device names files by paths that a host would have under its backup folder. None of ours ever
//! reaches a file system, but what is accepted here becomes a path of a snapshot, and a later
//! restore writes it. So a path is one of the shapes that backups have, or it is refused.
//!
//! # Source
//!
//! `docs/device-protocol.md`, "Paths".
use std::cmp::Ordering;
use std::fmt;

use devsnap_engine::path::TreePath;

use crate::udid::Udid;

/// The longest name that is no file id, in bytes.
const WORD_LEN_MAX: usize = 64;

/// The folder that new files go to before they are moved into place.
pub const STAGING: &str = "Snapshot";

/// One component of a path.
///
/// File ids are most of them, hundreds of thousands, and take 20 bytes. The order is that of the
/// names as text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// 40 hex digits in lower case.
    Blob([u8; 20]),
    /// Anything else.
    Word(Box<str>),
}

impl Name {
    /// The name that `text` is. It says nothing about what may stand where.
    pub fn of(text: &str) -> Name {
        match blob_id(text.as_bytes()) {
            Some(id) => Name::Blob(id),
            None => Name::Word(text.into()),
        }
    }

    /// Calls `see` with the name as text.
    pub fn with_text<R>(&self, see: impl FnOnce(&str) -> R) -> R {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        match self {
            Name::Word(word) => see(word),
            Name::Blob(id) => {
                let mut text = [0; 40];
                for (pair, byte) in text.chunks_exact_mut(2).zip(id) {
                    pair[0] = DIGITS[usize::from(byte >> 4)];
                    pair[1] = DIGITS[usize::from(byte & 15)];
                }
                see(std::str::from_utf8(&text).expect("because digits are text"))
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Name::Blob(a), Name::Blob(b)) => a.cmp(b),
            _ => self.with_text(|a| other.with_text(|b| a.cmp(b))),
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn blob_id(text: &[u8]) -> Option<[u8; 20]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut id = [0; 20];
    if text.len() != 40 {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(id)
}

fn is_shard(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `text` is a plain file name such as `Manifest.db`. One that some file systems would take
/// for a shard is none.
fn is_word(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=WORD_LEN_MAX).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('.')
        && !text.ends_with('.')
        && !is_shard(&text.to_ascii_lowercase())
}

/// What stands at a path of this shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The set itself, the staging folder, a shard, or an old set put aside: folders.
    Folder,
    /// A file of the set that has a name of its own, such as `Status.plist`.
    NamedFile,
    /// A file of the device, under its id.
    Blob,
}

/// A path that a device may speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPath {
    names: Vec<Name>,
    shape: Shape,
}

/// A path that no backup has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the device named a path that no backup has: \"{}\"", .0.escape_debug())]
pub struct RefusedPath(pub String);

impl BackupPath {
    /// The path that a device spells, in the set of `udid`.
    ///
    /// # Errors
    ///
    /// It has none of the shapes.
    pub fn parse(text: &str, udid: &Udid) -> Result<BackupPath, RefusedPath> {
        parse(text, udid).ok_or_else(|| RefusedPath(text.chars().take(200).collect()))
    }

    /// As [`parse`](Self::parse), for bytes of a file stream.
    ///
    /// # Errors
    ///
    /// It has none of the shapes, or is no text.
    pub fn parse_bytes(bytes: &[u8], udid: &Udid) -> Result<BackupPath, RefusedPath> {
        let refused = |_| RefusedPath(String::from_utf8_lossy(bytes).chars().take(200).collect());
        BackupPath::parse(std::str::from_utf8(bytes).map_err(refused)?, udid)
    }

    /// The path of a named file of the set, e.g. `Status.plist`.
    pub fn of_file(udid: &Udid, name: &str) -> BackupPath {
        debug_assert!(is_word(name), "a named file has a plain name");
        let names = vec![Name::of(udid.as_str()), Name::of(name)];
        BackupPath { names, shape: Shape::NamedFile }
    }

    /// Its components, outermost first; the first is the set's folder.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// What stands there.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether it is the named file `name` of the set itself, and not one that waits in staging.
    pub fn is_file(&self, name: &str) -> bool {
        matches!(&self.names[..], [_, Name::Word(last)] if &**last == name)
            && self.shape == Shape::NamedFile
    }

    /// The same path in a snapshot.
    pub fn tree_path(&self) -> TreePath {
        tree_path(&self.names)
    }
}

/// The path of these components in a snapshot.
pub(super) fn tree_path(names: &[Name]) -> TreePath {
    names.iter().fold(TreePath::root(), |path, name| below(&path, name))
}

/// The path of `name` in a folder of a snapshot.
pub(super) fn below(folder: &TreePath, name: &Name) -> TreePath {
    name.with_text(|text| folder.join(text.as_bytes()))
        .expect("because names are plain, and no shape is deep")
}

fn parse(text: &str, udid: &Udid) -> Option<BackupPath> {
    let mut parts = text.split('/');
    let set = parts.next()?;
    let rest: Vec<&str> = parts.collect();
    let root = if Udid::parse(set).as_ref() == Some(udid) {
        Name::of(udid.as_str())
    } else {
        // An old set is put aside as a whole; nobody speaks of what is in it.
        let stamp = aside_stamp(set, udid).filter(|_| rest.is_empty())?;
        Name::Word(format!("{udid}-{stamp}").into())
    };
    let shape = match &rest[..] {
        [] => Shape::Folder,
        [STAGING, staged @ ..] => inner_shape(staged)?,
        inner => inner_shape(inner)?,
    };
    let names = std::iter::once(root).chain(rest.into_iter().map(Name::of)).collect();
    Some(BackupPath { names, shape })
}

/// What stands at a path inside the set or the staging folder.
fn inner_shape(parts: &[&str]) -> Option<Shape> {
    match parts {
        [] => Some(Shape::Folder),
        [shard] if is_shard(shard) => Some(Shape::Folder),
        [word] if is_word(word) && !word.eq_ignore_ascii_case(STAGING) => Some(Shape::NamedFile),
        [shard, blob] if is_shard(shard) && blob_id(blob.as_bytes()).is_some() => Some(Shape::Blob),
        _ => None,
    }
}

/// The `yyyyMMdd-HHmmss` of an old set that is put aside.
fn aside_stamp<'t>(text: &'t str, udid: &Udid) -> Option<&'t str> {
    let (set, stamp) = text.split_at_checked(text.len().checked_sub(16)?)?;
    let stamp = stamp.strip_prefix('-')?;
    let (day, time) = stamp.split_once('-')?;
    let digits = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
    (Udid::parse(set).as_ref() == Some(udid) && digits(day, 8) && digits(time, 6)).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UDID: &str = "00008030-001A2B3C4D5E6F78";
    const BLOB: &str = "3d0d7e5fb2ce288813306e4d4636395e047a3d28";

    fn udid() -> Udid {
        Udid::parse(UDID).unwrap()
    }

    fn shape(inner: &str) -> Option<Shape> {
        let path = BackupPath::parse(&format!("{UDID}{inner}"), &udid()).ok()?;
        assert_eq!(path.tree_path().to_slashed(), format!("{UDID}{inner}").as_bytes());
        Some(path.shape())
    }

    #[test]
    fn the_shapes_of_a_backup_are_accepted() {
        for inner in ["", "/Snapshot", "/3d", "/Snapshot/ff", "-20261127-101500"] {
            assert_eq!(shape(inner), Some(Shape::Folder), "{inner}");
        }
        for inner in ["/Status.plist", "/Manifest.mbdx", "/Snapshot/Manifest.db"] {
            assert_eq!(shape(inner), Some(Shape::NamedFile), "{inner}");
        }
        for inner in [format!("/3d/{BLOB}"), format!("/Snapshot/3d/{BLOB}")] {
            assert_eq!(shape(&inner), Some(Shape::Blob), "{inner}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for bad in [
            "/",
            "//",
            "/..",
            "/../x",
            "/.",
            "/a/b",
            "/3d/x",
            "/3D",
            "/Snapshot/Snapshot",
            "/Snapshot/Snapshot/x",
            "/Snapshot/3d/x",
            "/Status.plist/",
            "/Status.plist/x",
            "/con:",
            "/a\\b",
            "/a b",
            "/.hidden",
            "/a\0",
            "/Manifest.db.",
            "/\u{202e}gpj",
            "-20261127-101500/Info.plist",
            "-20261127-1015000",
            "-2026112x-101500",
            "x",
        ] {
            let refused = BackupPath::parse(&format!("{UDID}{bad}"), &udid());
            assert!(refused.is_err(), "{bad:?}");
        }
        let upper = format!("{UDID}/3d/{}", BLOB.to_uppercase());
        let other = "00008030-001A2B3C4D5E6F79/Status.plist";
        for bad in ["", "/etc/passwd", "..", "_unback_/x", other, &upper] {
            assert!(BackupPath::parse(bad, &udid()).is_err(), "{bad:?}");
        }
        assert!(BackupPath::parse_bytes(b"\xff\xfe", &udid()).is_err());
    }

    #[test]
    fn a_refused_path_is_told_without_moving_the_cursor() {
        let refused = BackupPath::parse("\x1b[2J", &udid()).unwrap_err();
        assert!(!refused.to_string().contains('\x1b'), "{refused}");
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_a_path_of_this_set(text in "(00008030-001A2B3C4D5E6F78)?[/a-zA-Z0-9. \\\\:-]{0,60}") {
            if let Ok(path) = BackupPath::parse(&text, &udid()) {
                prop_assert!(path.names().len() <= 4);
                path.names()[0].with_text(|root| assert!(root.starts_with(UDID)));
                prop_assert_eq!(path.tree_path().to_slashed(), text.as_bytes());
            }
        }

        #[test]
        fn names_stand_in_the_order_of_their_texts(a in "[0-9a-f]{38,40}|[!-z]{1,6}", b in "[0-9a-f]{38,40}|[!-z]{1,6}") {
            prop_assert_eq!(Name::of(&a).cmp(&Name::of(&b)), a.cmp(&b));
            prop_assert_eq!(Name::of(&a).to_string(), a);
        }
    }
}
