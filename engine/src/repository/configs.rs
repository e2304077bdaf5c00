//! Which config is in force, and how another takes its place.
//!
//! A config is stored as `config/<n>.<t>`, where `t` is the first 16 hex digits of BLAKE3 of its
//! bytes, and again as `config/<n>.<t>.copy`. It counts once its copy is there; of those that
//! count, the one with the highest number is in force.
//!
//! The names hold the hash because storage has no "put if absent": two computers that change the
//! keys at once would write one name, and one change would be lost unseen. So a change
//!
//! 1. puts `<n>.<t>`, with `n` above every number that is there;
//! 2. lists: if a config that it does not build on counts meanwhile, or another claims this number
//!    or a higher one, it removes its own and has failed;
//! 3. puts the copy: now it counts;
//! 4. lists again: it is done when nothing higher is there. If something higher counts, it cannot
//!    tell whether that builds on it, says so and has failed. A higher one that does not count yet
//!    is waited for;
//! 5. removes what is older: it still opens with the passwords of slots that were removed.
//!
//! Of two changes that build on the same config, one sees the other: whoever puts later in 1 or 3
//! lists after that. So both never succeed, and whoever is told of success is in force. What a
//! crash leaves after 1 never counts; what it leaves after 3 counts.
use super::config::{CONFIG_LEN_MAX, StoredConfig};
use crate::backend::{Backend, BackendErrorKind, Body, ObjectKey, ObjectKind};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{hex, unhex};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// How often, and how long each time, a change that is being made elsewhere is waited for.
const SETTLE_TRIES: u32 = 10;
const SETTLE_WAIT: Duration = Duration::from_millis(200);

/// Of a change that counted when another one came.
const UNKNOWN: &str = "another change was made at the same time, and this one holds only if that one \
    builds on it: the list of keys shows whether it does";

/// The file in this computer's cache that has the highest number seen.
const SEEN_FILE: &str = "config-seen";

/// The name of a config, without what tells its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConfigName {
    pub(super) number: u64,
    tag: [u8; 8],
}

impl ConfigName {
    fn of(number: u64, bytes: &[u8]) -> Self {
        let hash = blake3::hash(bytes);
        let tag = *hash.as_bytes().first_chunk().expect("because a hash has 32 bytes");
        ConfigName { number, tag }
    }

    /// The name that an object's name begins with, and whether it is the copy.
    fn parse(name: &str) -> Option<(Self, bool)> {
        let (own, is_copy) = match name.strip_suffix(".copy") {
            Some(own) => (own, true),
            None => (name, false),
        };
        let (digits, tag) = own.split_once('.')?;
        let number: u64 = digits.parse().ok()?;
        let name = ConfigName { number, tag: unhex(tag)? };
        // One spelling each: no leading zeros.
        (name.text() == own).then_some((name, is_copy))
    }

    fn text(&self) -> String {
        format!("{}.{}", self.number, hex(&self.tag))
    }

    fn first(&self) -> ObjectKey {
        ObjectKey::new(ObjectKind::Config, self.text())
    }

    fn copy(&self) -> ObjectKey {
        ObjectKey::new(ObjectKind::Config, format!("{}.copy", self.text()))
    }
}

/// The configs of a store.
#[derive(Default)]
pub(super) struct Listed {
    /// Those whose copy is there.
    counting: BTreeSet<ConfigName>,
    /// The others: a change that is being made, or was cut off.
    claimed: BTreeSet<ConfigName>,
}

