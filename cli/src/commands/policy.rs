//! What a policy says of the snapshots of a repository, and how that is told.
use super::Session;
use crate::args::{CountArg, PolicyArgs};
use crate::failure::Failure;
use crate::report::json;
use crate::report::text::{Column, escaped, own_moment, state, table, what};
use devsnap_engine::id::{SnapshotId, hex};
use devsnap_engine::node::Time;
use devsnap_engine::repository::Snapshots;
use devsnap_engine::retention::{
    Candidate, Count, GroupKey, Reason, RetentionPolicy, Verdict, group_of, judge,
};
use devsnap_engine::seal::WriterId;
use devsnap_engine::snapshot::{SelectError, is_of};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// The policy that was typed; it may be [empty](RetentionPolicy::is_empty).
pub(super) fn policy_of(args: &PolicyArgs) -> Result<RetentionPolicy, Failure> {
    let count = |arg: Option<CountArg>| match arg? {
        CountArg::UpTo(count) => Some(Count::UpTo(count)),
        CountArg::All => Some(Count::All),
    };
    let within = args.keep_within.as_deref().map(str::parse).transpose();
    Ok(RetentionPolicy {
        last: count(args.keep_last),
        hourly: count(args.keep_hourly),
        daily: count(args.keep_daily),
        weekly: count(args.keep_weekly),
        monthly: count(args.keep_monthly),
        yearly: count(args.keep_yearly),
        within: within.map_err(|error| Failure::usage(format!("--keep-within: {error}")))?,
        tags: args.keep_tags.clone(),
        allow_last: args.allow_last,
    })
}

/// What is said of one snapshot.
pub(super) struct Judged<'a> {
    pub(super) candidate: Candidate<'a>,
    pub(super) verdict: Verdict,
}

/// What is said of all, by group; in each the oldest first.
pub(super) struct Judgement<'a>(BTreeMap<GroupKey, Vec<Judged<'a>>>);

impl<'a> Judgement<'a> {
    /// Judges all snapshots there are by `policy`; looks further only at those that were asked
    /// for.
    pub(super) fn new(
        snapshots: &'a Snapshots,
        policy: &RetentionPolicy,
        args: &PolicyArgs,
    ) -> Result<Self, Failure> {
        let mut candidates: Vec<Candidate<'a>> = snapshots.candidates().collect();
        if args.trust_dates {
            candidates.iter_mut().for_each(|candidate| candidate.stored_at_secs = None);
        }
        let now = Time { secs: Timestamp::now().as_second(), nanos: 0 };
        let verdicts = judge(policy, &candidates, now);
        let mut groups: BTreeMap<GroupKey, Vec<Judged<'a>>> = BTreeMap::new();
        for (candidate, verdict) in candidates.into_iter().zip(verdicts) {
            let origin = &candidate.named.snapshot.origin;
            if args.of.as_deref().is_none_or(|of| is_of(origin, of)) {
                let group = groups.entry(group_of(candidate.named)).or_default();
                group.push(Judged { candidate, verdict });
            }
        }
        match &args.of {
            Some(of) if groups.is_empty() => Err(SelectError::NotOf(of.clone()).into()),
            _ => {
                let by_date = |judged: &Judged<'_>| judged.candidate.named.snapshot.taken_at;
                groups.values_mut().for_each(|group| group.sort_by_key(by_date));
                Ok(Judgement(groups))
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Judged<'a>> {
        self.0.values().flatten()
    }

    /// Those that nothing keeps.
    pub(super) fn forgotten(&self) -> Vec<SnapshotId> {
        let forgotten = self.all().filter(|judged| !judged.verdict.keeps());
        forgotten.map(|judged| judged.candidate.named.id).collect()
    }

    /// How many are kept.
    pub(super) fn kept(&self) -> usize {
        self.all().filter(|judged| judged.verdict.keeps()).count()
    }

    /// Says all of it: a table for each group, or a line for each snapshot.
    pub(super) fn say(&self, session: &Session<'_>) -> Result<(), Failure> {
        self.warn_of_copies(session);
        if session.report.is_json() {
            return self
                .all()
                .try_for_each(|judged| session.report.data(|| for_programs(judged), String::new));
        }
        for (key, group) in &self.0 {
            let title = [self.title(key, group)];
            for line in title.into_iter().chain(rows(session, group)).chain([String::new()]) {
                session.report.data(|| Value::Null, || line)?;
            }
        }
        Ok(())
    }

    /// What the group is of; who wrote it only where that tells groups apart.
    fn title(&self, key: &GroupKey, group: &[Judged<'_>]) -> String {
        let newest = group.last().expect("because a group begins with one");
        let what = what(&newest.candidate.named.snapshot.origin);
        let writer = |byte| (key.0.clone(), WriterId([byte; 16]));
        match self.0.range(writer(0)..=writer(0xff)).count() {
            1 => what,
            _ => format!("{what}, by writer {}", hex(&key.1.0[..4])),
        }
    }

    /// A repository that was copied file by file has dates of the day on which that was done.
    fn warn_of_copies(&self, session: &Session<'_>) {
        let is_far = |reason: &Reason| matches!(reason, Reason::StoredFar(_));
        let far = self.all().filter(|judged| judged.verdict.reasons().iter().any(is_far)).count();
        if far > 0 {
            session.report.warn(&format!(
                "{far} dated far from when they were stored are kept; if the repository was \
                 copied, --trust-dates judges them too",
            ));
        }
    }
}

/// As a snapshot's own line, with what is said of it.
pub(super) fn for_programs(judged: &Judged<'_>) -> Value {
    let Candidate { named, counts, .. } = judged.candidate;
    let mut line = json::snapshot(named);
    line.insert("message_type".to_owned(), "verdict".into());
    line.insert("writer".to_owned(), hex(&named.snapshot.writer.0).into());
    line.insert("finished".to_owned(), counts.into());
    line.insert("keep".to_owned(), judged.verdict.keeps().into());
    let reasons = judged.verdict.reasons().iter().map(ToString::to_string);
    line.insert("reasons".to_owned(), reasons.collect::<Vec<_>>().into());
    line.into()
}

fn rows(session: &Session<'_>, group: &[Judged<'_>]) -> Vec<String> {
    let row = |judged: &Judged<'_>| {
        let named = judged.candidate.named;
        let reasons = judged.verdict.reasons().iter().map(|reason| escaped(&reason.to_string()));
        [
            named.id.short(),
            own_moment(&named.snapshot, &session.zone),
            state_of(&judged.candidate),
            if judged.verdict.keeps() { "keep" } else { "forget" }.to_owned(),
            reasons.collect::<Vec<_>>().join(", "),
        ]
    };
    let heading = [
        ("ID", Column::Left),
        ("Date", Column::Left),
        ("State", Column::Left),
        ("Verdict", Column::Left),
        ("Why", Column::Left),
    ];
    table(heading, &group.iter().map(row).collect::<Vec<_>>())
}

/// How complete a snapshot is; one that does not count is `unfinished`.
pub(super) fn state_of(candidate: &Candidate<'_>) -> String {
    match candidate.counts {
        true => state(&candidate.named.snapshot),
        false => "unfinished".to_owned(),
    }
}
