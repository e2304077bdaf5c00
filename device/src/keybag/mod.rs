//! The keybag of an encrypted backup: what the backup password opens, and nothing else does.
//!
//! A device encrypts each file it uploads under a key of its own, wraps that key under the key of
//! the file's protection class, and puts the class keys, wrapped under a key made from the backup
//! password, into `Manifest.plist`: the keybag. So a password and a keybag are all it takes to
//! tell whether the password is right, without a device and without a file ([`Keybag::unlock`]).
//!
//! A keybag is a flat list of (four letters, length, value). Up to the second `UUID` stands what
//! the password goes through; each later `UUID` begins a class. Classes are keyed by their whole
//! number: current devices have a class 17. Unknown tags are passed over, and no order is relied on.
//!
//! # What a caller may rely on
//!
//! For any bytes: no panic, memory of a small multiple of [`KEYBAG_LEN_MAX`], and no more work
//! than [`FIRST_ROUNDS_MAX`] and [`SECOND_ROUNDS_MAX`] allow, which an [`Interrupt`] ends within
//! some hundredths of a second. Keys are wiped when they are dropped, and no `Debug` shows one.
use std::fmt;

use devsnap_engine::interrupt::Interrupt;
use zeroize::Zeroizing;

mod class_keys;
mod encrypted_set;
mod fields;
mod pbkdf2;

pub use class_keys::{ClassKeys, FileKey};
pub use encrypted_set::{BadEncryptedSet, EncryptedSet};
use fields::{Group, next_field};

/// The longest keybag that is read, in bytes; devices make some 1400.
pub const KEYBAG_LEN_MAX: usize = 64 << 10;

/// The most classes a keybag may have; devices make 11 or 12.
pub const CLASSES_MAX: usize = 256;

/// The most rounds of the first derivation (`DPIC`, SHA-256) that are worked off.
///
/// Every device since iOS 10.2 writes 10 million: some seconds. Ten times that is a minute or two.
pub const FIRST_ROUNDS_MAX: u32 = 100_000_000;

/// The most rounds of the second derivation (`ITER`, SHA-1) that are worked off; devices write
/// 10 000.
pub const SECOND_ROUNDS_MAX: u32 = 10_000_000;

/// Bit of `WRAP`: wrapped under a key that never leaves the device.
const BY_DEVICE: u32 = 1;

/// Bit of `WRAP`: wrapped under the key that the password makes.
const BY_PASSWORD: u32 = 2;

/// Bytes are not a keybag that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKeybag {
    /// Longer than [`KEYBAG_LEN_MAX`].
    #[error("the keybag is longer than {KEYBAG_LEN_MAX} bytes")]
    TooLong,
    /// It ends inside a field, or a field claims to be longer than what is left.
    #[error("the keybag ends inside a field")]
    CutShort,
    /// More than [`CLASSES_MAX`] of them.
    #[error("the keybag has more than {CLASSES_MAX} classes")]
    TooManyClasses,
    /// A tag that must be there is not.
    #[error("the keybag has no {tag}")]
    Missing {
        /// The tag, one of ours.
        tag: &'static str,
    },
    /// A number that is not four bytes long.
    #[error("{tag} in the keybag is not a number")]
    NotANumber {
        /// The tag, one of ours.
        tag: &'static str,
    },
    /// A derivation without a round, which derives nothing.
    #[error("{tag} in the keybag is zero")]
    NoRounds {
        /// The tag, one of ours.
        tag: &'static str,
    },
}

/// Why a keybag did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// No class key opens with what the password makes.
    #[error("the backup password is wrong")]
    WrongPassword,
    /// No device asks for so much work; nothing was tried.
    #[error(
        "the keybag asks for {rounds} rounds of {tag}, and {max} are the most that are worked off"
    )]
    TooManyRounds {
        /// The number's tag, one of ours.
        tag: &'static str,
        /// What it asks for.
        rounds: u32,
        /// The limit.
        max: u32,
    },
    /// No class is wrapped under a password: so it is in the keybag of an unencrypted backup.
    #[error("the keybag has no key that a password opens")]
    NothingUnderPassword,
    /// The interrupt was raised.
    #[error("stopping as asked")]
    Interrupted,
}

/// A keybag as it lies in `Manifest.plist`: closed.
///
/// Without the password it tells nothing; yet it is what a guesser needs, so `Debug` shows only
/// how much is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Keybag {
    /// The first derivation, since iOS 10.2.
    first: Option<Derivation>,
    second: Derivation,
    classes: Vec<Class>,
}

/// One run of PBKDF2.
#[derive(Clone, PartialEq, Eq)]
struct Derivation {
    salt: Vec<u8>,
    rounds: u32,
}

/// The entry of one protection class.
#[derive(Clone, PartialEq, Eq)]
struct Class {
    number: u32,
    wrapped_by: u32,
    /// The key under the key that [`wrapped_by`](Self::wrapped_by) names.
    wrapped: Vec<u8>,
    /// For a class whose key is the secret half of a pair (`KTYP` 1): the public half.
    public: Option<[u8; 32]>,
}

impl Keybag {
    /// Reads a keybag.
    ///
    /// # Errors
    ///
    /// `bytes` are none, or one beyond the limits of this room.
    pub fn parse(bytes: &[u8]) -> Result<Keybag, BadKeybag> {
        if bytes.len() > KEYBAG_LEN_MAX {
            return Err(BadKeybag::TooLong);
        }
        let (header, groups) = split(bytes)?;
        Ok(Keybag {
            first: Derivation::first(&header)?,
            second: Derivation::second(&header)?,
            classes: groups.iter().map(Class::of).collect::<Result<_, _>>()?,
        })
    }

