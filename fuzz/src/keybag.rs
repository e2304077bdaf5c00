//! What the password of a backup opens.
use devsnap_device::keybag::{ClassKeys, EncryptedSet, KEYBAG_LEN_MAX, Keybag, UnlockError};
use devsnap_engine::interrupt::Interrupt;
use plist::{Dictionary, Value};

const PASSWORD: &[u8] = b"devsnap-test";

/// Rounds that are worked off here, so that an input takes no longer than others.
const ROUNDS_MAX: u64 = 2000;

/// A keybag opens with one password, and with that one each time; opened, it gives a key to what is
/// wrapped under a class and to nothing else; in a `Manifest.plist` it is the same keybag.
pub fn keybag(data: &[u8]) {
    let read = Keybag::parse(data);
    let listed = EncryptedSet::of_manifest_plist(&manifest(data));
    let Ok(keybag) = read else {
        assert!(listed.is_err());
        return;
    };
    let set = listed.expect("because the keybag alone was read").expect("because it says so");
    assert!(data.len() <= KEYBAG_LEN_MAX && set.keybag.rounds() == keybag.rounds());
    if keybag.rounds() > ROUNDS_MAX {
        let asked_to_stop = Interrupt::new();
        asked_to_stop.raise();
        assert!(keybag.unlock(PASSWORD, &asked_to_stop).is_err());
        return;
    }
    let go_on = Interrupt::new();
    match keybag.unlock(PASSWORD, &go_on) {
        Ok(keys) => {
            check_keys(&keys, data);
            assert!(keybag.unlock(PASSWORD, &go_on).is_ok());
            let other = keybag.unlock(b"devsnap-tesT", &go_on).map(drop);
            assert_eq!(other, Err(UnlockError::WrongPassword));
        }
        Err(e) => {
            assert!(matches!(e, UnlockError::WrongPassword | UnlockError::NothingUnderPassword));
        }
    }
}

/// Only the one wrapped key that was made opens, wherever in `data` one looks.
fn check_keys(keys: &ClassKeys, data: &[u8]) {
    for length in [44, 76] {
        for piece in data.windows(length) {
            assert!(keys.unwrap(piece).is_none_or(|key| *key.as_bytes() == FILE_KEY));
        }
    }
    assert!(keys.unwrap(&[]).is_none());
}

fn manifest(keybag: &[u8]) -> Vec<u8> {
    let list = Dictionary::from_iter([
        ("BackupKeyBag", Value::Data(keybag.to_vec())),
        ("IsEncrypted", Value::Boolean(true)),
        ("ManifestKey", Value::Data(WRAPPED_FILE_KEY.to_vec())),
    ]);
    let mut bytes = Vec::new();
    let written = Value::Dictionary(list).to_writer_binary(&mut bytes);
    written.expect("because a Vec takes every write");
    bytes
}

/// 32 bytes 0xc3 under the key that [`PASSWORD`] makes with the seeds' salts and rounds. Computed
/// by other software.
const CLASS_KEY: [u8; 40] = [
    0xf6, 0x85, 0x43, 0x82, 0x44, 0xc9, 0x62, 0xa8, 0xba, 0x8f, 0x77, 0xc1, 0x1f, 0x7a, 0x26, 0xed,
    0x1f, 0xfc, 0xfc, 0xca, 0xf7, 0x65, 0xc1, 0xa3, 0xa0, 0x02, 0xac, 0x4a, 0xdc, 0xc5, 0x02, 0xc3,
    0x22, 0x35, 0x61, 0x49, 0x7c, 0x76, 0xd4, 0xd4,
];

/// The key of a file: it counts up.
const FILE_KEY: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31,
];

/// It, under class 3. Computed by other software.
const WRAPPED_FILE_KEY: [u8; 44] = [
    0x03, 0x00, 0x00, 0x00, 0x15, 0xb9, 0x53, 0x09, 0x71, 0x9e, 0xea, 0xbc, 0x4c, 0x55, 0xce, 0x80,
    0xfa, 0xc8, 0x3e, 0x38, 0xc3, 0xd8, 0x1b, 0xa0, 0xfc, 0x07, 0x7b, 0x9a, 0xab, 0xbc, 0x67, 0xc1,
    0xb8, 0x31, 0x2a, 0x69, 0xe7, 0x2f, 0x8e, 0x1e, 0xf8, 0x62, 0x4d, 0x1b,
];

pub(crate) fn keybag_seeds() -> Vec<Vec<u8>> {
    let header = [
        field(b"VERS", &number(4)),
        field(b"TYPE", &number(1)),
        field(b"UUID", &[0; 16]),
        field(b"WRAP", &number(0)),
        field(b"SALT", &counting(0x40)),
        field(b"ITER", &number(10)),
        field(b"DPIC", &number(1000)),
        field(b"DPSL", &counting(0x10)),
    ];
    let class = |class: u32, wrapped_by: u32, kind: u32| {
        [
            field(b"UUID", &[3; 16]),
            field(b"CLAS", &number(class)),
            field(b"WRAP", &number(wrapped_by)),
            field(b"KTYP", &number(kind)),
            field(b"WPKY", &CLASS_KEY),
        ]
        .concat()
    };
    let one = [header.concat(), class(3, 2, 0)].concat();
    let pair = field(b"PBKY", &[9; 32]);
    // A wrapped key stands in it, so that something opens.
    let news = field(b"NEWS", &WRAPPED_FILE_KEY);
    let many = [class(9, 3, 0), class(17, 2, 0), class(3, 2, 0), class(2, 2, 1), pair, news];
    let many = [header.concat(), many.concat()].concat();
    let only_the_devices = [header[..6].concat(), class(3, 1, 0)].concat();
    vec![one, many, only_the_devices]
}

fn field(tag: &[u8; 4], value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("because values here are short");
    [tag.as_slice(), &number(length), value].concat()
}

fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// 20 bytes, counting up.
fn counting(from: u8) -> Vec<u8> {
    (from..from + 20).collect()
}
