//! AFC's packets: 40 bytes of header, parameters, bulk data (protocol.md 5).
use crate::connection::Connection;
use std::io::{self, ErrorKind, Read};

const MAGIC: &[u8; 8] = b"CFA6LPAA";
const HEADER_BYTES: usize = 40;
/// Longest parameters (two paths, or a handle and numbers) and longest bulk data, in bytes.
const PARAMETER_BYTES_MAX: u64 = 8 * 1024;
const BULK_BYTES_MAX: u64 = 32 << 20;

/// What a host asks for.
pub(super) struct Request {
    pub(super) number: u64,
    pub(super) operation: u64,
    pub(super) parameters: Vec<u8>,
    pub(super) bulk: Vec<u8>,
}

/// What it is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(u64),
    Data(Vec<u8>),
    Handle(u64),
    Position(u64),
}

impl Request {
    /// The next request; `None` when the host closed the connection between two.
    pub(super) fn receive(connection: &mut dyn Connection) -> io::Result<Option<Request>> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        let mut limited = Read::take(&mut *connection, HEADER_BYTES as u64);
        if limited.read_to_end(&mut header)? == 0 {
            return Ok(None);
        }
        let [entire, this, number, operation] = numbers(&header)?;
        let parameters = this.checked_sub(HEADER_BYTES as u64).ok_or(ErrorKind::InvalidData)?;
        let bulk = entire.checked_sub(this).ok_or(ErrorKind::InvalidData)?;
        if parameters > PARAMETER_BYTES_MAX || bulk > BULK_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(Some(Request {
            number,
            operation,
            parameters: read_exactly(connection, parameters)?,
            bulk: read_exactly(connection, bulk)?,
        }))
    }

    /// The parameter at `index`, of those that are 64-bit numbers.
    pub(super) fn number_at(&self, index: usize) -> Option<u64> {
        let bytes = self.parameters.get(index * 8..index * 8 + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The NUL-terminated text at `offset` of the parameters; what follows NUL is left out.
    pub(super) fn text_at(&self, offset: usize) -> Option<&str> {
        let rest = self.parameters.get(offset..)?;
        std::str::from_utf8(rest.split(|byte| *byte == 0).next()?).ok()
    }
}

/// The numbers of a header: entire length, this length, packet number, operation.
fn numbers(header: &[u8]) -> io::Result<[u64; 4]> {
    let rest = header.strip_prefix(MAGIC).ok_or(ErrorKind::InvalidData)?;
    let mut numbers = [0; 4];
    if rest.len() != numbers.len() * 8 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    for (number, bytes) in numbers.iter_mut().zip(rest.chunks_exact(8)) {
        *number = bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    }
    Ok(numbers)
}

/// Memory grows with what comes, not with what was announced.
fn read_exactly(connection: &mut dyn Connection, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    Read::take(&mut *connection, length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

impl Reply {
    /// Sends it as the answer to request `number`.
    pub(super) fn send(&self, connection: &mut dyn Connection, number: u64) -> io::Result<()> {
        let (operation, parameters, bulk) = match self {
            Reply::Status(status) => (0x01, status.to_le_bytes().to_vec(), &[][..]),
            Reply::Data(data) => (0x02, Vec::new(), &data[..]),
            Reply::Handle(handle) => (0x0E, handle.to_le_bytes().to_vec(), &[][..]),
            Reply::Position(position) => (0x13, position.to_le_bytes().to_vec(), &[][..]),
        };
        let this = (HEADER_BYTES + parameters.len()) as u64;
        let entire = this + bulk.len() as u64;
        let mut bytes = MAGIC.to_vec();
        for field in [entire, this, number, operation] {
            bytes.extend(u64::to_le_bytes(field));
        }
        bytes.extend(parameters);
        bytes.extend(bulk);
        connection.write_all(&bytes)
    }
}
