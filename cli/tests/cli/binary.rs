//! The program as a person runs it: its words, its exit codes, what it keeps to itself.
use crate::program::{PASSWORD, ends_with, err, objects_of, program, said_by, unread};
use devsnap_testkit::backup_set::{BackupSetFixture, UDID};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A home of its own with nothing of the tester's environment.
struct Home(TempDir);

impl Home {
    fn new() -> Home {
        let home = Home(tempfile::tempdir().expect("because the test prepared it"));
        fs::write(home.at("password"), format!("{PASSWORD}\n"))
            .expect("because the test prepared it");
        fs::create_dir(home.at("data")).expect("because the test prepared it");
        fs::write(home.at("data/note.txt"), "first\n").expect("because the test prepared it");
        fs::create_dir(home.at("data/sub")).expect("because the test prepared it");
        fs::write(home.at("data/sub/large"), vec![7; 300_000])
            .expect("because the test prepared it");
        std::os::unix::fs::symlink("note.txt", home.at("data/link"))
            .expect("because the test prepared it");
        home
    }

    fn with_repository() -> Home {
        let home = Home::new();
        home.done(&["init"]);
        home
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// With no password in sight.
    fn bare(&self, words: &[&str]) -> Command {
        program(self.0.path(), self.at("repository"), words)
    }

    fn run(&self, words: &[&str]) -> Output {
        self.bare(words)
            .env("DEVSNAP_PASSWORD_FILE", self.at("password"))
            .output()
            .expect("because the test prepared it")
    }

    /// Standard output of a command that must end well.
    fn done(&self, words: &[&str]) -> String {
        let said = said_by(self.run(words));
        assert!(!said.contains(PASSWORD));
        said
    }

    /// Whether it ends well or not.
    fn json(&self, words: &[&str]) -> Vec<serde_json::Value> {
        let output = self.run(&[words, &["--json", "--no-progress"]].concat());
        objects_of(&String::from_utf8(output.stdout).expect("because it prints text"))
    }
}

#[test]
fn what_cannot_be_meant_ends_with_2() {
    let home = Home::new();
    ends_with(&home.run(&["snapshots", "--no-such-flag"]), 2, "--no-such-flag");
    ends_with(&home.run(&["snapshot", "data", "--exclude", "a["]), 2, "a[");
    ends_with(&home.run(&["-r", "s3://key@bucket/x", "snapshots"]), 2, "must not hold");
    let lines = home.json(&["snapshots", "--no-such-flag"]);
    assert_eq!((&lines[0]["message_type"], &lines[0]["code"]), (&"error".into(), &2.into()));
}

#[test]
fn without_a_password_and_a_terminal_it_ends_at_once_with_2() {
    let home = Home::new();
    ends_with(&home.bare(&["init"]).output().unwrap(), 2, "no new repository password is given");
    assert!(!home.at("repository").exists(), "nothing was made");
}

#[test]
fn a_cache_folder_that_cannot_be_used_is_named_with_what_to_do() {
    let home = Home::with_repository();
    let output = home.run(&["snapshots", "--cache-dir", "data/note.txt"]);
    ends_with(&output, 1, "data/note.txt");
    assert!(err(&output).contains("--cache-dir or DEVSNAP_CACHE_DIR"));
}

#[test]
fn without_any_credentials_s3_says_which_to_set() {
    let home = Home::new();
    let mut command = home.bare(&["-r", "s3:http://127.0.0.1:9/bucket/prefix", "snapshots"]);
    let output = command.env("DEVSNAP_PASSWORD", PASSWORD).output().unwrap();
    ends_with(&output, 1, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
}

#[test]
fn a_restore_that_finds_nothing_to_include_says_so() {
    let home = Home::with_repository();
    home.done(&["snapshot", "data"]);
    let output = home.run(&["restore", "latest", "--target", "back", "--include", "no-such*"]);
    ends_with(&output, 0, "nothing in the snapshot matches --include");
    let output = home.run(&["restore", "latest", "--target", "back", "--include", "note*"]);
    assert_eq!((output.status.code(), err(&output).contains("matches")), (Some(0), false));
    assert!(home.at("back/note.txt").exists() && !home.at("back/link").exists());
}

#[test]
fn without_a_repository_it_ends_with_10_and_says_how_to_make_one() {
    let home = Home::new();
    ends_with(&home.run(&["snapshots"]), 10, "devsnap init");
    fs::create_dir(home.at("repository")).unwrap();
    ends_with(&home.run(&["snapshots"]), 10, "devsnap init");
    let default = home.bare(&["snapshots"]).env_remove("DEVSNAP_REPOSITORY").output().unwrap();
    ends_with(&default, 10, ".local/share/devsnap/repository");
}

#[test]
fn a_wrong_password_ends_with_12_and_stays_unsaid() {
    let home = Home::with_repository();
    let wrong = home.bare(&["snapshots"]).env("DEVSNAP_PASSWORD", "hunter2").output().unwrap();
    ends_with(&wrong, 12, "password");
    assert!(!err(&wrong).contains("hunter2"));
}

#[test]
fn the_recovery_key_opens_what_the_password_opens() {
    let home = Home::new();
    let lines = home.json(&["init"]);
    let key = lines.last().unwrap()["recovery_key"].as_str().unwrap().to_owned();
    fs::write(home.at("key"), key).unwrap();
    let output = home.bare(&["snapshots", "--recovery-key-file", "key"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn a_second_init_changes_nothing() {
    let home = Home::with_repository();
    home.done(&["snapshot", "data"]);
    ends_with(&home.run(&["init"]), 1, "already");
    assert_eq!(home.json(&["snapshots"]).len(), 2);
}

#[test]
fn a_path_that_is_not_there_ends_with_1() {
    let home = Home::with_repository();
    ends_with(&home.run(&["snapshot", "missing"]), 1, "there is no missing");
    home.done(&["snapshot", "data"]);
    ends_with(&home.run(&["ls", "latest", "missing"]), 1, "there is no `missing`");
    ends_with(&home.run(&["dump", "latest", "sub"]), 1, "not a file");
    ends_with(&home.run(&["restore", "latest:/no", "--target", "back"]), 1, "there is no `no`");
    ends_with(&home.run(&["show", "no-such-tag"]), 1, "no-such-tag");
    assert!(!home.at("back").exists());
}

#[test]
fn what_was_kept_is_listed_compared_found_and_comes_back() {
    let home = Home::with_repository();
    home.done(&["snapshot", "data", "--tag", "first"]);
    fs::write(home.at("data/note.txt"), "second\n").unwrap();
    fs::remove_file(home.at("data/link")).unwrap();
    fs::write(home.at("data/new"), "new").unwrap();
    home.done(&["backup", "data"]);

    assert_eq!(home.done(&["ls", "first", "-R"]), "link\nnote.txt\nsub\nsub/large\n");
    assert_eq!(home.done(&["ls", "latest", "/sub/"]), "sub/large\n");
    let diff = home.done(&["diff", "first", "latest", "-q"]);
    for line in ["- link", "+ new", "M note.txt"] {
        assert!(diff.lines().any(|l| l == line), "{diff}");
    }
    assert!(home.done(&["find", "lar*", "--snapshot", "first"]).contains("sub/large"));
    assert_eq!(home.done(&["dump", "first", "note.txt"]), "first\n");
    assert!(home.done(&["snapshots", "--tag", "first"]).contains("1 snapshot"));

    home.done(&["restore", "first", "--target", "back"]);
    assert_eq!(fs::read(home.at("back/note.txt")).unwrap(), b"first\n");
    assert_eq!(fs::read(home.at("back/sub/large")).unwrap(), vec![7; 300_000]);
    assert_eq!(fs::read_link(home.at("back/link")).unwrap(), Path::new("note.txt"));
    home.done(&["restore", "latest:/sub", "--target", "part"]);
    assert_eq!(fs::read(home.at("part/large")).unwrap(), vec![7; 300_000]);
    home.done(&["check", "--read-data"]);
}

#[test]
fn what_the_list_shows_a_folder_as_can_be_typed() {
    let home = Home::with_repository();
    fs::write(home.at("data/icon@2x"), "icon").unwrap();
    home.done(&["snapshot", "data", "--host", "desk"]);
    let folder = home.at("data").canonicalize().unwrap();
    let shown = format!("desk:{}", folder.display());
    assert!(home.done(&["snapshots"]).contains(&shown));
    assert!(home.done(&["ls", &format!("{shown}@latest")]).contains("note.txt"));

    home.done(&["restore", &format!("{shown}@latest:/sub"), "--target", "part"]);
    assert!(home.at("part/large").is_file());
    home.done(&["restore", &format!("{shown}@latest"), "--target", "all"]);
    assert!(home.at("all/note.txt").is_file());
    home.done(&["restore", "latest:/icon@2x", "--target", "icon"]);
    assert!(home.at("icon/icon@2x").is_file());
}

#[test]
fn dry_runs_leave_no_trace() {
    let home = Home::with_repository();
    home.done(&["snapshot", "data", "--dry-run"]);
    assert!(home.done(&["snapshots"]).contains("no snapshots"));
    home.done(&["snapshot", "data"]);
    home.done(&["restore", "latest", "--target", "back", "--dry-run"]);
    assert!(!home.at("back").exists());
}

#[test]
fn every_line_of_json_is_an_object_with_a_type() {
    let home = Home::with_repository();
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(home.at("data").join(odd), "odd").unwrap();
    for words in [
        &["snapshot", "data"][..],
        &["snapshots"],
        &["show", "latest"],
        &["ls", "latest", "-R"],
        &["find", "*"],
        &["diff", "latest", "latest"],
        &["restore", "latest", "--target", "back"],
        &["check"],
        &["stats"],
        &["cache", "path"],
        &["version"],
        &["show", "no-such-tag"],
    ] {
        let lines = home.json(words);
        assert!(!lines.is_empty(), "{words:?}");
        for line in &lines {
            assert!(line["message_type"].is_string(), "{words:?}: {line}");
        }
    }
    let node = home.json(&["ls", "latest"]).into_iter().find(|l| l["path_hex"].is_string());
    assert_eq!(node.expect("the odd name is listed")["path_hex"], "636166e9");
}

#[test]
fn a_damaged_pack_ends_with_26() {
    let home = Home::with_repository();
    let noise: Vec<u8> =
        (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(home.at("data/noise"), noise).unwrap();
    home.done(&["snapshot", "data"]);
    let mut files = Vec::new();
    files_below(&home.at("repository"), &mut files);
    let largest = files.iter().max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap();
    let mut bytes = fs::read(largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(largest).unwrap();
    fs::write(largest, bytes).unwrap();

    ends_with(&home.run(&["check", "--read-data"]), 26, "damage");
    let lines = home.json(&["check", "--read-data"]);
    assert!(lines.iter().any(|line| line["severity"] == "damage"), "{lines:?}");

    let heard = home.run(&["restore", "latest", "--target", "heard"]).status.code();
    assert!(matches!(heard, Some(3 | 26)), "{heard:?}");
    for (words, code) in [
        (&["check", "--read-data"][..], Some(26)),
        (&["restore", "latest", "--target", "unheard"][..], heard),
    ] {
        let output = unread(home.bare(words).env("DEVSNAP_PASSWORD", PASSWORD));
        assert_eq!(output.status.code(), code, "{words:?}: {}", err(&output));
    }
}

#[test]
fn a_listing_without_a_reader_ends_well_and_an_init_does_not() {
    let home = Home::new();
    let output = unread(home.bare(&["init"]).env("DEVSNAP_PASSWORD", PASSWORD));
    ends_with(&output, 1, "recovery key could not be printed");
    assert!(err(&output).contains("run `devsnap init` again"));

    fs::remove_dir_all(home.at("repository")).unwrap();
    home.done(&["init"]);
    home.done(&["snapshot", "data"]);
    let output = unread(home.bare(&["ls", "latest"]).env("DEVSNAP_PASSWORD", PASSWORD));
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("because the test prepared it") {
        let path = entry.expect("because the test prepared it").path();
        if path.is_dir() { files_below(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_phones_backup_shows_its_device_and_an_unfinished_one_is_refused() {
    let home = Home::with_repository();
    let folder = BackupSetFixture::new(1).write(&home.at("data")).unwrap();
    let folder = folder.to_str().unwrap();
    home.done(&["snapshot", folder]);
    assert!(home.done(&["snapshots"]).contains("Anna’s iPhone, iOS 17.5.1"));
    assert_eq!(home.done(&["ls", "Anna's iPhone@latest"]), format!("{UDID}\n"));

    BackupSetFixture::new(1).stopped_while("moving").write(&home.at("data")).unwrap();
    ends_with(&home.run(&["snapshot", folder]), 1, "--allow-unfinished");
    ends_with(&home.run(&["snapshot", folder, "--allow-unfinished"]), 3, "not finished (moving)");
    assert!(home.done(&["snapshots"]).contains("incomplete"), "and it says so for ever");
    home.done(&["snapshot", folder, "--as-folder"]);
}

#[test]
fn the_cache_can_go_at_any_time() {
    let home = Home::with_repository();
    home.done(&["snapshot", "data"]);
    assert!(home.done(&["cache", "clear"]).contains("1 repositories"));
    assert_eq!(home.done(&["dump", "latest", "note.txt"]), "first\n");
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_a_terminal_that_goes_away_stops_nothing() {
    let home = Home::with_repository();
    let command = home.bare(&[]);
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(command.get_program());
    // The parent of the command that says the password is the program itself.
    nohup.args(["snapshot", "data", "--password-command"]);
    nohup.arg("kill -HUP $PPID; sleep 0.1; kill -HUP $PPID; cat password");
    nohup.current_dir(home.0.path()).stdin(Stdio::null()).env_clear();
    nohup.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = nohup.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn tags_and_descriptions_change_and_the_snapshot_stays_what_it_is() {
    let home = Home::with_repository();
    home.done(&["snapshot", "data", "--tag", "trial"]);
    home.done(&["tag", "latest", "--add", "keep", "--add", "two words", "--remove", "trial"]);
    home.done(&["describe", "keep", "the day before"]);
    let shown = home.json(&["show", "keep"]).remove(0);
    assert_eq!(shown["tags"], serde_json::json!(["keep", "two words"]));
    assert_eq!(shown["description"], "the day before");
    assert!(home.done(&["show", "latest"]).contains("the day before"));
    home.done(&["describe", "latest", ""]);
    assert!(home.json(&["show", "latest"])[0]["description"].is_null());
    ends_with(&home.run(&["tag", "trial", "--add", "x"]), 1, "trial");
    ends_with(&home.run(&["tag", "latest"]), 2, "--add or --remove");
}

#[test]
fn a_prune_frees_what_no_snapshot_needs() {
    let home = Home::with_repository();
    home.done(&["snapshot", "data"]);
    let dry = home.done(&["prune", "--dry-run", "--max-unused", "0"]);
    assert!(dry.contains("Would remove 0 packs"), "{dry}");
    let only = fs::read_dir(home.at("repository/snapshots")).unwrap().next().unwrap().unwrap();
    fs::remove_file(only.path()).unwrap();
    let told = home.json(&["prune"]).pop().unwrap();
    assert_eq!((&told["packs_removed"], &told["bytes_needed"]), (&2.into(), &0.into()));
    assert!(home.done(&["check", "--read-data"]).contains("all is well"));
    ends_with(&home.run(&["prune", "--max-unused", "much"]), 2, "500MiB");
}

#[test]
fn completions_manual_and_version_need_no_repository() {
    let home = Home::new();
    assert!(home.done(&["completions", "bash"]).contains("devsnap"));
    assert!(home.done(&["man"]).contains(".TH"));
    assert_eq!(home.done(&["version"]), format!("devsnap {}\n", env!("CARGO_PKG_VERSION")));
}
