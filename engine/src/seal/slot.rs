//! Slots: the repository's secrets, wrapped for one password or recovery key each.
//!
//! A slot's wrapping key comes from Argon2id over a password, or straight from a recovery key that
//! was random to begin with. The slot shows a commitment to that key, so a wrong password is told
//! from a damaged slot, and no ciphertext can be made that opens under two passwords.
//!
//! The recipient secrets, which open packs, are sealed to the slot's own X25519 key: a new one can be
//! handed to every slot without anybody's password, and to a slot that was removed no more.
use super::aead::{SealKey, commitment};
use super::keys::{Keys, RootSecret, random_array};
use super::recipient::{RecipientPublic, RecipientSecret};
use super::recovery::RecoveryKey;
use super::sign::{Signer, WriterId};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RepositoryId;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What it costs to try one password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KdfCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl KdfCost {
    /// 64 MiB, 3 passes, 4 lanes: the second recommended setting of RFC 9106, section 4.
    pub const STANDARD: KdfCost = KdfCost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    /// For tests, where thousands of repositories are opened.
    pub const CHEAP: KdfCost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };

    /// The most memory a slot may ask for, in KiB (1 GiB): slots come from the store, and a
    /// hostile one must not exhaust the computer.
    pub const MEMORY_KIB_MAX: u32 = 1024 * 1024;

    /// Goes on only if the cost is one that a hostile store may ask us to pay.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged).
    fn check(self) -> Result<()> {
        let work = u64::from(self.memory_kib) * u64::from(self.passes);
        let sane = (8..=Self::MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (1..=64).contains(&self.passes)
            && (1..=16).contains(&self.lanes)
            && self.memory_kib >= 8 * self.lanes
            && work <= 16 * u64::from(Self::MEMORY_KIB_MAX);
        if sane {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Damaged, "reading a key slot (its derivation cost is absurd)"))
    }
}

/// What opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotKind {
    /// A password, at this cost.
    Password(KdfCost),
    /// A recovery key.
    Recovery,
}

/// How many recipients a repository may have had.
pub const RECIPIENTS_MAX: usize = 64;

/// The secrets a full slot holds.
pub struct SlotSecrets {
    /// The root of all shared keys.
    pub root: RootSecret,
    /// The slot's own: what is handed over to it is sealed to this.
    pub lock: RecipientSecret,
    /// Open packs; sessions are sealed to the last one. At least one.
    pub recipients: Vec<RecipientSecret>,
    /// Signs as this slot's writer.
    pub signer: Signer,
}

impl SlotSecrets {
    /// The secrets of a new slot of the same repository.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn for_another(&self) -> Result<SlotSecrets> {
        SlotSecrets::generate(&self.root, &self.recipients)
    }

    /// The secrets of a new slot that opens what `root` and `recipients` open.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn generate(root: &RootSecret, recipients: &[RecipientSecret]) -> Result<SlotSecrets> {
        Ok(SlotSecrets {
            root: RootSecret::from_bytes(*root.as_bytes()),
            lock: RecipientSecret::generate(),
            recipients: copies(recipients)?,
            signer: Signer::generate()?,
        })
    }

    /// The keys to work with.
    ///
    /// # Errors
    ///
    /// [`Damaged`](ErrorKind::Damaged) without a recipient.
    pub fn keys(&self, repository: RepositoryId) -> Result<Keys> {
        let mut secrets = copies(&self.recipients)?;
        let current = secrets.pop().ok_or_else(|| {
            Error::new(ErrorKind::Damaged, "opening a key slot (it has no recipient)")
        })?;
        let signer = Signer::from_seed(self.signer.seed());
        let mut keys = Keys::full(repository, &self.root, current, signer);
        keys.former_secrets = secrets;
        Ok(keys)
    }
}

fn copies(secrets: &[RecipientSecret]) -> Result<Vec<RecipientSecret>> {
    secrets.iter().map(|secret| RecipientSecret::from_bytes(*secret.as_bytes())).collect()
}

