//! Keybags computed elsewhere, made by the simulator, and made up by somebody hostile.
use super::*;
use ::pbkdf2::pbkdf2_hmac_array;
use aes_kw::{KeyInit, KwAes256};
use devsnap_simulator::backup_files::keybag as simulated;
use plist::{Dictionary, Value};
use proptest::prelude::*;
use sha1::Sha1;
use sha2::{Digest, Sha256};

const PASSWORD: &[u8] = b"devsnap-test";

/// A keybag with one class, computed by other software: its fields.
fn known_fields() -> Vec<(&'static [u8; 4], Vec<u8>)> {
    let wrapped =
        unhex("f685438244c962a8ba8f77c11f7a26ed1ffcfccaf765c1a3a002ac4adcc502c3223561497c76d4d4");
    let class_uuid = [vec![0; 15], vec![3]].concat();
    vec![
        (b"VERS", number(4)),
        (b"TYPE", number(1)),
        (b"UUID", vec![0; 16]),
        (b"HMCK", vec![0; 40]),
        (b"WRAP", number(0)),
        (b"SALT", (0x40..0x54).collect()),
        (b"ITER", number(10)),
        (b"DPWT", number(1)),
        (b"DPIC", number(1000)),
        (b"DPSL", (0x10..0x24).collect()),
        (b"UUID", class_uuid),
        (b"CLAS", number(3)),
        (b"WRAP", number(2)),
        (b"KTYP", number(0)),
        (b"WPKY", wrapped),
    ]
}

/// The key of a file whose bytes count up from zero, under the known class key.
fn known_file_key() -> Vec<u8> {
    unhex(
        "0300000015b95309719eeabc4c55ce80fac83e38c3d81ba0fc077b9aabbc67c1b8312a69e72f8e1ef8624d1b",
    )
}

