//! Dates that cannot be right.
use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// 2026-11-24T12:00:00Z.
const NOON: i64 = 1_795_521_600;

/// One a day at noon, the last on the 24th of November, numbered from 0.
fn week() -> Vec<Given> {
    (0..7).map(|day| at(day, NOON - (6 - i64::from(day)) * DAY, 0)).collect()
}

/// What `words` keep of the week when `odd` is there too; the odd one must say `why` it is kept.
#[track_caller]
fn with(odd: Given, words: &str, why: &str) -> Vec<u16> {
    let mut given = week();
    given.push(odd);
    let said = reasons(words, &given);
    assert_eq!(said[7], why, "{words}");
    kept(words, &given[..]).into_iter().filter(|number| *number < 7).collect()
}

#[test]
fn a_date_in_the_future_takes_no_place() {
    for secs in [NOW.secs + 601, NOW.secs + 400 * DAY] {
        assert_eq!(with(at(7, secs, 0), "last 2", "dated in the future"), [5, 6]);
        assert_eq!(with(at(7, secs, 0), "daily 2, yearly 1", "dated in the future"), [5, 6]);
        assert_eq!(with(at(7, secs, 0), "within 2d", "dated in the future"), [4, 5, 6]);
    }
    // Clocks differ a little.
    assert_eq!(with(at(7, NOW.secs + 600, 0), "last 2", "last 1 of 2"), [6]);
}

#[test]
fn a_date_that_no_calendar_has_takes_no_place() {
    for (secs, offset) in [(i64::MIN, 0), (i64::MIN, i32::MIN), (NOON, i32::MAX)] {
        let odd = at(7, secs, offset);
        assert_eq!(with(odd, "last 2", "dated outside the calendar"), [5, 6]);
    }
    assert_eq!(with(at(7, i64::MAX, 0), "last 2", "dated outside the calendar"), [5, 6]);
}

#[test]
fn a_date_far_from_when_it_was_stored_takes_no_place() {
    for (lag, why, expected) in [
        (3 * DAY, "last 1 of 2", &[6][..]),
        (3 * DAY + 1, "dated far from 2026-11-27, when it was stored", &[5, 6]),
        (-DAY, "last 1 of 2", &[6]),
        (-DAY - 1, "dated far from 2026-11-23, when it was stored", &[5, 6]),
    ] {
        let odd = at(7, NOON + HOUR, 0).stored_after(lag);
        assert_eq!(with(odd, "last 2", why), expected, "{lag}");
    }
}

#[test]
fn a_long_run_is_stored_long_after_its_date() {
    let mut odd = at(7, NOON + HOUR, 0).stored_after(12 * DAY);
    odd.named.snapshot.totals.duration_millis = 9 * 86_400_000;
    assert!(with(odd.clone(), "last 1", "last 1 of 1").is_empty());
    odd.named.snapshot.totals.duration_millis -= 1000;
    assert_eq!(with(odd.clone(), "last 1", "dated far from 2026-12-06, when it was stored"), [6]);
    odd.named.snapshot.totals.duration_millis = u64::MAX;
    assert!(with(odd, "last 1", "last 1 of 1").is_empty());
}

#[test]
fn a_date_before_the_predecessors_takes_no_place() {
    // The clock fell back by two days; without that it would be the newest of its day.
    let odd = at(7, NOON - 2 * DAY + HOUR, 0);
    let why = "dated before 00060000, which its writer made earlier";
    assert_eq!(with(odd.clone(), "daily 3", why), [4, 5, 6]);
    assert_eq!(with(odd, "last 4", why), [3, 4, 5, 6]);
    // To 1970, where there are years to fill.
    assert_eq!(with(at(7, 0, 0), "yearly 2", why), [6]);
}

#[test]
fn the_predecessor_counts_whatever_it_is_of() {
    let mut given = week();
    given.push(at(7, NOON + DAY, 0).of("B"));
    given.push(at(8, NOON + HOUR, 0));
    let said = reasons("last 2", &given);
    assert_eq!(said[8], "dated before 00070000, which its writer made earlier");
    assert_eq!(kept("last 2", &given), [5, 6, 7, 8]);
    // Another writer's clock is no measure.
    given[8] = given[8].clone().by(2);
    assert_eq!(reasons("last 2", &given)[8], "last 1 of 2");
}

#[test]
fn runs_that_overlap_are_no_contradiction() {
    // Begun first, and second in the order; one password on two computers.
    let mut given = week();
    given.push(at(7, NOON + 10 * HOUR, 0).of("B"));
    given.push(at(8, NOON + 9 * HOUR, 0));
    assert_eq!(kept("last 1", &given), [7, 8]);
    // Both saw the same predecessor.
    given.push(at(9, NOON + 5 * DAY, 0).of("B").numbered(9));
    given.push(at(10, NOON + 3 * DAY, 0).numbered(9));
    assert_eq!(kept("last 1", &given), [9, 10]);
}

#[test]
fn a_date_that_is_wrong_itself_makes_no_other_one_doubtful() {
    for odd in [
        at(7, NOW.secs + DAY, 0),
        at(7, NOON + 300 * DAY, 0).stored_after(-200 * DAY),
        at(7, NOON + 300 * DAY, 0).unfinished(),
    ] {
        let mut given = week();
        given.push(odd);
        given.push(at(8, NOON + DAY, 0));
        assert_eq!(reasons("last 1", &given)[8], "last 1 of 1");
    }
}

#[test]
fn what_shows_that_a_date_is_wrong_stays_with_it() {
    // 7 is two days ahead of what follows; of them, only 9 would be kept but for that.
    let mut given = week();
    given.push(at(7, NOON + 3 * DAY, 0));
    given.push(at(8, NOON + DAY, 0));
    given.push(at(9, NOON + 4 * DAY, 0));
    let said = reasons("last 1", &given);
    assert_eq!(said[7], "a later one is dated before it");
    assert_eq!(said[8], "dated before 00070000, which its writer made earlier");
    assert_eq!(said[9], "last 1 of 1");
    // Were 7 forgotten, 8 would be believed the next time, and count.
    let left: Vec<Given> = given[7..].to_vec();
    assert_eq!(kept("last 1", &left), [7, 8, 9]);
    assert_eq!(kept("last 1", &left[1..]), [9]);
}

#[test]
fn a_doubtful_snapshot_names_its_tag_too() {
    let odd = at(7, NOW.secs + DAY, 0).tagged("keep");
    assert_eq!(with(odd, "last 1, tag keep", "dated in the future, tag keep"), [6]);
}

#[test]
fn the_last_believed_one_stays_beside_doubtful_ones() {
    assert_eq!(with(at(7, NOW.secs + DAY, 0), "tag x", "dated in the future"), [6]);
}
