//! One direction of a connection, cut into what it says: messages, packets of AFC, files.
//!
//! It reads by the rules of `docs/device-protocol.md` and not by the code that talks: what the
//! talking code trips over stands in the recording as it came.
use blake3::Hasher;

/// The longest message or packet that is looked into, in bytes; of a longer one the length and the
/// hash are kept.
const BODY_LEN_MAX: usize = 16 << 20;

/// The longest path in a file stream.
const PATH_LEN_MAX: usize = 4096;

/// How many runs of equal blocks are told of a file; the rest is told as one sum.
const RUNS_MAX: usize = 64;

/// How much is kept of the words with which a file ends that could not be sent, and of a file whose
/// content matters.
const KEPT_LEN_MAX: usize = 4096;

const AFC_HEADER_LEN: usize = 40;

/// What a service's connections carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// A length and a property list, again and again.
    Lists,
    /// The same, with streams of files between.
    DeviceLink,
    /// Packets of AFC.
    Afc,
    /// Nobody knows.
    Unknown,
}

/// What was cut off.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// A message, without its length.
    Message(Vec<u8>),
    /// A packet of AFC: its header and what follows.
    Packet { header: Vec<u8>, body: Vec<u8> },
    /// A file of a stream.
    File(FileSaid),
    /// A stream of files is over.
    FilesEnd,
    /// A message too long to be looked into, without its length.
    Long { bytes: u64, hash: String },
    /// Bytes that follow no known rule.
    Opaque { bytes: u64, hash: String },
    /// The connection ended after so many bytes of something that would have been longer.
    Partial { bytes: u64, of: u64 },
}

/// A file as it passed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct FileSaid {
    /// Length of the path that the device has it at; the device alone says so.
    pub(super) device_path_len: Option<u32>,
    /// Where it goes, as it came.
    pub(super) path: Vec<u8>,
    /// Bytes of content in each data block, and how many such blocks came one after another.
    pub(super) blocks: Vec<(u32, u64)>,
    /// Data blocks beyond those.
    pub(super) more_blocks: u64,
    /// Bytes of content.
    pub(super) bytes: u64,
    /// Their hash, under the recording's key.
    pub(super) hash: String,
    /// Their beginning.
    pub(super) start: Vec<u8>,
    /// How it ended.
    pub(super) end: FileEnd,
}

/// How a file ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum FileEnd {
    /// With the mark of the end.
    Whole,
    /// With a code and words.
    Failed(u8, Vec<u8>),
    /// With the connection, so far into a block that was announced with a length.
    #[default]
    Cut,
}

#[derive(Debug)]
enum State {
    Head,
    Body,
    AfcHead,
    AfcBody(Vec<u8>),
    DevicePathLen,
    DevicePath,
    PathLen,
    Path,
    BlockHead,
    /// Bytes of a data block still to come.
    Data(u32),
    /// Bytes of the block that ends a file, still to come.
    LastWords(u8, u32),
    /// Bytes of a message too long to be looked into.
    Skip(u64),
    Opaque,
}

/// One direction.
pub(super) struct Side {
    /// The device names two paths for each file, we name one.
    is_device: bool,
    state: State,
    buffer: Vec<u8>,
    need: usize,
    file: FileSaid,
    key: [u8; 32],
    hasher: Hasher,
    hashed: u64,
}

impl Side {
    pub(super) fn new(framing: Framing, is_device: bool, key: &[u8; 32]) -> Side {
        let (state, need) = match framing {
            Framing::Lists | Framing::DeviceLink => (State::Head, 4),
            Framing::Afc => (State::AfcHead, AFC_HEADER_LEN),
            Framing::Unknown => (State::Opaque, 0),
        };
        Side {
            is_device,
            state,
            buffer: Vec::new(),
            need,
            file: FileSaid::default(),
            key: *key,
            hasher: Hasher::new_keyed(key),
            hashed: 0,
        }
    }

    /// A stream of files follows, not a message.
    pub(super) fn expect_files(&mut self) {
        self.begin_file();
    }

