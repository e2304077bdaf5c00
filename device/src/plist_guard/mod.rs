//! The only door through which a property list enters: hostile until it has been measured.
//!
//! The `plist` crate reads correctly but trusts its input. Fed directly, 360 bytes of shared
//! references become 888 MB of values, a million nested arrays overflow the stack (which aborts
//! the process, and cannot be caught), and a date such as `9999-12-31T23:59:59-01:00` panics. So
//! nothing else in this crate calls it. Here a list is read as a stream of events that are counted
//! against [`PlistLimits`] *before* a value is built from them.
//!
//! Three things happen before the stream is even opened, because the reader allocates for them
//! first: the length of the whole is capped, a binary list's object table is checked
//! ([`binary_table`]), and the dates of an XML list are checked ([`xml_dates`]). The old ASCII
//! format is not read at all: Apple's backups never use it.
//!
//! # What a caller may rely on
//!
//! For any bytes: no panic, no recursion deeper than [`depth_max`](PlistLimits::depth_max), time
//! linear in the length of the input plus the limits, and memory of a small multiple of the input
//! plus `content_bytes_max` plus about 200 bytes for each of `values_max`.
use std::io::{self, Read};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plist::stream::{BinaryReader, Event, OwnedEvent, XmlReader};
use plist::{Dictionary, Value};

mod binary_table;
mod fields;
mod xml_dates;

pub use fields::{Fields, TEXT_LEN_MAX};

/// How much a property list may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlistLimits {
    /// Length of the encoded list, in bytes.
    pub bytes_max: usize,
    /// Arrays and dictionaries inside one another. Dropping a value recurses as deep.
    pub depth_max: usize,
    /// Values of any kind, keys included, each counted as often as it is referred to.
    pub values_max: usize,
    /// Bytes of all strings and data, each counted as often as it is referred to.
    pub content_bytes_max: usize,
}

impl PlistLimits {
    /// For the three lists of a backup set.
    ///
    /// `Info.plist` is the big one: it holds an icon and the store's metadata of every app, some
    /// 50 KB each, so a phone with 500 apps comes to 25 MB and these limits leave room for more.
    /// The deepest list seen (Manifest.plist) has six levels.
    pub const BACKUP_SET: PlistLimits = PlistLimits {
        bytes_max: 64 << 20,
        depth_max: 64,
        values_max: 1 << 18,
        content_bytes_max: 128 << 20,
    };
}

/// Why bytes are not a property list that may be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadPlist {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// Longer than [`PlistLimits::bytes_max`].
    #[error("it is longer than {max} bytes")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// Nested deeper than [`PlistLimits::depth_max`].
    #[error("it is nested deeper than {max} levels")]
    TooDeep {
        /// The limit, in levels.
        max: usize,
    },
    /// More than [`PlistLimits::values_max`] values, shared ones counted each time.
    #[error("it has more than {max} values")]
    TooManyValues {
        /// The limit.
        max: usize,
    },
    /// More than [`PlistLimits::content_bytes_max`], shared strings and data counted each time.
    #[error("its strings and data come to more than {max} bytes")]
    TooMuchContent {
        /// The limit, in bytes.
        max: usize,
    },
    /// A date that is not in the years 0 to 9999, or in XML not written as Apple writes it.
    #[error("a date in it cannot be read")]
    BadDate,
    /// Neither the binary nor the XML format, cut short, or inconsistent.
    #[error("it is not a whole property list")]
    Malformed,
    /// The same, with the reader's own words.
    #[error("it is not a whole property list")]
    Unreadable(#[source] plist::Error),
    /// A list of another shape than the one expected.
    #[error("it is not a dictionary")]
    NotADictionary,
    /// A key holds a value of the wrong type, or a text beyond [`TEXT_LEN_MAX`].
    #[error("`{key}` in it is not {expected}")]
    WrongType {
        /// The key, one of ours.
        key: &'static str,
        /// What it should be, with an article.
        expected: &'static str,
    },
    /// A key that must be there is not.
    #[error("it has no `{key}`")]
    Missing {
        /// The key, one of ours.
        key: &'static str,
    },
}

/// The bytes of a list. Of one that is longer than `limits` allow one byte more is read than that, so
/// that whoever reads it refuses it.
///
/// # Errors
///
/// `from` cannot be read.
pub fn read_bytes(from: impl Read, limits: &PlistLimits) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limits.bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a whole property list, binary or XML.
///
/// # Errors
///
/// `bytes` are not one, or it asks for more than `limits` allow.
pub fn read_value(bytes: &[u8], limits: &PlistLimits) -> Result<Value, BadPlist> {
    let mut events = Metered::open(bytes, limits)?;
    let value = Value::from_events(&mut events);
    events.verdict()?;
    value.map_err(BadPlist::Unreadable)
}

/// Reads a dictionary and keeps only what stands under `keys` at its top level.
///
/// The rest is measured and passed over without being built: of a 20 MB `Info.plist` a snapshot
/// needs five short strings, and it need not hold the owner's phone number to get them.
///
/// # Errors
///
/// As [`read_value`], or the list is not a dictionary.
pub fn read_keys(bytes: &[u8], limits: &PlistLimits, keys: &[&str]) -> Result<Fields, BadPlist> {
    let mut events = Metered::open(bytes, limits)?;
    let kept = keep_keys(&mut events, keys);
    // A limit ends the stream early, so whatever `keep_keys` made of that is beside the point.
    events.verdict()?;
    kept.map(Fields::new)
}

