//! Who may do what: passwords, the recovery key, stations, and the recipient of new sessions.
//!
//! Every change is a new [config](super::configs). None of them takes back what somebody already
//! holds: `docs/threat-model.md` says what each one does not revoke.
use super::config::{LABEL_LEN_MAX, RepositoryConfig, SLOTS_MAX, Unlock, Writer};
use super::session::now_secs;
use super::{configs, unlock};
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RepositoryId;
use crate::index::make_private_folder;
use crate::progress::Progress;
use crate::seal::{
    KdfCost, Keys, RecipientSecret, RecoveryKey, Slot, SlotKind, SlotSecrets, WriterId, WriterKey,
    WriterRole,
};
use std::path::{Path, PathBuf};

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A password, and what it costs to try one.
    Password(KdfCost),
    /// The recovery key.
    Recovery,
    /// A station's writer key.
    Station,
}

/// One key of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name: that of the writer who signs with it.
    pub id: WriterId,
    /// What it is.
    pub kind: KeyKind,
    /// What a person called it; may be empty, may be any text.
    pub label: String,
    /// When it was made, in seconds since 1970 by the clock of who made it.
    pub created_at_secs: i64,
    /// Whether the repository was opened with it just now.
    pub is_current: bool,
}

/// The keys of a repository, open to be changed.
pub struct Keyring<'a> {
    backend: &'a dyn Backend,
    progress: &'a dyn Progress,
    cache_folder: PathBuf,
    number: u64,
    slots: Vec<Slot>,
    config: RepositoryConfig,
    keys: Keys,
    secrets: SlotSecrets,
}

impl<'a> Keyring<'a> {
    /// Opens the keys of the repository that `backend` holds. The index is not needed for it.
    ///
    /// # Errors
    ///
    /// As [`Repository::open`](super::Repository::open); [`Denied`](ErrorKind::Denied) with a
    /// station's key.
    pub fn open(
        backend: &'a dyn Backend,
        with: &Unlock<'_>,
        cache: &Path,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let opened = unlock::open(backend, with, cache, progress)?;
        let unlock::Opened { number, in_force, slots, config, keys, full, cache_folder } = opened;
        let (_, secrets) = full.ok_or_else(|| {
            Error::new(ErrorKind::Denied, "opening the keys")
                .because("a writer key may only add snapshots")
        })?;
        make_private_folder(&cache_folder)?;
        if let Some(number) = in_force {
            configs::remember(&cache_folder, number)?;
        }
        Ok(Keyring { backend, progress, cache_folder, number, slots, config, keys, secrets })
    }

    /// Whose keys they are.
    pub fn repository(&self) -> RepositoryId {
        self.keys.repository()
    }

    /// The keys that open the repository or write to it, the oldest first.
    pub fn entries(&self) -> Vec<KeyEntry> {
        let current = self.current();
        let entry = |writer: &Writer| {
            let id = writer.certificate.writer();
            let kind = match self.slots.iter().find(|slot| slot.writer() == id).map(|s| s.kind) {
                Some(SlotKind::Password(cost)) => KeyKind::Password(cost),
                Some(SlotKind::Recovery) => KeyKind::Recovery,
                None if writer.certificate.role == WriterRole::Station => KeyKind::Station,
                None => return None,
            };
            let Writer { label, created_at_secs, .. } = writer.clone();
            Some(KeyEntry { id, kind, label, created_at_secs, is_current: id == current })
        };
        self.config.writers.iter().filter(|writer| !writer.is_retired).filter_map(entry).collect()
    }

    /// The one key whose id begins with these hex digits.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound), [`Ambiguous`](ErrorKind::Ambiguous).
    pub fn find(&self, digits: &str) -> Result<KeyEntry> {
        let doing = || format!("looking for the key {digits}");
        let mut fitting =
            self.entries().into_iter().filter(|entry| entry.id.to_hex().starts_with(digits));
        match (fitting.next(), fitting.next()) {
            (Some(entry), None) if !digits.is_empty() => Ok(entry),
            (Some(_), _) => Err(Error::new(ErrorKind::Ambiguous, doing())),
            (None, _) => Err(Error::new(ErrorKind::NotFound, doing())),
        }
    }

