//! Paths inside snapshots, as people type them.
use crate::failure::{ExitCode, Failure};
use crate::report::text::escaped_bytes;
use devsnap_engine::path::TreePath;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The path that `typed` means: a slash at its ends changes nothing, `.` is the top.
///
/// # Errors
///
/// No snapshot has such a path.
pub(super) fn typed(typed: &OsStr) -> Result<TreePath, Failure> {
    let bytes = typed.as_bytes();
    let bytes = bytes.strip_prefix(b"./").unwrap_or(bytes);
    let trimmed = without_outer_slashes(bytes);
    if trimmed == b"." {
        return Ok(TreePath::root());
    }
    TreePath::from_slashed(trimmed).map_err(|bad| {
        Failure::usage(format!("{}: {bad}", escaped_bytes(bytes)))
            .hint("write the path as `devsnap ls` shows it")
    })
}

fn without_outer_slashes(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|&b| b != b'/').unwrap_or(path.len());
    let end = path.iter().rposition(|&b| b != b'/').map_or(start, |last| last + 1);
    &path[start..end]
}

/// A snapshot's name and a path in it.
pub(super) type Part = (String, TreePath);

/// The ways `SNAP[:/PATH]` can be read, the likeliest first; a time within a date has no slash
/// after its colon.
///
/// The name ends at the first `:/`. Where an `@` comes later, it may be part of the path
/// (`latest:/icon@2x.png`) or end a `HOST:FOLDER` (`desk:/home/anna@latest:/icon.png`); then the
/// name ends at the first `:/` after the last `@`. Only the snapshots can tell which is meant.
///
/// # Errors
///
/// The snapshot's name is no text, or no snapshot has such a path.
pub(super) fn snapshot_and_path(what: &OsStr) -> Result<(Part, Option<Part>), Failure> {
    let bytes = what.as_bytes();
    let end_after = |start: usize| {
        let colon = bytes[start..].windows(2).position(|two| two == b":/");
        colon.map(|at| start + at)
    };
    let first_end = end_after(0);
    let first = apart_at(bytes, first_end);
    let second = match (first_end, bytes.iter().rposition(|&b| b == b'@')) {
        (Some(end), Some(at)) if end < at => apart_at(bytes, end_after(at)).ok(),
        _ => None,
    };
    match (first, second) {
        (Ok(first), second) => Ok((first, second)),
        (Err(_), Some(second)) => Ok((second, None)),
        (Err(failure), None) => Err(failure),
    }
}

fn apart_at(what: &[u8], colon: Option<usize>) -> Result<Part, Failure> {
    let (name, path) = match colon {
        Some(at) => (&what[..at], typed(OsStr::from_bytes(&what[at + 1..]))?),
        None => (what, TreePath::root()),
    };
    let name = OsString::from_vec(name.to_vec()).into_string();
    let name = name.map_err(|_| Failure::usage("the name of the snapshot is not UTF-8"))?;
    Ok((name, path))
}

/// A snapshot does not have `path`.
pub(super) fn not_there(path: &TreePath, snapshot: &str) -> Failure {
    Failure::new(ExitCode::Failed, format!("there is no `{path}` in snapshot {snapshot}"))
        .hint(format!("`devsnap ls {snapshot}` shows what is there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(what: &str) -> (String, String) {
        let ((name, path), _) = snapshot_and_path(OsStr::new(what)).unwrap();
        (name, path.to_string())
    }

    #[test]
    fn a_snapshot_and_its_part_are_told_apart() {
        for (what, name, path) in [
            ("latest", "latest", ""),
            ("latest:/", "latest", ""),
            ("latest:/a/b", "latest", "a/b"),
            ("2026-11-01T20:04", "2026-11-01T20:04", ""),
            ("2026-11-01T20:04:/a:/b", "2026-11-01T20:04", "a:/b"),
            ("/home/anna@latest:/x", "/home/anna@latest", "x"),
        ] {
            assert_eq!(apart(what), (name.to_owned(), path.to_owned()));
        }
    }

    #[test]
    fn an_at_sign_after_the_path_may_belong_to_the_path_or_to_the_name() {
        let ways = |what: &str| {
            let (first, second) = snapshot_and_path(OsStr::new(what)).unwrap();
            let shown = |(name, path): Part| format!("{name} {path}");
            (shown(first), second.map(shown))
        };
        for (what, first, second) in [
            ("latest:/icon@2x", "latest icon@2x", Some("latest:/icon@2x ")),
            ("desk:/home@latest", "desk home@latest", Some("desk:/home@latest ")),
            ("desk:/h@latest:/x/y", "desk h@latest:/x/y", Some("desk:/h@latest x/y")),
            ("desk@latest:/x", "desk@latest x", None),
            ("latest:/x", "latest x", None),
            ("desk:/a//b@latest", "desk:/a//b@latest ", None),
        ] {
            assert_eq!(ways(what), (first.to_owned(), second.map(str::to_owned)), "{what}");
        }
    }

    #[test]
    fn slashes_at_the_ends_change_nothing_and_dots_are_refused() {
        for same in ["a/b", "/a/b", "a/b/", "./a/b"] {
            assert_eq!(typed(OsStr::new(same)).unwrap().to_string(), "a/b");
        }
        for top in ["", ".", "/", "./"] {
            assert!(typed(OsStr::new(top)).unwrap().is_root(), "{top:?}");
        }
        for bad in ["a/../b", "..", "a//b"] {
            assert_eq!(typed(OsStr::new(bad)).unwrap_err().code(), ExitCode::Usage);
        }
        assert_eq!(typed(OsStr::from_bytes(b"a\xff")).unwrap().to_slashed(), b"a\xff");
    }
}