/// A slot as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// What opens it.
    pub kind: SlotKind,
    /// Its writer: the slot's name.
    #[serde(with = "serde_bytes")]
    writer: [u8; 16],
    /// Argon2 salt, or what makes one recovery key wrap two slots differently.
    #[serde(with = "serde_bytes")]
    salt: [u8; 32],
    /// Commitment to the wrapping key.
    #[serde(with = "serde_bytes")]
    committed: [u8; 32],
    /// Root, the slot's own X25519 secret and signing seed, sealed under the wrapping key.
    #[serde(with = "serde_bytes")]
    wrapped: Vec<u8>,
    /// The slot's own X25519 public key.
    #[serde(with = "serde_bytes")]
    public: [u8; 32],
    /// Recipient secrets, sealed to that key; the newest last.
    recipients: Vec<ByteBuf>,
}

const SECRETS_LEN: usize = 96;

impl Slot {
    /// A slot that `password` opens.
    ///
    /// # Errors
    ///
    /// No random bytes; a cost that [`open`](Self::open) would refuse.
    pub fn for_password(
        repository: RepositoryId,
        password: &[u8],
        cost: KdfCost,
        secrets: &SlotSecrets,
    ) -> Result<Slot> {
        Slot::make(repository, SlotKind::Password(cost), password, secrets)
    }

    /// A slot that `key` opens.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn for_recovery(
        repository: RepositoryId,
        key: &RecoveryKey,
        secrets: &SlotSecrets,
    ) -> Result<Slot> {
        Slot::make(repository, SlotKind::Recovery, key.phrase(), secrets)
    }

    /// The slot's name, which is its writer's.
    pub fn writer(&self) -> WriterId {
        WriterId(self.writer)
    }

    /// Seals another recipient secret to this slot; from now on it is the newest.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) past [`RECIPIENTS_MAX`]; [`Damaged`](ErrorKind::Damaged) when
    /// the slot's public key is none.
    pub fn hand_over(&mut self, repository: RepositoryId, secret: &RecipientSecret) -> Result<()> {
        if self.recipients.len() >= RECIPIENTS_MAX {
            return Err(Error::new(ErrorKind::Invalid, "giving a slot another recipient key")
                .because("it has as many as it can hold: copy into a new repository instead"));
        }
        let handed = RecipientPublic(self.public).hand_over(repository, self.writer(), secret)?;
        self.recipients.push(ByteBuf::from(handed));
        Ok(())
    }

    /// The same slot under another password: nothing but the wrapping changes.
    ///
    /// # Errors
    ///
    /// No random bytes; a cost that [`open`](Self::open) would refuse.
    pub fn rewrapped(
        &self,
        repository: RepositoryId,
        password: &[u8],
        cost: KdfCost,
        secrets: &SlotSecrets,
    ) -> Result<Slot> {
        let kind = SlotKind::Password(cost);
        let wrapping = Wrapping::make(repository, kind, password, secrets)?;
        let Wrapping { salt, committed, wrapped } = wrapping;
        Ok(Slot { kind, salt, committed, wrapped, ..self.clone() })
    }

    /// The secrets, when `phrase` (a password, or a recovery key's bytes) opens this slot.
    ///
    /// # Errors
    ///
    /// [`WrongPassword`](ErrorKind::WrongPassword); [`Damaged`](ErrorKind::Damaged) when the slot
    /// asks for an absurd cost or does not open under the key it commits to.
    pub fn open(&self, repository: RepositoryId, phrase: &[u8]) -> Result<SlotSecrets> {
        let key = wrapping_key(repository, self.kind, &self.salt, phrase)?;
        if !bool::from(commitment(&key).ct_eq(&self.committed)) {
            return Err(Error::new(ErrorKind::WrongPassword, "opening a key slot"));
        }
        let damaged = || Error::new(ErrorKind::Damaged, "opening a key slot");
        let mut wrapped = Zeroizing::new(self.wrapped.clone());
        let plain = SealKey::new(&key)
            .open(0, repository.as_bytes(), &mut wrapped)
            .map_err(|e| damaged().because(e))?;
        let plain: &[u8; SECRETS_LEN] = (&*plain).try_into().map_err(|_| damaged())?;
        let part = |at: usize| -> Zeroizing<[u8; 32]> {
            let mut part = Zeroizing::new([0; 32]);
            part.copy_from_slice(&plain[at..at + 32]);
            part
        };
        let lock = RecipientSecret::from_bytes(*part(32))?;
        let signer = Signer::from_seed(&part(64));
        if signer.writer() != self.writer() || lock.public().0 != self.public {
            return Err(damaged().because("its secrets are another slot's"));
        }
        if !(1..=RECIPIENTS_MAX).contains(&self.recipients.len()) {
            return Err(damaged().because("it holds no recipient key, or too many"));
        }
        let handed = self.recipients.iter();
        let taken = handed.map(|handed| lock.take_over(repository, self.writer(), handed));
        let recipients = taken.collect::<Result<Vec<_>>>()?;
        Ok(SlotSecrets { root: RootSecret::from_bytes(*part(0)), lock, recipients, signer })
    }

    fn make(
        repository: RepositoryId,
        kind: SlotKind,
        phrase: &[u8],
        secrets: &SlotSecrets,
    ) -> Result<Slot> {
        let Wrapping { salt, committed, wrapped } =
            Wrapping::make(repository, kind, phrase, secrets)?;
        let mut slot = Slot {
            kind,
            writer: secrets.signer.writer().0,
            salt,
            committed,
            wrapped,
            public: secrets.lock.public().0,
            recipients: Vec::new(),
        };
        for secret in &secrets.recipients {
            slot.hand_over(repository, secret)?;
        }
        Ok(slot)
    }
}

