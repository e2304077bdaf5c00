//! `kill -9` at any moment of a phone's backup: no snapshot is lost or wrong, nothing of the phone stays on
//! this computer's disk, and the next run goes on.
//!
//! Five kills by default; `DEVSNAP_PHONE_KILLS` and `DEVSNAP_KILLS_SEED` say otherwise for a long run.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use crate::phone_table::{Table, newest};
use crate::program::objects_of;
use devsnap_simulator::contents::Truth;
use devsnap_simulator::random::Random;
use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Snapshots that count.
fn ids(table: &Table) -> Vec<String> {
    objects_of(&table.done(&["snapshots", "--json"]))
        .into_iter()
        .filter(|line| line["message_type"] == "snapshot")
        .map(|line| line["id"].as_str().unwrap().to_owned())
        .collect()
}

/// What lies in the cache's folders for temporary files, of all repositories.
fn left_behind(table: &Table) -> usize {
    let caches = fs::read_dir(table.at("home/.cache/devsnap")).unwrap().flatten();
    let folders = caches.filter_map(|cache| fs::read_dir(cache.path().join("scratch")).ok());
    folders.map(Iterator::count).sum()
}

/// Notes what a snapshot that is new must hold: the phone's newest backup.
fn note(table: &Table, wanted: &mut BTreeMap<String, Truth>) {
    let now = ids(table);
    assert!(wanted.keys().all(|id| now.contains(id)), "a snapshot that counted is gone");
    for id in now {
        wanted.entry(id).or_insert_with(|| newest(table.phone(0).folder()));
    }
}

#[test]
fn kill_9_in_a_phones_backup_loses_nothing_and_leaves_nothing_of_the_phone_behind() {
    let (kills, seed) = (number("DEVSNAP_PHONE_KILLS", 5), number("DEVSNAP_KILLS_SEED", 1));
    let table = Table::ready(&[0]);
    let mut random = Random::new(seed);
    let mut wanted = BTreeMap::new();
    let began = Instant::now();
    table.done(&["snapshot"]);
    let usual = began.elapsed();
    note(&table, &mut wanted);
    let (mut alive, mut littered) = (0, 0);
    for kill in 0..kills {
        table.day(0, kill);
        let mut command = table.command(&["snapshot"]);
        command.env("DEVSNAP_PASSWORD_FILE", table.at("password"));
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let micros = u64::try_from(usual.as_micros()).unwrap();
        std::thread::sleep(Duration::from_micros(random.below(micros)));
        alive += u64::from(run.try_wait().unwrap().is_none());
        run.kill().unwrap();
        run.wait().unwrap();
        littered += u64::from(left_behind(&table) > 0);
        note(&table, &mut wanted);
        assert_eq!(left_behind(&table), 0, "who opens the repository next sweeps it");
        table.done(&["snapshot"]);
        note(&table, &mut wanted);
    }
    assert!(wanted.len() as u64 > kills);
    assert!(kills < 5 || alive > 0, "some runs were killed before they had ended");
    table.done(&["check", "--read-data"]);
    for (id, truth) in &wanted {
        table.holds(0, id, truth);
    }
    println!(
        "{kills} kills, {alive} in the middle, {littered} left files; {} snapshots",
        wanted.len()
    );
}
