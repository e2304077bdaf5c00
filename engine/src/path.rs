//! Paths inside a snapshot: bytes, relative, harmless by construction.
//!
//! A [`TreePath`] can only be made of components that a file system may be asked for: none is
//! empty, `.` or `..`, none has a NUL or a slash. Whatever decodes one (a tree page, a phone's
//! request, a command line) goes through the same check, so code that restores need not repeat it.
//!
//! Inside, components are joined by NUL. NUL sorts below every byte a name may have, so comparing
//! the joined bytes compares component by component, which is the order of a snapshot's tree: a
//! folder, then all below it, then the next name.
use std::fmt;

/// The longest path, in bytes, with its separators.
///
/// Four times Linux's `PATH_MAX`; deeper trees exist, but a node's key must fit a tree page.
pub const PATH_LEN_MAX: usize = 16 * 1024;

/// The longest component, in bytes: `NAME_MAX` of Linux and macOS, and some room for other systems.
pub const NAME_LEN_MAX: usize = 1024;

/// Where a node stands in a snapshot's tree; the root is the empty path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath {
    joined: Vec<u8>,
}

/// Why some bytes are not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Two slashes in a row, or one at the start or the end.
    #[error("a path component is empty")]
    EmptyComponent,
    /// `.` or `..`.
    #[error("a path component is `.` or `..`")]
    DotComponent,
    /// A byte no file name may have.
    #[error("a path component contains a NUL or a slash")]
    ForbiddenByte,
    /// Longer than [`PATH_LEN_MAX`], or a component longer than [`NAME_LEN_MAX`].
    #[error("a path or one of its components is too long")]
    TooLong,
}

impl TreePath {
    /// The root: no components.
    pub const fn root() -> Self {
        TreePath { joined: Vec::new() }
    }

    /// The path that `text` spells with slashes, e.g. `b"Library/SMS/sms.db"`; empty is the root.
    ///
    /// # Errors
    ///
    /// A component that no file system may be asked for; a path that is absolute or too long.
    pub fn from_slashed(text: &[u8]) -> Result<Self, BadPath> {
        if text.is_empty() {
            return Ok(TreePath::root());
        }
        if text.contains(&0) {
            return Err(BadPath::ForbiddenByte);
        }
        let joined = text.iter().map(|&b| if b == b'/' { 0 } else { b }).collect();
        TreePath::from_key(joined)
    }

    /// The path whose components `joined` holds, joined by NUL (see [`key`](Self::key)).
    ///
    /// # Errors
    ///
    /// As [`from_slashed`](Self::from_slashed).
    pub fn from_key(joined: Vec<u8>) -> Result<Self, BadPath> {
        if joined.is_empty() {
            return Ok(TreePath::root());
        }
        if joined.len() > PATH_LEN_MAX {
            return Err(BadPath::TooLong);
        }
        for name in joined.split(|&b| b == 0) {
            check_name(name)?;
        }
        Ok(TreePath { joined })
    }

    /// The components joined by NUL: the key of the tree, whose byte order is the tree's order.
    pub fn key(&self) -> &[u8] {
        &self.joined
    }

    /// The path with slashes, for people and for file systems.
    pub fn to_slashed(&self) -> Vec<u8> {
        self.joined.iter().map(|&b| if b == 0 { b'/' } else { b }).collect()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.joined.is_empty()
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        let joined = (!self.is_root()).then_some(&self.joined);
        joined.into_iter().flat_map(|joined| joined.split(|&b| b == 0))
    }

    /// The last component, or `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.components().last()
    }

    /// The folder this path lies in, or `None` for the root.
    pub fn parent(&self) -> Option<TreePath> {
        if self.is_root() {
            return None;
        }
        let end = self.joined.iter().rposition(|&b| b == 0).unwrap_or(0);
        Some(TreePath { joined: self.joined[..end].to_vec() })
    }

    /// The path of `name` inside this folder.
    ///
    /// # Errors
    ///
    /// `name` is not a name, or the whole would be too long.
    pub fn join(&self, name: &[u8]) -> Result<TreePath, BadPath> {
        check_name(name)?;
        let mut joined = Vec::with_capacity(self.joined.len() + 1 + name.len());
        joined.extend_from_slice(&self.joined);
        if !self.is_root() {
            joined.push(0);
        }
        joined.extend_from_slice(name);
        if joined.len() > PATH_LEN_MAX {
            return Err(BadPath::TooLong);
        }
        Ok(TreePath { joined })
    }

    /// The path of `below` seen from this folder: this path's components, then its.
    ///
    /// # Errors
    ///
    /// The whole would be too long.
    pub fn concat(&self, below: &TreePath) -> Result<TreePath, BadPath> {
        if below.is_root() {
            return Ok(self.clone());
        }
        if self.is_root() {
            return Ok(below.clone());
        }
        let mut joined = self.joined.clone();
        joined.push(0);
        joined.extend_from_slice(&below.joined);
        if joined.len() > PATH_LEN_MAX {
            return Err(BadPath::TooLong);
        }
        Ok(TreePath { joined })
    }

    /// Whether this path is `folder` itself or lies somewhere below it.
    pub fn is_within(&self, folder: &TreePath) -> bool {
        if folder.is_root() {
            return true;
        }
        match self.joined.strip_prefix(folder.joined.as_slice()) {
            Some(rest) => rest.is_empty() || rest[0] == 0,
            None => false,
        }
    }

    /// This path seen from `folder`, when it lies within it.
    pub fn relative_to(&self, folder: &TreePath) -> Option<TreePath> {
        if !self.is_within(folder) {
            return None;
        }
        if folder.is_root() {
            return Some(self.clone());
        }
        let rest = &self.joined[folder.joined.len()..];
        Some(TreePath { joined: rest.get(1..).unwrap_or_default().to_vec() })
    }
}

