//! Plists from bytes and to bytes, with limits: the bytes come from a host.
use super::Unreadable;
use plist::Value;
use plist::stream::{Event, Reader};
use std::io::Cursor;

/// How deep a plist may nest. The deepest a host sends is an application list: five.
const DEPTH_MAX: usize = 32;

/// How many values a plist may hold: a listing of one of 256 folders of a million files is 20,000.
const VALUES_MAX: usize = 2_000_000;

/// Reads a binary or XML plist.
///
/// # Errors
///
/// No plist, or one that nests or grows beyond reason.
pub fn read(bytes: &[u8]) -> Result<Value, Unreadable> {
    let bad = |e: plist::Error| Unreadable::new(format!("not a plist: {e}"));
    let (mut depth, mut values) = (0usize, 0usize);
    for event in Reader::new(Cursor::new(bytes)) {
        match event.map_err(bad)? {
            Event::StartArray(_) | Event::StartDictionary(_) => depth += 1,
            Event::EndCollection => depth = depth.saturating_sub(1),
            _ => {}
        }
        values += 1;
        if depth > DEPTH_MAX || values > VALUES_MAX {
            return Err(Unreadable::new("a plist that nests too deep or holds too much"));
        }
    }
    Value::from_reader(Cursor::new(bytes)).map_err(bad)
}

/// Writes a binary plist.
pub fn binary(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.to_writer_binary(&mut bytes).expect("because memory takes all writes");
    bytes
}

/// An integer of any width and sign. Hosts write negative codes as unsigned 64-bit numbers.
pub fn integer(value: &Value) -> Option<i128> {
    let Value::Integer(integer) = value else { return None };
    integer.as_signed().map(i128::from).or_else(|| integer.as_unsigned().map(i128::from))
}

/// The string under `key` of a dictionary.
pub fn string<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.as_dictionary()?.get(key)?.as_string()
}

/// The boolean under `key` of a dictionary.
pub fn boolean(value: &Value, key: &str) -> Option<bool> {
    value.as_dictionary()?.get(key)?.as_boolean()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_are_read_and_nonsense_is_not() {
        let value = Value::Array(vec![Value::from("DL"), Value::from(1u64)]);
        let mut xml = Vec::new();
        value.to_writer_xml(&mut xml).unwrap();

        assert_eq!(read(&binary(&value)).unwrap(), value);
        assert_eq!(read(&xml).unwrap(), value);
        assert!(read(b"").is_err());
        assert!(read(b"bplist00").is_err());
    }

    #[test]
    fn a_plist_that_nests_without_end_is_refused() {
        let mut value = Value::Array(vec![]);
        for _ in 0..DEPTH_MAX {
            value = Value::Array(vec![value]);
        }
        assert!(read(&binary(&value)).is_err());
    }
}
