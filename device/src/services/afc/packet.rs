//! AFC's packets: a header of 40 bytes, little-endian, parameters, and bulk data.

/// Length of the header, in bytes.
pub const HEADER_LEN: usize = 40;

/// The first bytes of every packet.
const MAGIC: &[u8; 8] = b"CFA6LPAA";

/// The longest answer believed, in bytes. Files are read in pieces of 64 KiB, and a folder of the
/// few we look at lists within the rest.
pub const ANSWER_LEN_MAX: u64 = 4 << 20;

/// What a packet is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Operation {
    /// Removes a file or an empty folder.
    Remove = 0x08,
    /// Makes a folder.
    MakeFolder = 0x09,
    /// Asks about a path.
    FileInfo = 0x0a,
    /// Opens a file.
    Open = 0x0d,
    /// Reads from an open file.
    Read = 0x0f,
    /// Writes to an open file.
    Write = 0x10,
    /// Closes a file.
    Close = 0x14,
    /// Locks or unlocks an open file.
    Lock = 0x1b,
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// A status: its first eight bytes.
    Status,
    /// Data.
    Data,
    /// A handle: its first eight bytes.
    Handle,
}

/// The header of an answer that may be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerHeader {
    /// What it is.
    pub kind: AnswerKind,
    /// The number of the request it answers.
    pub number: u64,
    /// Bytes that follow.
    pub body_len: u32,
}

/// A packet that is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packet of AFC has a wrong {0}")]
pub struct BadPacket(pub &'static str);

/// A request with `number`: its parameters, and what is sent in bulk, the bytes to be written.
pub fn encode(operation: Operation, number: u64, parameters: &[u8], bulk: &[u8]) -> Vec<u8> {
    let this = HEADER_LEN + parameters.len();
    let whole = this + bulk.len();
    let mut packet = Vec::with_capacity(whole);
    packet.extend_from_slice(MAGIC);
    for word in [whole as u64, this as u64, number, operation as u64] {
        packet.extend_from_slice(&word.to_le_bytes());
    }
    packet.extend_from_slice(parameters);
    packet.extend_from_slice(bulk);
    packet
}

/// Reads the header of an answer.
///
/// # Errors
///
/// It is none, or longer than [`ANSWER_LEN_MAX`].
pub fn decode_header(bytes: &[u8; HEADER_LEN]) -> Result<AnswerHeader, BadPacket> {
    if &bytes[..8] != MAGIC {
        return Err(BadPacket("beginning"));
    }
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let (whole, this, number, operation) = (word(8), word(16), word(24), word(32));
    if !(HEADER_LEN as u64..=ANSWER_LEN_MAX).contains(&whole) {
        return Err(BadPacket("length"));
    }
    if !(HEADER_LEN as u64..=whole).contains(&this) {
        return Err(BadPacket("length of parameters"));
    }
    let kind = match operation {
        0x01 => AnswerKind::Status,
        0x02 => AnswerKind::Data,
        0x0e => AnswerKind::Handle,
        _ => return Err(BadPacket("operation")),
    };
    let body_len = u32::try_from(whole - HEADER_LEN as u64).map_err(|_| BadPacket("length"))?;
    Ok(AnswerHeader { kind, number, body_len })
}

/// The `st_size` among the names and values that are told of a file.
pub fn size_of(info: &[u8]) -> Option<usize> {
    let mut words = info.split(|byte| *byte == 0);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        if name == b"st_size" {
            return std::str::from_utf8(value).ok()?.parse().ok();
        }
    }
    None
}

/// The first eight bytes of a body, as a number.
pub fn first_word(body: &[u8]) -> Option<u64> {
    let word = body.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_to_open_is_as_the_table_says() {
        let packet = encode(Operation::Open, 2, b"\x02\0\0\0\0\0\0\0/a\0", b"");
        let mut known = b"CFA6LPAA".to_vec();
        known.extend([51, 0, 0, 0, 0, 0, 0, 0, 51, 0, 0, 0, 0, 0, 0, 0]);
        known.extend([2, 0, 0, 0, 0, 0, 0, 0, 0x0d, 0, 0, 0, 0, 0, 0, 0]);
        known.extend([2, 0, 0, 0, 0, 0, 0, 0, b'/', b'a', 0]);
        assert_eq!(packet, known);
    }

    #[test]
    fn what_is_written_follows_the_parameters_and_counts_only_in_the_whole_length() {
        let packet = encode(Operation::Write, 1, &[7, 0, 0, 0, 0, 0, 0, 0], b"hello");
        assert_eq!((packet.len(), packet[8], packet[16], packet[32]), (53, 53, 48, 0x10));
        assert!(packet.ends_with(b"hello"));
    }

    proptest! {
        #[test]
        fn no_header_asks_for_more_than_the_longest_answer(bytes in any::<[u8; 32]>(), whole: u64) {
            let mut header = [0; HEADER_LEN];
            header[..8].copy_from_slice(MAGIC);
            header[8..40].copy_from_slice(&bytes);
            header[8..16].copy_from_slice(&whole.to_le_bytes());
            if let Ok(answer) = decode_header(&header) {
                prop_assert!(u64::from(answer.body_len) <= ANSWER_LEN_MAX);
            }
        }
    }
}