    /// Takes from the front of `bytes` until something is complete; `None` when they are used up.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Said> {
        loop {
            match &mut self.state {
                State::Data(left) => {
                    let count = (*left as usize).min(bytes.len());
                    let (now, rest) = bytes.split_at(count);
                    *left -= u32::try_from(count).unwrap_or(u32::MAX);
                    let is_over = *left == 0;
                    self.content(now);
                    *bytes = rest;
                    if !is_over {
                        return None;
                    }
                    self.go(State::BlockHead, 5);
                }
                State::LastWords(code, left) => {
                    let count = (*left as usize).min(bytes.len());
                    let (now, rest) = bytes.split_at(count);
                    *left -= u32::try_from(count).unwrap_or(u32::MAX);
                    let (code, is_over) = (*code, *left == 0);
                    let room = KEPT_LEN_MAX.saturating_sub(self.buffer.len());
                    self.buffer.extend_from_slice(&now[..count.min(room)]);
                    *bytes = rest;
                    if !is_over {
                        return None;
                    }
                    let words = std::mem::take(&mut self.buffer);
                    return Some(self.file_over(FileEnd::Failed(code, words)));
                }
                State::Skip(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    let (now, rest) = bytes.split_at(count);
                    *left -= count as u64;
                    let is_over = *left == 0;
                    self.hash(now);
                    *bytes = rest;
                    if !is_over {
                        return None;
                    }
                    self.go(State::Head, 4);
                    let bytes = std::mem::take(&mut self.hashed);
                    return Some(Said::Long { bytes, hash: self.take_hash() });
                }
                State::Opaque => {
                    self.hash(bytes);
                    *bytes = &[];
                    return None;
                }
                _ => {
                    let count = (self.need - self.buffer.len()).min(bytes.len());
                    let (now, rest) = bytes.split_at(count);
                    self.buffer.extend_from_slice(now);
                    *bytes = rest;
                    if self.buffer.len() < self.need {
                        return None;
                    }
                    if let Some(said) = self.step() {
                        return Some(said);
                    }
                }
            }
            if bytes.is_empty() && self.need > self.buffer.len() {
                return None;
            }
        }
    }

    /// What had begun when the connection ended.
    pub(super) fn end(&mut self) -> Option<Said> {
        let state = std::mem::replace(&mut self.state, State::Opaque);
        let have = self.buffer.len() as u64;
        match state {
            State::Head | State::AfcHead | State::DevicePathLen if have == 0 => None,
            State::Body => Some(Said::Partial { bytes: 4 + have, of: 4 + self.need as u64 }),
            State::BlockHead | State::Data(_) | State::LastWords(..) => {
                Some(self.file_over(FileEnd::Cut))
            }
            State::PathLen if have == 0 && !self.is_device => None,
            State::Skip(_) | State::Opaque => (self.hashed > 0).then(|| self.take_opaque()),
            _ => Some(Said::Partial { bytes: have, of: self.need as u64 }),
        }
    }

    fn go(&mut self, state: State, need: usize) {
        self.state = state;
        self.need = need;
        self.buffer.clear();
    }

    fn begin_file(&mut self) {
        match self.is_device {
            true => self.go(State::DevicePathLen, 4),
            false => self.go(State::PathLen, 4),
        }
    }

    fn len(&self) -> u32 {
        self.buffer.iter().take(4).fold(0, |len, byte| len << 8 | u32::from(*byte))
    }

    /// What is to be done with a buffer that is full.
    fn step(&mut self) -> Option<Said> {
        let len = self.len();
        let size = len as usize;
        match std::mem::replace(&mut self.state, State::Opaque) {
            State::Head if size > BODY_LEN_MAX => self.go(State::Skip(u64::from(len)), 0),
            State::Head if size == 0 => {
                self.go(State::Head, 4);
                return Some(Said::Message(Vec::new()));
            }
            State::Head => self.go(State::Body, size),
            State::Body => {
                let body = std::mem::take(&mut self.buffer);
                self.go(State::Head, 4);
                return Some(Said::Message(body));
            }
            State::AfcHead => return self.afc_header(),
            State::AfcBody(header) => {
                let body = std::mem::take(&mut self.buffer);
                self.go(State::AfcHead, AFC_HEADER_LEN);
                return Some(Said::Packet { header, body });
            }
            State::DevicePathLen | State::PathLen if size > PATH_LEN_MAX => self.give_up(),
            State::DevicePathLen if size == 0 => return Some(self.files_over()),
            State::DevicePathLen => {
                self.file.device_path_len = Some(len);
                self.go(State::DevicePath, size);
            }
            // Where it lies on the device is nobody's business.
            State::DevicePath => self.go(State::PathLen, 4),
            State::PathLen if size == 0 && !self.is_device => return Some(self.files_over()),
            State::PathLen if size == 0 => self.give_up(),
            State::PathLen => self.go(State::Path, size),
            State::Path => {
                self.file.path = std::mem::take(&mut self.buffer);
                self.go(State::BlockHead, 5);
            }
            State::BlockHead => return self.block(len),
            other => self.state = other,
        }
        None
    }

    fn afc_header(&mut self) -> Option<Said> {
        let header = std::mem::take(&mut self.buffer);
        let whole = header[8..16].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let whole = usize::try_from(whole).unwrap_or(usize::MAX);
        if !header.starts_with(b"CFA6LPAA") || !(AFC_HEADER_LEN..=BODY_LEN_MAX).contains(&whole) {
            self.hash(&header);
            self.state = State::Opaque;
            return None;
        }
        if whole == AFC_HEADER_LEN {
            self.go(State::AfcHead, AFC_HEADER_LEN);
            return Some(Said::Packet { header, body: Vec::new() });
        }
        self.go(State::AfcBody(header), whole - AFC_HEADER_LEN);
        None
    }

    fn block(&mut self, len: u32) -> Option<Said> {
        let code = self.buffer[4];
        match (code, len.checked_sub(1)) {
            (0x0c, Some(left)) => {
                self.count_block(left);
                self.go(State::Data(left), 0);
            }
            (0x00, Some(0)) => return Some(self.file_over(FileEnd::Whole)),
            (code, Some(0)) if code == 0x06 || code == 0x0b => {
                return Some(self.file_over(FileEnd::Failed(code, Vec::new())));
            }
            (0x06 | 0x0b, Some(left)) => self.go(State::LastWords(code, left), 0),
            _ => self.give_up(),
        }
        None
    }

    fn count_block(&mut self, len: u32) {
        let is_full = self.file.blocks.len() >= RUNS_MAX;
        match self.file.blocks.last_mut() {
            Some((last, count)) if *last == len && self.file.more_blocks == 0 => *count += 1,
            _ if is_full => self.file.more_blocks += 1,
            _ => self.file.blocks.push((len, 1)),
        }
    }

    fn content(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.file.bytes += bytes.len() as u64;
        let room = KEPT_LEN_MAX.saturating_sub(self.file.start.len());
        self.file.start.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn file_over(&mut self, end: FileEnd) -> Said {
        let mut file = std::mem::take(&mut self.file);
        file.hash = self.take_hash();
        file.end = end;
        self.begin_file();
        Said::File(file)
    }

    fn files_over(&mut self) -> Said {
        self.go(State::Head, 4);
        Said::FilesEnd
    }

    /// Nothing that follows can be told apart.
    fn give_up(&mut self) {
        let read = std::mem::take(&mut self.buffer);
        self.hasher = Hasher::new_keyed(&self.key);
        self.hash(&read);
        self.state = State::Opaque;
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.hashed += bytes.len() as u64;
    }

    fn take_opaque(&mut self) -> Said {
        Said::Opaque { bytes: std::mem::take(&mut self.hashed), hash: self.take_hash() }
    }

    fn take_hash(&mut self) -> String {
        let hasher = std::mem::replace(&mut self.hasher, Hasher::new_keyed(&self.key));
        short(&hasher)
    }
}

/// The first half of a hash, in hex: enough to tell contents of one recording apart.
pub(super) fn short(hasher: &Hasher) -> String {
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests;
