//! `DOMAIN:PATH`, as people type it.
use crate::failure::Failure;
use crate::patterns;
use crate::report::escaped;
use globset::{Glob, GlobMatcher, GlobSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

/// A place on a device: a domain and a path in it, either of which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Word {
    pub(in crate::commands) domain: String,
    pub(in crate::commands) path: String,
}

impl Word {
    /// Reads `typed`; `None` when it is a stored path.
    ///
    /// What stands before the first colon must look like a domain of a device: `HomeDomain`,
    /// `AppDomain-net.whatsapp.WhatsApp`. Nothing before it means all domains.
    pub(in crate::commands) fn of(typed: &OsStr) -> Option<Word> {
        let (domain, path) = typed.to_str()?.split_once(':')?;
        let is_domain = domain.is_empty() || looks_like_a_domain(domain, "");
        is_domain.then(|| Word { domain: domain.to_owned(), path: trimmed(path) })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", escaped(&self.domain), escaped(&self.path))
    }
}

/// A slash at its ends changes nothing.
fn trimmed(path: &str) -> String {
    path.trim_matches('/').to_owned()
}

fn looks_like_a_domain(text: &str, beside: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || beside.contains(c);
    text.contains("Domain") && text.chars().all(fits)
}

/// Places on a device that fit: a glob for the domain, another for the path.
#[derive(Debug)]
pub(in crate::commands) struct Pattern {
    domain: GlobMatcher,
    /// `None` fits every path.
    paths: Option<Paths>,
}

#[derive(Debug)]
struct Paths {
    /// As it was typed: a name with a bracket in it is no glob.
    literally: String,
    globs: GlobSet,
}

impl Pattern {
    /// Reads `DOMAIN:GLOB`; `None` when it is a pattern of stored paths.
    ///
    /// # Errors
    ///
    /// A glob that is none.
    pub(in crate::commands) fn of(typed: &str) -> Result<Option<Pattern>, Failure> {
        let Some((domain, path)) = typed.split_once(':') else { return Ok(None) };
        if !["", "*", "**"].contains(&domain) && !looks_like_a_domain(domain, "*?[]{},!") {
            return Ok(None);
        }
        Pattern::new(domain, path).map(Some)
    }

    /// As [`of`](Self::of), where the colon may be missing: all of the domain.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of); no domain.
    pub(in crate::commands) fn whole(typed: &str) -> Result<Pattern, Failure> {
        let pattern = match typed.contains(':') {
            true => Pattern::of(typed)?,
            false => Pattern::of(&format!("{typed}:"))?,
        };
        pattern.ok_or_else(|| {
            Failure::usage(format!("`{typed}` is no domain of a device"))
                .hint("write DOMAIN or DOMAIN:PATH, e.g. CameraRollDomain:Media/DCIM; `devsnap ls SNAP :` lists the domains")
        })
    }

    fn new(domain: &str, path: &str) -> Result<Pattern, Failure> {
        let domain = if domain.is_empty() { "*" } else { domain };
        let bad = |bad: globset::Error| {
            Failure::usage(format!("`{domain}` is no pattern: {}", bad.kind()))
        };
        let domain = Glob::new(domain).map_err(bad)?.compile_matcher();
        let literally = trimmed(path);
        let paths = match literally.as_str() {
            "" => None,
            _ => Some(Paths { globs: patterns::compile(&[path])?, literally }),
        };
        Ok(Pattern { domain, paths })
    }

    /// Whether the place fits, or lies in a folder that does.
    pub(in crate::commands) fn fits(&self, domain: &str, path: &str) -> bool {
        self.domain.is_match(domain)
            && self
                .paths
                .as_ref()
                .is_none_or(|paths| Path::new(path).ancestors().any(|above| paths.fits(above)))
    }

    /// Whether the place itself fits.
    pub(in crate::commands) fn names(&self, domain: &str, path: &str) -> bool {
        self.domain.is_match(domain)
            && self.paths.as_ref().is_none_or(|paths| paths.fits(Path::new(path)))
    }
}

impl Paths {
    fn fits(&self, path: &Path) -> bool {
        let is_literal = path.as_os_str() == self.literally.as_str();
        !path.as_os_str().is_empty() && (is_literal || self.globs.is_match(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_on_a_device_is_told_from_a_stored_path() {
        for (typed, domain, path) in [
            ("HomeDomain:", "HomeDomain", ""),
            ("CameraRollDomain:Media/DCIM/", "CameraRollDomain", "Media/DCIM"),
            ("AppDomain-net.whatsapp.WhatsApp:/a:b", "AppDomain-net.whatsapp.WhatsApp", "a:b"),
            (":", "", ""),
        ] {
            let word = Word::of(OsStr::new(typed)).unwrap();
            assert_eq!((word.domain.as_str(), word.path.as_str()), (domain, path), "{typed}");
        }
        for stored in [
            "a/HomeDomain:x",
            "notes: today",
            "00008030-001A2B3C4D5E6F78/ab",
            "x:y",
            "./HomeDomain:x",
        ] {
            assert_eq!(Word::of(OsStr::new(stored)), None, "{stored}");
        }
    }

    #[test]
    fn a_pattern_fits_what_it_names_and_all_below_it() {
        let fits = |typed: &str, domain: &str, path: &str| {
            Pattern::whole(typed).unwrap().fits(domain, path)
        };
        for (typed, domain, path) in [
            ("HomeDomain", "HomeDomain", ""),
            ("HomeDomain:Library", "HomeDomain", "Library/SMS/sms.db"),
            ("HomeDomain:*.db", "HomeDomain", "Library/SMS/sms.db"),
            ("HomeDomain:Library/*/sms.db", "HomeDomain", "Library/SMS/sms.db"),
            ("AppDomain*:**/*.sqlite", "AppDomainGroup-x", "a/b.sqlite"),
            ("*:x", "HomeDomain", "a/x"),
            ("HomeDomain:a[1].txt", "HomeDomain", "a[1].txt"),
        ] {
            assert!(fits(typed, domain, path), "{typed} {domain} {path}");
        }
        for (typed, domain, path) in [
            ("HomeDomain:Library", "HomeDomain", ""),
            ("HomeDomain:Library/x", "HomeDomain", "Library/xy"),
            ("HomeDomain", "HomeDomain2", ""),
        ] {
            assert!(!fits(typed, domain, path), "{typed} {domain} {path}");
        }
        assert!(!Pattern::whole("HomeDomain:Lib*").unwrap().names("HomeDomain", "Library/x"));
        assert!(Pattern::whole("photos").is_err() && Pattern::whole("HomeDomain:a[").is_err());
        assert!(Pattern::of("Pictures/*: x").unwrap().is_none());
    }
}
