//! A disk that is really full, at one write after the other: the program says so and ends with 20, what
//! was confirmed is read while it is still full, and once there is room the same command does its work.
//!
//! Free space grows in a few steps; in steps of so many KiB as `DEVSNAP_FULL_DISK_STEP` says for a long run:
//! `DEVSNAP_FULL_DISK_STEP=4 cargo test -p devsnap --release --test cli full_disk -- --nocapture`
use crate::program::{err, objects_of, program, said_by};
use crate::small_disk::{SmallDisk, copy};
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{Held, held_by_disk};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PHONE: PhoneLike = PhoneLike { seed: 33, files: 40, total_bytes: 600 << 10 };

/// More room than any of the commands takes.
const ENOUGH_KIB: u64 = 6 << 10;

/// What lies on the small disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Small {
    Repository,
    /// With it all temporary files but those of the repository itself.
    Cache,
    Target,
}

/// A repository of two days with a third to come, and a disk to fill.
struct Scene {
    home: TempDir,
    disk: SmallDisk,
    small: Small,
    first: String,
    days: Vec<Held>,
}

impl Scene {
    fn new(small: Small) -> Option<Scene> {
        let disk = SmallDisk::mounted(&format!("a full disk under the {small:?}"))?;
        let home = tempfile::tempdir().expect("because there is room");
        let mut scene = Scene { home, disk, small, first: String::new(), days: Vec::new() };
        fs::write(scene.at("password"), "no room\n").expect("because there is room");
        scene.done(&["init"]);
        let data = scene.at("data");
        PHONE.write(&data).expect("because there is room");
        for day in 1..=3 {
            let said = scene.done(&["snapshot", "data", "--json", "--no-progress"]);
            let id = objects_of(&said).last().map(|summary| summary["snapshot_id"].clone());
            let id = id.expect("because it ends with a summary");
            let id = id.as_str().expect("because it has an id").to_owned();
            if day == 2 {
                // Something for a prune to free, beside what stays.
                scene.done(&["forget", &id]);
            } else {
                scene.days.push(held_by_disk(&data));
            }
            if day == 1 {
                scene.first = id;
            }
            PHONE.mutate(&data, day).expect("because there is room");
        }
        for kept in ["repository", "cache"] {
            copy(&scene.place(kept), &scene.at(&format!("{kept}.kept")));
        }
        Some(scene)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    /// Where `repository`, `cache` and `target` are.
    fn place(&self, what: &str) -> PathBuf {
        match (self.small, what) {
            (Small::Repository, "repository")
            | (Small::Cache, "cache")
            | (Small::Target, "target") => self.disk.path().join(what),
            _ => self.at(what),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = program(self.home.path(), self.place("repository"), words);
        command.env("DEVSNAP_PASSWORD_FILE", self.at("password"));
        command.env("DEVSNAP_CACHE_DIR", self.place("cache"));
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("because it was built")
    }

    fn done(&self, words: &[&str]) -> String {
        said_by(self.run(words))
    }

    /// Everything as it was before the first try.
    fn reset(&self, with_cache: bool) {
        self.disk.free();
        for what in ["repository", "cache", "target"] {
            let _ = fs::remove_dir_all(self.place(what));
        }
        let _ = fs::remove_dir_all(self.at("other-cache"));
        copy(&self.at("repository.kept"), &self.place("repository"));
        if with_cache {
            copy(&self.at("cache.kept"), &self.place("cache"));
        }
    }

    /// What was confirmed comes back exactly, through a cache that knows nothing and is not on the disk.
    fn assert_whole(&self, why: &str) {
        let (cache, target) = (self.at("other-cache"), self.at("back"));
        for (id, held) in [(self.first.as_str(), &self.days[0]), ("latest", &self.days[1])] {
            let back = target.to_string_lossy().into_owned();
            let mut command = self.command(&["restore", id, "--target", &back]);
            let output = command.env("DEVSNAP_CACHE_DIR", &cache).output();
            said_by(output.expect("because it was built"));
            assert!(held_by_disk(&target) == *held, "{why}: {id} is not what was kept");
            fs::remove_dir_all(&target).expect("because the restore made it");
        }
    }

    /// Runs `words` with more and more room until they end well; what each failure said and left is looked at.
    fn fill(&self, words: &[&str], with_cache: bool) {
        let step_kib = self.step_kib();
        let mut failed = 0;
        for room_kib in (0..).map(|n| n * step_kib) {
            let why = format!("{:?}, {words:?}, {room_kib} KiB free", self.small);
            assert!(room_kib <= ENOUGH_KIB + step_kib, "{why}: it never ends well");
            self.reset(with_cache);
            self.disk.leave(room_kib << 10);
            let output = self.run(words);
            let said = err(&output);
            assert!(!said.contains("panicked"), "{why}: {said}");
            if output.status.code() == Some(0) && room_kib > 0 {
                println!("{why}: done, after {failed} failures");
                break;
            }
            if output.status.code() != Some(0) {
                failed += 1;
                assert_eq!(output.status.code(), Some(20), "{why}: {said}");
                assert!(said.contains("no space left"), "{why}: {said}");
                assert!(said.contains("free some space and run the same command again"), "{why}");
            }
            if words[0] != "snapshot" || output.status.code() != Some(0) {
                // The disk is still full: reading takes no room in the repository.
                self.assert_whole(&why);
            }
            self.disk.free();
            self.done(words);
            self.done(&["check", "--read-data"]);
            self.assert_outcome(words, &why);
        }
    }

    fn step_kib(&self) -> u64 {
        let text = std::env::var("DEVSNAP_FULL_DISK_STEP").unwrap_or_default();
        let usual = if self.small == Small::Cache { 80 } else { 320 };
        text.parse().ok().filter(|step| *step > 0).unwrap_or(usual)
    }

    /// The command did its work in the end.
    fn assert_outcome(&self, words: &[&str], why: &str) {
        let target = self.place("target");
        match words[0] {
            "snapshot" => {
                let target = self.at("newest");
                self.done(&["restore", "latest", "--target", "newest"]);
                assert!(held_by_disk(&target) == held_by_disk(&self.at("data")), "{why}");
                fs::remove_dir_all(&target).expect("because the restore made it");
            }
            "restore" => assert!(held_by_disk(&target) == self.days[0], "{why}"),
            _ => self.assert_whole(why),
        }
    }
}

#[test]
fn a_full_repository_loses_nothing_and_every_command_goes_on_when_there_is_room() {
    let Some(scene) = Scene::new(Small::Repository) else { return };
    scene.fill(&["snapshot", "data"], true);
    scene.fill(&["prune", "--max-unused", "0", "--fence-after-hours", "0"], true);
    scene.fill(&["tag", "latest", "--add", "full"], true);
    scene.fill(&["key", "recovery"], true);
    scene.fill(&["check", "--read-data"], true);
}

#[test]
fn a_full_cache_folder_loses_nothing_and_every_command_goes_on_when_there_is_room() {
    let Some(scene) = Scene::new(Small::Cache) else { return };
    for with_cache in [true, false] {
        scene.fill(&["snapshot", "data"], with_cache);
        scene.fill(&["prune", "--max-unused", "0", "--fence-after-hours", "0"], with_cache);
        scene.fill(&["check", "--read-data"], with_cache);
    }
}

#[test]
fn a_full_target_holds_no_wrong_byte_and_the_restore_goes_on_when_there_is_room() {
    let Some(scene) = Scene::new(Small::Target) else { return };
    let target = scene.place("target").to_string_lossy().into_owned();
    scene.fill(&["restore", &scene.first, "--target", &target], true);
    // What came back before the disk was full is whole.
    scene.reset(true);
    scene.disk.leave(300 << 10);
    let output = scene.run(&["restore", &scene.first, "--target", &target]);
    assert_eq!(output.status.code(), Some(20), "{}", err(&output));
    let mut compared = 0;
    for (name, there) in held_by_disk(Path::new(&target)) {
        let is_temporary = name.rsplit('/').next().is_some_and(|n| n.starts_with(".devsnap-"));
        if !is_temporary {
            assert!(scene.days[0].get(&name) == Some(&there), "{name} is not what was kept");
            compared += 1;
        }
    }
    assert!(compared > 3, "only {compared} were there");
}
