//! A repository of which one object of each kind is spoilt, as a person meets it: exit code 26 and a
//! sentence that names what is damaged, or all is well; and no wrong byte in what comes back. What every
//! object in every way does to the engine, `engine/tests/engine/{damage,hostile}.rs` show.
use crate::program::{Home, err, said_by};
use crate::small_disk::copy;
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{Held, held_by_disk};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

const PHONE: PhoneLike = PhoneLike { seed: 55, files: 12, total_bytes: 120 << 10 };

/// Folders of the repository with objects of one kind each, and whether spoiling one must be noticed.
const KINDS: [(&str, bool); 7] = [
    ("data", true),
    ("meta", true),
    ("index", false),
    ("snapshots", true),
    // Of an `end` only the name counts, a note only says something, and a config has a copy.
    ("sessions", false),
    ("notes", false),
    ("config", false),
];

struct Scene {
    home: Home,
    days: [Held; 2],
}

impl Scene {
    fn new() -> Scene {
        let home = Home::new();
        let data = home.at("data");
        PHONE.write(&data).expect("because there is room");
        let mut scene = Scene { home, days: [Held::new(), Held::new()] };
        said_by(scene.run(&["init"]));
        for day in 0..2 {
            scene.days[usize::from(day > 0)] = held_by_disk(&data);
            said_by(scene.run(&["snapshot", "data"]));
            said_by(scene.run(&["tag", "latest", "--add", &format!("day-{day}")]));
            PHONE.mutate(&data, day).expect("because there is room");
        }
        copy(&scene.home.at("repository"), &scene.home.at("whole"));
        scene
    }

    /// On a computer that knows nothing.
    fn run(&self, words: &[&str]) -> Output {
        let _ = fs::remove_dir_all(self.home.at(".cache"));
        self.home.command(words).output().expect("because it was built")
    }

    fn reset(&self) {
        for folder in ["repository", "back"] {
            let _ = fs::remove_dir_all(self.home.at(folder));
        }
        copy(&self.home.at("whole"), &self.home.at("repository"));
    }

    /// The objects of a kind, in the order of their names.
    fn objects(&self, kind: &str) -> Vec<PathBuf> {
        let (mut found, mut waiting) = (Vec::new(), vec![self.home.at("repository").join(kind)]);
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).expect("because it was made") {
                let path = entry.expect("because it can be listed").path();
                if path.is_dir() { waiting.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }

    /// Exit code 0, or 26 with a sentence; whether it is 26.
    fn is_told(&self, output: &Output, why: &str) -> bool {
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), err(output));
        assert!(!said.contains("panicked"), "{why}: {said}");
        match output.status.code() {
            Some(0) => false,
            Some(26) => {
                assert!(said.contains("damage"), "{why}: {said}");
                true
            }
            code => panic!("{why}: {code:?}: {said}"),
        }
    }

    /// What came back is as one of the days had it, file by file; all of it if nothing was told.
    fn assert_no_wrong_byte(&self, is_told: bool, why: &str) {
        if !self.home.at("back").exists() {
            return assert!(is_told, "{why}");
        }
        let back = held_by_disk(&self.home.at("back"));
        if !is_told {
            assert!(self.days.contains(&back), "{why}: what came back is not what was kept");
        }
        for (path, held) in &back {
            let is_right = self.days.iter().any(|day| day.get(path) == Some(held));
            assert!(is_right || path.is_empty(), "{why}: {path} is not what was kept");
        }
    }
}

fn flip(object: &Path) {
    let mut bytes = fs::read(object).expect("because it was listed");
    let at = bytes.len() * 2 / 5;
    bytes[at] ^= 0x40;
    fs::write(object, bytes).expect("because it is ours");
}

fn cut(object: &Path) {
    let bytes = fs::read(object).expect("because it was listed");
    fs::write(object, &bytes[..bytes.len() * 3 / 4]).expect("because it is ours");
}

#[test]
fn one_spoilt_object_of_any_kind_is_told_with_26_or_harmless_and_no_wrong_byte_comes_back() {
    let scene = Scene::new();
    for (kind, must_be_told) in KINDS {
        for way in ["flipped", "cut short", "exchanged", "under another name too"] {
            let why = format!("{kind}, {way}");
            scene.reset();
            let objects = scene.objects(kind);
            let last = objects.last().expect("because there is one of each kind");
            match (way, objects.first().filter(|first| *first != last)) {
                ("flipped", _) => flip(last),
                ("cut short", _) => cut(last),
                ("exchanged", Some(first)) => {
                    let bytes = fs::read(first).expect("because it was listed");
                    fs::copy(last, first).expect("because it is ours");
                    fs::write(last, bytes).expect("because it is ours");
                }
                ("exchanged", None) => continue,
                _ => {
                    let name = last.file_name().expect("because it is a file").to_string_lossy();
                    let digit = if name.starts_with('0') { "1" } else { "0" };
                    let other = last.with_file_name(format!("{digit}{}", &name[1..]));
                    fs::copy(last, other).expect("because there is room");
                }
            }
            let checked = scene.is_told(&scene.run(&["check", "--read-data"]), &why);
            let restored = scene.run(&["restore", "latest", "--target", "back"]);
            let is_told = scene.is_told(&restored, &why);
            if kind == "snapshots" && way == "flipped" {
                assert!(is_told, "{why}: another one was taken for the latest, without a word");
            }
            scene.assert_no_wrong_byte(is_told, &why);
            assert!(checked || !is_told, "{why}: a restore met what a check did not find");
            if must_be_told && way != "under another name too" {
                assert!(checked, "{why}: a check found nothing");
            }
        }
    }
}
