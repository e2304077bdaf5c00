//! Days of two phones in one state, each backed up by a host of its own.
use crate::compare::{compare, newest};
use crate::conversation::Findings;
use crate::desk::{Desk, paired_phone};
use crate::expected::{DIFFERENCES, fits};
use crate::hear::{Saying, sayings};
use crate::hosts::{Host, Ours, Theirs};
use crate::sets::Comparison;

/// Two phones in one state, each with a host of its own: idevicebackup2 and devsnap.
struct Pair<'p> {
    desks: [Desk; 2],
    hosts: [Box<dyn Host>; 2],
    password: Option<&'p str>,
}

impl<'p> Pair<'p> {
    fn new(password: Option<&'p str>) -> Pair<'p> {
        let phone = paired_phone(password);
        let hosts: [Box<dyn Host>; 2] = [Box::new(Theirs::new()), Box::new(Ours::new())];
        Pair { desks: [Desk::with(&phone), Desk::with(&phone)], hosts, password }
    }

    fn day(&self, seed: u64) {
        self.desks.iter().for_each(|desk| desk.day(seed));
    }

    /// Both back up; what they say.
    fn back_up(&mut self, full: bool) -> [Vec<Saying>; 2] {
        let mut said = [Vec::new(), Vec::new()];
        for ((desk, host), said) in self.desks.iter().zip(&mut self.hosts).zip(&mut said) {
            host.back_up(desk, full);
            *said = sayings(&desk.transcript(), host.name(), &desk.phone().identity().udid);
        }
        said
    }

    /// Compares what both have now: with each other, and with what the phones say that they sent.
    #[track_caller]
    fn compare_sets(&self, of: &str) {
        let udid = &self.desks[0].phone().identity().udid;
        let sets = self.hosts.each_ref().map(|host| host.sets().join(udid));
        let found = Comparison::of([&sets[0], &sets[1]]);
        assert!(found.files > 200, "{}", found.files);
        found.holds(self.password.is_some(), of);
        let truths = self.desks.each_ref().map(|desk| newest(desk.phone().folder()));
        assert!(truths[0].items == truths[1].items, "the phones are not in one state");
        for (set, truth) in sets.iter().zip(&truths) {
            compare(set, self.password, truth);
        }
    }
}

fn count(said: &[Saying], pattern: &str) -> usize {
    said.iter().filter(|saying| fits(pattern, &saying.text)).count()
}

/// A full backup, a day, and an incremental one.
fn two_days(mut pair: Pair<'_>, ask_for_full: bool) {
    let said = pair.back_up(ask_for_full);
    let asked = usize::from(ask_for_full);
    for said in &said {
        assert_eq!(count(said, "mobilebackup2: *Options: {ForceFullBackup: true}*"), asked);
        assert!(count(said, "mobilebackup2: to DLMessageUploadFiles*") > 5);
        assert!(count(said, "mobilebackup2: to DLMessageMoveItems*") > 2);
        assert!(count(said, "mobilebackup2: to DLContentsOfDirectory*") > 256);
        assert!(count(said, "mobilebackup2: *No such file or directory*") > 1);
        assert!(count(said, "afc: *iTunesPrefs.plist*") > 0);
        assert!(count(said, "springboardservices: *") > 5);
    }
    Findings::of(&said, DIFFERENCES).are_none("a full backup");
    pair.compare_sets("a full backup");

    pair.day(1);
    let said = pair.back_up(false);
    for said in &said {
        assert!(count(said, "mobilebackup2: *Manifest.db\", blocks 32769 *") > 1);
        assert!(count(said, "mobilebackup2: to DLMessageRemoveItems*") > 2);
    }
    Findings::of(&said, DIFFERENCES).are_none("an incremental backup");
    pair.compare_sets("an incremental backup");
}

#[test]
fn a_phone_hears_the_same_from_both_hosts_and_both_keep_the_same_files() {
    two_days(Pair::new(None), false);
}

#[test]
fn so_does_a_phone_that_encrypts_and_is_asked_for_a_full_backup() {
    two_days(Pair::new(Some("secret")), true);
}