    /// Lets `password` open the repository too.
    ///
    /// # Errors
    ///
    /// [`Conflict`](ErrorKind::Conflict) when somebody else changed the keys at the same time;
    /// [`Invalid`](ErrorKind::Invalid) for a label over 200 bytes, too many keys, or a password of
    /// another key, which would still open when one of the two is removed; what storing meets. The
    /// same holds for every other change.
    pub fn add_password(
        &mut self,
        password: &[u8],
        cost: KdfCost,
        label: &str,
    ) -> Result<WriterId> {
        self.refuse_used(password, None, "adding a password")?;
        let secrets = self.secrets.for_another()?;
        let slot = Slot::for_password(self.repository(), password, cost, &secrets)?;
        self.add_slot(slot, &secrets, label)
    }

    /// Makes a new recovery key in the place of the old ones, which open nothing afterwards. It is
    /// kept nowhere: `show` shows it to a person, while the old ones still open. When it fails, the
    /// new one is taken back.
    ///
    /// # Errors
    ///
    /// As [`add_password`](Self::add_password), and what `show` fails with.
    pub fn replace_recovery_key<E: From<Error>>(
        &mut self,
        show: impl FnOnce(&RecoveryKey) -> Result<(), E>,
    ) -> Result<(), E> {
        let key = RecoveryKey::generate()?;
        let secrets = self.secrets.for_another()?;
        let slot = Slot::for_recovery(self.repository(), &key, &secrets)?;
        let new = self.add_slot(slot, &secrets, "")?;
        if let Err(error) = show(&key) {
            if let Err(left) = self.remove(new) {
                self.progress.warn(&format!(
                    "a recovery key that nobody has seen could not be removed: {left}"
                ));
            }
            return Err(error);
        }
        let (mut slots, mut config) = (self.slots.clone(), self.config.clone());
        let is_old = |slot: &Slot| slot.kind == SlotKind::Recovery && slot.writer() != new;
        for slot in slots.extract_if(.., |slot| is_old(slot)) {
            retire(&mut config, slot.writer());
        }
        Ok(self.store(slots, config)?)
    }

    /// Wraps the secrets of the password that the keys were opened with in another password.
    ///
    /// # Errors
    ///
    /// As [`add_password`](Self::add_password); [`Invalid`](ErrorKind::Invalid) when they were
    /// opened with the recovery key.
    pub fn change_password(&mut self, password: &[u8], cost: KdfCost) -> Result<()> {
        let current = self.current();
        self.refuse_used(password, Some(current), "changing the password")?;
        let mut slots = self.slots.clone();
        let slot = slots.iter_mut().find(|slot| slot.writer() == current);
        match slot {
            Some(slot) if slot.kind != SlotKind::Recovery => {
                *slot = slot.rewrapped(self.repository(), password, cost, &self.secrets)?;
            }
            _ => {
                return Err(Error::new(ErrorKind::Invalid, "changing the password")
                    .because("the recovery key has no password: add one instead"));
            }
        }
        self.store(slots, self.config.clone())
    }