    /// Opens it: takes seconds, since a device asks for ten million rounds.
    ///
    /// The password is right when one class key opens. Keys that also need the device's own key
    /// (`ThisDeviceOnly`) tell that too, and are not handed out.
    ///
    /// # Errors
    ///
    /// The password is wrong, the keybag asks for more work than any device, it has nothing that a
    /// password opens, or `interrupt` was raised.
    pub fn unlock(&self, password: &[u8], interrupt: &Interrupt) -> Result<ClassKeys, UnlockError> {
        self.check_rounds()?;
        let under_password =
            || self.classes.iter().filter(|class| class.wrapped_by & BY_PASSWORD != 0);
        if under_password().next().is_none() {
            return Err(UnlockError::NothingUnderPassword);
        }
        let kek = self.derive(password, interrupt)?;
        let mut keys = ClassKeys::default();
        let mut is_right = false;
        for class in under_password() {
            let Some(key) = class_keys::open(&kek, &class.wrapped) else { continue };
            is_right = true;
            if class.wrapped_by & BY_DEVICE == 0 {
                keys.insert(class.number, key, class.public);
            }
        }
        match is_right {
            true => Ok(keys),
            false => Err(UnlockError::WrongPassword),
        }
    }

    /// How much work [`unlock`](Self::unlock) is, in rounds of both derivations together.
    pub fn rounds(&self) -> u64 {
        let first = self.first.as_ref().map_or(0, |first| first.rounds);
        u64::from(first) + u64::from(self.second.rounds)
    }

    fn check_rounds(&self) -> Result<(), UnlockError> {
        let within = |tag, rounds, max| match rounds > max {
            true => Err(UnlockError::TooManyRounds { tag, rounds, max }),
            false => Ok(()),
        };
        if let Some(first) = &self.first {
            within("DPIC", first.rounds, FIRST_ROUNDS_MAX)?;
        }
        within("ITER", self.second.rounds, SECOND_ROUNDS_MAX)
    }

    /// The key that wraps the class keys.
    fn derive(
        &self,
        password: &[u8],
        interrupt: &Interrupt,
    ) -> Result<Zeroizing<[u8; 32]>, UnlockError> {
        let Derivation { salt, rounds } = &self.second;
        let key = match &self.first {
            Some(first) => {
                let once = pbkdf2::hmac_sha256(password, &first.salt, first.rounds, interrupt);
                once.and_then(|once| pbkdf2::hmac_sha1(&*once, salt, *rounds, interrupt))
            }
            None => pbkdf2::hmac_sha1(password, salt, *rounds, interrupt),
        };
        key.ok_or(UnlockError::Interrupted)
    }
}

impl fmt::Debug for Keybag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keybag({} classes, {} rounds)", self.classes.len(), self.rounds())
    }
}

impl Derivation {
    /// Both its tags or neither: one alone would mean another key than the one meant.
    fn first(header: &Group<'_>) -> Result<Option<Derivation>, BadKeybag> {
        match (header.value(b"DPSL"), header.number(b"DPIC", "DPIC")?) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(BadKeybag::Missing { tag: "DPSL" }),
            (Some(_), None) => Err(BadKeybag::Missing { tag: "DPIC" }),
            (Some(salt), Some(rounds)) => Derivation::new(salt, rounds, "DPIC").map(Some),
        }
    }

    fn second(header: &Group<'_>) -> Result<Derivation, BadKeybag> {
        let salt = header.value(b"SALT").ok_or(BadKeybag::Missing { tag: "SALT" })?;
        let rounds = header.number(b"ITER", "ITER")?.ok_or(BadKeybag::Missing { tag: "ITER" })?;
        Derivation::new(salt, rounds, "ITER")
    }

    fn new(salt: &[u8], rounds: u32, tag: &'static str) -> Result<Derivation, BadKeybag> {
        match rounds {
            0 => Err(BadKeybag::NoRounds { tag }),
            rounds => Ok(Derivation { salt: salt.to_vec(), rounds }),
        }
    }
}

impl Class {
    fn of(group: &Group<'_>) -> Result<Class, BadKeybag> {
        // `KTYP` 1 of a class whose key nobody can use without its public half is no reason to
        // refuse the others: such a class opens no file, and that is all.
        let is_pair = group.number(b"KTYP", "KTYP")? == Some(1);
        let public = group.value(b"PBKY").and_then(|public| public.try_into().ok());
        Ok(Class {
            number: group.number(b"CLAS", "CLAS")?.ok_or(BadKeybag::Missing { tag: "CLAS" })?,
            wrapped_by: group.number(b"WRAP", "WRAP")?.unwrap_or(0),
            wrapped: group.value(b"WPKY").unwrap_or_default().to_vec(),
            public: public.filter(|_| is_pair),
        })
    }
}

/// The fields before the second `UUID`, and those of each class after it.
fn split(bytes: &[u8]) -> Result<(Group<'_>, Vec<Group<'_>>), BadKeybag> {
    let mut header = Group::default();
    let mut classes: Vec<Group<'_>> = Vec::new();
    let mut uuids = 0_usize;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (tag, value, after) = next_field(rest)?;
        rest = after;
        if tag == *b"UUID" {
            uuids += 1;
            if uuids > CLASSES_MAX + 1 {
                return Err(BadKeybag::TooManyClasses);
            }
            if uuids > 1 {
                classes.push(Group::default());
            }
        }
        classes.last_mut().unwrap_or(&mut header).insert(tag, value);
    }
    Ok((header, classes))
}

#[cfg(test)]
mod tests;
