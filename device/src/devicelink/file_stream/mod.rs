//! Raw files between messages, in both directions.
//!
//! A *block* is a length of four bytes, big-endian, and so many bytes, the first of which says
//! what the rest is. Nothing in a stream says how long a file or the whole will be, so a reader
//! that stops in the middle cannot find the next message: [`receive`] always reads to the end, and
//! whoever takes the files must bear what cannot be stored.
//!
//! # Source
//!
//! `docs/device-protocol.md`, "File streams".
use std::io::{self, Read};

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::transport::{Link, Wait};

/// What one block carries at most from us, in bytes. Larger ones make the device's agent hold all
/// of them in memory, which has killed it with large files.
pub const BLOCK_LEN: usize = 32 << 10;

/// The longest path believed, in bytes; as in other clients.
pub const PATH_LEN_MAX: usize = 4096;

/// What is kept of the device's words about a file that failed, in bytes.
const REASON_LEN_MAX: usize = 1024;

/// The largest block believed, in bytes. Devices send 32 KiB; nothing promises it.
const BLOCK_LEN_MAX: u32 = 1 << 31;

/// What a block is.
mod code {
    pub(super) const END: u8 = 0x00;
    pub(super) const LOCAL_ERROR: u8 = 0x06;
    pub(super) const REMOTE_ERROR: u8 = 0x0b;
    pub(super) const DATA: u8 = 0x0c;
}

/// A stream of bytes in both directions.
pub trait Wire {
    /// Fills `into`.
    ///
    /// # Errors
    ///
    /// The connection broke or ended.
    fn read_exact(&mut self, into: &mut [u8]) -> Result<()>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// The connection broke.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()>;
}

/// A link, and how long it is waited for.
pub struct LinkWire<'w> {
    link: &'w mut Link,
    wait: &'w mut dyn Wait,
}

impl<'w> LinkWire<'w> {
    /// Reads and writes `link` as long as `wait` does not mind.
    pub fn new(link: &'w mut Link, wait: &'w mut dyn Wait) -> Self {
        LinkWire { link, wait }
    }
}

impl Wire for LinkWire<'_> {
    fn read_exact(&mut self, into: &mut [u8]) -> Result<()> {
        match self.link.read_exact(into, self.wait)? {
            true => Ok(()),
            false => Err(crate::transport::lost()),
        }
    }
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.link.write_all(bytes, self.wait)
    }
}

/// How a file that was received ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileEnd {
    /// It is whole.
    Whole,
    /// The device could not send it, and will try again or pass it over: its own words.
    Failed(String),
}

/// Takes files in. Nothing here can fail: what cannot be stored is noted and answered for after
/// the stream, when the device listens again.
pub trait Receiver {
    /// A file begins. `device_path` is where the device has it, for information; `host_path` is
    /// where it goes. Both are as they came.
    fn begin(&mut self, device_path: &[u8], host_path: &[u8]);
    /// The next bytes of it.
    fn data(&mut self, bytes: &[u8]);
    /// It ends.
    fn end(&mut self, end: FileEnd);
    /// What has come that is so much that the stream need not be heard out: no device sends that.
    fn too_much(&self) -> Option<&'static str> {
        None
    }
}

/// Reads the file stream after `DLMessageUploadFiles` to its end.
///
/// # Errors
///
/// The connection broke, or what came is no file stream: then nobody can say where the next
/// message begins, and the session is over.
pub fn receive(wire: &mut dyn Wire, to: &mut dyn Receiver) -> Result<()> {
    let mut buffer = vec![0; BLOCK_LEN];
    while let Some(device_path) = read_path(wire)? {
        let host_path = read_path(wire)?.ok_or_else(|| bad("a file without a path"))?;
        to.begin(&device_path, &host_path);
        if let Some(what) = to.too_much() {
            return Err(bad(what));
        }
        let end = receive_blocks(wire, &mut buffer, to)?;
        to.end(end);
    }
    Ok(())
}

