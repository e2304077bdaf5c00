//! `devsnap forget` as a person runs it, over snapshots of years gone by.
use crate::program::{PASSWORD, ends_with, err, objects_of, program, said_by};
use devsnap_backends::{Credentials, Location};
use devsnap_engine::backend::{ObjectKey, ObjectKind, path_of};
use devsnap_engine::interrupt::Interrupt;
use devsnap_engine::node::Time;
use devsnap_engine::repository::{Repository, Session};
use devsnap_engine::snapshot::{Completeness, Named, Origin, Snapshot};
use devsnap_testkit::TestRepository;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A home with a repository in it, whose clock is what each test says.
struct Home {
    folder: tempfile::TempDir,
    repository: Repository,
    /// What each snapshot is made after.
    template: Snapshot,
    made: Cell<u64>,
    // Keeps the cache that the open repository works with.
    _cache: TestRepository,
}

impl Home {
    fn new() -> Home {
        let folder = tempfile::tempdir().expect("because there is room");
        let location = Location::Folder(folder.path().join("repository"));
        let backend =
            devsnap_backends::create(&location, &Credentials::default(), &Interrupt::new())
                .expect("because there is room");
        let here = TestRepository::over(Arc::from(backend));
        let empty = tempfile::tempdir().expect("because there is room");
        let first = here.snapshot(empty.path()).expect("because the repository is healthy").named;
        let repository = here.open().expect("because the repository is healthy");
        repository.forget(&[first.id], &Interrupt::new()).expect("because it was just made");
        let template = first.snapshot;
        Home { folder, repository, template, made: Cell::new(0), _cache: here }
    }

    /// Makes a snapshot as at eight in the evening of `day` in UTC; `change` makes it what it is.
    fn snapshot(&self, day: Date, change: impl FnOnce(&mut Snapshot)) -> Named {
        let at = day.at(20, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).expect("because UTC has it");
        let session = Session::open(&self.repository, "test").expect("because it is healthy");
        self.made.set(self.made.get() + 1);
        let mut snapshot = Snapshot {
            origin: folder("/home"),
            taken_at: Time { secs: at.timestamp().as_second(), nanos: 0 },
            session: session.id(),
            sequence: self.made.get(),
            ..self.template.clone()
        };
        change(&mut snapshot);
        let id = self.repository.put_snapshot(&snapshot).expect("because it is healthy");
        session.end().expect("because it is healthy");
        let named = Named { id, snapshot, description: None };
        self.stored_at(&named, named.snapshot.taken_at.secs);
        named
    }

    /// Makes the storage say that it was written then.
    fn stored_at(&self, named: &Named, secs: i64) {
        let since = Duration::from_secs(u64::try_from(secs).expect("because it is after 1970"));
        let file = fs::File::options().append(true).open(self.object(named));
        file.and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + since))
            .expect("because it is ours");
    }

    fn object(&self, named: &Named) -> PathBuf {
        self.at(&ObjectKey::new(ObjectKind::Snapshot, named.id.to_hex()))
    }

    fn at(&self, key: &ObjectKey) -> PathBuf {
        self.folder.path().join("repository").join(path_of(key))
    }

    fn run(&self, words: &[&str]) -> Output {
        let home = self.folder.path();
        let mut command = program(home, home.join("repository"), words);
        command.env("DEVSNAP_PASSWORD", PASSWORD).output().expect("because it was built")
    }

    fn done(&self, words: &[&str]) -> String {
        said_by(self.run(words))
    }

    fn json(&self, words: &[&str]) -> Vec<Value> {
        objects_of(&self.done(&[words, &["--json", "--no-progress"]].concat()))
    }

    /// The days of the snapshots that are there.
    fn days(&self) -> Vec<String> {
        let mut lines = self.json(&["snapshots"]);
        lines.pop();
        let day = |line: Value| line["time"].as_str().expect("because it has one")[..10].to_owned();
        lines.into_iter().map(day).collect()
    }
}

fn folder(path: &str) -> Origin {
    Origin::Folder { host: "desk".to_owned(), path: path.as_bytes().to_vec() }
}

fn days_of(from: Date, until: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(from), |day| day.tomorrow().ok()).take_while(move |d| *d < until)
}

#[test]
fn what_cannot_be_meant_ends_with_2_and_forgets_nothing() {
    let home = Home::new();
    home.snapshot(date(2025, 1, 1), |_| {});
    for (words, said) in [
        (&["forget"][..], "name snapshots to forget, or say what to keep"),
        (&["forget", "--allow-last"], "name snapshots to forget, or say what to keep"),
        (&["forget", "--keep-daily", "0"], "a number from 1 on, or all"),
        (&["forget", "--keep-daily", "-1"], "-1"),
        (&["forget", "--keep-last", "many"], "a number from 1 on, or all"),
        (&["forget", "--keep-within", "14"], "--keep-within: `14` is no length of time"),
        (&["forget", "latest", "--keep-last", "1"], "not both"),
        (&["forget", "latest", "--of", "desk"], "--of and --trust-dates go with a policy"),
    ] {
        ends_with(&home.run(words), 2, said);
    }
    let none = home.run(&["forget", "--keep-last", "1", "--of", "nobody"]);
    ends_with(&none, 1, "no snapshot is of `nobody`");
    assert_eq!(home.days(), ["2025-01-01"]);
}