impl Listed {
    pub(super) fn of(backend: &dyn Backend) -> Result<Listed> {
        let mut listed = Listed::default();
        let mut first = Vec::new();
        for object in backend.list(ObjectKind::Config, "") {
            match ConfigName::parse(object?.key.name()) {
                Some((name, true)) => {
                    listed.counting.insert(name);
                }
                Some((name, false)) => first.push(name),
                None => {}
            }
        }
        first.retain(|name| !listed.counting.contains(name));
        listed.claimed.extend(first);
        Ok(listed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counting.is_empty() && self.claimed.is_empty()
    }

    /// In the order in which they are tried: those that count, the newest first. One that does not
    /// is better than none: the copy may be what was lost.
    pub(super) fn by_precedence(&self) -> impl Iterator<Item = ConfigName> {
        self.counting.iter().rev().chain(self.claimed.iter().rev()).copied()
    }

    /// Whether the config counts, and not only because nothing else is there.
    pub(super) fn counts(&self, name: ConfigName) -> bool {
        self.counting.contains(&name)
    }

    fn highest(&self) -> u64 {
        let last = |names: &BTreeSet<ConfigName>| names.last().map_or(0, |name| name.number);
        last(&self.counting).max(last(&self.claimed))
    }

    fn has_counting_above(&self, number: u64) -> bool {
        self.counting.last().is_some_and(|name| name.number > number)
    }

    fn has_claim_above(&self, number: u64) -> bool {
        self.claimed.last().is_some_and(|name| name.number > number)
    }

    /// Whether somebody but `own` wants its number, or a higher one.
    fn has_rival(&self, own: ConfigName) -> bool {
        let all = self.counting.iter().chain(&self.claimed);
        all.into_iter().any(|name| *name != own && name.number >= own.number)
    }
}

/// Both copies of a config, as far as they can be read, and the reason for the first that cannot.
pub(super) fn read(backend: &dyn Backend, name: ConfigName) -> (Vec<StoredConfig>, Option<Error>) {
    let (mut found, mut failure) = (Vec::new(), None);
    for key in [name.first(), name.copy()] {
        match read_one(backend, name, &key) {
            Ok(Some(config)) => found.push(config),
            Ok(None) => {}
            Err(e) => {
                failure.get_or_insert(e);
            }
        }
    }
    (found, failure)
}

fn read_one(
    backend: &dyn Backend,
    name: ConfigName,
    key: &ObjectKey,
) -> Result<Option<StoredConfig>> {
    let bytes = match backend.get_whole(key, CONFIG_LEN_MAX) {
        Ok(bytes) => bytes.to_vec(),
        Err(e) if e.kind == BackendErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    if ConfigName::of(name.number, &bytes) != name {
        return Err(Error::new(ErrorKind::Damaged, format!("reading {key}"))
            .because("its bytes do not match its name"));
    }
    let config = StoredConfig::decode(bytes)?;
    if config.number != name.number {
        return Err(Error::new(ErrorKind::Damaged, format!("reading {key}"))
            .because("it is another config under this name"));
    }
    Ok(Some(config))
}

/// Stores a config in the place of config `base` (0: there is none); its number.
///
/// `encode` makes the object that has the number it is given.
///
/// # Errors
///
/// [`Conflict`](ErrorKind::Conflict) when somebody else changed the keys meanwhile; what storing
/// meets. Whether a change counts whose copy could not be stored is not known.
pub(super) fn replace(
    backend: &dyn Backend,
    base: u64,
    encode: impl FnOnce(u64) -> Result<Vec<u8>>,
) -> Result<u64> {
    let before = Listed::of(backend)?;
    if before.has_counting_above(base) {
        return Err(conflict("another change counts, and this one does not build on it"));
    }
    let number = before.highest().max(base).checked_add(1);
    let number = number.ok_or_else(|| conflict("the numbers of configs are used up"))?;
    let bytes = encode(number)?;
    let name = ConfigName::of(number, &bytes);
    let put = |key| -> Result<()> { Ok(backend.put(&key, Body::Bytes(bytes.clone().into()))?) };
    let alone = put(name.first()).and_then(|()| match Listed::of(backend)? {
        seen if seen.has_rival(name) || seen.has_counting_above(base) => {
            Err(conflict("another change is being made; this one was taken back"))
        }
        _ => Ok(()),
    });
    if let Err(error) = alone {
        // What stays counts for nothing, and the next change removes it.
        let _ = backend.remove(&name.first());
        return Err(error);
    }
    put(name.copy())?;
    settle(backend, name)?;
    Ok(number)
}

/// Goes on once it is certain that config `own`, which counts, is in force.
fn settle(backend: &dyn Backend, own: ConfigName) -> Result<()> {
    let number = own.number;
    for _ in 0..SETTLE_TRIES {
        let seen = Listed::of(backend)?;
        if seen.has_counting_above(number) {
            // Whoever made it may have built on this one, or not have seen it. It removes what is
            // older, but may have done so before this one was there.
            let _ = backend.remove(&own.copy()).and_then(|()| backend.remove(&own.first()));
            return Err(conflict(UNKNOWN));
        }
        if !seen.has_claim_above(number) {
            return Ok(());
        }
        std::thread::sleep(SETTLE_WAIT);
    }
    Err(conflict(UNKNOWN))
}

fn conflict(why: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, "changing the keys").because(why)
}

/// Removes the configs below `number`; the first failure, after all of them were tried.
pub(super) fn remove_older(backend: &dyn Backend, number: u64) -> Result<()> {
    let listed = Listed::of(backend)?;
    let mut failure = None;
    for name in listed.by_precedence().filter(|name| name.number < number) {
        // The copy first: what has none does not count.
        for key in [name.copy(), name.first()] {
            if let Err(error) = backend.remove(&key) {
                failure.get_or_insert(error);
            }
        }
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Stores the first config of a new repository.
///
/// # Errors
///
/// What storing meets; then nothing is left that would open without the recovery key having been
/// shown. [`AlreadyExists`](ErrorKind::AlreadyExists) when somebody else made a repository here.
pub(super) fn put_first(backend: &dyn Backend, bytes: &[u8]) -> Result<()> {
    if !Listed::of(backend)?.is_empty() {
        return Err(Error::new(ErrorKind::AlreadyExists, "making a repository")
            .because("there is one at this place"));
    }
    let encode = |number| match number {
        1 => Ok(bytes.to_vec()),
        _ => Err(conflict("there is one already")),
    };
    let Err(error) = replace(backend, 0, encode) else {
        return Ok(());
    };
    let name = ConfigName::of(1, bytes);
    let removed = [name.copy(), name.first()].iter().all(|key| backend.remove(key).is_ok());
    Err(match (error.kind(), removed) {
        (ErrorKind::Conflict, _) => Error::new(ErrorKind::AlreadyExists, "making a repository")
            .because("somebody else made one here at the same time"),
        (_, true) => error,
        (kind, false) => Error::new(kind, "making a repository")
            .because("what was stored of it could not be removed: empty the place"),
    })
}

/// The highest number that this computer has seen; 0 when it remembers none.
pub(super) fn seen(cache_folder: &Path) -> u64 {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        fs::File::open(cache_folder.join(SEEN_FILE))?.take(32).read_to_string(&mut text)?;
        Ok(text)
    };
    // Like every copy it may be gone: then older states are not noticed.
    read().ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Remembers that config `number` was in force; the folder must be there.
///
/// # Errors
///
/// [`LocalDisk`](ErrorKind::LocalDisk), [`NoSpace`](ErrorKind::NoSpace).
pub(super) fn remember(cache_folder: &Path, number: u64) -> Result<()> {
    if seen(cache_folder) >= number {
        return Ok(());
    }
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(cache_folder)?;
        writeln!(file, "{number}")?;
        file.as_file().sync_all()?;
        file.persist(cache_folder.join(SEEN_FILE))?;
        Ok(())
    };
    write().map_err(|e| Error::local("remembering the number of the config", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let name = ConfigName::of(12, b"config");
        assert_eq!(ConfigName::parse(name.first().name()), Some((name, false)));
        assert_eq!(ConfigName::parse(name.copy().name()), Some((name, true)));
        for wrong in ["1", "1.copy", "01.0123456789abcdef", "1.0123456789abcdef.copy.copy"] {
            assert_eq!(ConfigName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_number_seen_never_falls() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(seen(folder.path()), 0);
        remember(folder.path(), 3).unwrap();
        remember(folder.path(), 2).unwrap();
        assert_eq!(seen(folder.path()), 3);
        fs::write(folder.path().join(SEEN_FILE), "no number").unwrap();
        assert_eq!(seen(folder.path()), 0);
    }
}
