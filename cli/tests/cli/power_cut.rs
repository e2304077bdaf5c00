//! Power that goes at any moment of `snapshot` and `prune` on a local disk: what a system call has not made
//! durable is lost, and nothing that was confirmed is.
//!
//! The program runs under `strace`. From what it asked of the kernel follows what a disk may hold after each
//! call: the promise is kept by what was synced alone, and by nothing else that a file system may do well.
//! Some twenty of those states are looked at; all of them with `DEVSNAP_POWER_CUTS=all` in the environment.
use crate::power_cut::disk::{Disk, Files};
use crate::program::{Home, PASSWORD, objects_of, said_by};
use devsnap_backends::LocalBackend;
use devsnap_engine::progress::Silent;
use devsnap_engine::repository::{Repository, Unlock};
use devsnap_testkit::phone_like::PhoneLike;
use devsnap_testkit::test_repository::{Held, held, held_by_disk};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

mod disk;
mod trace;

const PHONE: PhoneLike = PhoneLike { seed: 77, files: 12, total_bytes: 150 << 10 };
const STATES: usize = 20;

/// Calls that change files or make changes last.
const CALLS: &str = "openat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,rename,renameat,renameat2,link,linkat,\
                     unlink,unlinkat,mkdir,mkdirat,ftruncate,copy_file_range,sendfile";

struct Scene {
    home: Home,
    days: Vec<Held>,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { home: Home::new(), days: Vec::new() };
        PHONE.write(&scene.home.at("data")).expect("because there is room");
        scene.home.done(&["init"]);
        scene
    }

    /// A day that is kept.
    fn keep(&mut self, traced: bool) -> Vec<(Files, bool)> {
        self.days.push(held_by_disk(&self.home.at("data")));
        let words = ["snapshot", "data", "--json", "--no-progress"];
        let states = match traced {
            true => self.traced(&words),
            false => {
                self.home.done(&words);
                Vec::new()
            }
        };
        let day = u32::try_from(self.days.len()).expect("because there are few");
        PHONE.mutate(&self.home.at("data"), day).expect("because there is room");
        states
    }

    /// Runs the program to its end; every state its disk may have been left in, and whether it had said by
    /// then that a snapshot is saved.
    fn traced(&self, words: &[&str]) -> Vec<(Files, bool)> {
        let repository = self.home.at("repository");
        let mut disk = Disk::holding(&repository);
        let plain = self.home.command(words);
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-xx", "-s", "100000000", "-e"]).arg(format!("trace={CALLS}"));
        command.arg("-o").arg(self.home.at("trace")).arg("--").arg(plain.get_program());
        command.args(plain.get_args()).current_dir(self.home.at("")).stdin(Stdio::null());
        command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        said_by(command.output().expect("because it was tried before"));
        let trace = fs::read_to_string(self.home.at("trace")).expect("because strace wrote it");
        let states = disk.replay(&trace);
        disk.assert_is_what_lies_there();
        states
    }

    /// What must be there is there, and what counts is whole.
    fn assert_whole(&self, files: &Files, at_least: usize, why: &str) {
        let place = self.home.at("after");
        for (name, bytes) in files {
            let path = place.join(name);
            fs::create_dir_all(path.parent().expect("because it lies in the folder"))
                .expect("because there is room");
            fs::write(path, bytes).expect("because there is room");
        }
        fs::create_dir_all(&place).expect("because there is room");
        let cache = tempfile::tempdir().expect("because there is room");
        let backend = LocalBackend::open(&place).expect(why);
        let unlock = Unlock::Password(PASSWORD.as_bytes());
        let repository =
            Repository::open(Box::new(backend), &unlock, cache.path(), &Silent).expect(why);
        let listed = repository.snapshots().expect(why);
        assert!(listed.unreadable.is_empty(), "{why}: {:?}", listed.unreadable);
        assert!(listed.named.len() >= at_least, "{why}: a confirmed snapshot is gone");
        for named in &listed.named {
            let held = held(&repository, &named.snapshot).expect(why);
            assert!(self.days.contains(&held), "{why}: what counts is not what was kept");
        }
        drop(repository);
        fs::remove_dir_all(place).expect("because it was made");
    }
}

fn has_strace() -> bool {
    let mut command = Command::new("strace");
    let tried = command.args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        // Not `eprintln!`, which is silent in a test that passes.
        let _ = writeln!(
            std::io::stderr(),
            "\nNOT RUN: lost writes and renames of a local disk: there is no strace here that may trace; \
             power cuts between whole writes are tested all the same\n"
        );
    }
    works
}

#[test]
fn what_was_not_synced_may_be_lost_at_any_moment_and_nothing_confirmed_is() {
    if !has_strace() {
        return;
    }
    let mut scene = Scene::new();
    scene.keep(false);
    let snapshot = scene.keep(true);
    scene.look_at(&snapshot, 1, 2, "snapshot");
    scene.keep(false);
    // The second day goes; a prune moves and deletes what it alone had.
    let list = scene.home.done(&["snapshots", "--json"]);
    let ids: Vec<_> =
        objects_of(&list).into_iter().filter(|line| line["message_type"] == "snapshot").collect();
    let id = ids[1]["id"].as_str().unwrap();
    scene.home.done(&["forget", id]);
    let prune = scene.traced(&["prune", "--max-unused", "0"]);
    scene.look_at(&prune, 2, 2, "prune");
}

impl Scene {
    fn look_at(&self, states: &[(Files, bool)], before: usize, after: usize, what: &str) {
        assert!(states.len() > 6, "{what}: a disk goes through more than {} states", states.len());
        let all = std::env::var_os("DEVSNAP_POWER_CUTS").is_some_and(|which| which == "all");
        let step = if all { 1 } else { states.len().div_ceil(STATES) };
        let mut looked = 0;
        // From the end, so that the last of them is always there.
        for (number, (files, is_saved)) in states.iter().enumerate().rev().step_by(step) {
            let at_least = if *is_saved { after } else { before };
            self.assert_whole(
                files,
                at_least,
                &format!("{what}, state {number} of {}", states.len()),
            );
            looked += 1;
        }
        let saved: BTreeSet<bool> = states.iter().map(|(_, is_saved)| *is_saved).collect();
        assert!(saved.contains(&false), "{what}: it says nothing before it begins");
        println!("{what}: {looked} of {} states of the disk, nothing lost", states.len());
    }
}