/// A length and a path; `None` for a length of 0, which ends the stream.
fn read_path(wire: &mut dyn Wire) -> Result<Option<Vec<u8>>> {
    let len = read_len(wire)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len > PATH_LEN_MAX {
        return Err(bad("a path that is too long"));
    }
    let mut path = vec![0; len];
    wire.read_exact(&mut path)?;
    Ok((len > 0).then_some(path))
}

fn read_len(wire: &mut dyn Wire) -> Result<u32> {
    let mut len = [0; 4];
    wire.read_exact(&mut len)?;
    Ok(u32::from_be_bytes(len))
}

fn receive_blocks(
    wire: &mut dyn Wire,
    buffer: &mut [u8],
    to: &mut dyn Receiver,
) -> Result<FileEnd> {
    loop {
        let len = read_len(wire)?;
        let Some(mut left) = len.checked_sub(1).filter(|_| len <= BLOCK_LEN_MAX) else {
            return Err(bad("a block of an impossible length"));
        };
        let mut code = [0; 1];
        wire.read_exact(&mut code)?;
        let mut reason = Vec::new();
        match code[0] {
            code::END if left == 0 => return Ok(FileEnd::Whole),
            code::DATA | code::LOCAL_ERROR | code::REMOTE_ERROR => {}
            _ => return Err(bad("a block of an unknown kind")),
        }
        while left > 0 {
            let part = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            wire.read_exact(&mut buffer[..part])?;
            match code[0] {
                code::DATA => to.data(&buffer[..part]),
                _ => {
                    let room = REASON_LEN_MAX.saturating_sub(reason.len());
                    reason.extend_from_slice(&buffer[..part.min(room)]);
                }
            }
            left -= u32::try_from(part).expect("because it is no more than what is left");
        }
        if let Some(what) = to.too_much() {
            return Err(bad(what));
        }
        if code[0] != code::DATA {
            return Ok(FileEnd::Failed(String::from_utf8_lossy(&reason).into_owned()));
        }
    }
}

fn bad(what: &str) -> DeviceError {
    DeviceError::new(DeviceErrorKind::Protocol, format!("the device sent {what}"))
}

/// Sends one file of the answer to `DLMessageDownloadFiles`; what became of reading it.
///
/// A block is announced only once its bytes are there, so a file that cannot be read to its end
/// leaves the stream in order.
///
/// # Errors
///
/// The connection broke.
pub fn send_file(
    wire: &mut dyn Wire,
    path: &str,
    content: io::Result<&mut dyn Read>,
) -> Result<io::Result<()>> {
    wire.write_all(&with_len(path.as_bytes()))?;
    let sent = match content {
        Ok(content) => send_blocks(wire, content)?,
        Err(error) => Err(error),
    };
    match &sent {
        Ok(()) => wire.write_all(&block(code::END, &[]))?,
        Err(error) => {
            let text = super::StatusCode::of(error).words();
            wire.write_all(&block(code::LOCAL_ERROR, text.as_bytes()))?;
        }
    }
    Ok(sent)
}

/// Ends the stream of files.
///
/// # Errors
///
/// The connection broke.
pub fn send_end(wire: &mut dyn Wire) -> Result<()> {
    wire.write_all(&[0; 4])
}

fn send_blocks(wire: &mut dyn Wire, content: &mut dyn Read) -> Result<io::Result<()>> {
    // Length and code stand before the bytes, so that a block is one write.
    let mut framed = vec![0; 5 + BLOCK_LEN];
    loop {
        let len = match read_full(content, &mut framed[5..]) {
            Ok(0) => return Ok(Ok(())),
            Ok(len) => len,
            Err(error) => return Ok(Err(error)),
        };
        let announced = u32::try_from(len + 1).expect("because a block is small");
        framed[..4].copy_from_slice(&announced.to_be_bytes());
        framed[4] = code::DATA;
        wire.write_all(&framed[..5 + len])?;
        if len < BLOCK_LEN {
            return Ok(Ok(()));
        }
    }
}

fn read_full(content: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match content.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn with_len(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("because paths and words are short");
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    framed
}

fn block(code: u8, payload: &[u8]) -> Vec<u8> {
    with_len(&[&[code], payload].concat())
}

#[cfg(test)]
mod tests;
