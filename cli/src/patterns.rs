//! Globs as people know them from ignore files.
use crate::failure::Failure;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Matches paths, without a slash at their beginning, that one of `patterns` fits.
///
/// `*` and `?` stay within a name, `**` crosses slashes. A pattern without a slash is held against
/// names at any depth, one with a slash against the whole path; a slash at its beginning or end
/// only says so.
///
/// # Errors
///
/// A pattern that is none.
pub fn compile<P: AsRef<str>>(patterns: &[P]) -> Result<GlobSet, Failure> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let pattern = pattern.as_ref();
        let ended = pattern.strip_suffix('/').unwrap_or(pattern);
        let bare = ended.strip_prefix('/').unwrap_or(ended);
        if bare.is_empty() {
            return Err(Failure::usage(format!("`{pattern}` is no pattern")));
        }
        let anywhere = !ended.contains('/');
        let glob = if anywhere { format!("**/{bare}") } else { bare.to_owned() };
        let glob = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
        set.add(glob.map_err(|bad| {
            Failure::usage(format!("`{pattern}` is no pattern: {}", bad.kind()))
                .hint("* and ? fit within a name, ** across folders; quote it for the shell")
        })?);
    }
    set.build().map_err(|bad| Failure::usage(format!("the patterns cannot be used: {bad}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_a_slash_fits_names_at_any_depth() {
        let set = compile(&["*.tmp", "node_modules/"]).unwrap();
        for path in ["a.tmp", "x/y/a.tmp", "node_modules", "x/node_modules"] {
            assert!(set.is_match(path), "{path}");
        }
        for path in ["a.tmpx", "a.tmp/x", "node_modules_of"] {
            assert!(!set.is_match(path), "{path}");
        }
    }

    #[test]
    fn a_pattern_with_a_slash_fits_whole_paths() {
        let set = compile(&["/build", "Pictures/*.heic", "docs/**/draft"]).unwrap();
        for path in ["build", "Pictures/a.heic", "docs/draft", "docs/a/b/draft"] {
            assert!(set.is_match(path), "{path}");
        }
        for path in ["x/build", "Pictures/2026/a.heic", "x/Pictures/a.heic"] {
            assert!(!set.is_match(path), "{path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_a_usage_error() {
        for bad in ["a[", "", "/"] {
            assert_eq!(compile(&[bad]).unwrap_err().code(), crate::failure::ExitCode::Usage);
        }
    }
}
