//! AFC, the device's media folder as files: the sync lock, and what iTunes keeps there.
pub mod packet;

use packet::{AnswerKind, HEADER_LEN, Operation};

use super::ANSWER_WAIT;
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::transport::{AtMost, DeviceStream, Link};

/// The service.
pub const SERVICE: &str = "com.apple.afc";

/// Files are read in pieces of this many bytes, as idevicebackup2 does.
const PIECE: u64 = 64 << 10;

/// Files are written in pieces of at most this many bytes: a device holds each in memory.
const WRITTEN_PIECE: usize = 1 << 20;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Mode {
    /// To be read.
    Read = 1,
    /// To be read and written; made when it is not there.
    ReadWrite = 2,
    /// To be written from its beginning, and read; made when it is not there, emptied when it is.
    Rewrite = 4,
}

/// What is done to a file's lock; `flock`'s numbers, never waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum LockOperation {
    /// Takes it for oneself.
    Exclusive = 6,
    /// Gives it back.
    Unlock = 12,
}

/// A status that is not "ok".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("AFC says {} ({})", self.words(), self.0)]
pub struct Status(pub u64);

impl Status {
    /// No such file.
    pub const NOT_FOUND: Status = Status(8);
    /// Somebody else has the lock.
    pub const WOULD_BLOCK: Status = Status(19);

    fn words(self) -> &'static str {
        match self.0 {
            3 | 18 => "that there is no room",
            4 | 5 | 20 => "that reading or writing failed",
            7 => "that the request is wrong",
            8 => "that there is no such file",
            10 => "that it is not permitted",
            16 => "that it exists",
            17 => "that it is busy",
            19 => "that somebody else has locked it",
            _ => "that it failed",
        }
    }
}

/// An open file of the device.
#[derive(Debug, PartialEq, Eq)]
pub struct Handle(u64);

/// A connection to AFC.
pub struct Afc {
    link: Link,
    number: u64,
    answer_wait: AtMost,
}

enum Answer {
    Data(Vec<u8>),
    Handle(u64),
    Ok,
}

type Asked<T> = Result<Result<T, Status>>;

impl Afc {
    /// Speaks on a fresh stream to the service.
    ///
    /// # Errors
    ///
    /// The stream is gone.
    pub fn over(stream: Box<dyn DeviceStream>) -> Result<Self> {
        let link = Link::reading_ahead(stream)?;
        Ok(Afc { link, number: 0, answer_wait: ANSWER_WAIT })
    }

    /// From now on only quick answers are wanted.
    pub fn hurry(&mut self, answer_wait: AtMost) {
        self.answer_wait = answer_wait;
    }

    fn ask(&mut self, operation: Operation, parameters: &[u8]) -> Asked<Answer> {
        self.ask_with(operation, parameters, &[])
    }

    fn ask_with(&mut self, operation: Operation, parameters: &[u8], bulk: &[u8]) -> Asked<Answer> {
        self.number += 1;
        let mut wait = self.answer_wait;
        let packet = packet::encode(operation, self.number, parameters, bulk);
        self.link.write_all(&packet, &mut wait)?;
        let mut header = [0; HEADER_LEN];
        if !self.link.read_exact(&mut header, &mut wait)? {
            return Err(crate::transport::lost());
        }
        let answer = packet::decode_header(&header).map_err(not_understood)?;
        if answer.number != self.number {
            return Err(not_understood(packet::BadPacket("number")));
        }
        let mut body = vec![0; answer.body_len as usize];
        if !self.link.read_exact(&mut body, &mut wait)? {
            return Err(crate::transport::lost());
        }
        let word = || packet::first_word(&body).ok_or_else(|| not_understood(TOO_SHORT));
        Ok(match answer.kind {
            AnswerKind::Status => match word()? {
                0 => Ok(Answer::Ok),
                status => Err(Status(status)),
            },
            AnswerKind::Handle => Ok(Answer::Handle(word()?)),
            AnswerKind::Data => Ok(Answer::Data(body)),
        })
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// The connection broke, or the answer is no answer.
    pub fn open(&mut self, path: &str, mode: Mode) -> Asked<Handle> {
        let mut parameters = (mode as u64).to_le_bytes().to_vec();
        parameters.extend_from_slice(path.as_bytes());
        parameters.push(0);
        Ok(match self.ask(Operation::Open, &parameters)? {
            Ok(Answer::Handle(handle)) => Ok(Handle(handle)),
            Ok(_) => return Err(not_understood(packet::BadPacket("answer to an opening"))),
            Err(status) => Err(status),
        })
    }

    /// Makes a folder; one that is there already is fine for devices.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn make_folder(&mut self, path: &str) -> Asked<()> {
        Ok(self.ask(Operation::MakeFolder, &[path.as_bytes(), &[0]].concat())?.map(drop))
    }