impl TreePath {
    /// The path itself, the folder it lies in, and so on up to the root.
    pub fn and_above(&self) -> impl Iterator<Item = TreePath> + use<> {
        std::iter::successors(Some(self.clone()), TreePath::parent)
    }
}

/// Whether `name` may be one component of a path.
///
/// # Errors
///
/// Which rule it breaks.
pub fn check_name(name: &[u8]) -> Result<(), BadPath> {
    match name {
        [] => Err(BadPath::EmptyComponent),
        b"." | b".." => Err(BadPath::DotComponent),
        _ if name.len() > NAME_LEN_MAX => Err(BadPath::TooLong),
        _ if name.iter().any(|&b| b == 0 || b == b'/') => Err(BadPath::ForbiddenByte),
        _ => Ok(()),
    }
}

/// With slashes; bytes that are not UTF-8 are shown as `\xNN`, control characters and marks that
/// turn the direction of writing escaped: a hostile name can neither move the terminal's cursor
/// nor pass for another name.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.to_slashed().utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() || turns_writing(c) {
                    write!(f, "{}", c.escape_default())?
                } else {
                    write!(f, "{c}")?
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether `c` is unseen and changes the order in which its neighbours are shown.
pub fn turns_writing(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> TreePath {
        TreePath::from_slashed(text.as_bytes()).unwrap()
    }

    #[test]
    fn paths_that_leave_the_folder_cannot_be_made() {
        for bad in ["/etc", "a//b", "a/", "..", "a/../b", ".", "a/./b", "a\0b"] {
            assert!(TreePath::from_slashed(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(TreePath::from_key(b"a\0".to_vec()).is_err());
        assert!(TreePath::from_key(b"a\0..\0b".to_vec()).is_err());
        assert!(TreePath::from_key(b"a/b".to_vec()).is_err());
        assert!(TreePath::from_slashed(&[b'a'; NAME_LEN_MAX + 1]).is_err());
        assert!(path("a").join(b"..").is_err());
    }

    #[test]
    fn a_folder_comes_before_all_below_it_and_that_before_the_next_name() {
        let sorted = ["a", "a/z", "a/z/z", "a!", "a.b", "ab"].map(path);
        assert!(sorted.is_sorted());
    }

    #[test]
    fn parent_and_join_are_inverse() {
        let whole = path("Library/SMS/sms.db");
        assert_eq!(whole.parent().unwrap().join(whole.name().unwrap()).unwrap(), whole);
        assert_eq!(path("one").parent(), Some(TreePath::root()));
        assert_eq!(TreePath::root().parent(), None);
        assert_eq!(TreePath::root().components().count(), 0);
    }

    #[test]
    fn being_within_a_folder_is_decided_by_components() {
        assert!(path("a/b").is_within(&path("a")));
        assert!(!path("ab").is_within(&path("a")));
        assert_eq!(path("a/b/c").relative_to(&path("a")), Some(path("b/c")));
        assert_eq!(path("a").relative_to(&path("a")), Some(TreePath::root()));
        assert_eq!(path("a").concat(&path("b/c")), Ok(path("a/b/c")));
    }

    #[test]
    fn a_name_for_the_terminal_has_no_control_characters() {
        let shown = TreePath::from_slashed(b"a\x1b[2J\n\xff").unwrap().to_string();
        assert_eq!(shown, "a\\u{1b}[2J\\n\\xff");
    }

    #[test]
    fn a_name_for_the_terminal_cannot_turn_the_writing() {
        for mark in ['\u{200e}', '\u{200f}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            let shown = path(&format!("a{mark}gpj.exe")).to_string();
            assert_eq!(shown, format!("a\\u{{{:x}}}gpj.exe", u32::from(mark)));
        }
        assert_eq!(path("Anna’s \u{5d0}").to_string(), "Anna’s \u{5d0}");
    }

    proptest! {
        #[test]
        fn the_order_of_keys_is_the_order_of_component_lists(
            a in proptest::collection::vec("[a-c!]{1,3}", 0..4),
            b in proptest::collection::vec("[a-c!]{1,3}", 0..4),
        ) {
            let (pa, pb) = (path(&a.join("/")), path(&b.join("/")));
            prop_assert_eq!(pa.cmp(&pb), a.cmp(&b));
        }
    }
}
