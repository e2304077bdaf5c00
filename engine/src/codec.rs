//! Reading and writing the fixed binary records: little-endian integers, varints, bounded bytes.
//!
//! Every record that comes from the store is hostile. [`Decoder`] never reads past its input,
//! never allocates for a length it has not compared with what is left, and refuses what is left
//! over, so a decoder built from it returns `Malformed` instead of panicking.
use std::fmt;

/// Bytes that are not what they claim to be: what was expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed record: {}", self.0)
    }
}
impl std::error::Error for Malformed {}

/// Appends `value` as a little-endian base-128 varint (1 to 10 bytes, the LEB128 of DWARF and
/// WebAssembly).
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends `bytes` behind their length as a varint.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes a record apart from front to back.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Starts at the front of `record`.
    pub fn new(record: &'a [u8]) -> Self {
        Decoder { rest: record }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` when fewer are left.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed(what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` when fewer are left.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` at the end.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// Two bytes, little-endian.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` when fewer are left.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` when fewer are left.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` when fewer are left.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A varint in its shortest form.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` when it is cut off, longer than 64 bits, or padded (one value has one
    /// spelling, so equal records are equal bytes).
    pub fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(Malformed(what));
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Malformed(what));
                }
                return Ok(value);
            }
        }
        Err(Malformed(what))
    }

    /// A varint that fits `usize` and is at most `max`.
    ///
    /// # Errors
    ///
    /// `Malformed(what)`, also when it is larger.
    pub fn count(&mut self, max: usize, what: &'static str) -> Result<usize, Malformed> {
        let value = self.varint(what)?;
        match usize::try_from(value) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(Malformed(what)),
        }
    }

    /// Bytes behind their length, at most `max` of them.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` when the length is larger than `max` or than what is left.
    pub fn bytes(&mut self, max: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let len = self.count(max, what)?;
        self.take(len, what)
    }

    /// Ends the record.
    ///
    /// # Errors
    ///
    /// `Malformed(what)` when something is left over.
    pub fn finish(self, what: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed(what)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_varint_survives_the_round_trip(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut decoder = Decoder::new(&out);
            prop_assert_eq!(decoder.varint("value"), Ok(value));
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn one_value_has_one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut decoder = Decoder::new(&bytes);
            if let Ok(value) = decoder.varint("value") {
                let mut again = Vec::new();
                put_varint(&mut again, value);
                prop_assert_eq!(&bytes[..bytes.len() - decoder.remaining()], &again[..]);
            }
        }
    }

    #[test]
    fn a_length_larger_than_the_record_is_refused_before_anything_is_allocated() {
        let mut record = Vec::new();
        put_varint(&mut record, u64::MAX);
        assert_eq!(Decoder::new(&record).bytes(usize::MAX, "name"), Err(Malformed("name")));
    }
}