    /// Removes a file or an empty folder.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn remove(&mut self, path: &str) -> Asked<()> {
        Ok(self.ask(Operation::Remove, &[path.as_bytes(), &[0]].concat())?.map(drop))
    }

    /// Writes a whole file, which is made or emptied first.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn write_file(&mut self, path: &str, bytes: &[u8]) -> Asked<()> {
        let file = match self.open(path, Mode::Rewrite)? {
            Ok(file) => file,
            Err(status) => return Ok(Err(status)),
        };
        let mut written = Ok(());
        for piece in bytes.chunks(WRITTEN_PIECE) {
            written = self.ask_with(Operation::Write, &file.0.to_le_bytes(), piece)?.map(drop);
            if written.is_err() {
                break;
            }
        }
        let closed = self.close(file)?;
        Ok(written.and(closed))
    }

    /// Locks or unlocks an open file; does not wait.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn lock(&mut self, file: &Handle, operation: LockOperation) -> Asked<()> {
        let mut parameters = file.0.to_le_bytes().to_vec();
        parameters.extend_from_slice(&(operation as u64).to_le_bytes());
        Ok(self.ask(Operation::Lock, &parameters)?.map(drop))
    }

    /// Closes a file.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn close(&mut self, file: Handle) -> Asked<()> {
        Ok(self.ask(Operation::Close, &file.0.to_le_bytes())?.map(drop))
    }

    /// The whole of a file, as long as it says that it is; `None` when it is not there, cannot be
    /// read, is empty, or is longer than `len_max` bytes.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn read_file(&mut self, path: &str, len_max: usize) -> Result<Option<Vec<u8>>> {
        let mut asked = path.as_bytes().to_vec();
        asked.push(0);
        let Ok(Answer::Data(info)) = self.ask(Operation::FileInfo, &asked)? else {
            return Ok(None);
        };
        let len = packet::size_of(&info).filter(|len| (1..=len_max).contains(len));
        let Some(len) = len else { return Ok(None) };
        let Ok(file) = self.open(path, Mode::Read)? else { return Ok(None) };
        let read = self.read_all(&file, len)?;
        let _ = self.close(file)?;
        Ok(read.filter(|read| read.len() <= len_max))
    }

    /// Reads until there are `len` bytes or no more: idevicebackup2 does not ask for the end.
    fn read_all(&mut self, file: &Handle, len: usize) -> Result<Option<Vec<u8>>> {
        let mut parameters = file.0.to_le_bytes().to_vec();
        parameters.extend_from_slice(&PIECE.to_le_bytes());
        let mut whole = Vec::new();
        while whole.len() < len {
            match self.ask(Operation::Read, &parameters)? {
                Ok(Answer::Data(piece)) if piece.is_empty() => return Ok(Some(whole)),
                Ok(Answer::Data(piece)) => whole.extend_from_slice(&piece),
                // Some devices say "end of data" with a status.
                Ok(_) => return Ok(Some(whole)),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(whole))
    }
}

const TOO_SHORT: packet::BadPacket = packet::BadPacket("length of its answer");