fn number(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn spelt(fields: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let spell = |(tag, value): &(&[u8; 4], Vec<u8>)| {
        [tag.as_slice(), &number(u32::try_from(value.len()).unwrap()), value].concat()
    };
    fields.iter().flat_map(spell).collect()
}

/// The known keybag with the value of the last `tag` replaced.
fn with(tag: &[u8; 4], value: Vec<u8>) -> Vec<u8> {
    let mut fields = known_fields();
    fields.iter_mut().rfind(|field| field.0 == tag).unwrap().1 = value;
    spelt(&fields)
}

fn unlock(bytes: &[u8], password: &[u8]) -> Result<ClassKeys, UnlockError> {
    Keybag::parse(bytes).unwrap().unlock(password, &Interrupt::new())
}

#[test]
fn the_derivations_give_the_known_keys() {
    let (first, second): (Vec<u8>, Vec<u8>) = ((0x10..0x24).collect(), (0x40..0x54).collect());
    let interrupt = Interrupt::new();

    let once = super::pbkdf2::hmac_sha256(PASSWORD, &first, 1000, &interrupt).unwrap();
    let kek = super::pbkdf2::hmac_sha1(&*once, &second, 10, &interrupt).unwrap();

    let known = "0043e5e0c9eea1668111db88e21defc61071d6f942b90266b742be5cde42497f";
    assert_eq!(once.to_vec(), unhex(known));
    let known = "66659aed852765e6138770973181ab83326d01bbe269cd144373fa792389f8a0";
    assert_eq!(kek.to_vec(), unhex(known));
}

#[test]
fn the_known_keybag_opens_the_known_file_key() {
    let bytes = spelt(&known_fields());
    assert_eq!(bytes.len(), 308);
    assert_eq!(Keybag::parse(&bytes).unwrap().rounds(), 1010);

    let keys = unlock(&bytes, PASSWORD).unwrap();

    let key = keys.unwrap(&known_file_key()).unwrap();
    assert_eq!(key.as_bytes().to_vec(), (0..32).collect::<Vec<u8>>());
}

#[test]
fn a_password_that_differs_in_one_bit_is_wrong() {
    let bytes = spelt(&known_fields());
    for wrong in [b"devsnap-tesu".as_slice(), b"devsnap-test\n", b" devsnap-test", b""] {
        assert_eq!(unlock(&bytes, wrong).unwrap_err(), UnlockError::WrongPassword, "{wrong:?}");
    }
}

#[test]
fn ten_million_rounds_as_a_real_device_asks_for_open() {
    let (made, its_keys) = simulated::Keybag::create("Füße 🦶", simulated::REAL_ROUNDS).unwrap();
    let keybag = Keybag::parse(made.bytes()).unwrap();
    assert_eq!(keybag.rounds(), 10_010_000);

    let keys = keybag.unlock("Füße 🦶".as_bytes(), &Interrupt::new()).unwrap();

    for class in [1, 2, 3, 4, 7] {
        let wrapped = its_keys.wrap(class, &[9; 32]).unwrap();
        assert_eq!(keys.unwrap(&wrapped).unwrap().as_bytes(), &[9; 32], "class {class}");
    }
}

#[test]
fn classes_that_also_need_the_devices_key_are_not_handed_out() {
    let (made, _) = simulated::Keybag::create("a", 5).unwrap();

    let keys = unlock(made.bytes(), b"a").unwrap();

    let mut classes: Vec<u32> = keys.numbers().collect();
    classes.sort_unstable();
    assert_eq!(classes, [1, 2, 3, 4, 6, 7, 8, 17]);
}

#[test]
fn the_keybag_of_an_unencrypted_backup_has_nothing_for_a_password() {
    let bytes = simulated::Keybag::of_the_device().unwrap();
    assert_eq!(unlock(&bytes, b"a").unwrap_err(), UnlockError::NothingUnderPassword);
}

#[test]
fn a_keybag_from_before_ios_10_2_has_one_derivation() {
    let kek = pbkdf2_hmac_array::<Sha1, 32>(PASSWORD, b"salt", 50);
    let mut wrapped = [0; 40];
    KwAes256::new(&kek.into()).wrap_key(&[7; 32], &mut wrapped).unwrap();
    let bytes = spelt(&[
        (b"VERS", number(3)),
        (b"UUID", vec![0; 16]),
        (b"SALT", b"salt".to_vec()),
        (b"ITER", number(50)),
        (b"UUID", vec![1; 16]),
        (b"CLAS", number(4)),
        (b"WRAP", number(2)),
        (b"WPKY", wrapped.to_vec()),
    ]);

    let keys = unlock(&bytes, PASSWORD).unwrap();

    let mut file_key = [0; 40];
    KwAes256::new(&[7; 32].into()).wrap_key(&[8; 32], &mut file_key).unwrap();
    let file_key = [4_u32.to_le_bytes().as_slice(), &file_key].concat();
    assert_eq!(keys.unwrap(&file_key).unwrap().as_bytes(), &[8; 32]);
}

#[test]
fn unknown_tags_and_another_order_change_nothing() {
    let mut fields = known_fields();
    fields[11..].reverse();
    fields.insert(12, (b"NEWS", vec![1; 300]));
    fields[3..10].reverse();
    fields.insert(5, (b"\0\xff\n ", vec![]));

    let keys = unlock(&spelt(&fields), PASSWORD).unwrap();

    assert!(keys.unwrap(&known_file_key()).is_some());
}

#[test]
fn a_class_is_its_whole_number() {
    let numbered = 0x1_0003;

    let keys = unlock(&with(b"CLAS", number(numbered)), PASSWORD).unwrap();

    assert!(keys.unwrap(&known_file_key()).is_none(), "class 3 is not there");
    let renamed = [numbered.to_le_bytes().as_slice(), &known_file_key()[4..]].concat();
    assert!(keys.unwrap(&renamed).is_some());
}

#[test]
fn the_key_of_a_file_may_be_agreed_on_by_two_pairs() {
    let (secret, file_secret) = ([0xC3; 32], [0x41; 32]);
    let public = x25519_dalek::x25519(secret, x25519_dalek::X25519_BASEPOINT_BYTES);
    let ephemeral = x25519_dalek::x25519(file_secret, x25519_dalek::X25519_BASEPOINT_BYTES);
    let shared = x25519_dalek::x25519(file_secret, public);
    let hashed = [&[0, 0, 0, 1], shared.as_slice(), &ephemeral, &public].concat();
    let mut wrapped = [0; 40];
    KwAes256::new(&Sha256::digest(hashed)).wrap_key(&[5; 32], &mut wrapped).unwrap();
    let file_key = [3_u32.to_le_bytes().as_slice(), &ephemeral, &wrapped].concat();
    let mut fields = known_fields();
    fields.retain(|field| field.0 != b"KTYP");
    fields.push((b"KTYP", number(1)));
    fields.push((b"PBKY", public.to_vec()));

    let keys = unlock(&spelt(&fields), PASSWORD).unwrap();

    assert_eq!(keys.unwrap(&file_key).unwrap().as_bytes(), &[5; 32]);
    let alone = unlock(&spelt(&known_fields()), PASSWORD).unwrap();
    assert!(alone.unwrap(&file_key).is_none(), "a class without a pair agrees on nothing");
}

#[test]
fn what_is_not_a_wrapped_key_opens_nothing() {
    let keys = unlock(&spelt(&known_fields()), PASSWORD).unwrap();
    let whole = known_file_key();
    for length in 0..whole.len() {
        assert!(keys.unwrap(&whole[..length]).is_none(), "{length} bytes of it");
        let mut changed = whole.clone();
        changed[length] ^= 1;
        assert!(keys.unwrap(&changed).is_none(), "byte {length} of it changed");
    }
    assert!(keys.unwrap(&[whole, vec![0; 8]].concat()).is_none());
}

#[test]
fn more_work_than_any_device_asks_for_is_refused_before_it_begins() {
    for (tag, rounds, max) in [
        ("DPIC", FIRST_ROUNDS_MAX + 1, FIRST_ROUNDS_MAX),
        ("DPIC", u32::MAX, FIRST_ROUNDS_MAX),
        ("ITER", SECOND_ROUNDS_MAX + 1, SECOND_ROUNDS_MAX),
        ("ITER", u32::MAX, SECOND_ROUNDS_MAX),
    ] {
        let bytes = with(tag.as_bytes().try_into().unwrap(), number(rounds));
        let refused = unlock(&bytes, PASSWORD).unwrap_err();
        assert_eq!(refused, UnlockError::TooManyRounds { tag, rounds, max });
    }
}

#[test]
fn who_asks_to_stop_waits_for_no_derivation() {
    let interrupt = Interrupt::new();
    interrupt.raise();
    for (tag, rounds) in [(b"DPIC", FIRST_ROUNDS_MAX), (b"ITER", SECOND_ROUNDS_MAX)] {
        let keybag = Keybag::parse(&with(tag, number(rounds))).unwrap();
        assert_eq!(keybag.unlock(PASSWORD, &interrupt).unwrap_err(), UnlockError::Interrupted);
    }
}

#[test]
fn what_a_derivation_cannot_do_without_must_be_there() {
    let without = |tag: &'static str| {
        let mut fields = known_fields();
        let at = fields.iter().rposition(|field| field.0 == tag.as_bytes()).unwrap();
        fields.remove(at);
        Keybag::parse(&spelt(&fields)).unwrap_err()
    };
    for tag in ["SALT", "ITER", "DPSL", "DPIC", "CLAS"] {
        assert_eq!(without(tag), BadKeybag::Missing { tag });
    }
    for tag in ["ITER", "DPIC"] {
        let none = Keybag::parse(&with(tag.as_bytes().try_into().unwrap(), number(0)));
        assert_eq!(none.unwrap_err(), BadKeybag::NoRounds { tag });
    }
    for tag in ["ITER", "DPIC", "CLAS", "WRAP", "KTYP"] {
        let long = Keybag::parse(&with(tag.as_bytes().try_into().unwrap(), vec![0; 5]));
        assert_eq!(long.unwrap_err(), BadKeybag::NotANumber { tag });
    }
}

