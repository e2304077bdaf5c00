//! From a password, a recovery key or a station's key to the keys of a repository and its config.
use super::config::{RepositoryConfig, StoredConfig, Unlock};
use super::configs::{self, Listed};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RepositoryId;
use crate::progress::Progress;
use crate::seal::{Keys, RecipientPublic, Slot, SlotSecrets, WriterKey, WriterRole};
use std::path::{Path, PathBuf};

/// How often configs are listed again that went while they were read.
const TRIES: u32 = 3;

/// A config that was opened, and what it was opened with.
pub(super) struct Opened {
    /// The number of the config.
    pub(super) number: u64,
    /// The same, unless it is there only because what counted is lost.
    pub(super) in_force: Option<u64>,
    pub(super) slots: Vec<Slot>,
    pub(super) config: RepositoryConfig,
    pub(super) keys: Keys,
    /// What the slot that opened holds, and its place; a station has none.
    pub(super) full: Option<(usize, SlotSecrets)>,
    /// This computer's folder for copies.
    pub(super) cache_folder: PathBuf,
}

/// Opens the config in force.
pub(super) fn open(
    backend: &dyn Backend,
    unlock: &Unlock<'_>,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Opened> {
    for _ in 1..TRIES {
        match open_listed(backend, unlock, cache, progress) {
            // Another computer has just changed the keys.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
    }
    open_listed(backend, unlock, cache, progress)
}

fn open_listed(
    backend: &dyn Backend,
    unlock: &Unlock<'_>,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Opened> {
    let listed = Listed::of(backend)?;
    let (mut failure, mut rolled_back) = (None, None);
    for name in listed.by_precedence() {
        let (copies, unreadable) = configs::read(backend, name);
        if let Some(error) = unreadable {
            // What it says cannot be known yet, and an older one may open with a key that it took
            // away. What is damaged stays so: then the next one is all there is.
            if copies.is_empty() && error.kind() != ErrorKind::Damaged {
                return Err(error);
            }
            if !copies.is_empty() {
                let number = name.number;
                progress.warn(&format!("one copy of config {number} cannot be read: {error}"));
            }
            failure.get_or_insert(error);
        }
        for stored in copies {
            let cache_folder = cache_folder(cache, stored.repository, unlock);
            let seen = configs::seen(&cache_folder);
            // Before the password is tried: it may be one that was changed since.
            if stored.number < seen {
                rolled_back.get_or_insert((stored.number, seen));
                continue;
            }
            let in_force = listed.counts(name).then_some(name.number);
            match open_stored(stored, unlock, cache_folder) {
                Ok(opened) => return Ok(Opened { in_force, ..opened }),
                // The other copy may be whole; a wrong password is wrong for both.
                Err(e) if e.kind() == ErrorKind::Damaged => {
                    failure.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
    }
    if let Some((number, seen)) = rolled_back {
        return Err(Error::new(ErrorKind::RolledBack, format!("opening {}", backend.place()))
            .because(format!(
                "its keys are those of config {number}, after config {seen} was seen"
            )));
    }
    Err(failure.unwrap_or_else(|| {
        let kind = if listed.is_empty() { ErrorKind::NoRepository } else { ErrorKind::NotFound };
        Error::new(kind, format!("opening {}", backend.place()))
    }))
}

/// A station has a folder of its own: what it may rely on is not what a full key may.
fn cache_folder(cache: &Path, repository: RepositoryId, unlock: &Unlock<'_>) -> PathBuf {
    match unlock {
        Unlock::Password(_) | Unlock::Recovery(_) => cache.join(repository.to_hex()),
        Unlock::Station(key) => {
            cache.join(format!("{}-station-{}", repository.to_hex(), key.writer().short()))
        }
    }
}

fn open_stored(stored: StoredConfig, unlock: &Unlock<'_>, cache_folder: PathBuf) -> Result<Opened> {
    let (keys, config, full) = match unlock {
        Unlock::Station(key) => {
            let (keys, config) = open_as_station(&stored, key)?;
            (keys, config, None)
        }
        _ => {
            let (place, secrets) = stored.unlock(unlock)?;
            let keys = secrets.keys(stored.repository)?;
            let config = stored.open(&keys, &secrets.root.root_signer().public())?;
            if config.recipient != keys.recipient {
                return Err(Error::new(ErrorKind::Damaged, "opening the repository")
                    .because("the slot holds another recipient key than the config names"));
            }
            (keys, config, Some((place, secrets)))
        }
    };
    let role = if full.is_some() { WriterRole::Full } else { WriterRole::Station };
    match config.writer_by_id(keys.signer.writer()) {
        Some(writer) if writer.is_retired => {
            return Err(Error::new(ErrorKind::WrongKey, "opening the repository")
                .because("this key was removed"));
        }
        Some(writer) if writer.certificate.role == role => {}
        _ if full.is_none() => {
            return Err(Error::new(ErrorKind::WrongKey, "opening the repository")
                .because("the repository does not know this writer key"));
        }
        _ => {
            return Err(Error::new(ErrorKind::Damaged, "opening the repository")
                .because("the slot's writer is not certified"));
        }
    }
    let StoredConfig { number, slots, .. } = stored;
    Ok(Opened { number, in_force: None, slots, config, keys, full, cache_folder })
}

/// The root's signature vouches for the config, and with it for whom sessions are sealed to.
fn open_as_station(stored: &StoredConfig, key: &WriterKey) -> Result<(Keys, RepositoryConfig)> {
    if stored.repository != key.repository() {
        return Err(Error::new(ErrorKind::WrongKey, "opening the repository")
            .because("the writer key is for another repository"));
    }
    // Nothing is sealed before the config has said to whom.
    let mut keys = key.keys(RecipientPublic([0; 32]));
    let config = stored.open(&keys, key.root_public())?;
    keys.recipient = config.recipient;
    Ok((keys, config))
}
