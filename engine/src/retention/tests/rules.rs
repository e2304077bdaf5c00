//! Which rules ask for what, group by group.
use super::*;

fn three_days() -> Vec<Given> {
    taken_all([
        "2026-11-22T08:00 Berlin",
        "2026-11-22T20:00 Berlin",
        "2026-11-23T20:00 Berlin",
        "2026-11-24T08:00 Berlin",
        "2026-11-24T20:00 Berlin",
    ])
}

#[test]
fn every_rule_that_asks_for_a_snapshot_is_named() {
    let mut given = three_days();
    given[0] = given[0].clone().tagged("moving").tagged("keep");
    assert_eq!(
        reasons("last 1, daily 2, weekly 4, monthly all, within 24h, tag keep", &given),
        [
            "tag keep",
            "weekly 2 of 4",
            "daily 2 of 2, within 24h",
            "within 24h",
            "last 1 of 1, daily 1 of 2, weekly 1 of 4, monthly 1, within 24h",
        ]
    );
    assert_eq!(reasons("daily 1", &given), ["", "", "", "", "daily 1 of 1"]);
}

#[test]
fn the_answer_has_the_order_of_the_question() {
    let mut given = three_days();
    given.reverse();
    assert_eq!(kept("daily 2", &given), [4, 2]);
}

#[test]
fn a_policy_without_rules_keeps_everything() {
    let given = three_days();
    let verdicts =
        judged(&RetentionPolicy { allow_last: true, ..RetentionPolicy::default() }, &given, NOW);
    assert_eq!(verdicts, vec![Verdict::Keep(vec![Reason::NoRule]); 5]);
    assert!(policy("allow-last").is_empty() && !policy("tag x").is_empty());
}

#[test]
fn each_writer_and_each_device_is_judged_on_its_own() {
    // A station that makes a snapshot every hour, of the same phone and of another.
    let mut given = three_days();
    for hour in 0..10 {
        let time = format!("2026-11-24T{:02}:30 Berlin", 10 + hour);
        given.push(taken(100 + hour, &time).by(2));
        given.push(taken(200 + hour, &time).of("B").numbered(3));
    }
    assert_eq!(kept("last 2", &given), [3, 4, 108, 208, 109, 209]);
    let alone = kept("hourly 2, monthly 1", &given[..5]);
    assert_eq!(kept("hourly 2, monthly 1", &given)[..alone.len()], alone);
}

#[test]
fn the_last_of_a_group_stays_unless_it_is_allowed_to_go() {
    let given = vec![
        taken(0, "2026-11-22T20:00 UTC"),
        taken(1, "2026-11-23T20:00 UTC"),
        taken(2, "2026-11-23T20:00 UTC").of_folder(),
        taken(3, "2026-11-21T20:00 UTC").by(2),
        taken(4, "2026-11-21T21:00 UTC").by(2).tagged("keep"),
    ];
    assert_eq!(
        reasons("tag keep", &given),
        ["", "the last of its device", "the last of its folder", "", "tag keep"]
    );
    assert_eq!(kept("tag keep, allow-last", &given), [4]);
}

#[test]
fn nothing_is_forgotten_because_time_passes() {
    let given = three_days();
    let soon = Time { secs: given[4].named.snapshot.taken_at.secs, nanos: 0 };
    let policy = policy("daily 2, within 2d");
    assert_eq!(judged(&policy, &given, soon), judged(&policy, &given, NOW));
}

#[test]
fn a_complete_snapshot_stands_for_its_period_before_a_newer_incomplete_one() {
    let mut given = three_days();
    given[1] = given[1].clone().incomplete();
    given[2] = given[2].clone().incomplete();
    given[4] = given[4].clone().incomplete();
    assert_eq!(
        reasons("daily 3", &given),
        [
            "daily 3 of 3",
            "",
            // Nothing better was made on that day.
            "daily 2 of 3",
            "daily 1 of 3",
            // The newest state, if not all of it.
            "the last of its device",
        ]
    );
    assert_eq!(kept("daily 3, allow-last", &given), [0, 2, 3]);
}

#[test]
fn a_row_of_incomplete_snapshots_does_not_push_the_last_complete_one_out() {
    let given: Vec<Given> = three_days()
        .into_iter()
        .map(|given| if given.number() > 1 { given.incomplete() } else { given })
        .collect();
    assert_eq!(
        reasons("last 2", &given),
        ["", "the last complete one of its device", "", "last 2 of 2", "last 1 of 2"]
    );
}

#[test]
fn an_unfinished_snapshot_is_judged_as_if_it_counted_and_pushes_nothing_out() {
    let mut given = three_days();
    given.push(taken(5, "2026-11-24T21:00 Berlin").unfinished());
    given.push(taken(6, "2026-11-23T07:00 Berlin").unfinished().numbered(2));
    given.push(taken(7, "2026-11-21T12:00 Berlin").unfinished().numbered(0));
    given.push(taken(8, "2026-11-24T22:00 Berlin").unfinished());
    assert_eq!(
        reasons("daily 3", &given),
        [
            "",
            "daily 3 of 3",
            "daily 2 of 3",
            "",
            "daily 1 of 3",
            "daily 1 of 3",
            "",
            "",
            "daily 1 of 3"
        ]
    );
    // Each alone: neither keeps the other from standing for the day.
    assert_eq!(kept("last 1", &given), [4, 5, 8]);
    assert_eq!(kept("tag x", &given), [4, 5, 8]);
    assert_eq!(kept("tag x", &given[5..]), [5, 6, 7, 8], "each is the last, as if it counted");
}
