//! The rules over one group: the snapshots that one writer made of one device or folder.
use super::calendar::{LocalTime, Period, Reach};
use super::verdict::{Reason, Rule};
use super::{Candidate, Count, Order, RetentionPolicy};
use jiff::civil::DateTime;
use std::collections::BTreeMap;

/// A candidate whose date is believed.
#[derive(Clone, Copy)]
pub(super) struct Dated<'a> {
    pub(super) candidate: &'a Candidate<'a>,
    pub(super) local: LocalTime,
}

impl Dated<'_> {
    fn order(&self) -> Order {
        Order::of(self.candidate.named)
    }

    /// Which of two stands for the period that both lie in: a complete one, then the newer.
    fn rank(&self) -> (bool, Order) {
        (self.candidate.named.snapshot.is_complete(), self.order())
    }
}

/// What a rule sorts a snapshot under, later ones greater: the beginning of its period. Under
/// `last` every snapshot is a period of its own.
type Place = (DateTime, Option<Order>);

fn place_of(rule: Rule, dated: &Dated<'_>) -> Place {
    let period = match rule {
        Rule::Last => return (dated.local.in_utc(), Some(dated.order())),
        Rule::Hourly => Period::Hour,
        Rule::Daily => Period::Day,
        Rule::Weekly => Period::Week,
        Rule::Monthly => Period::Month,
        Rule::Yearly => Period::Year,
    };
    (dated.local.begin_of(period), None)
}

/// One rule's places that are taken, the newest first, and who stands for each.
struct Ranking {
    rule: Rule,
    count: Count,
    places: Vec<(Place, (bool, Order))>,
}

impl Ranking {
    fn new(rule: Rule, count: Count, counted: &[Dated<'_>]) -> Self {
        let mut best: BTreeMap<Place, (bool, Order)> = BTreeMap::new();
        for dated in counted {
            let rank = dated.rank();
            best.entry(place_of(rule, dated)).and_modify(|b| *b = rank.max(*b)).or_insert(rank);
        }
        Ranking { rule, count, places: best.into_iter().rev().collect() }
    }

    /// Why the rule keeps it, which may be one that does not count: then as if it did.
    fn asks_for(&self, dated: &Dated<'_>) -> Option<Reason> {
        let own = place_of(self.rule, dated);
        let newer = self.places.partition_point(|(place, _)| *place > own);
        let beaten = self
            .places
            .get(newer)
            .is_some_and(|(place, best)| *place == own && *best > dated.rank());
        let place = newer + 1;
        (!beaten && self.count.has(place)).then_some(Reason::Rule {
            rule: self.rule,
            place,
            of: self.count,
        })
    }
}

/// What the policy makes of one group.
pub(super) struct Group<'a> {
    policy: &'a RetentionPolicy,
    rankings: Vec<Ranking>,
    reach: Option<Reach>,
    newest: Option<Order>,
    newest_complete: Option<Order>,
}

impl<'a> Group<'a> {
    /// `counted` are those of the group that count and whose dates are believed.
    pub(super) fn new(policy: &'a RetentionPolicy, counted: &[Dated<'_>]) -> Self {
        let ranking = |rule| Some(Ranking::new(rule, policy.count(rule)?, counted));
        let newest = counted.iter().max_by_key(|dated| dated.order());
        let complete = counted.iter().filter(|dated| dated.candidate.named.snapshot.is_complete());
        Group {
            policy,
            rankings: Rule::ALL.into_iter().filter_map(ranking).collect(),
            reach: policy
                .within
                .zip(newest)
                .map(|(within, newest)| within.back_from(&newest.local)),
            newest: newest.map(Dated::order),
            newest_complete: complete.map(Dated::order).max(),
        }
    }

    /// Why the group keeps `dated`: its own, or one that does not count, as if it did.
    pub(super) fn reasons(&self, dated: &Dated<'_>) -> Vec<Reason> {
        let mut reasons: Vec<Reason> =
            self.rankings.iter().filter_map(|ranking| ranking.asks_for(dated)).collect();
        if let Some(within) = self.policy.within
            && self.reach.is_none_or(|reach| reach.covers(&dated.local))
        {
            reasons.push(Reason::Within(within));
        }
        reasons.extend(self.policy.tags_of(dated.candidate.named));
        if reasons.is_empty() && !self.policy.allow_last {
            reasons.extend(self.as_the_last(dated));
        }
        reasons
    }

    /// The newest has the latest state, if not all of it; the newest complete one has all of an
    /// earlier state. Whoever loses the device needs one of the two, and cannot say which today.
    fn as_the_last(&self, dated: &Dated<'_>) -> Option<Reason> {
        let snapshot = &dated.candidate.named.snapshot;
        let is_latest = |newest: Option<Order>| newest.is_none_or(|order| dated.order() >= order);
        if is_latest(self.newest) {
            return Some(Reason::Last(snapshot.origin.word()));
        }
        (snapshot.is_complete() && is_latest(self.newest_complete))
            .then_some(Reason::LastComplete(snapshot.origin.word()))
    }
}