    /// Removes a key. A password or recovery key opens nothing from now on; a station adds nothing.
    /// What was written with it stays verifiable.
    ///
    /// # Errors
    ///
    /// As [`add_password`](Self::add_password); [`NotFound`](ErrorKind::NotFound);
    /// [`Invalid`](ErrorKind::Invalid) for the last key that opens the repository.
    pub fn remove(&mut self, id: WriterId) -> Result<()> {
        if !self.entries().iter().any(|entry| entry.id == id) {
            let doing = format!("removing the key {}", id.short());
            return Err(Error::new(ErrorKind::NotFound, doing));
        }
        let (mut slots, mut config) = (self.slots.clone(), self.config.clone());
        slots.retain(|slot| slot.writer() != id);
        if slots.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, format!("removing the key {}", id.short()))
                .because("it is the last one that opens the repository"));
        }
        retire(&mut config, id);
        self.store(slots, config)
    }

    /// Makes a new recipient: sessions that are opened from now on are sealed to it. Every slot gets
    /// its secret; whoever kept the secrets of a slot that was removed before does not.
    ///
    /// # Errors
    ///
    /// As [`add_password`](Self::add_password); [`Invalid`](ErrorKind::Invalid) the 64th time.
    pub fn rotate(&mut self) -> Result<()> {
        let (mut slots, mut config) = (self.slots.clone(), self.config.clone());
        let secret = RecipientSecret::generate();
        for slot in &mut slots {
            slot.hand_over(self.repository(), &secret)?;
        }
        config.recipient = secret.public();
        self.secrets.recipients.push(secret);
        let stored = self.store(slots, config);
        match stored {
            Ok(()) => self.keys = self.secrets.keys(self.repository())?,
            Err(_) => drop(self.secrets.recipients.pop()),
        }
        stored
    }

    /// A key for a station, which writes nothing before it is [certified](Self::certify_station):
    /// there is time to put it into its file first.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn new_station_key(&self) -> Result<WriterKey> {
        WriterKey::generate(self.repository(), &self.secrets.root)
    }

    /// Lets a station add snapshots.
    ///
    /// # Errors
    ///
    /// As [`add_password`](Self::add_password).
    pub fn certify_station(&mut self, key: &WriterKey, label: &str) -> Result<()> {
        check_label(label)?;
        let mut config = self.config.clone();
        config.writers.push(Writer {
            certificate: key.certificate(&self.secrets.root),
            label: label.to_owned(),
            created_at_secs: now_secs(),
            is_retired: false,
        });
        self.store(self.slots.clone(), config)
    }

    /// Refuses a password that opens a slot already, but for that of `own`. Costs one Argon2id for
    /// each slot that has a password.
    fn refuse_used(&self, password: &[u8], own: Option<WriterId>, doing: &str) -> Result<()> {
        let with_password = self.slots.iter().filter(|slot| slot.kind != SlotKind::Recovery);
        let mut others = with_password.filter(|slot| Some(slot.writer()) != own);
        match others.find(|slot| slot.open(self.repository(), password).is_ok()) {
            None => Ok(()),
            Some(slot) => {
                let key = slot.writer().short();
                Err(Error::new(ErrorKind::Invalid, doing)
                    .because(format!("the key {key} has it already: choose another")))
            }
        }
    }

    fn current(&self) -> WriterId {
        self.secrets.signer.writer()
    }

    fn add_slot(&mut self, slot: Slot, secrets: &SlotSecrets, label: &str) -> Result<WriterId> {
        check_label(label)?;
        let (mut slots, mut config) = (self.slots.clone(), self.config.clone());
        if slots.len() >= SLOTS_MAX {
            return Err(Error::new(ErrorKind::Invalid, "adding a key")
                .because("there are as many as a repository can have"));
        }
        slots.push(slot);
        config.writers.push(full_writer(self.repository(), secrets, label));
        self.store(slots, config)?;
        Ok(secrets.signer.writer())
    }

    /// Puts a config with these slots in the place of the one that was opened.
    fn store(&mut self, slots: Vec<Slot>, config: RepositoryConfig) -> Result<()> {
        let (keys, root) = (&self.keys, &self.secrets.root);
        let encode = |number| config.encode(number, &slots, keys, root);
        let number = configs::replace(self.backend, self.number, encode)?;
        (self.number, self.slots, self.config) = (number, slots, config);
        if let Err(error) = configs::remember(&self.cache_folder, number) {
            self.progress.warn(&format!("an older state of the keys may go unnoticed: {error}"));
        }
        if let Err(error) = configs::remove_older(self.backend, number) {
            self.progress.warn(&format!(
                "an older state of the keys could not be removed, and opens with what opened it: \
                 {error}; the next change of a key removes it"
            ));
        }
        Ok(())
    }
}

/// The certified writer of a slot.
pub(super) fn full_writer(repository: RepositoryId, secrets: &SlotSecrets, label: &str) -> Writer {
    let root = secrets.root.root_signer();
    Writer {
        certificate: root.certify(repository, secrets.signer.public(), WriterRole::Full),
        label: label.to_owned(),
        created_at_secs: now_secs(),
        is_retired: false,
    }
}

fn retire(config: &mut RepositoryConfig, id: WriterId) {
    let writers = config.writers.iter_mut().filter(|w| w.certificate.writer() == id);
    writers.for_each(|writer| writer.is_retired = true);
}

fn check_label(label: &str) -> Result<()> {
    if label.len() > LABEL_LEN_MAX {
        return Err(Error::new(ErrorKind::Invalid, "naming a key")
            .because(format!("a name has at most {LABEL_LEN_MAX} bytes")));
    }
    Ok(())
}
