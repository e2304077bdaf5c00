//! Sets that are good but for what they say of their keys: a password is tried, and it ends soon.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::Table;
use crate::program::{ends_with, err};
use plist::{Dictionary, Value};
use std::fs;
use std::path::PathBuf;

const PASSWORD: &str = "secret";

/// An encrypted set of a phone in software, and a repository to keep what becomes of it.
struct Liar {
    table: Table,
    manifest: PathBuf,
    honest: Dictionary,
}

impl Liar {
    fn new() -> Liar {
        let table = Table::ready(&[0]);
        table.phone(0).set_backup_password(Some(PASSWORD.to_owned()));
        table.done(&["snapshot"]);
        table.done(&["restore", "latest", "--target", "set"]);
        fs::write(table.at("home/backup-password"), PASSWORD).unwrap();
        let manifest = table.at("home/set").join(table.udid(0)).join("Manifest.plist");
        let honest = Value::from_file(&manifest).unwrap().into_dictionary().unwrap();
        Liar { table, manifest, honest }
    }

    fn keybag(&self) -> Vec<u8> {
        self.honest["BackupKeyBag"].as_data().unwrap().to_vec()
    }

    /// The set, with one of its words replaced, becomes the newest snapshot.
    fn says(&self, key: &str, value: Option<Value>) {
        let mut lying = self.honest.clone();
        match value {
            Some(value) => lying.insert(key.to_owned(), value),
            None => lying.remove(key),
        };
        Value::Dictionary(lying).to_file_binary(&self.manifest).unwrap();
        self.table.done(&["snapshot", &format!("set/{}", self.table.udid(0))]);
    }

    #[track_caller]
    fn is_found_out(&self, code: i32, words: &str) {
        let verify = ["encryption", "verify", "--backup-password-file", "backup-password"];
        let output = self.table.run(&verify);
        ends_with(&output, code, words);
        assert!(!err(&output).contains(PASSWORD), "{}", err(&output));
    }
}

/// The first number under `tag`, replaced.
fn with_number(mut keybag: Vec<u8>, tag: &[u8; 4], number: u32) -> Vec<u8> {
    let at = keybag.windows(4).position(|window| window == tag).unwrap() + 8;
    keybag[at..at + 4].copy_from_slice(&number.to_be_bytes());
    keybag
}

#[test]
fn a_keybag_that_asks_for_years_of_work_is_refused_at_once() {
    let liar = Liar::new();
    for tag in [b"DPIC", b"ITER"] {
        let keybag = with_number(liar.keybag(), tag, u32::MAX);
        liar.says("BackupKeyBag", Some(Value::Data(keybag)));
        liar.is_found_out(1, "4294967295 rounds");
    }
}

#[test]
fn a_keybag_that_is_none_opens_nothing() {
    let liar = Liar::new();
    let whole = liar.keybag();
    let (cut, long) = (whole[..whole.len() - 1].to_vec(), vec![0; 1 << 20]);
    let zero = with_number(whole.clone(), b"DPIC", 0);
    for (keybag, words) in [
        (Some(Value::Data(cut)), "ends inside a field"),
        (Some(Value::Data(long)), "longer than"),
        (Some(Value::Data(Vec::new())), "no SALT"),
        (Some(Value::Data(zero)), "DPIC in the keybag is zero"),
        (Some(Value::from("a text")), "not data"),
        (None, "no `BackupKeyBag`"),
    ] {
        liar.says("BackupKeyBag", keybag);
        liar.is_found_out(1, words);
    }
    // Salts and wrapped keys of another password are a wrong password, and nothing else.
    let mut other = whole;
    let salt = other.windows(4).position(|window| window == b"SALT").unwrap() + 8;
    other[salt] ^= 1;
    liar.says("BackupKeyBag", Some(Value::Data(other)));
    liar.is_found_out(25, "the backup password is wrong");
}

#[test]
fn a_key_of_the_manifest_that_does_not_fit_its_keybag_is_found_out() {
    let liar = Liar::new();
    let key = liar.honest["ManifestKey"].as_data().unwrap().to_vec();
    let (mut changed, mut of_another_class) = (key.clone(), key.clone());
    changed[20] ^= 1;
    of_another_class[0] = 99;
    for key in [changed, of_another_class, key[..40].to_vec(), vec![7; 76]] {
        liar.says("ManifestKey", Some(Value::Data(key)));
        liar.is_found_out(1, "does not open Manifest.db");
    }
    liar.says("ManifestKey", Some(Value::Data(vec![7; 5000])));
    liar.is_found_out(1, "not a wrapped key");
    // And the honest one is honest.
    liar.says("ManifestKey", Some(Value::Data(key)));
    let verify = ["encryption", "verify", "--backup-password-file", "backup-password"];
    assert_eq!(liar.table.summary(&verify)["password_right"], true);
}

#[test]
fn a_set_that_says_it_is_not_encrypted_has_no_password() {
    let liar = Liar::new();
    liar.says("IsEncrypted", Some(false.into()));
    liar.is_found_out(1, "is not encrypted");
}