#[test]
fn a_keybag_cut_anywhere_gives_no_key() {
    let whole = spelt(&known_fields());
    for length in 0..whole.len() {
        if let Ok(keybag) = Keybag::parse(&whole[..length]) {
            let opened = keybag.unlock(PASSWORD, &Interrupt::new());
            assert!(opened.is_err(), "cut at {length}");
        }
    }
}

#[test]
fn lengths_and_counts_beyond_the_caps_are_refused() {
    assert_eq!(Keybag::parse(&vec![0; KEYBAG_LEN_MAX + 1]).unwrap_err(), BadKeybag::TooLong);
    let claims = [b"UUID".as_slice(), &[0xff; 4], &[0; 16]].concat();
    assert_eq!(Keybag::parse(&claims).unwrap_err(), BadKeybag::CutShort);
    let mut many = known_fields();
    (0..=CLASSES_MAX).for_each(|_| many.push((b"UUID", vec![])));
    assert_eq!(Keybag::parse(&spelt(&many)).unwrap_err(), BadKeybag::TooManyClasses);
}

#[test]
fn nothing_secret_is_shown() {
    let keybag = Keybag::parse(&spelt(&known_fields())).unwrap();
    let keys = keybag.unlock(PASSWORD, &Interrupt::new()).unwrap();
    let key = keys.unwrap(&known_file_key()).unwrap();
    assert_eq!(format!("{keybag:?}"), "Keybag(1 classes, 1010 rounds)");
    assert_eq!(format!("{keys:?}"), "ClassKeys(1 hidden)");
    assert_eq!(format!("{key:?}"), "FileKey(hidden)");
}