fn keep_keys(events: &mut Metered<'_>, keys: &[&str]) -> Result<Dictionary, BadPlist> {
    match events.next() {
        Some(Ok(Event::StartDictionary(_))) => {}
        Some(Ok(_)) => return Err(BadPlist::NotADictionary),
        Some(Err(error)) => return Err(BadPlist::Unreadable(error)),
        None => return Err(BadPlist::Malformed),
    }
    let mut kept = Dictionary::new();
    loop {
        match events.next() {
            Some(Ok(Event::String(key))) => {
                let mut value = OneValue::of(events);
                if keys.contains(&key.as_ref()) {
                    let value = Value::from_events(value).map_err(BadPlist::Unreadable)?;
                    kept.insert(key.into_owned(), value);
                } else {
                    value.try_for_each(|event| event.map(drop)).map_err(BadPlist::Unreadable)?;
                }
            }
            Some(Ok(Event::EndCollection)) => break,
            Some(Ok(_)) | None => return Err(BadPlist::Malformed),
            Some(Err(error)) => return Err(BadPlist::Unreadable(error)),
        }
    }
    match events.next() {
        None => Ok(kept),
        Some(Ok(_)) => Err(BadPlist::Malformed),
        Some(Err(error)) => Err(BadPlist::Unreadable(error)),
    }
}

/// The events of a list, each counted before it is handed on. Past a limit the stream just ends,
/// and [`verdict`](Self::verdict) says why.
struct Metered<'a> {
    events: Box<dyn Iterator<Item = Result<OwnedEvent, plist::Error>> + 'a>,
    limits: &'a PlistLimits,
    depth: usize,
    values: usize,
    /// Children that opened collections have announced; the binary reader holds a reference, and
    /// the builder reserves room, for each of them.
    announced: usize,
    content_bytes: usize,
    refused: Option<BadPlist>,
}

impl<'a> Metered<'a> {
    fn open(bytes: &'a [u8], limits: &'a PlistLimits) -> Result<Self, BadPlist> {
        if bytes.is_empty() {
            return Err(BadPlist::Empty);
        }
        if bytes.len() > limits.bytes_max {
            return Err(BadPlist::TooLong { max: limits.bytes_max });
        }
        let events: Box<dyn Iterator<Item = _>> = if bytes.starts_with(binary_table::MAGIC) {
            binary_table::check(bytes, limits)?;
            Box::new(BinaryReader::new(std::io::Cursor::new(bytes)))
        } else {
            xml_dates::check(bytes)?;
            Box::new(XmlReader::new(bytes))
        };
        Ok(Metered {
            events,
            limits,
            depth: 0,
            values: 0,
            announced: 0,
            content_bytes: 0,
            refused: None,
        })
    }

    fn verdict(&mut self) -> Result<(), BadPlist> {
        self.refused.take().map_or(Ok(()), Err)
    }

    fn count(&mut self, event: &OwnedEvent) -> Result<(), BadPlist> {
        match event {
            Event::StartArray(len) | Event::StartDictionary(len) => {
                self.depth += 1;
                let len = usize::try_from(len.unwrap_or(0)).unwrap_or(usize::MAX);
                self.announced = self.announced.saturating_add(len);
            }
            Event::EndCollection => {
                self.depth = self.depth.checked_sub(1).ok_or(BadPlist::Malformed)?;
                return Ok(());
            }
            Event::String(text) => self.content_bytes += text.len(),
            Event::Data(data) => self.content_bytes += data.len(),
            Event::Date(date) => check_date((*date).into())?,
            _ => {}
        }
        self.values += 1;
        let limits = self.limits;
        if self.depth > limits.depth_max {
            return Err(BadPlist::TooDeep { max: limits.depth_max });
        }
        if self.values.max(self.announced) > limits.values_max {
            return Err(BadPlist::TooManyValues { max: limits.values_max });
        }
        if self.content_bytes > limits.content_bytes_max {
            return Err(BadPlist::TooMuchContent { max: limits.content_bytes_max });
        }
        Ok(())
    }
}

impl Iterator for Metered<'_> {
    type Item = Result<OwnedEvent, plist::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.refused.is_some() {
            return None;
        }
        let event = match self.events.next()? {
            Ok(event) => event,
            Err(error) => return Some(Err(error)),
        };
        match self.count(&event) {
            Ok(()) => Some(Ok(event)),
            Err(refused) => {
                self.refused = Some(refused);
                None
            }
        }
    }
}

/// The events of the next value only; ends with it.
struct OneValue<'e, 'a> {
    events: &'e mut Metered<'a>,
    outer_depth: usize,
    done: bool,
}

impl<'e, 'a> OneValue<'e, 'a> {
    fn of(events: &'e mut Metered<'a>) -> Self {
        let outer_depth = events.depth;
        OneValue { events, outer_depth, done: false }
    }
}

impl Iterator for OneValue<'_, '_> {
    type Item = Result<OwnedEvent, plist::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let event = self.events.next();
        // Less than the outer depth: a key without a value. The surplus end of the collection is
        // handed on, and the builder refuses it; a skipped one is caught by the caller's loop.
        self.done = event.is_none() || self.events.depth <= self.outer_depth;
        event
    }
}

/// Seconds from the Unix epoch to the first moment of year 0 (negated) and of year 10 000.
///
/// Beyond them `plist` can read dates that it panics on when it prints them.
const YEAR_0_BEFORE_EPOCH_SECS: u64 = 62_167_219_200;
const YEAR_10000_SECS: u64 = 253_402_300_800;

fn check_date(date: SystemTime) -> Result<(), BadPlist> {
    let in_range = match date.duration_since(UNIX_EPOCH) {
        Ok(after) => after < Duration::from_secs(YEAR_10000_SECS),
        Err(before) => before.duration() <= Duration::from_secs(YEAR_0_BEFORE_EPOCH_SECS),
    };
    in_range.then_some(()).ok_or(BadPlist::BadDate)
}

#[cfg(test)]
mod tests;