/// The part of a slot that depends on its password.
struct Wrapping {
    salt: [u8; 32],
    committed: [u8; 32],
    wrapped: Vec<u8>,
}

impl Wrapping {
    fn make(
        repository: RepositoryId,
        kind: SlotKind,
        phrase: &[u8],
        secrets: &SlotSecrets,
    ) -> Result<Wrapping> {
        let salt = random_array()?;
        let key = wrapping_key(repository, kind, &salt, phrase)?;
        // Room for the tag, so that growing does not leave a copy of the secrets behind.
        let mut wrapped = Vec::with_capacity(SECRETS_LEN + 16);
        wrapped.extend_from_slice(secrets.root.as_bytes());
        wrapped.extend_from_slice(secrets.lock.as_bytes());
        wrapped.extend_from_slice(secrets.signer.seed());
        SealKey::new(&key).seal(0, repository.as_bytes(), &mut wrapped);
        Ok(Wrapping { salt, committed: commitment(&key), wrapped })
    }
}

fn wrapping_key(
    repository: RepositoryId,
    kind: SlotKind,
    salt: &[u8; 32],
    phrase: &[u8],
) -> Result<Zeroizing<[u8; 32]>> {
    let stretched = match kind {
        SlotKind::Password(cost) => stretch(cost, salt, phrase)?,
        SlotKind::Recovery => Zeroizing::new(*blake3::hash(phrase).as_bytes()),
    };
    let mut hasher = blake3::Hasher::new_derive_key("devsnap 2026-11 v1 slot wrapping key");
    hasher.update(repository.as_bytes());
    hasher.update(salt);
    hasher.update(&*stretched);
    Ok(Zeroizing::new(*hasher.finalize().as_bytes()))
}

