//! Which snapshot a person means: `latest`, `latest~2`, `9c1e44d0`, a tag, a date, each after
//! `DEVICE@` if wanted.
use super::{Named, Origin};
use jiff::civil::{Date, Time as ClockTime};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// The fewest hex digits that are taken for the beginning of an id.
const PREFIX_LEN_MIN: usize = 4;

/// What a person typed, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Before the last `@`: a device's name or UDID, a host, a folder, `HOST:FOLDER`.
    pub of: Option<String>,
    /// After it.
    pub which: String,
}

impl Selector {
    /// Takes `text` apart.
    pub fn parse(text: &str) -> Self {
        match text.rsplit_once('@') {
            Some((of, which)) if !of.is_empty() => {
                Selector { of: Some(of.to_owned()), which: which.to_owned() }
            }
            _ => Selector { of: None, which: text.to_owned() },
        }
    }
}

/// Why no one snapshot is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The repository has no snapshot at all.
    #[error("the repository has no snapshots yet")]
    NoneAtAll,
    /// Nothing fits the part before `@`.
    #[error("no snapshot is of `{0}`")]
    NotOf(String),
    /// Nothing fits the rest.
    #[error("no snapshot is `{0}`")]
    NoneFits(String),
    /// It begins like a date and is none of the shapes that are understood.
    #[error(
        "`{0}` is no moment: write YYYY-MM-DD, YYYY-MM-DDTHH:MM or YYYY-MM-DDTHH:MM:SS, local \
         time, with no offset or zone (a space may stand for the T)"
    )]
    NoMoment(String),
    /// The part before `@` fits different devices or folders.
    #[error("`{of}` is more than one: {several}")]
    SeveralOf {
        /// What was typed.
        of: String,
        /// What it fits, for people.
        several: String,
    },
    /// An id prefix fits several snapshots.
    #[error("`{prefix}` begins more than one id: {several}")]
    SeveralIds {
        /// What was typed.
        prefix: String,
        /// The ids it begins.
        several: String,
    },
}

/// The one snapshot that `text` means.
///
/// `latest~N` counts back from the newest. A date means the state of things at its end, a date
/// with a time at the end of that minute or second, all in `zone`: the newest snapshot not taken
/// later. A tag means the newest snapshot that was given it. `snapshots` come in any order.
///
/// # Errors
///
/// None or several fit; it looks like a date and is none.
pub fn select<'a>(
    snapshots: &'a [Named],
    selector: &Selector,
    zone: &TimeZone,
) -> Result<&'a Named, SelectError> {
    if snapshots.is_empty() {
        return Err(SelectError::NoneAtAll);
    }
    let mut found: Vec<&Named> = snapshots.iter().collect();
    if let Some(of) = &selector.of {
        found.retain(|named| is_of(&named.snapshot.origin, of));
        one_lineage(&found, of)?;
    }
    found.sort_by_key(|named| (named.snapshot.taken_at, named.snapshot.sequence, named.id));
    let which = selector.which.as_str();
    let none_fits = || SelectError::NoneFits(which.to_owned());
    if let Some(back) = steps_back(which) {
        return found.iter().rev().nth(back).copied().ok_or_else(none_fits);
    }
    if let Some(named) = by_prefix(&found, which)? {
        return Ok(named);
    }
    if let Some(end_secs) = end_of(which, zone) {
        let before = found.iter().rev().find(|named| named.snapshot.taken_at.secs < end_secs);
        return before.copied().ok_or_else(none_fits);
    }
    let tagged = found.iter().rev().find(|n| n.snapshot.tags.iter().any(|tag| tag == which));
    tagged.copied().ok_or_else(|| match begins_like_a_date(which) {
        true => SelectError::NoMoment(which.to_owned()),
        false => none_fits(),
    })
}

