//! Days, weeks, months and years across clocks that are set, flights and the turns of years.
use super::*;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

/// One a day at eight in the evening in Berlin, numbered from 0, the last day not among them.
fn daily(from: Date, until: Date) -> Vec<(Date, Given)> {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let evening = |(number, day): (u16, Date)| {
        let zoned = day.at(20, 0, 0, 0).to_zoned_datetime(berlin.clone()).unwrap();
        (day, at(number, zoned.timestamp().as_second(), zoned.offset().seconds()))
    };
    let days = std::iter::successors(Some(from), |day| day.tomorrow().ok());
    (0..).zip(days.take_while(|day| *day < until)).map(evening).collect()
}

/// What stays of `history` under `words`, as dates.
fn days_kept(words: &str, history: &[(Date, Given)]) -> Vec<String> {
    let given: Vec<Given> = history.iter().map(|(_, given)| given.clone()).collect();
    let kept = kept(words, &given);
    let stays = history.iter().filter(|(_, given)| kept.contains(&given.number()));
    stays.map(|(day, _)| day.to_string()).collect()
}

#[test]
fn a_year_of_daily_snapshots_keeps_what_the_calendar_says() {
    let year = daily(date(2026, 1, 1), date(2027, 1, 1));
    assert_eq!(year.len(), 365);
    let month_ends = "2026-01-31 2026-02-28 2026-03-31 2026-04-30 2026-05-31 2026-06-30 \
        2026-07-31 2026-08-31 2026-09-30 2026-10-31 2026-11-30";
    // Sundays; the fourth, the end of December and that of the year are among the last days.
    let week_ends = "2026-12-06 2026-12-13 2026-12-20";
    let days = "2026-12-25 2026-12-26 2026-12-27 2026-12-28 2026-12-29 2026-12-30 2026-12-31";
    let expected = format!("{month_ends} {week_ends} {days}");
    assert_eq!(days_kept("daily 7, weekly 5, monthly 12, yearly 3", &year).join(" "), expected);
}

#[test]
fn each_rule_alone_keeps_its_own_days_of_a_year() {
    let year = daily(date(2026, 1, 1), date(2027, 1, 1));
    for (words, expected) in [
        ("last 2", &["2026-12-30", "2026-12-31"][..]),
        ("daily 3", &["2026-12-29", "2026-12-30", "2026-12-31"]),
        ("weekly 3", &["2026-12-20", "2026-12-27", "2026-12-31"]),
        ("monthly 3", &["2026-10-31", "2026-11-30", "2026-12-31"]),
        ("yearly all", &["2026-12-31"]),
        ("within 2d", &["2026-12-29", "2026-12-30", "2026-12-31"]),
    ] {
        assert_eq!(days_kept(words, &year), expected, "{words}");
    }
    assert_eq!(days_kept("daily all", &year).len(), 365);
    assert_eq!(days_kept("weekly all", &year).len(), 53, "2026 has 53 weeks");
    assert_eq!(days_kept("within 3m", &year).len(), 93, "back to the 30th of September");
}

#[test]
fn forgetting_every_evening_comes_to_the_same_as_forgetting_once() {
    // From one leap year to the next but one.
    let all = daily(date(2024, 1, 1), date(2028, 3, 3));
    let words = "daily 7, weekly 5, monthly 14, yearly all";
    let mut left: Vec<(Date, Given)> = Vec::new();
    for today in &all {
        left.push(today.clone());
        let kept = days_kept(words, &left);
        left.retain(|(day, _)| kept.contains(&day.to_string()));
    }
    let year_ends = "2024-12-31 2025-12-31 2026-12-31";
    let month_ends = "2027-02-28 2027-03-31 2027-04-30 2027-05-31 2027-06-30 2027-07-31 \
        2027-08-31 2027-09-30 2027-10-31 2027-11-30 2027-12-31 2028-01-31";
    let week_ends = "2028-02-06 2028-02-13 2028-02-20";
    let days = "2028-02-25 2028-02-26 2028-02-27 2028-02-28 2028-02-29 2028-03-01 2028-03-02";
    let expected = format!("{year_ends} {month_ends} {week_ends} {days}");
    assert_eq!(days_kept(words, &all).join(" "), expected);
    assert_eq!(days_kept(words, &left).join(" "), expected);
    assert_eq!(left.len(), expected.split(' ').count());
}

