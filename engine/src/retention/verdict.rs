//! What a policy says of one snapshot, and why.
use super::{Count, Within};
use crate::id::SnapshotId;
use jiff::Timestamp;
use std::fmt;

/// What the policy says of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Keep it; all that asks for it, at least one.
    Keep(Vec<Reason>),
    /// Nothing asks for it.
    Forget,
}

impl Verdict {
    /// Whether it is kept.
    pub fn keeps(&self) -> bool {
        matches!(self, Verdict::Keep(_))
    }

    /// What asks for it; nothing when it is to be forgotten.
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Verdict::Keep(reasons) => reasons,
            Verdict::Forget => &[],
        }
    }
}

/// Rules that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The newest ones.
    Last,
    /// One an hour.
    Hourly,
    /// One a day.
    Daily,
    /// One a week.
    Weekly,
    /// One a month.
    Monthly,
    /// One a year.
    Yearly,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 6] =
        [Rule::Last, Rule::Hourly, Rule::Daily, Rule::Weekly, Rule::Monthly, Rule::Yearly];

    /// Its name, e.g. `daily`.
    pub fn word(self) -> &'static str {
        match self {
            Rule::Last => "last",
            Rule::Hourly => "hourly",
            Rule::Daily => "daily",
            Rule::Weekly => "weekly",
            Rule::Monthly => "monthly",
            Rule::Yearly => "yearly",
        }
    }
}

/// Something that asks for a snapshot; as text a few words, e.g. `daily 3 of 7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It stands for one of the hours, days, … that are kept.
    Rule {
        /// Which.
        rule: Rule,
        /// Its place from the newest on, from 1.
        place: usize,
        /// How many are kept.
        of: Count,
    },
    /// It is as young as was asked for.
    Within(Within),
    /// It has a word that was asked for.
    Tag(String),
    /// Nothing else keeps the newest one of its writer's snapshots of this `device` or `folder`.
    Last(&'static str),
    /// Nothing else keeps the newest *complete* one of them.
    LastComplete(&'static str),
    /// Its date lies in the future.
    Future,
    /// No calendar has its date.
    NoDate,
    /// Its date is far from when it was stored (seconds since 1970).
    StoredFar(i64),
    /// It is dated before this one, which its writer made before it.
    BeforePredecessor(SnapshotId),
    /// A later snapshot of its writer is dated before it; it is what shows that.
    Contradicted,
    /// The policy has no rule.
    NoRule,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Rule { rule, place, of: Count::UpTo(count) } => {
                write!(f, "{} {place} of {count}", rule.word())
            }
            Reason::Rule { rule, place, of: Count::All } => write!(f, "{} {place}", rule.word()),
            Reason::Within(within) => write!(f, "within {within}"),
            Reason::Tag(tag) => write!(f, "tag {tag}"),
            Reason::Last(of) => write!(f, "the last of its {of}"),
            Reason::LastComplete(of) => write!(f, "the last complete one of its {of}"),
            Reason::Future => f.write_str("dated in the future"),
            Reason::NoDate => f.write_str("dated outside the calendar"),
            Reason::StoredFar(secs) => match Timestamp::from_second(*secs) {
                Ok(at) => write!(f, "dated far from {}, when it was stored", at.strftime("%F")),
                Err(_) => f.write_str("dated far from when it was stored"),
            },
            Reason::BeforePredecessor(id) => {
                write!(f, "dated before {}, which its writer made earlier", id.short())
            }
            Reason::Contradicted => f.write_str("a later one is dated before it"),
            Reason::NoRule => f.write_str("no rule says what to keep"),
        }
    }
}
