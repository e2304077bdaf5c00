//! `devsnap forget`: removes snapshots, those that are named or all that a policy does not keep.
use super::Session;
use super::policy::{Judged, Judgement, for_programs, policy_of, state_of};
use crate::args::{ForgetArgs, PolicyArgs};
use crate::failure::{ExitCode, Failure};
use crate::report::json;
use crate::report::text::{Column, own_moment, table, what};
use devsnap_engine::id::SnapshotId;
use devsnap_engine::repository::{Repository, Snapshots};
use devsnap_engine::retention::{Candidate, GroupKey, RetentionPolicy, Verdict, group_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The fewest hex digits that are taken for the beginning of an id.
const PREFIX_LEN_MIN: usize = 4;

pub(super) fn run(session: &Session<'_>, args: &ForgetArgs) -> Result<ExitCode, Failure> {
    let policy = policy_of(&args.policy)?;
    check_usage(args, &policy)?;
    let repository = session.open_repository()?;
    let snapshots = session.all_snapshots(&repository)?;
    let (forgotten, kept) = if args.snapshots.is_empty() {
        let judgement = Judgement::new(&snapshots, &policy, &args.policy)?;
        judgement.say(session)?;
        (judgement.forgotten(), judgement.kept())
    } else {
        let chosen = choose(session, &snapshots, &args.snapshots)?;
        if !args.policy.allow_last {
            spare_the_last(&snapshots, &chosen)?;
        }
        say(session, &chosen)?;
        let forgotten: Vec<SnapshotId> = chosen.iter().map(Chosen::id).collect();
        let kept = snapshots.named.iter().filter(|named| !forgotten.contains(&named.id)).count();
        (forgotten, kept)
    };
    finish(session, &repository, args, &forgotten, kept)
}

/// Either snapshots or a policy: who types both has something else in mind than what would happen.
fn check_usage(args: &ForgetArgs, policy: &RetentionPolicy) -> Result<(), Failure> {
    let PolicyArgs { of, trust_dates, .. } = &args.policy;
    match (args.snapshots.is_empty(), policy.is_empty()) {
        (true, true) => Err(Failure::usage("name snapshots to forget, or say what to keep")
            .hint("e.g. `devsnap forget --keep-daily 7 --keep-monthly 12 --dry-run`")),
        (false, false) => {
            Err(Failure::usage("name snapshots to forget or say what to keep, not both"))
        }
        (false, true) if of.is_some() || *trust_dates => {
            Err(Failure::usage("--of and --trust-dates go with a policy, not with named snapshots"))
        }
        _ => Ok(()),
    }
}

/// Removes them unless this is a dry run, and says how many go.
fn finish(
    session: &Session<'_>,
    repository: &Repository,
    args: &ForgetArgs,
    forgotten: &[SnapshotId],
    kept: usize,
) -> Result<ExitCode, Failure> {
    if !args.dry_run {
        repository.forget(forgotten, session.interrupt)?;
    }
    session.report.summary(
        || {
            json!({
                "message_type": "summary",
                "kept": kept,
                "forgotten": forgotten.len(),
                "dry_run": args.dry_run,
            })
        },
        || match (forgotten.len(), args.dry_run) {
            (0, _) => format!("kept {kept}, none to forget"),
            (gone, true) => format!("would keep {kept} and forget {gone}"),
            (gone, false) => {
                format!("kept {kept}, forgotten {gone}; `devsnap prune` frees the space")
            }
        },
    )?;
    Ok(ExitCode::Done)
}

/// A snapshot that was named.
enum Chosen<'a> {
    Readable(Candidate<'a>),
    /// Its object is damaged; all that is known is its id.
    Unreadable(SnapshotId),
}

impl Chosen<'_> {
    fn id(&self) -> SnapshotId {
        match self {
            Chosen::Readable(candidate) => candidate.named.id,
            Chosen::Unreadable(id) => *id,
        }
    }
}

