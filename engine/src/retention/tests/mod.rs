//! What policies keep of histories that are written down.
mod calendars;
mod doubts;
mod properties;
mod rules;

use super::*;
use crate::id::SessionId;
use crate::progress::FaultKind;
use crate::snapshot::{Completeness, DeviceIdentity, Origin, Snapshot, Totals};
use jiff::ZonedDateTime;

/// 2030-01-01T00:00:00Z, later than all that is written down here.
const NOW: Time = Time { secs: 1_893_456_000, nanos: 0 };

/// A snapshot with what the storage and its session say of it.
#[derive(Debug, Clone)]
struct Given {
    named: Named,
    counts: bool,
    stored_at_secs: Option<i64>,
}

/// Snapshot `number` of a phone, the writer's as many-th, at this moment.
fn at(number: u16, secs: i64, utc_offset_secs: i32) -> Given {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&number.to_be_bytes());
    let snapshot = Snapshot {
        origin: device("A"),
        taken_at: Time { secs, nanos: 0 },
        utc_offset_secs,
        root: None,
        parent: None,
        totals: Totals::default(),
        completeness: Completeness::Complete,
        tags: Vec::new(),
        session: SessionId::from_bytes([0; 16]),
        writer: WriterId([1; 16]),
        sequence: u64::from(number),
        previous: None,
        program: "test".to_owned(),
    };
    let named = Named { id: SnapshotId::from_bytes(id), snapshot, description: None };
    Given { named, counts: true, stored_at_secs: None }
}

/// When the clocks of a town show this, as `2026-11-24T12:00 Berlin`; where they show it twice,
/// `2026-10-25T02:30+01:00 Berlin`.
pub(super) fn zoned(shown: &str) -> ZonedDateTime {
    let (time, town) = shown.split_once(' ').expect(shown);
    let area = match town {
        "Berlin" => "Europe/",
        "New_York" | "Los_Angeles" => "America/",
        "Tokyo" | "Kolkata" => "Asia/",
        "Honolulu" => "Pacific/",
        _ => "",
    };
    format!("{time}[{area}{town}]").parse().expect(shown)
}

/// As [`at`], when the clocks show `shown`.
fn taken(number: u16, shown: &str) -> Given {
    let zoned = zoned(shown);
    at(number, zoned.timestamp().as_second(), zoned.offset().seconds())
}

/// Snapshots in a row, numbered from 0.
fn taken_all<'a>(shown: impl IntoIterator<Item = &'a str>) -> Vec<Given> {
    (0..).zip(shown).map(|(number, shown)| taken(number, shown)).collect()
}

fn device(udid: &str) -> Origin {
    Origin::Device(DeviceIdentity {
        udid: udid.to_owned(),
        name: "My iPhone".to_owned(),
        product_type: "iPhone16,1".to_owned(),
        os_version: "26.1".to_owned(),
        os_build: "23B85".to_owned(),
        encrypted: true,
        full: Some(false),
        backup_at: None,
        verification: None,
        host: "desk".to_owned(),
    })
}

impl Given {
    fn of(mut self, udid: &str) -> Self {
        self.named.snapshot.origin = device(udid);
        self
    }
    fn of_folder(mut self) -> Self {
        self.named.snapshot.origin =
            Origin::Folder { host: "desk".to_owned(), path: b"/home".to_vec() };
        self
    }
    fn by(mut self, writer: u8) -> Self {
        self.named.snapshot.writer = WriterId([writer; 16]);
        self
    }
    fn tagged(mut self, tag: &str) -> Self {
        self.named.snapshot.tags.push(tag.to_owned());
        self
    }
    fn incomplete(mut self) -> Self {
        let path = crate::path::TreePath::from_slashed(b"a").unwrap();
        let first = vec![(path, FaultKind::Unreadable)];
        self.named.snapshot.completeness = Completeness::Incomplete { total: 1, first };
        self
    }
    fn unfinished(mut self) -> Self {
        self.counts = false;
        self
    }
    /// Stored so many seconds after its own date.
    fn stored_after(mut self, secs: i64) -> Self {
        self.stored_at_secs = Some(self.named.snapshot.taken_at.secs + secs);
        self
    }
    fn numbered(mut self, sequence: u64) -> Self {
        self.named.snapshot.sequence = sequence;
        self
    }
    fn number(&self) -> u16 {
        let [a, b, ..] = *self.named.id.as_bytes();
        u16::from_be_bytes([a, b])
    }
}

/// E.g. `daily 7, yearly all, within 14d, tag keep, allow-last`.
fn policy(words: &str) -> RetentionPolicy {
    let mut policy = RetentionPolicy::default();
    for rule in words.split(", ") {
        let (word, value) = rule.split_once(' ').unwrap_or((rule, ""));
        let count = || match value {
            "all" => Some(Count::All),
            number => Some(Count::UpTo(number.parse().unwrap())),
        };
        match word {
            "last" => policy.last = count(),
            "hourly" => policy.hourly = count(),
            "daily" => policy.daily = count(),
            "weekly" => policy.weekly = count(),
            "monthly" => policy.monthly = count(),
            "yearly" => policy.yearly = count(),
            "within" => policy.within = Some(value.parse().unwrap()),
            "tag" => policy.tags.push(value.to_owned()),
            "allow-last" => policy.allow_last = true,
            _ => panic!("{rule}"),
        }
    }
    policy
}

fn judged<'a>(policy: &RetentionPolicy, given: &'a [Given], now: Time) -> Vec<Verdict> {
    let candidate = |given: &'a Given| Candidate {
        named: &given.named,
        counts: given.counts,
        stored_at_secs: given.stored_at_secs,
    };
    let candidates: Vec<Candidate<'a>> = given.iter().map(candidate).collect();
    judge(policy, &candidates, now)
}

/// The numbers of those that are kept, in the order in which they are given.
fn kept(words: &str, given: &[Given]) -> Vec<u16> {
    let verdicts = judged(&policy(words), given, NOW);
    let kept = given.iter().zip(verdicts).filter(|(_, verdict)| verdict.keeps());
    kept.map(|(given, _)| given.number()).collect()
}

/// Why each is kept; nothing for those that are not.
fn reasons(words: &str, given: &[Given]) -> Vec<String> {
    let said = |verdict: Verdict| {
        let reasons: Vec<String> = verdict.reasons().iter().map(Reason::to_string).collect();
        reasons.join(", ")
    };
    judged(&policy(words), given, NOW).into_iter().map(said).collect()
}
