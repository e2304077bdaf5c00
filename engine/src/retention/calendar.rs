//! Hours, days, weeks, months and years of a moment, as they were counted where it was.
//!
//! A snapshot carries its writer's distance from UTC, so its day is the one that its writer lived
//! in, whoever judges it and wherever. Two choices follow from clocks that are set back:
//!
//! - An *hour* is one that passed. The hour that autumn repeats is two, and a traveller who flies
//!   west lives through each hour once, whatever the clocks say.
//! - A *day* and all that is longer is its name. Whoever is in Tokyo and in Honolulu on the 24th
//!   has one 24th; a day of 25 hours is one day.
use crate::node::Time;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use std::fmt;
use std::str::FromStr;

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Hour,
    Day,
    /// From Monday, so weeks belong to years as ISO 8601 has it.
    Week,
    Month,
    Year,
}

/// A moment, with what calendar and clock showed where it was; whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalTime {
    at: Timestamp,
    offset: Offset,
    shown: DateTime,
}

impl LocalTime {
    /// `None` before the year 1 or after 9999, or further than 26 hours from UTC.
    pub(super) fn new(at: Time, utc_offset_secs: i32) -> Option<Self> {
        let at = Timestamp::from_second(at.secs).ok()?;
        let offset = Offset::from_seconds(utc_offset_secs).ok()?;
        let shown = offset.to_datetime(at);
        (shown.year() >= 1).then_some(LocalTime { at, offset, shown })
    }

    /// When the period began; an hour in UTC, all else as it was shown.
    pub(super) fn begin_of(&self, period: Period) -> DateTime {
        let date = self.shown.date();
        match period {
            Period::Hour => return self.begin_of_hour(),
            Period::Day => date,
            Period::Week => monday_of(date),
            Period::Month => date.first_of_month(),
            Period::Year => date.first_of_year(),
        }
        .into()
    }

    fn begin_of_hour(&self) -> DateTime {
        let passed = i64::from(self.shown.minute()) * 60 + i64::from(self.shown.second());
        let begin = Timestamp::from_second(self.at.as_second() - passed);
        Offset::UTC.to_datetime(begin.expect("because calendars reach far below the year 1"))
    }

    /// What a clock in UTC showed.
    pub(super) fn in_utc(&self) -> DateTime {
        Offset::UTC.to_datetime(self.at)
    }
}

fn monday_of(date: Date) -> Date {
    let passed = Span::new().days(date.weekday().to_monday_zero_offset());
    date.checked_sub(passed).expect("because calendars reach far below the year 1")
}

/// A length of time in years, months, weeks, days and hours, such as `1y6m14d2h`; not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within([u32; UNITS.len()]);

/// Largest first, as they are written.
const UNITS: [char; 5] = ['y', 'm', 'w', 'd', 'h'];

/// Text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no length of time: write it like 1y6m14d2h (years, months, weeks, days, hours, in \
     this order)"
)]
pub struct NotALength(String);

impl FromStr for Within {
    type Err = NotALength;

