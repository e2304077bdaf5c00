//! Whether a snapshot's date can be believed.
//!
//! A clock that is wrong must not delete backups. So each date is held against the clock of
//! whoever judges, against the storage's own, and against the order in which its writer made its
//! snapshots. What fails is kept and takes no part in the judgement of others.
use super::Candidate;
use super::calendar::LocalTime;
use super::verdict::Reason;
use crate::node::Time;
use crate::seal::WriterId;
use crate::snapshot::Named;
use std::collections::{BTreeMap, BTreeSet};

const HOUR_SECS: i64 = 3600;
const DAY_SECS: i64 = 24 * HOUR_SECS;

/// Clocks of healthy computers agree better than this. What is doubted wrongly is believed as soon
/// as its time has come.
const AHEAD_OF_NOW_MAX_SECS: i64 = 600;

/// A storage may count its dates in local time, as FAT does.
const AHEAD_OF_STORED_MAX_SECS: i64 = DAY_SECS;

/// Beside the time that the run took: a computer may have slept over a weekend in its midst.
const BEHIND_STORED_MAX_SECS: i64 = 3 * DAY_SECS;

/// Two computers with one password are one writer, and their runs overlap: a run takes its date
/// when it begins and its place in the order once it has opened the repository.
const BEHIND_PREDECESSOR_MAX_SECS: i64 = HOUR_SECS;

/// What became of every candidate's date, in their order.
pub(super) struct Dates {
    /// The local time that is believed, or why none is.
    pub(super) of: Vec<Result<LocalTime, Reason>>,
    /// Candidates against which others' dates were found wrong. Without them those would be
    /// believed the next time.
    pub(super) contradicted: BTreeSet<usize>,
}

impl Dates {
    pub(super) fn examine(candidates: &[Candidate<'_>], now: Time) -> Self {
        let of = candidates.iter().map(|candidate| alone(candidate, now)).collect();
        let mut dates = Dates { of, contradicted: BTreeSet::new() };
        let mut chains: BTreeMap<WriterId, Vec<usize>> = BTreeMap::new();
        for (index, candidate) in candidates.iter().enumerate() {
            chains.entry(candidate.named.snapshot.writer).or_default().push(index);
        }
        for chain in chains.values_mut() {
            // Runs that overlapped may have one number; then their dates tell the order.
            chain.sort_by_key(|index| {
                let Named { id, snapshot, .. } = candidates[*index].named;
                (snapshot.sequence, snapshot.taken_at, *id)
            });
            dates.hold_against_predecessors(candidates, chain);
        }
        dates
    }

    /// Goes through one writer's snapshots in the order in which it made them, whatever they are
    /// of. The latest date so far is what the next one must not fall behind.
    fn hold_against_predecessors(&mut self, candidates: &[Candidate<'_>], chain: &[usize]) {
        let secs = |index: usize| candidates[index].named.snapshot.taken_at.secs;
        let mut latest: Option<usize> = None;
        for &index in chain {
            if self.of[index].is_err() {
                continue;
            }
            match latest {
                Some(before) if is_behind(secs(index), secs(before)) => {
                    self.of[index] = Err(Reason::BeforePredecessor(candidates[before].named.id));
                    self.contradicted.insert(before);
                }
                Some(before) if secs(index) <= secs(before) => {}
                // What does not count is no reason to doubt what does.
                _ if !candidates[index].counts => {}
                _ => latest = Some(index),
            }
        }
    }
}

fn is_behind(secs: i64, predecessor_secs: i64) -> bool {
    secs.saturating_add(BEHIND_PREDECESSOR_MAX_SECS) < predecessor_secs
}

/// What can be said of the date without looking at others.
fn alone(candidate: &Candidate<'_>, now: Time) -> Result<LocalTime, Reason> {
    let snapshot = &candidate.named.snapshot;
    let local =
        LocalTime::new(snapshot.taken_at, snapshot.utc_offset_secs).ok_or(Reason::NoDate)?;
    let taken_secs = snapshot.taken_at.secs;
    if taken_secs > now.secs.saturating_add(AHEAD_OF_NOW_MAX_SECS) {
        return Err(Reason::Future);
    }
    let run_secs = i64::try_from(snapshot.totals.duration_millis / 1000).unwrap_or(i64::MAX);
    if let Some(stored_secs) = candidate.stored_at_secs {
        let latest = taken_secs.saturating_add(run_secs).saturating_add(BEHIND_STORED_MAX_SECS);
        let earliest = taken_secs.saturating_sub(AHEAD_OF_STORED_MAX_SECS);
        if !(earliest..=latest).contains(&stored_secs) {
            return Err(Reason::StoredFar(stored_secs));
        }
    }
    Ok(local)
}