/// Finds all that were named before any is touched; each once.
fn choose<'a>(
    session: &Session<'_>,
    snapshots: &'a Snapshots,
    words: &[String],
) -> Result<Vec<Chosen<'a>>, Failure> {
    let mut chosen: Vec<Chosen<'a>> = Vec::new();
    for word in words {
        let found = match session.select(&snapshots.named, word) {
            Ok(named) => Chosen::Readable(Candidate { named, counts: true, stored_at_secs: None }),
            Err(failure) => hidden(snapshots, word).ok_or(failure)?,
        };
        if chosen.iter().all(|other| other.id() != found.id()) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// The one snapshot whose id begins so among those that are not shown elsewhere: they take room
/// as others do, and a damaged one keeps `prune` from working.
fn hidden<'a>(snapshots: &'a Snapshots, prefix: &str) -> Option<Chosen<'a>> {
    if prefix.len() < PREFIX_LEN_MIN {
        return None;
    }
    let given_up = snapshots.candidates().filter(|candidate| !candidate.counts);
    let unreadable = snapshots.unreadable.iter().filter_map(|(name, _)| name.parse().ok());
    let all = given_up.map(Chosen::Readable).chain(unreadable.map(Chosen::Unreadable));
    let mut fitting = all.filter(|hidden| hidden.id().to_hex().starts_with(prefix));
    fitting.next().filter(|_| fitting.next().is_none())
}

/// Goes on only if every device and folder keeps a snapshot of each writer that has one now, and a
/// complete one if there is one: what a station adds takes the place of nothing.
fn spare_the_last(snapshots: &Snapshots, chosen: &[Chosen<'_>]) -> Result<(), Failure> {
    let gone: BTreeSet<SnapshotId> = chosen.iter().map(Chosen::id).collect();
    let (going, left): (Vec<_>, Vec<_>) =
        snapshots.named.iter().partition(|named| gone.contains(&named.id));
    let left: BTreeSet<(GroupKey, bool)> =
        left.iter().map(|named| (group_of(named), named.snapshot.is_complete())).collect();
    for named in going {
        let (lineage, writer) = group_of(named);
        let of_others = left.iter().any(|((other, _), _)| *other == lineage);
        let whose =
            if of_others { format!(" by writer {}", writer.short()) } else { String::new() };
        let group = (lineage, writer);
        let has = |complete| left.contains(&(group.clone(), complete));
        let lost = match named.snapshot.is_complete() {
            _ if !has(true) && !has(false) => "last",
            true if !has(true) => "last complete",
            _ => continue,
        };
        return Err(Failure::new(
            ExitCode::Failed,
            format!(
                "this would forget the {lost} snapshot of {}{whose}",
                what(&named.snapshot.origin)
            ),
        )
        .hint("nothing was changed; --allow-last forgets it all the same"));
    }
    Ok(())
}

/// Says which ones go.
fn say(session: &Session<'_>, chosen: &[Chosen<'_>]) -> Result<(), Failure> {
    if session.report.is_json() {
        return chosen.iter().try_for_each(|one| session.report.data(|| verdict(one), String::new));
    }
    let row = |one: &Chosen<'_>| match one {
        Chosen::Readable(candidate) => {
            let snapshot = &candidate.named.snapshot;
            let date = own_moment(snapshot, &session.zone);
            [candidate.named.id.short(), date, what(&snapshot.origin), state_of(candidate)]
        }
        Chosen::Unreadable(id) => {
            [id.short(), String::new(), String::new(), "unreadable".to_owned()]
        }
    };
    let heading = ["ID", "Date", "What", "State"].map(|title| (title, Column::Left));
    for line in table(heading, &chosen.iter().map(row).collect::<Vec<_>>()) {
        session.report.data(|| Value::Null, || line)?;
    }
    Ok(())
}

fn verdict(chosen: &Chosen<'_>) -> Value {
    match chosen {
        Chosen::Readable(candidate) => {
            for_programs(&Judged { candidate: *candidate, verdict: Verdict::Forget })
        }
        Chosen::Unreadable(id) => {
            let mut line = json::line("verdict");
            line.insert("id".to_owned(), id.to_hex().into());
            line.insert("short_id".to_owned(), id.short().into());
            line.insert("keep".to_owned(), false.into());
            line.insert("reasons".to_owned(), json!([]));
            line.into()
        }
    }
}
