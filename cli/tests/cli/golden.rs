//! Repositories of every released format version, made once and kept for ever: what they hold comes back.
//!
//! `golden/make` made them, and tells what is in them. They are never made again: a change that cannot
//! read them is a new format version, not a reason to touch them.
use crate::program::{program, said_by};
use crate::small_disk::copy;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// A copy of a golden repository, and a computer that never saw it.
struct Golden {
    version: PathBuf,
    home: TempDir,
}

/// What opens it.
enum With<'a> {
    Password(&'a str),
    Recovery,
    Station,
}

impl Golden {
    fn all() -> Vec<Golden> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let versions = fs::read_dir(folder).expect("because it is part of the sources");
        let versions = versions.map(|found| found.expect("because it can be listed").path());
        let copied = |version: PathBuf| {
            let home = tempfile::tempdir().expect("because there is room");
            copy(&version.join("repository"), &home.path().join("repository"));
            Golden { version, home }
        };
        versions.filter(|path| path.is_dir()).map(copied).collect()
    }

    fn run(&self, with: &With<'_>, words: &[&str]) -> Output {
        let home = self.home.path();
        let mut command = program(home, home.join("repository"), words);
        match with {
            With::Password(password) => drop(command.env("DEVSNAP_PASSWORD", password)),
            With::Recovery => {
                let file = self.version.join("recovery-key");
                command.arg("--recovery-key-file").arg(file);
            }
            With::Station => {
                command.arg("--key-file").arg(self.version.join("hall.key"));
            }
        }
        command.output().expect("because it was built")
    }

    fn done(&self, with: &With<'_>, words: &[&str]) -> String {
        println!("{}: {words:?}", self.version.display());
        said_by(self.run(with, words))
    }

    /// The tags of its snapshots, and the lines that tell what each of them holds.
    fn expected(&self, tag: &str) -> BTreeSet<String> {
        let lines = fs::read_to_string(self.version.join("expected"));
        let lines = lines.expect("because it is part of the sources");
        let own = lines.lines().filter_map(|line| line.strip_prefix(tag)?.strip_prefix(' '));
        own.map(str::to_owned).collect()
    }
}

/// The lines of `golden/make` for what lies in `folder`.
fn found(folder: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let stat = fs::symlink_metadata(&path).expect("because it was listed");
        let kind = stat.file_type();
        let (word, content) = if kind.is_dir() {
            let below = fs::read_dir(&path).expect("because it can be listed");
            waiting.extend(below.map(|entry| entry.expect("because it can be listed").path()));
            ("folder", Vec::new())
        } else if kind.is_file() {
            ("file", fs::read(&path).expect("because it was restored"))
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).expect("because it is a link");
            ("symlink", target.as_os_str().as_bytes().to_vec())
        } else {
            ("fifo", Vec::new())
        };
        let mtime = i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec());
        let names = if kind.is_file() { stat.nlink() } else { 1 };
        let name = path.strip_prefix(folder).expect("because it lies below");
        let name = if name == Path::new("") { OsStr::new(".") } else { name.as_os_str() };
        lines.insert(format!(
            "{word} {:o} {mtime} {names} {} {}",
            stat.mode() & 0o7777,
            hex(&Sha256::digest(content)),
            hex(name.as_bytes())
        ));
    }
    lines
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_snapshot_comes_back_with_any_key_that_opens_it() {
    let all = Golden::all();
    assert!(!all.is_empty());
    for golden in &all {
        for with in [With::Password("golden"), With::Password("golden-second"), With::Recovery] {
            for tag in ["kept", "station", "last"] {
                let target = tempfile::tempdir().expect("because there is room");
                let words = ["restore", tag, "--target", &*target.path().to_string_lossy()];
                golden.done(&with, &words);
                let expected = golden.expected(tag);
                assert!(expected.len() > 10, "{tag}");
                assert_eq!(found(target.path()), expected, "{tag}");
            }
        }
        let said = golden.done(&With::Password("golden"), &["check", "--read-data"]);
        assert!(said.contains("all is well"), "{said}");
        let shown = golden.done(&With::Recovery, &["show", "kept", "--json"]);
        assert!(shown.contains("\"description\":\"what a format holds\""), "{shown}");
    }
}

#[test]
fn it_goes_on_from_where_it_was() {
    for golden in Golden::all() {
        let target = tempfile::tempdir().expect("because there is room");
        let place = &*target.path().to_string_lossy();
        golden.done(&With::Password("golden"), &["restore", "last", "--target", place]);
        let words = ["snapshot", place, "--host", "desk", "--json"];
        for with in [With::Password("golden"), With::Station] {
            let told = golden.done(&with, &words);
            let summary = told.lines().last().expect("because it ends with a summary");
            let summary: serde_json::Value = serde_json::from_str(summary).expect("JSON");
            // Nothing is stored again: chunks are cut and named as they were.
            assert_eq!(summary["bytes_added"], 0, "{told}");
        }
        let denied = golden.run(&With::Station, &["restore", "last", "--target", place]);
        assert_eq!(denied.status.code(), Some(1));
    }
}
