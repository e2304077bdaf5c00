//! The keybag of a backup: class keys, wrapped under a key made from the backup password.
//!
//! A flat list of (four letters, length, value). Everything before the second `UUID` is the
//! header; every later `UUID` begins the entry of a class. Classes count downwards, as phones
//! write them. A phone makes a new keybag with every full backup and keeps it for incremental ones.
use super::Unreadable;
use super::cipher::{CLASSED_LEN, Key, WRAPPED_LEN, random_key, unwrap, wrap};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::Sha256;
use std::collections::BTreeMap;

/// Rounds of the second derivation (`ITER`), as phones have them since iOS 10.2.
const SECOND_ROUNDS: u32 = 10_000;

/// Rounds of the first derivation (`DPIC`) of a real phone: seconds of work.
pub const REAL_ROUNDS: u32 = 10_000_000;

/// What a keybag may measure; real ones have about 1,400 bytes.
const KEYBAG_MAX: usize = 64 * 1024;

/// The classes of a backup's keybag and which keys wrap them (1 the device's, 2 the password's).
/// 9 to 11 and 5 stay closed to a host. 17 is how current phones file their class 7.
const CLASSES: &[(u32, u32)] = &[
    (17, 2),
    (11, 3),
    (10, 3),
    (9, 3),
    (8, 2),
    (7, 2),
    (6, 2),
    (5, 3),
    (4, 2),
    (3, 2),
    (2, 2),
    (1, 2),
];

/// `WRAP` of a class that the password alone opens.
const PASSWORD_ONLY: u32 = 2;

/// The number under which the keybag files a file's protection class.
pub fn keybag_class(protection_class: u32) -> u32 {
    if protection_class == 7 { 17 } else { protection_class }
}

/// One class of a keybag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    wrap: u32,
    wrapped: Vec<u8>,
}

/// A keybag as it lies in Manifest.plist: closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keybag {
    bytes: Vec<u8>,
    salt: Vec<u8>,
    rounds: u32,
    first: Option<(Vec<u8>, u32)>,
    entries: BTreeMap<u32, Entry>,
}

/// The class keys of a keybag that has been opened.
#[derive(Clone)]
pub struct ClassKeys {
    keys: BTreeMap<u32, Key>,
}

impl ClassKeys {
    /// Wraps `key` for a protection class: what MBFile's `EncryptionKey` and `ManifestKey` hold.
    ///
    /// # Errors
    ///
    /// The keybag has no such class.
    pub fn wrap(&self, protection_class: u32, key: &Key) -> Result<[u8; CLASSED_LEN], Unreadable> {
        let with = self.class(keybag_class(protection_class))?;
        let mut classed = [0; CLASSED_LEN];
        classed[..4].copy_from_slice(&keybag_class(protection_class).to_le_bytes());
        classed[4..].copy_from_slice(&wrap(with, key));
        Ok(classed)
    }

    /// Opens what [`wrap`](Self::wrap) made.
    ///
    /// # Errors
    ///
    /// The wrong length, a class that is not here, or a key that does not open.
    pub fn unwrap(&self, classed: &[u8]) -> Result<Key, Unreadable> {
        let (class, wrapped) = classed
            .split_first_chunk::<4>()
            .ok_or_else(|| Unreadable::new("a wrapped key without a class"))?;
        unwrap(self.class(u32::from_le_bytes(*class))?, wrapped)
    }

    fn class(&self, class: u32) -> Result<&Key, Unreadable> {
        self.keys.get(&class).ok_or_else(|| Unreadable::new(format!("no key of class {class}")))
    }
}