#[test]
fn a_year_of_daily_snapshots_keeps_what_the_calendar_says() {
    let home = Home::new();
    for day in days_of(date(2024, 1, 1), date(2025, 1, 1)) {
        home.snapshot(day, |_| {});
    }
    let policy = ["forget", "--keep-daily", "7", "--keep-weekly", "5", "--keep-monthly", "12"];
    let expected = "2024-01-31 2024-02-29 2024-03-31 2024-04-30 2024-05-31 2024-06-30 \
        2024-07-31 2024-08-31 2024-09-30 2024-10-31 2024-11-30 \
        2024-12-08 2024-12-15 2024-12-22 \
        2024-12-25 2024-12-26 2024-12-27 2024-12-28 2024-12-29 2024-12-30 2024-12-31";

    let mut told = home.json(&[&policy[..], &["--dry-run"]].concat());
    let summary = told.pop().expect("because it ends with a summary");
    assert_eq!(
        summary,
        serde_json::json!({
            "message_type": "summary", "kept": 21, "forgotten": 345, "dry_run": true,
        })
    );
    let kept = told.iter().filter(|line| line["keep"] == true);
    let days = kept.map(|line| line["time"].as_str().unwrap()[..10].to_owned());
    assert_eq!(days.collect::<Vec<_>>().join(" "), expected);
    assert_eq!(told[365]["message_type"], "verdict");
    assert_eq!(
        told[365]["reasons"],
        serde_json::json!(["daily 1 of 7", "weekly 1 of 5", "monthly 1 of 12"])
    );
    assert_eq!(home.days().len(), 366, "a dry run forgets nothing");

    let told = home.done(&policy);
    assert!(told.starts_with("desk:/home\nID "), "{told}");
    let line = told.lines().find(|line| line.contains("2024-12-29 20:00:00")).unwrap();
    assert!(line.ends_with("complete  keep     daily 3 of 7, weekly 2 of 5"), "{line}");
    assert!(told.ends_with("kept 21, forgotten 345; `devsnap prune` frees the space\n"), "{told}");
    assert_eq!(home.days().join(" "), expected);

    assert!(home.done(&policy).ends_with("kept 21, none to forget\n"));
    home.done(&["check"]);
}

#[test]
fn named_snapshots_go_and_the_last_one_only_when_it_may() {
    let home = Home::new();
    let made: Vec<Named> =
        days_of(date(2025, 1, 1), date(2025, 1, 5)).map(|day| home.snapshot(day, |_| {})).collect();
    let short = made[0].id.short();
    assert!(home.done(&["forget", &short, "--dry-run"]).contains("would keep 3 and forget 1"));
    let told = home.done(&["forget", &short, "2025-01-03", &short]);
    assert!(told.contains("desk:/home") && told.contains("kept 2, forgotten 2"), "{told}");
    assert_eq!(home.days(), ["2025-01-02", "2025-01-04"]);

    let both = ["forget", "latest", "latest~1"];
    ends_with(&home.run(&both), 1, "this would forget the last snapshot of desk:/home");
    ends_with(&home.run(&["forget", "latest", "no-such-tag"]), 1, "no snapshot is `no-such-tag`");
    assert_eq!(home.days().len(), 2, "nothing is forgotten when one cannot be");
    let told = home.json(&["forget", "latest", "latest~1", "--allow-last"]);
    assert_eq!((&told[0]["keep"], &told[2]["kept"]), (&false.into(), &0.into()));
    assert!(home.days().is_empty());
}

#[test]
fn the_last_complete_one_of_a_folder_is_not_forgotten_by_the_way() {
    let home = Home::new();
    let whole = home.snapshot(date(2025, 1, 1), |_| {});
    home.snapshot(date(2025, 1, 2), |snapshot| {
        snapshot.completeness = Completeness::Incomplete { total: 1, first: vec![] };
    });
    let refused = home.run(&["forget", &whole.id.short()]);
    ends_with(&refused, 1, "this would forget the last complete snapshot of desk:/home");
    let told = home.done(&["forget", "--keep-last", "1"]);
    assert!(told.contains("the last complete one of its folder"), "{told}");
    home.done(&["forget", "--keep-last", "1", "--allow-last"]);
    assert_eq!(home.days(), ["2025-01-02"]);
}

#[test]
fn each_folder_and_device_is_judged_on_its_own_or_alone() {
    let home = Home::new();
    for day in days_of(date(2025, 1, 1), date(2025, 1, 4)) {
        home.snapshot(day, |_| {});
        home.snapshot(day, |snapshot| snapshot.origin = folder("/srv"));
    }
    let policy = ["forget", "--keep-last", "1", "--keep-tag", "x"];
    let told = home.done(&[&policy[..], &["--of", "desk:/srv"]].concat());
    assert!(!told.contains("/home") && told.contains("kept 1, forgotten 2"), "{told}");
    assert_eq!(home.days().len(), 4);
    let told = home.done(&policy);
    assert!(told.contains("desk:/home\n") && told.contains("desk:/srv\n"), "{told}");
    assert_eq!(home.days(), ["2025-01-03", "2025-01-03"]);
}

