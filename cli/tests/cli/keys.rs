//! Keys as a person changes them: who gets in afterwards, and what each change says of itself.
use crate::program::{ends_with, err, objects_of, program, said_by, unread};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Two computers, `here` and `there`, and a repository between them.
struct World(TempDir);

impl World {
    fn new() -> World {
        let world = World(tempfile::tempdir().expect("because the test prepared it"));
        for (name, text) in [("first", "first\n"), ("second", "second\n")] {
            fs::write(world.at(name), text).expect("because the test prepared it");
        }
        for folder in ["here", "there", "data"] {
            fs::create_dir(world.at(folder)).expect("because the test prepared it");
        }
        fs::write(world.at("data/note.txt"), "kept\n").expect("because the test prepared it");
        let made = world.json("here", &["init", "--password-file", "first"]);
        let key = made.last().and_then(|line| line["recovery_key"].as_str()).expect("is printed");
        fs::write(world.at("recovery"), key).expect("because the test prepared it");
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn command(&self, computer: &str, words: &[&str]) -> Command {
        let mut command = program(&self.at(computer), self.at("repository"), words);
        command.current_dir(self.0.path());
        command
    }

    fn run(&self, computer: &str, words: &[&str]) -> Output {
        self.command(computer, words).output().expect("because it was built")
    }

    fn done(&self, computer: &str, words: &[&str]) -> String {
        said_by(self.run(computer, words))
    }

    /// What it says, as one line: people read it wrapped.
    fn sentence(&self, computer: &str, words: &[&str]) -> String {
        let said = self.done(computer, words);
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn json(&self, computer: &str, words: &[&str]) -> Vec<Value> {
        objects_of(&self.done(computer, &[words, &["--json", "--no-progress"]].concat()))
    }

    /// The keys, without the summary.
    fn keys(&self) -> Vec<Value> {
        let mut lines = self.json("here", &["key", "list", "--password-file", "first"]);
        let summary = lines.pop().expect("because there is a summary");
        assert_eq!(summary["keys"], lines.len());
        lines
    }

    fn restores(&self, computer: &str, words: &[&str]) {
        let _ = fs::remove_dir_all(self.at("back"));
        self.done(computer, &[&["restore", "latest", "--target", "back"], words].concat());
        assert_eq!(
            fs::read_to_string(self.at("back/note.txt")).expect("because it was restored"),
            "kept\n"
        );
    }
}

#[test]
fn a_second_password_opens_until_it_is_removed() {
    let world = World::new();
    let first = ["--password-file", "first"];
    world.done("here", &[["snapshot", "data"], first].concat());
    let add = ["key", "add", "laptop", "--new-password-file", "second"];
    let said = world.sentence("here", &[add.as_slice(), &first].concat());
    assert!(said.contains("(laptop)") && said.contains("cannot be taken back"), "{said}");
    world.restores("there", &["--password-file", "second"]);

    let keys = world.keys();
    assert_eq!(keys.len(), 3);
    let (own, new) = (&keys[0], &keys[2]);
    assert_eq!((&own["kind"], &own["current"]), (&"password".into(), &true.into()));
    assert_eq!((&new["label"], &new["current"]), (&"laptop".into(), &false.into()));
    assert_eq!(new["kdf"]["memory_kib"], 64 * 1024);
    let listed = world.done("here", &[["key", "list"], first].concat());
    assert!(listed.contains("* ") && listed.contains("64 MiB × 3"), "{listed}");

    let again = world.run("here", &[add.as_slice(), &first].concat());
    ends_with(&again, 1, "has it already: choose another");

    let id = new["short_id"].as_str().unwrap();
    let said = world.sentence("here", &[["key", "remove", id].as_slice(), &first].concat());
    assert!(said.contains("Not taken back") && said.contains("key rotate"), "{said}");
    ends_with(&world.run("there", &["snapshots", "--password-file", "second"]), 12, "password");
    ends_with(&world.run("here", &[["key", "remove", id].as_slice(), &first].concat()), 1, id);
    world.restores("here", &first);
}

#[test]
fn the_last_key_stays_and_the_recovery_key_gets_a_new_password_in() {
    let world = World::new();
    let recovery = ["--recovery-key-file", "recovery"];
    let id = world.keys()[0]["short_id"].as_str().unwrap().to_owned();
    world.done("here", &[["key", "remove", &id].as_slice(), &recovery].concat());
    ends_with(&world.run("here", &["snapshots", "--password-file", "first"]), 12, "password");
    let last = world.json("here", &[["key", "list"], recovery].concat());
    let id = last[0]["short_id"].as_str().unwrap();
    let refused = world.run("here", &[["key", "remove", id].as_slice(), &recovery].concat());
    ends_with(&refused, 1, "the last one that opens the repository");
    let passwd = ["key", "passwd", "--new-password-file", "second"];
    let refused = world.run("here", &[passwd.as_slice(), &recovery].concat());
    ends_with(&refused, 2, "devsnap key add");
    let add = ["key", "add", "--new-password-command", "cat second"];
    world.done("here", &[add.as_slice(), &recovery].concat());
    world.done("here", &["snapshots", "--password-file", "second"]);
}

#[test]
fn passwd_changes_the_password_and_says_what_stays() {
    let world = World::new();
    let mut command = world.command("here", &["key", "passwd"]);
    command.env("DEVSNAP_PASSWORD_FILE", "first").env("DEVSNAP_NEW_PASSWORD", "third");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(said.contains("only wraps") && !said.contains("third"), "{said}");
    ends_with(&world.run("here", &["snapshots", "--password-file", "first"]), 12, "password");
    world.done("here", &["snapshots", "--password-command", "echo third"]);
}

#[test]
fn without_a_new_password_and_a_terminal_it_ends_at_once_with_2() {
    let world = World::new();
    for words in [&["key", "add"][..], &["key", "passwd"]] {
        let output = world.run("here", &[words, &["--password-file", "first"]].concat());
        ends_with(&output, 2, "no new password is given");
    }
    assert_eq!(world.keys().len(), 2);
}

#[test]
fn a_new_recovery_key_is_printed_once_and_takes_the_place_of_the_old() {
    let world = World::new();
    let first = ["--password-file", "first"];
    world.done("here", &[["snapshot", "data"], first].concat());
    let said = world.json("here", &[["key", "recovery"], first].concat());
    let key = said[0]["recovery_key"].as_str().unwrap();
    assert!(said[1]["not_revoked"].as_str().unwrap().contains("copies"));
    fs::write(world.at("new"), key).unwrap();
    world.restores("there", &["--recovery-key-file", "new"]);
    let old = world.run("here", &["snapshots", "--recovery-key-file", "recovery"]);
    ends_with(&old, 12, "password");
    // What nobody could see does not take the place of what is on paper.
    let mut command = world.command("here", &[["key", "recovery"], first].concat());
    let unseen = unread(&mut command);
    ends_with(&unseen, 1, "recovery key could not be printed");
    assert!(err(&unseen).contains("still opens"), "{}", err(&unseen));
    world.done("there", &["snapshots", "--recovery-key-file", "new"]);
    let text = world.done("here", &[["key", "recovery"], first].concat());
    assert!(text.contains("Write it down") && text.contains("old recovery key"), "{text}");
}

#[test]
fn what_was_kept_before_and_after_a_rotation_comes_back() {
    let world = World::new();
    let first = ["--password-file", "first"];
    world.done("here", &[["snapshot", "data"], first].concat());
    let said = world.sentence("here", &[["key", "rotate"], first].concat());
    assert!(said.contains("Not taken back"), "{said}");
    world.restores("there", &["--recovery-key-file", "recovery"]);
    fs::write(world.at("data/more"), vec![3; 100_000]).unwrap();
    world.done("here", &[["snapshot", "data"], first].concat());
    world.restores("there", &["--recovery-key-file", "recovery"]);
    assert!(world.at("back/more").exists());
}

#[test]
fn a_station_adds_snapshots_and_is_refused_everything_else_in_a_sentence() {
    let world = World::new();
    let first = ["--password-file", "first"];
    let add = ["key", "writer", "add", "hall", "--output", "hall.key"];
    let said = world.sentence("here", &[add.as_slice(), &first].concat());
    assert!(said.contains("hall.key") && said.contains("It reads no"), "{said}");
    assert_eq!(fs::metadata(world.at("hall.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = world.run("here", &[add.as_slice(), &first].concat());
    ends_with(&again, 1, "is there already");
    assert_eq!(world.keys().len(), 3, "nothing was added");

    let station = ["--key-file", "hall.key"];
    world.done("there", &[["snapshot", "data"], station].concat());
    world.done("there", &[["snapshot", "data"], station].concat());
    assert_eq!(world.json("there", &[["snapshots"].as_slice(), &station].concat()).len(), 3);
    world.done("there", &[["show", "latest"], station].concat());
    world.done("there", &[["stats"].as_slice(), &station].concat());
    for words in [
        &["restore", "latest", "--target", "back"][..],
        &["ls", "latest"],
        &["find", "note*"],
        &["diff", "latest~1", "latest"],
        &["dump", "latest", "note.txt"],
        &["check"],
        &["check", "--read-data"],
        &["key", "list"],
        &["key", "rotate"],
        &["forget", "latest"],
        &["forget", "--keep-last", "1"],
        &["prune"],
        &["tag", "latest", "--add", "mine"],
        &["describe", "latest", "mine"],
    ] {
        let refused = world.run("there", &[words, &station].concat());
        ends_with(&refused, 1, "this key file may only add snapshots: ");
        let mut command = world.command("there", words);
        let refused = command.env("DEVSNAP_KEY_FILE", world.at("hall.key")).output().unwrap();
        ends_with(&refused, 1, "this key file may only add snapshots: ");
    }
    assert!(!world.at("back").exists(), "nothing was done");
    world.restores("here", &first);

    let id = world.keys()[2]["id"].as_str().unwrap().to_owned();
    let said = world.sentence("here", &[["key", "remove", &id].as_slice(), &first].concat());
    assert!(said.contains("adds nothing now"), "{said}");
    let refused = world.run("there", &[["snapshot", "data"], station].concat());
    ends_with(&refused, 12, "this key was removed");
    assert!(err(&refused).contains("--key-file"), "{}", err(&refused));
    world.restores("here", &first);
}

#[test]
fn what_a_station_adds_is_no_reason_to_forget_the_last_of_another() {
    let world = World::new();
    let first = ["--password-file", "first"];
    let add = ["key", "writer", "add", "hall", "--output", "hall.key"];
    world.done("here", &[add.as_slice(), &first].concat());
    let snapshot = ["snapshot", "data", "--host", "desk"];
    world.done("here", &[snapshot.as_slice(), &first].concat());
    world.done("there", &[snapshot.as_slice(), &["--key-file", "hall.key"]].concat());
    let forget = ["forget", "latest~1"];
    let refused = world.run("here", &[forget.as_slice(), &first].concat());
    ends_with(&refused, 1, "forget the last snapshot of");
    assert!(err(&refused).contains("by writer"), "{}", err(&refused));
    world.done("here", &[forget.as_slice(), &["--allow-last"], &first].concat());
}

#[test]
fn what_is_no_key_file_opens_nothing() {
    let world = World::new();
    let refused = world.run("here", &["snapshot", "data", "--key-file", "first"]);
    ends_with(&refused, 12, "no writer key");
    let (one, other) = (World::new(), world);
    let add = ["key", "writer", "add", "hall", "--output", "hall.key", "--password-file", "first"];
    one.done("here", &add);
    let key = one.at("hall.key").display().to_string();
    let refused = other.run("here", &["snapshot", "data", "--key-file", &key]);
    ends_with(&refused, 12, "is for another repository");
    let world = other;
    let both = ["snapshots", "--key-file", "first", "--password-file", "first"];
    ends_with(&world.run("here", &both), 2, "--key-file");
}

#[test]
fn an_older_state_of_the_keys_is_refused_by_who_saw_the_newer() {
    let world = World::new();
    let config = world.at("repository/config");
    let kept: Vec<_> = fs::read_dir(&config)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let passwd = ["key", "passwd", "--password-file", "first", "--new-password-file", "second"];
    world.done("here", &passwd);
    for entry in fs::read_dir(&config).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    kept.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    for password in ["first", "second"] {
        let refused = world.run("here", &["snapshots", "--password-file", password]);
        ends_with(&refused, 26, "an older state than was seen there");
    }
    world.done("here", &["cache", "clear"]);
    world.done("here", &["snapshots", "--password-file", "first"]);
}