fn steps_back(which: &str) -> Option<usize> {
    match which.strip_prefix("latest")? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

fn by_prefix<'a>(found: &[&'a Named], prefix: &str) -> Result<Option<&'a Named>, SelectError> {
    let hex = prefix.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !hex || prefix.len() < PREFIX_LEN_MIN {
        return Ok(None);
    }
    let fitting: Vec<&Named> =
        found.iter().copied().filter(|named| named.id.to_hex().starts_with(prefix)).collect();
    match fitting.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(SelectError::SeveralIds {
            prefix: prefix.to_owned(),
            several: several
                .iter()
                .map(|n| n.id.to_hex()[..16].to_owned())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// The first second that is later than the day, minute or second that `which` names; `None` when
/// it names none.
///
/// Goes by shape, not by a general parser: those take offsets and zones too and drop them, and
/// another moment than the one that was typed must never be meant.
fn end_of(which: &str, zone: &TimeZone) -> Option<i64> {
    let end = if has_shape(which, DAY_SHAPE) {
        day(which)?.tomorrow().ok()?.to_datetime(ClockTime::midnight())
    } else {
        let step_secs = match which {
            _ if has_shape(which, "0000-00-00T00:00") => 60,
            _ if has_shape(which, "0000-00-00T00:00:00") => 1,
            _ => return None,
        };
        let (date, time) = which.split_at(DAY_SHAPE.len());
        let begin = day(date)?.to_datetime(clock_time(&time[1..])?);
        begin.checked_add(jiff::SignedDuration::from_secs(step_secs)).ok()?
    };
    Some(zone.to_timestamp(end).ok()?.as_second())
}

const DAY_SHAPE: &str = "0000-00-00";

/// Whether `text` is `shape` with any digits for its zeros; a space may stand for `T`.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(c, wanted): (u8, u8)| match wanted {
        b'0' => c.is_ascii_digit(),
        b'T' => c == b'T' || c == b' ',
        _ => c == wanted,
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

/// A year and a month: whoever types that means a date.
fn begins_like_a_date(which: &str) -> bool {
    which.get(..7).is_some_and(|beginning| has_shape(beginning, "0000-00"))
}

fn day(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let year = parts.next()?.parse().ok()?;
    let month = parts.next()?.parse().ok()?;
    Date::new(year, month, parts.next()?.parse().ok()?).ok()
}

fn clock_time(text: &str) -> Option<ClockTime> {
    let mut parts = text.split(':');
    let hour = parts.next()?.parse().ok()?;
    let minute = parts.next()?.parse().ok()?;
    let second = parts.next().unwrap_or("0").parse().ok()?;
    ClockTime::new(hour, minute, second, 0).ok()
}

/// Whether `of` names what a snapshot is of: a device's name or UDID, a host, a folder, or
/// `HOST:FOLDER`.
pub fn is_of(origin: &Origin, of: &str) -> bool {
    match origin {
        Origin::Device(device) => {
            device.udid.eq_ignore_ascii_case(of) || folded(&device.name) == folded(of)
        }
        Origin::Folder { host, path } => {
            let on_host = of.strip_prefix(host.as_str()).and_then(|rest| rest.strip_prefix(':'));
            host == of
                || path.as_slice() == of.as_bytes()
                || on_host.is_some_and(|folder| path.as_slice() == folder.as_bytes())
        }
    }
}

/// A name as people type it, for comparing: in lower case, with straight quotes and single blanks.
/// Apple's default names have a typographic apostrophe (U+2019) and, in some languages, blanks that
/// do not break (U+00A0), which no keyboard offers.
pub fn folded(name: &str) -> String {
    let straight = |c: char| match c {
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '\u{02bc}' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => '"',
        c => c,
    };
    let straight: String = name.chars().map(straight).collect();
    let words: Vec<&str> = straight.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

fn one_lineage(found: &[&Named], of: &str) -> Result<(), SelectError> {
    let lineages: BTreeSet<Vec<u8>> = found.iter().map(|n| n.snapshot.lineage()).collect();
    match lineages.len() {
        0 => Err(SelectError::NotOf(of.to_owned())),
        1 => Ok(()),
        _ => {
            let shown = lineages.iter().map(|l| String::from_utf8_lossy(l).replace('\0', " "));
            Err(SelectError::SeveralOf {
                of: of.to_owned(),
                several: shown.collect::<Vec<_>>().join(", "),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::tests::of_device;
    use super::*;
    use crate::id::SnapshotId;

    /// 2026-11-01T00:00:00Z.
    const FIRST: i64 = 1_793_491_200;
    const DAY: i64 = 86_400;

    fn history() -> Vec<Named> {
        let named = |first: u8, second: u8, udid: &str, name: &str, secs| {
            let mut bytes = [0; 32];
            (bytes[0], bytes[1], bytes[2]) = (0xab, first, second);
            let mut snapshot = of_device(udid, name, secs);
            snapshot.tags = if first == 2 { vec!["before-update".to_owned()] } else { vec![] };
            Named { id: SnapshotId::from_bytes(bytes), snapshot, description: None }
        };
        vec![
            named(3, 3, "B", "Kitchen iPad", FIRST + 2 * DAY),
            named(1, 1, "A", "Ann\u{2019}s iPhone", FIRST + 10 * 3600),
            named(2, 2, "A", "Ann\u{2019}s iPhone", FIRST + DAY),
            named(2, 9, "A2", "twin", FIRST - DAY),
            named(4, 4, "B2", "twin", FIRST - 2 * DAY),
        ]
    }

    fn pick(text: &str) -> Result<u8, SelectError> {
        let history = history();
        let named = select(&history, &Selector::parse(text), &TimeZone::UTC)?;
        Ok(named.id.as_bytes()[2])
    }

    #[test]
    fn each_way_of_naming_a_snapshot_finds_it() {
        for (text, expected) in [
            ("latest", 3),
            ("latest~1", 2),
            ("latest~4", 4),
            ("A@latest", 2),
            ("ann's iphone@latest~1", 1),
            ("ab01", 1),
            ("A@ab02", 2),
            ("before-update", 2),
            ("2026-11-01", 1),
            ("2026-11-01T09:59", 9),
            ("2026-11-01T10:00", 1),
            ("2026-11-01 09:59", 9),
            ("2026-11-01 10:00", 1),
            ("2026-11-01T09:59:59", 9),
            ("2026-11-01T10:00:00", 1),
            ("2030-01-01", 3),
            ("A@2026-11-03", 2),
        ] {
            assert_eq!(pick(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_fits_none_or_several_is_refused_in_words() {
        for (text, sentence) in [
            ("latest~5", "no snapshot is `latest~5`"),
            ("latest~18446744073709551615", "no snapshot is `latest~18446744073709551615`"),
            ("2026-10-01", "no snapshot is `2026-10-01`"),
            ("no-such-tag", "no snapshot is `no-such-tag`"),
            ("nobody@latest", "no snapshot is of `nobody`"),
            ("twin@latest", "`twin` is more than one: device A2, device B2"),
            ("ab02", "`ab02` begins more than one id: ab02090000000000, ab02020000000000"),
        ] {
            assert_eq!(pick(text).unwrap_err().to_string(), sentence, "{text}");
        }
        let nothing = select(&[], &Selector::parse("latest"), &TimeZone::UTC);
        assert_eq!(nothing.unwrap_err(), SelectError::NoneAtAll);
    }

    #[test]
    fn what_is_nearly_a_moment_is_refused_and_never_means_another_one() {
        for text in [
            "2026-11-24t00:01",
            "2026-11-24  00:01",
            "2026-11-24T00:01+02:00",
            "2026-11-24T00:01Z",
            "2026-11-24T00:01[Europe/Berlin]",
            "2026-11-24[Europe/Berlin]",
            "2026-11-24T00:01:00.5",
            "2026-11-24T24:00",
            "2026-11-24T00:00:60",
            "2026-11-24T00",
            "2026-11-24T",
            "2026-02-30",
            "2026-11-1",
            "2026-11",
        ] {
            assert_eq!(pick(text), Err(SelectError::NoMoment(text.to_owned())), "{text}");
            assert!(pick(text).unwrap_err().to_string().contains("YYYY-MM-DDTHH:MM"));
        }
    }

    #[test]
    fn a_tag_may_begin_like_a_date() {
        let mut history = history();
        history[1].snapshot.tags = vec!["2026-11-moving".to_owned()];
        let selector = Selector::parse("2026-11-moving");
        let named = select(&history, &selector, &TimeZone::UTC).unwrap();
        assert_eq!(named.id.as_bytes()[2], 1);
    }

    #[test]
    fn a_folder_is_named_by_its_host_its_path_or_both() {
        let mut history = history();
        history.truncate(2);
        for (named, host) in history.iter_mut().zip(["desk", "lap:top"]) {
            let path = b"/home/anna@work".to_vec();
            named.snapshot.origin = Origin::Folder { host: host.to_owned(), path };
        }
        let of = |of: &str| {
            let selector = Selector::parse(&format!("{of}@latest"));
            let found = select(&history, &selector, &TimeZone::UTC);
            found.map(|named| named.id.as_bytes()[2]).map_err(|_| ())
        };
        assert_eq!(of("desk"), Ok(3));
        assert_eq!(of("desk:/home/anna@work"), Ok(3));
        assert_eq!(of("lap:top:/home/anna@work"), Ok(1));
        assert_eq!(of("/home/anna@work"), Err(()), "both have it");
        assert_eq!(of("desk:/home"), Err(()));
        assert_eq!(of("top:/home/anna@work"), Err(()));
    }

    #[test]
    fn a_day_ends_at_local_midnight() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let history = history();
        // 2026-11-02T00:00Z is still the evening of the 1st there.
        let named = select(&history, &Selector::parse("2026-11-01"), &zone).unwrap();
        assert_eq!(named.id.as_bytes()[2], 2);
    }
}