fn not_understood(bad: packet::BadPacket) -> DeviceError {
    DeviceError::new(DeviceErrorKind::Protocol, "the device's file service was not understood")
        .because(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread::JoinHandle;

    fn answer(number: u64, operation: u64, body: &[u8]) -> Vec<u8> {
        let len = (HEADER_LEN + body.len()) as u64;
        let mut packet = b"CFA6LPAA".to_vec();
        for word in [len, HEADER_LEN as u64, number, operation] {
            packet.extend_from_slice(&word.to_le_bytes());
        }
        packet.extend_from_slice(body);
        packet
    }

    /// An operation and what follows the header.
    type Packet = (u64, Vec<u8>);

    /// Answers each request with the next of `answers`; hands back what was asked.
    fn device(answers: Vec<Packet>) -> (Afc, JoinHandle<Vec<Packet>>) {
        let (near, mut far) = UnixStream::pair().unwrap();
        let serving = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for (number, (operation, body)) in (1..).zip(answers) {
                let mut header = [0; HEADER_LEN];
                far.read_exact(&mut header).unwrap();
                let len = u64::from_le_bytes(header[8..16].try_into().unwrap());
                let mut parameters = vec![0; usize::try_from(len).unwrap() - HEADER_LEN];
                far.read_exact(&mut parameters).unwrap();
                let of = u64::from_le_bytes(header[32..40].try_into().unwrap());
                asked.push((of, parameters));
                far.write_all(&answer(number, operation, &body)).unwrap();
            }
            asked
        });
        (Afc::over(Box::new(near)).unwrap(), serving)
    }

    fn status(code: u64) -> Packet {
        (0x01, code.to_le_bytes().to_vec())
    }

    #[test]
    fn a_file_is_read_to_its_end() {
        let (mut afc, serving) = device(vec![
            (0x02, b"st_size\x005\0".to_vec()),
            (0x0e, 7_u64.to_le_bytes().to_vec()),
            (0x02, b"hell".to_vec()),
            (0x02, b"o".to_vec()),
            status(0),
        ]);
        assert_eq!(afc.read_file("/a", 100).unwrap().as_deref(), Some(&b"hello"[..]));
        let asked = serving.join().unwrap();
        assert_eq!(asked.iter().map(|(of, _)| *of).collect::<Vec<_>>(), [10, 13, 15, 15, 20]);
        assert_eq!(asked[0].1, b"/a\0");
    }

    #[test]
    fn a_file_that_is_not_there_is_none_and_an_empty_one_and_one_too_long_too() {
        let info = |size: &str| (0x02, format!("st_ifmt\0S_IFREG\0st_size\0{size}\0").into_bytes());
        for answer in [status(8), info("0"), info("101"), info("-1"), (0x02, Vec::new())] {
            let (mut afc, serving) = device(vec![answer]);
            assert_eq!(afc.read_file("/a", 100).unwrap(), None);
            assert_eq!(serving.join().unwrap().len(), 1, "it is not opened");
        }
        // One that has grown since.
        let (mut afc, _serving) =
            device(vec![info("5"), (0x0e, vec![7; 8]), (0x02, vec![0; 200]), status(0)]);
        assert_eq!(afc.read_file("/a", 100).unwrap(), None);
    }

    #[test]
    fn a_file_that_ends_early_is_what_came() {
        let (mut afc, _serving) = device(vec![
            (0x02, b"st_size\x005\0".to_vec()),
            (0x0e, 7_u64.to_le_bytes().to_vec()),
            (0x02, b"hel".to_vec()),
            (0x02, Vec::new()),
            status(0),
        ]);
        assert_eq!(afc.read_file("/a", 100).unwrap().as_deref(), Some(&b"hel"[..]));
    }

    #[test]
    fn a_file_is_written_whole_and_closed_also_when_the_device_has_no_room() {
        let opened = || (0x0e, 7_u64.to_le_bytes().to_vec());
        let (mut afc, serving) = device(vec![opened(), status(0), status(0)]);
        assert_eq!(afc.write_file("/a", b"hello").unwrap(), Ok(()));
        let asked = serving.join().unwrap();
        assert_eq!(asked[0], (13, b"\x04\0\0\0\0\0\0\0/a\0".to_vec()));
        assert_eq!(asked[1], (16, b"\x07\0\0\0\0\0\0\0hello".to_vec()));
        assert_eq!(asked[2].0, 20);
        let (mut afc, serving) = device(vec![opened(), status(18), status(0)]);
        assert_eq!(afc.write_file("/a", b"hello").unwrap(), Err(Status(18)));
        assert_eq!(serving.join().unwrap().len(), 3);
    }

    #[test]
    fn a_lock_that_another_holds_is_told_from_failure() {
        let (mut afc, _serving) = device(vec![(0x0e, vec![7; 8]), status(19), status(0)]);
        let file = afc.open("/lock", Mode::ReadWrite).unwrap().unwrap();
        assert_eq!(afc.lock(&file, LockOperation::Exclusive).unwrap(), Err(Status::WOULD_BLOCK));
        assert_eq!(afc.lock(&file, LockOperation::Exclusive).unwrap(), Ok(()));
    }

    #[test]
    fn an_answer_to_another_request_ends_the_connection() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(&answer(9, 0x01, &[0; 8])).unwrap();
        let mut afc = Afc::over(Box::new(near)).unwrap();
        let refused = afc.open("/a", Mode::Read).unwrap_err();
        assert_eq!(refused.kind(), DeviceErrorKind::Protocol);
    }
}