#[test]
fn periods_turn_where_the_writer_lived() {
    for (words, shown, expected) in [
        // 23:30 and 00:30 are one day in UTC.
        ("daily 2", ["2026-11-24T23:30 Berlin", "2026-11-25T00:30 Berlin"], &[0, 1][..]),
        ("yearly 2", ["2026-12-31T23:30 Berlin", "2027-01-01T00:30 Berlin"], &[0, 1]),
        ("monthly 2", ["2026-11-30T23:30 Berlin", "2026-12-01T00:30 Berlin"], &[0, 1]),
        // And these are two days, months and years in UTC.
        ("daily 2", ["2026-11-24T18:30 New_York", "2026-11-24T19:30 New_York"], &[1]),
        ("yearly 2", ["2026-12-31T18:30 New_York", "2026-12-31T19:30 New_York"], &[1]),
        ("monthly 2", ["2024-02-29T18:30 New_York", "2024-02-29T19:30 New_York"], &[1]),
        ("monthly 2", ["2024-02-29T12:00 Berlin", "2024-03-01T12:00 Berlin"], &[0, 1]),
        // Week 53 of 2026 has days of both years.
        ("weekly 2", ["2026-12-28T12:00 Berlin", "2027-01-03T12:00 Berlin"], &[1]),
        ("weekly 2", ["2027-01-03T12:00 Berlin", "2027-01-04T12:00 Berlin"], &[0, 1]),
        ("weekly 2", ["2025-12-28T12:00 Berlin", "2025-12-29T12:00 Berlin"], &[0, 1]),
        ("yearly 2", ["2025-12-29T12:00 Berlin", "2026-01-04T12:00 Berlin"], &[0, 1]),
    ] {
        assert_eq!(kept(words, &taken_all(shown)), expected, "{words} {shown:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_repeats_an_hour_and_no_day() {
    for (zone, day, offsets) in [
        ("Berlin", "2026-10-25", ["T01:30+02:00", "T02:30+02:00", "T02:30+01:00", "T03:30+01:00"]),
        (
            "New_York",
            "2026-11-01",
            ["T00:30-04:00", "T01:30-04:00", "T01:30-05:00", "T02:30-05:00"],
        ),
    ] {
        let shown = offsets.map(|time| format!("{day}{time} {zone}"));
        let night = taken_all(shown.iter().map(String::as_str));
        assert_eq!(kept("hourly 3", &night), [1, 2, 3], "{zone}");
        assert_eq!(kept("hourly 4", &night), [0, 1, 2, 3], "{zone}");
        assert_eq!(kept("daily 2", &night), [3], "{zone}");
    }
}

#[test]
fn a_clock_that_is_set_forward_loses_an_hour_and_no_snapshot() {
    for shown in [
        ["2026-03-29T01:30 Berlin", "2026-03-29T03:30 Berlin", "2026-03-30T00:30 Berlin"],
        ["2026-03-08T01:30 New_York", "2026-03-08T03:30 New_York", "2026-03-09T00:30 New_York"],
    ] {
        let given = taken_all(shown);
        assert_eq!(kept("hourly 2", &given), [1, 2]);
        assert_eq!(kept("hourly 3", &given), [0, 1, 2]);
        assert_eq!(kept("daily 2", &given), [1, 2]);
    }
}

#[test]
fn whoever_flies_west_lives_through_a_day_once_and_through_each_hour() {
    // Over the date line: from the morning of the 24th to the evening of the 23rd and on.
    let flight = taken_all([
        "2026-11-24T08:00 Tokyo",
        "2026-11-23T22:00 Honolulu",
        "2026-11-24T08:00 Honolulu",
    ]);
    assert_eq!(kept("daily all", &flight), [1, 2]);
    assert_eq!(kept("hourly all", &flight), [0, 1, 2]);
    // The newest stays, though the calendar has seen a later day.
    assert_eq!(reasons("daily 1", &flight[..2]), ["daily 1 of 1", "the last of its device"]);
}

#[test]
fn whoever_flies_east_loses_no_day_of_within() {
    let flight = taken_all([
        "2026-11-22T18:00 Los_Angeles",
        "2026-11-23T09:00 Los_Angeles",
        "2026-11-24T12:00 Tokyo",
    ]);
    assert_eq!(kept("within 1d", &flight), [1, 2]);
    assert_eq!(kept("daily 2", &flight), [1, 2]);
}