#[test]
fn a_date_far_from_when_it_was_stored_keeps_its_snapshot_until_it_is_trusted() {
    let home = Home::new();
    for day in days_of(date(2025, 1, 1), date(2025, 1, 4)) {
        let named = home.snapshot(day, |_| {});
        // As after `cp -r` in June.
        home.stored_at(&named, 1_750_000_000);
    }
    let output = home.run(&["forget", "--keep-last", "1"]);
    ends_with(&output, 0, "3 dated far from when they were stored are kept");
    assert!(err(&output).contains("--trust-dates"));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("keep     dated far from 2025-06-15, when it was stored"), "{told}");
    let told = home.done(&["forget", "--keep-last", "1", "--trust-dates"]);
    assert!(told.contains("kept 1, forgotten 2"), "{told}");
}

#[test]
fn a_date_in_the_future_pushes_nothing_out() {
    let home = Home::new();
    home.snapshot(date(2025, 1, 1), |_| {});
    home.snapshot(date(2399, 1, 1), |_| {});
    let told = home.done(&["forget", "--keep-last", "1"]);
    assert!(told.contains("last 1 of 1") && told.contains("dated in the future"), "{told}");
    assert_eq!(home.days().len(), 2);
}

#[test]
fn a_time_of_another_zone_is_shown_as_it_was_there() {
    let home = Home::new();
    home.snapshot(date(2025, 1, 1), |snapshot| snapshot.utc_offset_secs = 9 * 3600);
    let told = home.done(&["forget", "--keep-daily", "1"]);
    assert!(told.contains("2025-01-02 05:00:00 +09:00  complete  keep     daily 1 of 1"), "{told}");
}

#[test]
fn an_unfinished_snapshot_is_shown_and_can_be_named() {
    let home = Home::new();
    home.snapshot(date(2025, 1, 1), |_| {});
    let cut_off = home.snapshot(date(2025, 1, 2), |_| {});
    let end = format!("{}.end", cut_off.snapshot.session.to_hex());
    fs::remove_file(home.at(&ObjectKey::new(ObjectKind::Session, end))).unwrap();
    assert_eq!(home.days(), ["2025-01-01"]);

    let told = home.json(&["forget", "--keep-last", "1", "--dry-run"]);
    assert_eq!((&told[0]["keep"], &told[0]["finished"]), (&true.into(), &true.into()));
    assert_eq!((&told[1]["keep"], &told[1]["finished"]), (&true.into(), &false.into()));
    let told = home.done(&["forget", "--keep-tag", "x", "--dry-run"]);
    assert!(told.contains("unfinished  keep     the last of its folder"), "{told}");

    ends_with(&home.run(&["forget", "latest"]), 1, "the last snapshot of desk:/home");
    let told = home.done(&["forget", &cut_off.id.short()]);
    assert!(told.contains("unfinished") && told.contains("kept 1, forgotten 1"), "{told}");
    assert!(!home.object(&cut_off).exists());
}

#[test]
fn a_damaged_snapshot_can_be_named_by_its_id() {
    let home = Home::new();
    home.snapshot(date(2025, 1, 1), |_| {});
    let broken = home.snapshot(date(2025, 1, 2), |_| {});
    fs::remove_file(home.object(&broken)).unwrap();
    fs::write(home.object(&broken), "not what it was").unwrap();
    let output = home.run(&["forget", "--keep-last", "1"]);
    ends_with(&output, 0, "cannot be read");
    assert!(home.object(&broken).exists(), "no policy knows what it is");

    let told = home.json(&["forget", &broken.id.to_hex()]);
    let verdict = told.iter().find(|line| line["message_type"] == "verdict").unwrap();
    assert_eq!(
        (&verdict["short_id"], &verdict["keep"]),
        (&broken.id.short().into(), &false.into())
    );
    assert!(!home.object(&broken).exists());
    assert_eq!(home.days(), ["2025-01-01"]);
}

#[test]
fn prune_with_a_policy_forgets_first_and_a_dry_run_forgets_nothing() {
    let home = Home::new();
    days_of(date(2025, 3, 1), date(2025, 3, 11)).for_each(|day| drop(home.snapshot(day, |_| {})));
    let policy = ["prune", "--keep-daily", "3"];
    let mut told = home.json(&[&policy[..], &["--dry-run"]].concat());
    let summary = told.pop().expect("because it ends with a summary");
    assert_eq!((&summary["forgotten"], &summary["snapshots"]), (&7.into(), &3.into()));
    assert_eq!(told.iter().filter(|line| line["keep"] == false).count(), 7);
    assert_eq!(home.days().len(), 10);
    let told = home.done(&policy);
    assert!(told.contains("daily 3 of 3") && told.contains("Forgot 7 snapshots. "), "{told}");
    assert_eq!(home.days(), ["2025-03-08", "2025-03-09", "2025-03-10"]);
    ends_with(&home.run(&["prune", "--of", "desk"]), 2, "go with a policy");
}