impl Keybag {
    /// Makes a new keybag under `password`, with `rounds` of the first derivation.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn create(password: &str, rounds: u32) -> Result<(Keybag, ClassKeys), Unreadable> {
        let (salt, first_salt) = (random::<20>()?, random::<20>()?);
        let kek = derive(password, Some((&first_salt, rounds)), &salt, SECOND_ROUNDS);
        let mut bytes = Vec::new();
        number(&mut bytes, b"VERS", 5);
        number(&mut bytes, b"TYPE", 1);
        field(&mut bytes, b"UUID", &random::<16>()?);
        field(&mut bytes, b"HMCK", &random::<WRAPPED_LEN>()?);
        number(&mut bytes, b"WRAP", 0);
        field(&mut bytes, b"SALT", &salt);
        number(&mut bytes, b"ITER", SECOND_ROUNDS);
        number(&mut bytes, b"DPWT", 1);
        number(&mut bytes, b"DPIC", rounds);
        field(&mut bytes, b"DPSL", &first_salt);
        let mut keys = BTreeMap::new();
        for (class, wrapped_by) in CLASSES {
            let key = random_key()?;
            field(&mut bytes, b"UUID", &random::<16>()?);
            number(&mut bytes, b"CLAS", *class);
            number(&mut bytes, b"WRAP", *wrapped_by);
            number(&mut bytes, b"KTYP", 0);
            field(&mut bytes, b"WPKY", &wrap(&kek, &key));
            if *wrapped_by == PASSWORD_ONLY {
                keys.insert(*class, key);
            }
        }
        Ok((Keybag::parse(&bytes)?, ClassKeys { keys }))
    }

    /// The keybag of an unencrypted backup: every class under the device's key, of no use to a host.
    ///
    /// # Errors
    ///
    /// No random bytes.
    pub fn of_the_device() -> Result<Vec<u8>, Unreadable> {
        let mut bytes = Vec::new();
        number(&mut bytes, b"VERS", 5);
        number(&mut bytes, b"TYPE", 1);
        field(&mut bytes, b"UUID", &random::<16>()?);
        field(&mut bytes, b"HMCK", &random::<WRAPPED_LEN>()?);
        number(&mut bytes, b"WRAP", 1);
        field(&mut bytes, b"SALT", &random::<20>()?);
        number(&mut bytes, b"ITER", SECOND_ROUNDS);
        for (class, _) in CLASSES {
            field(&mut bytes, b"UUID", &random::<16>()?);
            number(&mut bytes, b"CLAS", *class);
            number(&mut bytes, b"WRAP", 1);
            number(&mut bytes, b"KTYP", 0);
            field(&mut bytes, b"WPKY", &random::<WRAPPED_LEN>()?);
        }
        Ok(bytes)
    }

    /// Reads a keybag.
    ///
    /// # Errors
    ///
    /// Bytes that are no keybag of a backup.
    pub fn parse(bytes: &[u8]) -> Result<Keybag, Unreadable> {
        if bytes.len() > KEYBAG_MAX {
            return Err(Unreadable::new(format!("a keybag of {} bytes", bytes.len())));
        }
        let mut header = BTreeMap::new();
        let mut groups: Vec<BTreeMap<[u8; 4], &[u8]>> = Vec::new();
        let mut uuids = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (tag, value, after) = next_field(rest)?;
            rest = after;
            if tag == *b"UUID" {
                uuids += 1;
                if uuids > 1 {
                    groups.push(BTreeMap::new());
                }
            }
            groups.last_mut().unwrap_or(&mut header).insert(tag, value);
        }
        let mut entries = BTreeMap::new();
        for group in &groups {
            let class = number_of(group, b"CLAS")?;
            let wrapped = group.get(b"WPKY").copied().unwrap_or_default().to_vec();
            entries.insert(class, Entry { wrap: number_of(group, b"WRAP")?, wrapped });
        }
        let first = match header.get(b"DPSL") {
            Some(salt) => Some((salt.to_vec(), number_of(&header, b"DPIC")?)),
            None => None,
        };
        let salt = header.get(b"SALT").ok_or_else(|| Unreadable::new("a keybag without SALT"))?;
        let salt = salt.to_vec();
        let rounds = number_of(&header, b"ITER")?;
        Ok(Keybag { bytes: bytes.to_vec(), salt, rounds, first, entries })
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// The wrong password, or a keybag that asks for more work than any phone's would.
    pub fn unlock(&self, password: &str) -> Result<ClassKeys, Unreadable> {
        let first = self.first.as_ref().map(|(salt, rounds)| (salt.as_slice(), *rounds));
        if first.is_some_and(|(_, rounds)| rounds > REAL_ROUNDS) || self.rounds > REAL_ROUNDS {
            return Err(Unreadable::new("a keybag that would take too long to open"));
        }
        let kek = derive(password, first, &self.salt, self.rounds);
        let mut keys = BTreeMap::new();
        for (class, entry) in self.entries.iter().filter(|(_, entry)| entry.wrap == PASSWORD_ONLY) {
            keys.insert(*class, unwrap(&kek, &entry.wrapped)?);
        }
        if keys.is_empty() {
            return Err(Unreadable::new("a keybag without a class for the password"));
        }
        Ok(ClassKeys { keys })
    }

    /// Its bytes, for Manifest.plist.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The key that wraps the class keys: the password through one or two derivations.
fn derive(password: &str, first: Option<(&[u8], u32)>, salt: &[u8], rounds: u32) -> Key {
    let mut kek = [0; 32];
    match first {
        Some((first_salt, first_rounds)) => {
            let once = derive_first(password, first_salt, first_rounds);
            pbkdf2_hmac::<Sha1>(&once, salt, rounds, &mut kek);
        }
        None => pbkdf2_hmac::<Sha1>(password.as_bytes(), salt, rounds, &mut kek),
    }
    kek
}

fn derive_first(password: &str, salt: &[u8], rounds: u32) -> Key {
    let mut once = [0; 32];
    pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, rounds, &mut once);
    once
}

fn random<const N: usize>() -> Result<[u8; N], Unreadable> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Unreadable::new(format!("no random bytes: {e}")))?;
    Ok(bytes)
}

