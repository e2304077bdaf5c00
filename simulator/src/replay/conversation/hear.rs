//! The host speaks: what it says is held against what it said.
use super::{
    AFC_HEADER_LEN, AFC_MAGIC, Channel, MESSAGE_LEN_MAX, PIECE, Played, Player, Stop, packet_body,
};
use crate::backup_files::plist_bytes;
use crate::connection::Connection as _;
use crate::replay::compare::{Difference, in_words, shown};
use crate::replay::made_up;
use crate::replay::recording::{Encoding, FileEnd, FileSaid, Said};
use serde_json::Value as Json;
use std::io::{ErrorKind, Read};
use std::time::Duration;

/// How often a silent host is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The longest path of a host in a file stream.
const PATH_LEN_MAX: usize = 4096;

impl Player<'_> {
    /// Fills `into`; [`Stop::Closed`] when the host leaves before that.
    fn read(&mut self, into: &mut [u8]) -> Played<()> {
        let mut filled = 0;
        while filled < into.len() {
            match self.read_some(&mut into[filled..])? {
                0 => return Err(Stop::Closed),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn read_some(&mut self, into: &mut [u8]) -> Played<usize> {
        loop {
            if self.play.progress.is_over() {
                return Err(Stop::Over);
            }
            let read = match &mut self.channel {
                Channel::Plain(wire) => {
                    wire.set_read_timeout(Some(LOOK_EVERY))?;
                    wire.read(into)
                }
                Channel::Secret(tls) => {
                    tls.set_read_timeout(Some(LOOK_EVERY))?;
                    tls.read(into)
                }
                Channel::Closed => return Err(Stop::Closed),
            };
            match read {
                Err(e) if is_pause(e.kind()) => {}
                Err(_) => return Ok(0),
                Ok(count) => return Ok(count),
            }
        }
    }

    fn read_len(&mut self) -> Played<usize> {
        let mut len = [0; 4];
        self.read(&mut len)?;
        Ok(usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX))
    }

    /// A length and so many bytes, with what is taken grown as they come.
    fn read_sized(&mut self, len: usize, max: usize) -> Played<Vec<u8>> {
        if len > max {
            return Err(differs("something shorter", format!("something of {len} bytes")));
        }
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let have = bytes.len();
            bytes.resize(len.min(have + PIECE), 0);
            self.read(&mut bytes[have..])?;
        }
        Ok(bytes)
    }

    pub(super) fn hear_the_end(&mut self) -> Played<()> {
        let mut more = [0; 256];
        match self.read_some(&mut more)? {
            0 => Ok(()),
            count => Err(differs(
                "the host closes the connection",
                format!("it says more, which begins with {:02x?}", &more[..count.min(64)]),
            )),
        }
    }

    pub(super) fn hear(&mut self, said: &Said) -> Played<()> {
        match said {
            Said::Message(list, encoding) => self.hear_list(list, *encoding),
            Said::Packet(number, operation, _, body) => self.hear_packet(*number, *operation, body),
            Said::File(file) => self.hear_file(file),
            Said::FilesEnd => match self.read_len()? {
                0 => Ok(()),
                _ => Err(differs("the end of the files", "another file".to_owned())),
            },
            Said::Unreadable(bytes, _) => {
                let len = self.read_len()?;
                let message = self.read_sized(len, MESSAGE_LEN_MAX)?;
                match message.len() as u64 == *bytes {
                    true => Ok(()),
                    false => Err(differs("a message of other bytes", format!("{len} bytes"))),
                }
            }
            Said::Opaque(bytes, _) | Said::Partial(bytes, _) => {
                let len = usize::try_from(*bytes).unwrap_or(usize::MAX);
                self.read_sized(len, MESSAGE_LEN_MAX).map(drop)
            }
        }
    }

    fn hear_list(&mut self, recorded: &Json, recorded_as: Encoding) -> Played<()> {
        let len = self.read_len()?;
        let body = self.read_sized(len, MESSAGE_LEN_MAX)?;
        let encoding = if body.starts_with(b"bplist") { Encoding::Binary } else { Encoding::Xml };
        let now = plist_bytes::read(&body)
            .map_err(|bad| differs(&shown(recorded), format!("no list: {bad}")))?;
        let answer_to = self.answer_to;
        if let Some(difference) = self.play.of_device.difference(recorded, &now, answer_to) {
            return Err(Stop::Differs(difference));
        }
        if encoding != recorded_as {
            let now = format!("{encoding:?} {}", in_words(&now));
            return Err(differs(&format!("{recorded_as:?} {}", shown(recorded)), now));
        }
        let text = |key: &str| now.as_dictionary()?.get(key)?.as_string();
        self.asks_for_key = text("Key") == Some("DevicePublicKey");
        if text("Request") == Some("Pair") && !self.play.trust.pair(&now) {
            let now = "certificates that do not belong together".to_owned();
            return Err(differs("a pair record", now));
        }
        Ok(())
    }

    fn hear_packet(&mut self, number: u64, operation: u64, body: &Json) -> Played<()> {
        let mut header = [0; AFC_HEADER_LEN];
        self.read(&mut header)?;
        let word = |at: usize| {
            header[at..at + 8].iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte))
        };
        let len = usize::try_from(word(8)).unwrap_or(usize::MAX).saturating_sub(AFC_HEADER_LEN);
        let now = self.read_sized(len, MESSAGE_LEN_MAX)?;
        let is_same = match body.get("data") {
            Some(bytes) => bytes.as_u64() == Some(now.len() as u64),
            None => now == packet_body(body),
        };
        if is_same && (word(24), word(32)) == (number, operation) && header.starts_with(AFC_MAGIC) {
            return Ok(());
        }
        let recorded = format!("packet {number}, operation {operation}: {}", shown(body));
        let text = String::from_utf8_lossy(&now[..now.len().min(200)]).escape_debug().to_string();
        Err(differs(&recorded, format!("packet {}, operation {}: {text}", word(24), word(32))))
    }

    fn hear_file(&mut self, said: &FileSaid) -> Played<()> {
        let len = self.read_len()?;
        let path = self.read_sized(len, PATH_LEN_MAX)?;
        if path != said.path.as_bytes() {
            let now = String::from_utf8_lossy(&path).escape_debug().to_string();
            return Err(differs(&format!("file {}", said.path), format!("file {now}")));
        }
        // A list may differ in what no recording has.
        let is_told = said.list.is_some() || said.path.ends_with("/Info.plist");
        let (expected, mut content) = made_up::file(said);
        let (mut bytes, mut is_same) = (0, true);
        let (mut now, mut was) = (vec![0; PIECE], vec![0; PIECE]);
        let end = loop {
            let block = match self.read_len() {
                Err(Stop::Closed) if said.end == FileEnd::Cut => return Ok(()),
                read => read?,
            };
            let mut code = [0];
            self.read(&mut code)?;
            let mut left = block.saturating_sub(1);
            if code[0] != 0x0c {
                let words = self.read_sized(left, PATH_LEN_MAX)?;
                let words = String::from_utf8_lossy(&words).into_owned();
                break if code[0] == 0 { FileEnd::Whole } else { FileEnd::Failed(code[0], words) };
            }
            while left > 0 {
                let count = left.min(PIECE);
                self.read(&mut now[..count])?;
                bytes += count as u64;
                is_same = is_same
                    && bytes <= expected
                    && content.read_exact(&mut was[..count]).is_ok()
                    && now[..count] == was[..count];
                left -= count;
            }
        };
        let ends_alike = match (&said.end, &end) {
            (FileEnd::Failed(one, _), FileEnd::Failed(other, _)) => one == other,
            (one, other) => one == other,
        };
        if ends_alike && (is_told || (is_same && bytes == expected)) {
            return Ok(());
        }
        let recorded = format!("{} with {expected} bytes, then {:?}", said.path, said.end);
        let other = if is_same || bytes != expected { "" } else { " other" };
        Err(differs(&recorded, format!("{bytes}{other} bytes, then {end:?}")))
    }
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn differs(recorded: &str, now: String) -> Stop {
    Stop::Differs(Difference { at: String::new(), recorded: recorded.to_owned(), now })
}
