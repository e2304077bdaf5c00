//! How sizes, times, names and tables look to people.
use bytesize::ByteSize;
use devsnap_engine::node::{Node, NodeKind, Time};
use devsnap_engine::path::turns_writing;
use devsnap_engine::snapshot::{Origin, Snapshot};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};
use std::fmt::{Display, Write};
use unicode_width::UnicodeWidthStr;

/// `text` with control characters escaped, so that a hostile name cannot move the cursor, and
/// marks that turn the direction of writing likewise.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns_writing(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Bytes as text: what is UTF-8 as it is, escaped as [`escaped`] does, other bytes as `\xNN`.
pub fn escaped_bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// E.g. `61.4 GiB`.
pub fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// E.g. `1 file`, `2 files`.
pub fn counted(count: impl Display, thing: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// E.g. `412 ms`, `3 s`, `30 min 12 s`, `2 h 5 min`.
pub fn duration(millis: u64) -> String {
    let secs = millis / 1000;
    match secs {
        0 => format!("{millis} ms"),
        1..60 => format!("{secs} s"),
        60..3600 => format!("{} min {} s", secs / 60, secs % 60),
        _ => format!("{} h {} min", secs / 3600, secs % 3600 / 60),
    }
}

/// E.g. `2026-11-24 20:04:11`, in `zone`.
pub fn moment(time: Time, zone: &TimeZone) -> String {
    match timestamp(time) {
        Some(at) => ZonedDateTime::new(at, zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        None => format!("@{}", time.secs),
    }
}

/// When a snapshot was taken, by the clock of the place where it was: that is what calendars go by.
/// Where that differs from `zone`, with its distance from UTC: `2026-11-24 20:04:11 +09:00`.
pub fn own_moment(snapshot: &Snapshot, zone: &TimeZone) -> String {
    let own = Offset::from_seconds(snapshot.utc_offset_secs).ok();
    match (timestamp(snapshot.taken_at), own) {
        (Some(at), Some(own)) if zone.to_offset(at) != own => {
            let there = ZonedDateTime::new(at, TimeZone::fixed(own));
            there.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
        }
        _ => moment(snapshot.taken_at, zone),
    }
}

/// The moment as jiff knows it; `None` outside the years it knows.
pub fn timestamp(time: Time) -> Option<Timestamp> {
    Timestamp::new(time.secs, i32::try_from(time.nanos).ok()?).ok()
}

/// What a snapshot is of, in a few words: `Anna's iPhone, iOS 26.1` or `desk:/home/anna`.
pub fn what(origin: &Origin) -> String {
    match origin {
        Origin::Folder { host, path } => format!("{}:{}", escaped(host), escaped_bytes(path)),
        Origin::Device(device) => {
            let name = if device.name.is_empty() { &device.udid } else { &device.name };
            match device.os_version.as_str() {
                "" => escaped(name),
                version => format!("{}, iOS {}", escaped(name), escaped(version)),
            }
        }
    }
}

/// How complete a snapshot is, in a word or two.
pub fn state(snapshot: &Snapshot) -> String {
    use devsnap_engine::snapshot::Completeness::{Complete, Incomplete};
    match &snapshot.completeness {
        Complete => "complete".to_owned(),
        Incomplete { total, .. } => format!("incomplete ({total})"),
    }
}

/// The tags, with commas.
pub fn tags(snapshot: &Snapshot) -> String {
    snapshot.tags.iter().map(|tag| escaped(tag)).collect::<Vec<_>>().join(", ")
}

/// `drwxr-x---` and the like.
pub fn mode(node: &Node) -> String {
    let kind = match node.kind {
        NodeKind::File => '-',
        NodeKind::Folder => 'd',
        NodeKind::Symlink => 'l',
        NodeKind::Fifo => 'p',
        NodeKind::Socket => 's',
        NodeKind::CharDevice => 'c',
        NodeKind::BlockDevice => 'b',
    };
    let mut shown = String::from(kind);
    for (shift, special, set, unset) in
        [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = node.mode >> shift;
        shown.push(if bits & 4 == 0 { '-' } else { 'r' });
        shown.push(if bits & 2 == 0 { '-' } else { 'w' });
        shown.push(match (bits & 1 != 0, node.mode & special != 0) {
            (true, true) => set,
            (false, true) => unset,
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    shown
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Words begin at one line.
    Left,
    /// Numbers end at one line.
    Right,
}

/// Rows under a heading, each column as wide as its widest cell. Spaces at the end are left out.
pub fn table<const N: usize>(heading: [(&str, Column); N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = heading.map(|(title, _)| title.width());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let titles = heading.map(|(title, _)| title.to_owned());
    let set = |row: &[String; N]| {
        let mut line = String::new();
        for ((cell, width), (_, column)) in row.iter().zip(widths).zip(heading) {
            let space = " ".repeat(width.saturating_sub(cell.width()));
            match column {
                Column::Left => line = line + cell + &space + "  ",
                Column::Right => line = line + &space + cell + "  ",
            }
        }
        line.trim_end().to_owned()
    };
    std::iter::once(&titles).chain(rows).map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor_or_turn_the_writing() {
        assert_eq!(escaped("a\x1b[2J\u{9b}1A\u{202e}gpj"), "a\\u{1b}[2J\\u{9b}1A\\u{202e}gpj");
        assert_eq!(escaped("Anna’s 📱"), "Anna’s 📱");
        assert_eq!(escaped_bytes(b"caf\xe9\n"), "caf\\xe9\\n");
    }

    #[test]
    fn times_are_shown_in_the_zone_and_strange_ones_survive() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let time = Time { secs: 1_793_491_200, nanos: 5 };
        assert_eq!(moment(time, &zone), "2026-11-01 01:00:00");
        assert_eq!(moment(Time { secs: i64::MAX, nanos: 0 }, &zone), format!("@{}", i64::MAX));
    }

    #[test]
    fn durations_and_sizes_read_like_speech() {
        assert_eq!(duration(412), "412 ms");
        assert_eq!(duration(3_999), "3 s");
        assert_eq!(duration(1_812_000), "30 min 12 s");
        assert_eq!(duration(7_500_000), "2 h 5 min");
        assert_eq!(size(0), "0 B");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }

    #[test]
    fn permissions_look_as_in_ls() {
        for (bits, shown) in [
            (0o755, "-rwxr-xr-x"),
            (0o4755, "-rwsr-xr-x"),
            (0o2640, "-rw-r-S---"),
            (0o1777, "-rwxrwxrwt"),
        ] {
            assert_eq!(mode(&Node::new(NodeKind::File, bits)), shown);
        }
    }

    #[test]
    fn columns_are_as_wide_as_what_is_seen() {
        let rows = [["電話".to_owned(), "7".to_owned()], ["x".to_owned(), "12".to_owned()]];
        let lines = table([("A", Column::Left), ("N", Column::Right)], &rows);
        assert_eq!(lines, ["A      N", "電話   7", "x     12"]);
    }
}
