//! Two computers take turns at one bucket: what one keeps, the other lists, continues and restores.
use crate::program::{PASSWORD, err, program, said_by};
use devsnap_testkit::S3Server;
use std::fs;
use std::path::Path;
use std::process::Output;

/// A computer: a home and a cache of its own.
struct Computer<'a> {
    home: tempfile::TempDir,
    server: &'a S3Server,
    location: &'a str,
}

impl<'a> Computer<'a> {
    fn new(server: &'a S3Server, location: &'a str) -> Self {
        let home = tempfile::tempdir().expect("because there is room");
        Computer { home, server, location }
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = program(self.home.path(), self.location, words);
        command.env("DEVSNAP_PASSWORD", PASSWORD);
        command.envs(self.server.variables()).output().expect("because it was built")
    }

    fn done(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let secret = self.server.variables()[1].1;
        assert!(!err(&output).contains(secret), "a secret is shown");
        said_by(output)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("because temporary folders have plain names")
}

#[test]
fn two_computers_take_turns_at_one_bucket() {
    let server = S3Server::shared();
    let location = server.fresh_location();
    let (first, second) = (Computer::new(server, &location), Computer::new(server, &location));
    let folder = tempfile::tempdir().unwrap();
    let data = text(folder.path());
    fs::write(folder.path().join("one"), "first state".repeat(1000)).unwrap();
    first.done(&["init"]);
    first.done(&["snapshot", data, "--host", "shared"]);
    fs::write(folder.path().join("one"), "second state".repeat(1000)).unwrap();
    fs::write(folder.path().join("two"), "new").unwrap();
    second.done(&["snapshot", data, "--host", "shared"]);
    fs::remove_file(folder.path().join("one")).unwrap();
    first.done(&["snapshot", data, "--host", "shared"]);
    for computer in [&first, &second] {
        let listed = computer.done(&["snapshots", "--json"]);
        assert_eq!(listed.matches("\"message_type\":\"snapshot\"").count(), 3, "{listed}");
        for (which, one) in [("latest~2", Some("first state")), ("latest~1", Some("second state"))]
        {
            let back = tempfile::tempdir().unwrap();
            computer.done(&["restore", which, "--target", text(back.path())]);
            let found = fs::read_to_string(back.path().join("one")).ok();
            assert_eq!(found, one.map(|word| word.repeat(1000)), "{which}");
        }
        computer.done(&["check", "--read-data"]);
    }
    let third = Computer::new(server, &location);
    assert!(third.done(&["ls", "latest"]).contains("two"));
    let missing = server.missing_bucket();
    let lost = Computer::new(server, &missing).run(&["snapshots"]);
    assert!(!lost.status.success() && !lost.stderr.is_empty());
}
