//! Which snapshots a policy keeps: pure judgement, without a store, a clock or a time zone.
//!
//! **Groups.** Snapshots are judged in groups: those that one writer, by its signature, made of
//! one device or folder. A station whose clock or keys are not what they should be can fill its
//! own group with whatever it likes and pushes nobody else's snapshot out. The price: a phone that
//! two computers back up with two passwords has two histories, and each keeps what the policy
//! says.
//!
//! **Rules.** `last` keeps the newest ones; `hourly` to `yearly` one for each of the newest hours,
//! days, … that have any, by the calendar of where each was taken; `within` what is
//! no older than that, counted back from the newest of the group; tags what has one of them.
//! A snapshot is kept when any rule asks for it. All is counted from what is there, never from
//! today: a device that lies in a drawer for a year loses nothing by it.
//!
//! **Incomplete snapshots** take places like others, since of a folder with one file that can
//! never be read there is nothing else. But the one that stands for an hour, a day, … is the newest
//! complete one as long as there is any, and of each group the newest and the newest complete
//! one stay unless the policy says otherwise.
//!
//! **Doubtful dates** (in the future, far from when it was stored, before what its writer
//! made earlier) take no place and push nothing out; such a snapshot is kept. So is the earlier one
//! that shows it: judging again what was kept keeps all of it.
//!
//! **Unfinished snapshots** whose session was given up are judged each as if it counted, and take
//! no place (`docs/crash-safety.md`, rule 16).
mod calendar;
mod doubt;
mod group;
mod verdict;

use crate::id::SnapshotId;
use crate::node::Time;
use crate::seal::WriterId;
use crate::snapshot::Named;
use doubt::Dates;
use group::{Dated, Group};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

pub use calendar::{NotALength, Within};
pub use verdict::{Reason, Rule, Verdict};

/// What to keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetentionPolicy {
    /// How many of the newest.
    pub last: Option<Count>,
    /// How many hours' newest.
    pub hourly: Option<Count>,
    /// How many days' newest.
    pub daily: Option<Count>,
    /// How many weeks' newest; weeks begin on Monday.
    pub weekly: Option<Count>,
    /// How many months' newest.
    pub monthly: Option<Count>,
    /// How many years' newest.
    pub yearly: Option<Count>,
    /// All that are no older than this, counted back from the newest.
    pub within: Option<Within>,
    /// All that have any of these tags.
    pub tags: Vec<String>,
    /// Whether the newest of a group may go, and the newest complete one, when no rule asks for
    /// them.
    pub allow_last: bool,
}

/// How many a rule keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    UpTo(NonZeroU32),
    /// All there are.
    All,
}

impl Count {
    fn has(self, place: usize) -> bool {
        match self {
            Count::UpTo(count) => u32::try_from(place).is_ok_and(|place| place <= count.get()),
            Count::All => true,
        }
    }
}

impl RetentionPolicy {
    /// Whether no rule says what to keep. Such a policy keeps everything.
    pub fn is_empty(&self) -> bool {
        let counts = Rule::ALL.iter().all(|rule| self.count(*rule).is_none());
        counts && self.within.is_none() && self.tags.is_empty()
    }

    fn count(&self, rule: Rule) -> Option<Count> {
        match rule {
            Rule::Last => self.last,
            Rule::Hourly => self.hourly,
            Rule::Daily => self.daily,
            Rule::Weekly => self.weekly,
            Rule::Monthly => self.monthly,
            Rule::Yearly => self.yearly,
        }
    }

    /// A reason for each tag that was asked for.
    fn tags_of(&self, named: &Named) -> impl Iterator<Item = Reason> {
        let wanted = named.snapshot.tags.iter().filter(|tag| self.tags.contains(tag));
        wanted.map(|tag| Reason::Tag(tag.clone()))
    }
}

/// A snapshot to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Which.
    pub named: &'a Named,
    /// Whether it counts as a backup. One that does not has a session that was given up: while a
    /// session goes on, nobody judges its snapshot.
    pub counts: bool,
    /// When the storage says that it was written, in seconds since 1970; `None` when it does not
    /// say, or is not to be believed.
    pub stored_at_secs: Option<i64>,
}

/// By what a snapshot is newer than another of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order(Time, u64, SnapshotId);

impl Order {
    fn of(named: &Named) -> Self {
        Order(named.snapshot.taken_at, named.snapshot.sequence, named.id)
    }
}

/// Names a group: snapshots of one lineage by one writer.
pub type GroupKey = (Vec<u8>, WriterId);

/// The group that `named` is judged in.
pub fn group_of(named: &Named) -> GroupKey {
    (named.snapshot.lineage(), named.snapshot.writer)
}

/// Judges every candidate; the answer has their order.
///
/// Pure: the same arguments give the same answer, which is why the clock is an argument. Give it
/// all the snapshots that there are, or dates cannot be held against each other.
pub fn judge(policy: &RetentionPolicy, candidates: &[Candidate<'_>], now: Time) -> Vec<Verdict> {
    if policy.is_empty() {
        return vec![Verdict::Keep(vec![Reason::NoRule]); candidates.len()];
    }
    let dates = Dates::examine(candidates, now);
    let dated = |index: usize| {
        let local = *dates.of[index].as_ref().ok()?;
        Some(Dated { candidate: &candidates[index], local })
    };
    let mut groups: BTreeMap<GroupKey, Vec<usize>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        groups.entry(group_of(candidate.named)).or_default().push(index);
    }
    let mut verdicts = vec![Verdict::Forget; candidates.len()];
    for members in groups.values() {
        let counts = |dated: &Dated<'_>| dated.candidate.counts;
        let counted: Vec<Dated<'_>> =
            members.iter().filter_map(|index| dated(*index)).filter(counts).collect();
        let group = Group::new(policy, &counted);
        for &index in members {
            let mut reasons = match &dates.of[index] {
                Ok(local) => group.reasons(&Dated { candidate: &candidates[index], local: *local }),
                Err(doubt) => {
                    let tags = policy.tags_of(candidates[index].named);
                    std::iter::once(doubt.clone()).chain(tags).collect()
                }
            };
            if dates.contradicted.contains(&index) {
                reasons.push(Reason::Contradicted);
            }
            if !reasons.is_empty() {
                verdicts[index] = Verdict::Keep(reasons);
            }
        }
    }
    verdicts
}

#[cfg(test)]
mod tests;