fn field(bytes: &mut Vec<u8>, tag: &[u8; 4], value: &[u8]) {
    bytes.extend_from_slice(tag);
    let length = u32::try_from(value.len()).expect("because values have at most 40 bytes");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(value);
}

fn number(bytes: &mut Vec<u8>, tag: &[u8; 4], value: u32) {
    field(bytes, tag, &value.to_be_bytes());
}

/// A field's tag and value, and what follows it.
type Field<'a> = ([u8; 4], &'a [u8], &'a [u8]);

/// The first field of `bytes`.
fn next_field(bytes: &[u8]) -> Result<Field<'_>, Unreadable> {
    let cut = || Unreadable::new("a keybag that ends in the middle of a field");
    let (tag, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
    let (value, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    Ok((*tag, value, rest))
}

fn number_of(fields: &BTreeMap<[u8; 4], &[u8]>, tag: &[u8; 4]) -> Result<u32, Unreadable> {
    let name = String::from_utf8_lossy(tag).into_owned();
    let value = fields.get(tag).ok_or_else(|| Unreadable::new(format!("no {name}")))?;
    let bytes = (*value).try_into().map_err(|_| Unreadable::new(format!("{name} is no number")))?;
    Ok(u32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    const PASSWORD: &str = "devsnap-test";

    fn counting<const N: usize>(from: u8) -> [u8; N] {
        std::array::from_fn(|i| from + u8::try_from(i).unwrap())
    }

    /// A keybag whose bytes were computed by other software.
    fn known_keybag() -> Vec<u8> {
        let text = concat!(
            "56455253000000040000000554595045000000040000000155554944000000100000000000000000000000000000000048",
            "4d434b000000280000000000000000000000000000000000000000000000000000000000000000000000000000000057524150",
            "000000040000000053414c5400000014404142434445464748494a4b4c4d4e4f5051525349544552000000040000000a445057",
            "5400000004000000014450494300000004000003e84450534c00000014101112131415161718191a1b1c1d1e1f202122235555",
            "49440000001000000000000000000000000000000003434c415300000004000000035752415000000004000000024b54595000",
            "0000040000000057504b5900000028f685438244c962a8ba8f77c11f7a26ed1ffcfccaf765c1a3a002ac4adcc502c322356149",
            "7c76d4d4",
        );
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn the_derivations_give_the_known_keys() {
        let (first, salt) = (counting::<20>(0x10), counting::<20>(0x40));
        assert_eq!(
            hex(&derive_first(PASSWORD, &first, 1000)),
            "0043e5e0c9eea1668111db88e21defc61071d6f942b90266b742be5cde42497f"
        );
        assert_eq!(
            hex(&derive(PASSWORD, Some((&first, 1000)), &salt, 10)),
            "66659aed852765e6138770973181ab83326d01bbe269cd144373fa792389f8a0"
        );
    }

    #[test]
    fn the_known_keybag_opens_to_the_known_class_key() {
        let keybag = Keybag::parse(&known_keybag()).unwrap();
        let keys = keybag.unlock(PASSWORD).unwrap();

        assert_eq!(known_keybag().len(), 308);
        assert_eq!(keys.class(3).unwrap(), &[0xC3; 32]);
        let classed = keys.wrap(3, &counting(0)).unwrap();
        assert_eq!(
            hex(&classed),
            "0300000015b95309719eeabc4c55ce80fac83e38c3d81ba0fc077b9aabbc67c1b8312a69e72f8e1ef8624d1b"
        );
        assert_eq!(keys.unwrap(&classed).unwrap(), counting(0));
        assert!(keybag.unlock("devsnap-tesT").is_err());
    }

    #[test]
    fn a_new_keybag_opens_with_its_password_only_and_has_the_size_of_a_real_one() {
        let (keybag, made) = Keybag::create("Füße 🦶", 50).unwrap();
        let read = Keybag::parse(keybag.bytes()).unwrap();

        let keys = read.unlock("Füße 🦶").unwrap();

        assert!((1200..1600).contains(&keybag.bytes().len()), "{}", keybag.bytes().len());
        let classed = made.wrap(7, &[5; 32]).unwrap();
        assert_eq!(classed[0], 17);
        assert_eq!(keys.unwrap(&classed).unwrap(), [5; 32]);
        assert!(read.unlock("Fuße 🦶").is_err());
        assert!(keys.class(9).is_err(), "class 9 is the device's");
    }

    #[test]
    fn broken_keybags_are_errors() {
        let whole = known_keybag();
        for length in 0..whole.len() {
            if let Ok(keybag) = Keybag::parse(&whole[..length]) {
                assert!(keybag.unlock(PASSWORD).is_err(), "cut at {length}");
            }
        }
        assert!(Keybag::parse(&vec![0; KEYBAG_MAX + 1]).is_err());
        let device = Keybag::parse(&Keybag::of_the_device().unwrap()).unwrap();
        assert!(device.unlock(PASSWORD).is_err());
    }
}