    fn from_str(text: &str) -> Result<Self, NotALength> {
        let within = parse(text).map(Within).filter(|within| within.span().is_some());
        within.filter(|within| within.0 != [0; UNITS.len()]).ok_or(NotALength(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<[u32; UNITS.len()]> {
    let (mut numbers, mut next, mut rest) = ([0; UNITS.len()], 0, text);
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = tail.chars().next()?;
        let place = next + UNITS[next..].iter().position(|known| *known == unit)?;
        numbers[place] = digits.parse().ok()?;
        (next, rest) = (place + 1, &tail[unit.len_utf8()..]);
    }
    Some(numbers)
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.0.iter().zip(UNITS).filter(|(number, _)| **number > 0);
        given.into_iter().try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl Within {
    /// `None` when no calendar is that long.
    fn span(&self) -> Option<Span> {
        let [years, months, weeks, days, hours] = self.0;
        let span = Span::new().try_years(years).ok()?.try_months(months).ok()?;
        span.try_weeks(weeks).ok()?.try_days(days).ok()?.try_hours(hours).ok()
    }

    /// How far this length of time reaches back from `newest`.
    pub(super) fn back_from(&self, newest: &LocalTime) -> Reach {
        let [.., hours] = self.0;
        let only_hours = self.0 == [0, 0, 0, 0, hours];
        let span = self.span().expect("because it was made when it was parsed");
        let shown = newest.shown.checked_sub(span).ok();
        Reach {
            since: shown.and_then(|shown| newest.offset.to_timestamp(shown).ok()),
            shown_since: shown.filter(|_| !only_hours),
        }
    }
}

/// What lies within a length of time.
///
/// Days and what is longer are counted on calendars: a snapshot taken at noon is within 14 days of
/// noon even if the clocks were set back in between. But nobody's 14 days get shorter by a flight
/// to the east: what is within that many times 24 hours is within, too. Hours alone are hours
/// that passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// `None`: from the beginning of time.
    since: Option<Timestamp>,
    /// As shown where a snapshot was taken.
    shown_since: Option<DateTime>,
}

impl Reach {
    pub(super) fn covers(&self, local: &LocalTime) -> bool {
        self.since.is_none_or(|since| local.at >= since)
            || self.shown_since.is_some_and(|since| local.shown >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn local(shown: &str) -> LocalTime {
        let zoned = crate::retention::tests::zoned(shown);
        let time = Time { secs: zoned.timestamp().as_second(), nanos: 0 };
        LocalTime::new(time, zoned.offset().seconds()).unwrap()
    }

    #[track_caller]
    fn same(period: Period, a: &str, b: &str) -> bool {
        local(a).begin_of(period) == local(b).begin_of(period)
    }

    #[test]
    fn periods_begin_and_end_where_the_writer_lived() {
        for (period, a, b, together) in [
            (Period::Day, "2026-11-24T00:00 Berlin", "2026-11-24T23:59:59 Berlin", true),
            // The same day in UTC, another one at home.
            (Period::Day, "2026-11-24T23:30 Berlin", "2026-11-25T00:30 Berlin", false),
            // Another day in UTC, the same one at home.
            (Period::Day, "2026-11-24T00:30 Tokyo", "2026-11-24T23:30 Tokyo", true),
            (Period::Day, "2026-11-24T08:00 Tokyo", "2026-11-24T08:00 Honolulu", true),
            (Period::Month, "2024-02-01T00:00 Berlin", "2024-02-29T23:59 Berlin", true),
            (Period::Month, "2024-02-29T23:59 Berlin", "2024-03-01T00:00 Berlin", false),
            (Period::Month, "2025-11-24T12:00 Berlin", "2026-11-24T12:00 Berlin", false),
            (Period::Year, "2026-01-01T00:00 Berlin", "2026-12-31T23:59 Berlin", true),
            (Period::Year, "2026-12-31T23:59 Berlin", "2027-01-01T00:00 Berlin", false),
        ] {
            assert_eq!(same(period, a, b), together, "{period:?} {a} {b}");
        }
    }

    #[test]
    fn a_week_goes_from_monday_to_sunday_across_the_turn_of_the_year() {
        // Week 53 of 2026 ends on Sunday, the 3rd of January 2027.
        let week = |day: &str| local(&format!("{day}T12:00 Berlin")).begin_of(Period::Week);
        assert_eq!(week("2026-12-28"), week("2027-01-03"));
        assert_ne!(week("2026-12-27"), week("2026-12-28"));
        assert_ne!(week("2027-01-03"), week("2027-01-04"));
        // 2025 has no week 53: the 29th of December lies in week 1 of 2026.
        assert_eq!(week("2025-12-29"), week("2026-01-04"));
    }

    #[test]
    fn the_hour_that_autumn_repeats_is_two_hours_of_one_day() {
        for (zone, summer, winter) in [
            ("Berlin", "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"),
            ("New_York", "2026-11-01T01:30-04:00", "2026-11-01T01:30-05:00"),
        ] {
            let (summer, winter) = (format!("{summer} {zone}"), format!("{winter} {zone}"));
            assert!(!same(Period::Hour, &summer, &winter));
            assert!(local(&summer).begin_of(Period::Hour) < local(&winter).begin_of(Period::Hour));
            assert!(same(Period::Day, &summer, &winter));
        }
    }

    #[test]
    fn the_day_that_spring_shortens_is_one_day_of_23_hours() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let midnight = jiff::civil::date(2026, 3, 8).to_zoned_datetime(zone).unwrap();
        let hours: Vec<LocalTime> = (0..24)
            .map(|hour| {
                let at = midnight.timestamp().as_second() + hour * 3600;
                let zoned = Timestamp::from_second(at).unwrap();
                let offset = midnight.time_zone().to_offset(zoned).seconds();
                LocalTime::new(Time { secs: at, nanos: 0 }, offset).unwrap()
            })
            .collect();
        let day = hours[0].begin_of(Period::Day);
        assert_eq!(hours.iter().filter(|hour| hour.begin_of(Period::Day) == day).count(), 23);
    }

    #[test]
    fn an_hour_begins_where_the_clock_shows_it_full() {
        assert!(same(Period::Hour, "2026-11-24T09:00 Kolkata", "2026-11-24T09:59 Kolkata"));
        assert!(!same(Period::Hour, "2026-11-24T09:29 Kolkata", "2026-11-24T10:29 Kolkata"));
        // Eight hours ahead, the same hour of the world.
        assert!(same(Period::Hour, "2026-11-24T09:10 Berlin", "2026-11-24T17:50 Tokyo"));
        assert!(!same(Period::Hour, "2026-11-24T09:10 Berlin", "2026-11-24T09:10 Tokyo"));
    }

    #[test]
    fn what_no_calendar_has_is_no_local_time() {
        let at = |secs| Time { secs, nanos: 0 };
        assert!(LocalTime::new(at(1_793_491_200), 3600).is_some());
        for (secs, offset) in [(i64::MAX, 0), (i64::MIN, 0), (-62_135_596_801, 0), (0, i32::MAX)] {
            assert_eq!(LocalTime::new(at(secs), offset), None, "{secs} {offset}");
        }
        // The first moment and the last still have all their periods.
        for secs in [-62_135_596_800, 253_402_207_200] {
            let edge = LocalTime::new(at(secs), 0).unwrap();
            for period in [Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year] {
                edge.begin_of(period);
            }
        }
    }

    #[test]
    fn a_length_of_time_is_written_as_it_is_read() {
        for text in ["1y6m14d2h", "2w", "36h", "1y", "18m", "400d"] {
            assert_eq!(text.parse::<Within>().unwrap().to_string(), text);
        }
        assert_eq!("0y014d".parse::<Within>().unwrap().to_string(), "14d");
        for text in [
            "",
            "14",
            "d",
            "14d2y",
            "2d3d",
            "0d",
            "1.5y",
            "-3d",
            "+3d",
            "14 d",
            "14D",
            "1µ",
            "1s",
            "99999999999d",
            "4294967295y",
        ] {
            let error = text.parse::<Within>().unwrap_err().to_string();
            assert!(error.contains("1y6m14d2h"), "{text}: {error}");
        }
    }

    #[track_caller]
    fn reaches(within: &str, newest: &str, at: &str) -> bool {
        within.parse::<Within>().unwrap().back_from(&local(newest)).covers(&local(at))
    }

    #[test]
    fn a_length_of_time_follows_the_calendar() {
        for (within, newest, first, before) in [
            // Months have their own lengths; the last of a short one is its end.
            ("1m", "2026-03-31T12:00 UTC", "2026-02-28T12:00 UTC", "2026-02-28T11:59:59 UTC"),
            ("1m", "2024-03-31T12:00 UTC", "2024-02-29T12:00 UTC", "2024-02-29T11:59:59 UTC"),
            ("1y", "2024-02-29T12:00 UTC", "2023-02-28T12:00 UTC", "2023-02-28T11:59:59 UTC"),
            (
                "1y6m14d2h",
                "2026-11-24T12:00 UTC",
                "2025-05-10T10:00 UTC",
                "2025-05-10T09:59:59 UTC",
            ),
            ("2w", "2026-11-24T12:00 UTC", "2026-11-10T12:00 UTC", "2026-11-10T11:59:59 UTC"),
            // The clocks were set back on the 25th of October, 25 hours ago.
            (
                "1d",
                "2026-10-25T12:00 Berlin",
                "2026-10-24T12:00 Berlin",
                "2026-10-24T11:59:59 Berlin",
            ),
            (
                "24h",
                "2026-10-25T12:00 Berlin",
                "2026-10-24T13:00 Berlin",
                "2026-10-24T12:59:59 Berlin",
            ),
            // And in spring, 23 hours ago.
            (
                "24h",
                "2026-03-29T12:00 Berlin",
                "2026-03-28T11:00 Berlin",
                "2026-03-28T10:59:59 Berlin",
            ),
        ] {
            assert!(reaches(within, newest, first), "{within} {newest} {first}");
            assert!(!reaches(within, newest, before), "{within} {newest} {before}");
        }
    }

    #[test]
    fn a_flight_to_the_east_makes_no_day_shorter() {
        let (tokyo, before) = ("2026-11-24T12:00 Tokyo", "2026-11-23T09:00 Los_Angeles");
        assert!(reaches("1d", tokyo, before), "it is ten hours ago, whatever the calendars say");
        assert!(!reaches("1d", tokyo, "2026-11-22T18:59 Los_Angeles"), "more than a day");
    }

    #[test]
    fn what_reaches_below_all_calendars_reaches_everything() {
        assert!(reaches("19000y", "2026-11-24T12:00 UTC", "0001-01-01T00:00 UTC"));
    }
}