fn manifest(fields: &[(&str, Value)]) -> Vec<u8> {
    let list = Dictionary::from_iter(fields.iter().map(|(key, value)| (*key, value.clone())));
    let mut bytes = Vec::new();
    Value::Dictionary(list).to_writer_binary(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_manifest_plist_says_whether_and_how_a_set_is_encrypted() {
    let keybag = ("BackupKeyBag", Value::Data(spelt(&known_fields())));
    let key = ("ManifestKey", Value::Data(known_file_key()));
    let is = |yes| ("IsEncrypted", Value::Boolean(yes));

    let set = EncryptedSet::of_manifest_plist(&manifest(&[is(true), keybag.clone(), key.clone()]));
    let set = set.unwrap().unwrap();
    let keys = set.keybag.unlock(PASSWORD, &Interrupt::new()).unwrap();
    assert!(keys.unwrap(&set.manifest_key).is_some());

    for plain in [vec![is(false), keybag.clone()], vec![keybag.clone()], vec![]] {
        assert!(EncryptedSet::of_manifest_plist(&manifest(&plain)).unwrap().is_none());
    }
    let before_10_2 = EncryptedSet::of_manifest_plist(&manifest(&[is(true), keybag]));
    assert!(before_10_2.unwrap().unwrap().manifest_key.is_empty());
}

#[test]
fn an_encrypted_set_that_lies_about_its_keys_is_refused() {
    let keybag = ("BackupKeyBag", Value::Data(spelt(&known_fields())));
    let is_encrypted = ("IsEncrypted", Value::Boolean(true));
    let lies = [
        vec![is_encrypted.clone()],
        vec![is_encrypted.clone(), ("BackupKeyBag", Value::from("a text"))],
        vec![is_encrypted.clone(), ("BackupKeyBag", Value::Data(vec![0xff; 9]))],
        vec![is_encrypted.clone(), ("BackupKeyBag", Value::Data(vec![0; KEYBAG_LEN_MAX + 1]))],
        vec![is_encrypted.clone(), keybag.clone(), ("ManifestKey", Value::Data(vec![3; 300]))],
        vec![is_encrypted, keybag.clone(), ("ManifestKey", Value::from(3))],
        vec![("IsEncrypted", Value::from("yes")), keybag],
    ];
    for lie in lies {
        assert!(EncryptedSet::of_manifest_plist(&manifest(&lie)).is_err(), "{lie:?}");
    }
    assert!(EncryptedSet::of_manifest_plist(b"").is_err());
}

const TAGS: [&[u8; 4]; 11] = [
    b"UUID", b"SALT", b"ITER", b"DPIC", b"DPSL", b"CLAS", b"WRAP", b"KTYP", b"WPKY", b"PBKY",
    b"HMCK",
];

proptest! {
    #[test]
    fn each_derivation_is_the_crates(
        password in prop::collection::vec(any::<u8>(), 0..200),
        salt in prop::collection::vec(any::<u8>(), 0..100),
        rounds in 1..70_u32,
    ) {
        let go_on = Interrupt::new();
        let first = super::pbkdf2::hmac_sha256(&password, &salt, rounds, &go_on).unwrap();
        prop_assert_eq!(*first, pbkdf2_hmac_array::<Sha256, 32>(&password, &salt, rounds));
        let second = super::pbkdf2::hmac_sha1(&password, &salt, rounds, &go_on).unwrap();
        prop_assert_eq!(*second, pbkdf2_hmac_array::<Sha1, 32>(&password, &salt, rounds));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Keybag::parse(&bytes);
        let _ = EncryptedSet::of_manifest_plist(&bytes);
    }

    #[test]
    fn no_row_of_fields_opens_without_the_password(
        fields in prop::collection::vec(
            (0..TAGS.len(), prop_oneof![
                (0..20_u32).prop_map(number),
                prop::collection::vec(any::<u8>(), 0..50),
            ]),
            0..40,
        ),
    ) {
        let fields: Vec<_> = fields.into_iter().map(|(tag, value)| (TAGS[tag], value)).collect();
        if let Ok(keybag) = Keybag::parse(&spelt(&fields)) {
            prop_assume!(keybag.rounds() < 1000);
            prop_assert!(keybag.unlock(PASSWORD, &Interrupt::new()).is_err());
        }
    }
}