fn stretch(cost: KdfCost, salt: &[u8; 32], password: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
    use argon2::{Algorithm, Argon2, Params, Version};
    cost.check()?;
    let refused = |e: argon2::Error| {
        Error::new(ErrorKind::Damaged, "deriving a key from the password").because(e.to_string())
    };
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(refused)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt, &mut *key)
        .map_err(refused)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: RepositoryId = RepositoryId::from_bytes([1; 16]);

    fn secrets() -> SlotSecrets {
        SlotSecrets {
            root: RootSecret::from_bytes([2; 32]),
            lock: RecipientSecret::from_bytes([3; 32]).unwrap(),
            recipients: vec![RecipientSecret::from_bytes([5; 32]).unwrap()],
            signer: Signer::from_seed(&[4; 32]),
        }
    }

    #[test]
    fn a_slot_opens_with_its_password_only() {
        let slot = Slot::for_password(HERE, b"right", KdfCost::CHEAP, &secrets()).unwrap();
        let opened = slot.open(HERE, b"right").unwrap();
        assert_eq!(opened.root.as_bytes(), &[2; 32]);
        assert_eq!(opened.lock.as_bytes(), &[3; 32]);
        assert_eq!(opened.recipients.iter().map(|r| r.as_bytes()).collect::<Vec<_>>(), [&[5; 32]]);
        assert_eq!(opened.signer.seed(), &[4; 32]);
        assert_eq!(slot.open(HERE, b"wrong").err().unwrap().kind(), ErrorKind::WrongPassword);
        let elsewhere = RepositoryId::from_bytes([9; 16]);
        assert_eq!(slot.open(elsewhere, b"right").err().unwrap().kind(), ErrorKind::WrongPassword);
    }

    #[test]
    fn a_slot_that_was_changed_is_damaged_not_a_wrong_password() {
        let mut slot = Slot::for_password(HERE, b"right", KdfCost::CHEAP, &secrets()).unwrap();
        slot.wrapped[0] ^= 1;
        assert_eq!(slot.open(HERE, b"right").err().unwrap().kind(), ErrorKind::Damaged);
    }

    #[test]
    fn a_slot_is_given_a_recipient_without_its_password() {
        let mut slot = Slot::for_password(HERE, b"right", KdfCost::CHEAP, &secrets()).unwrap();
        let newer = RecipientSecret::from_bytes([6; 32]).unwrap();
        slot.hand_over(HERE, &newer).unwrap();
        let keys = slot.open(HERE, b"right").unwrap().keys(HERE).unwrap();
        assert_eq!(keys.recipient, newer.public());
        assert_eq!(keys.secrets().map(|s| s.as_bytes()).collect::<Vec<_>>(), [&[6; 32], &[5; 32]]);
        while slot.recipients.len() < RECIPIENTS_MAX {
            slot.hand_over(HERE, &newer).unwrap();
        }
        assert_eq!(slot.hand_over(HERE, &newer).unwrap_err().kind(), ErrorKind::Invalid);
        assert!(slot.open(HERE, b"right").is_ok());
    }

    #[test]
    fn a_new_password_changes_nothing_but_the_wrapping() {
        let slot = Slot::for_password(HERE, b"old", KdfCost::CHEAP, &secrets()).unwrap();
        let again = slot.rewrapped(HERE, b"new", KdfCost::CHEAP, &secrets()).unwrap();
        assert_eq!((again.writer(), &again.recipients), (slot.writer(), &slot.recipients));
        assert!(again.open(HERE, b"new").is_ok() && again.open(HERE, b"old").is_err());
        assert_ne!(again.salt, slot.salt);
    }

    #[test]
    fn secrets_under_the_name_or_key_of_another_slot_are_damage() {
        let slot = Slot::for_password(HERE, b"right", KdfCost::CHEAP, &secrets()).unwrap();
        let public = RecipientSecret::from_bytes([9; 32]).unwrap().public().0;
        for wrong in [
            Slot { writer: [9; 16], ..slot.clone() },
            Slot { public, ..slot.clone() },
            Slot { recipients: Vec::new(), ..slot.clone() },
            Slot { recipients: vec![ByteBuf::from([0; 80])], ..slot.clone() },
            Slot { recipients: vec![slot.recipients[0].clone(); RECIPIENTS_MAX + 1], ..slot },
        ] {
            assert_eq!(wrong.open(HERE, b"right").err().unwrap().kind(), ErrorKind::Damaged);
        }
    }

    #[test]
    fn a_hostile_cost_is_refused_before_it_is_paid() {
        let mut slot = Slot::for_password(HERE, b"right", KdfCost::CHEAP, &secrets()).unwrap();
        for (memory_kib, passes, lanes) in
            [(u32::MAX, 1, 1), (64, u32::MAX, 1), (64, 1, u32::MAX), (0, 1, 1), (1 << 20, 64, 4)]
        {
            slot.kind = SlotKind::Password(KdfCost { memory_kib, passes, lanes });
            assert_eq!(slot.open(HERE, b"right").err().unwrap().kind(), ErrorKind::Damaged);
        }
        KdfCost::STANDARD.check().unwrap();
    }

    #[test]
    fn a_recovery_key_survives_paper_and_handwriting() {
        let key = RecoveryKey::generate().unwrap();
        let paper = key.to_paper();
        assert_eq!(paper.len(), 14 * 4 + 13);
        let scrawled = paper.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(RecoveryKey::from_paper(&scrawled).unwrap().phrase(), key.phrase());
        let slot = Slot::for_recovery(HERE, &key, &secrets()).unwrap();
        assert!(slot.open(HERE, key.phrase()).is_ok());
        assert!(slot.open(HERE, &[0; 32]).is_err());
    }
}
