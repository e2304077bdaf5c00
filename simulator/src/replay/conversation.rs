//! One recorded connection, with a host at its other end: the phone's part is said, the host's part
//! is heard and compared.
use super::compare::{AnswerTo, Difference, in_words, shown};
use super::desk::Play;
use super::made_up;
use super::place_in_words;
use super::progress::Divergence;
use super::recording::{Encoding, FileEnd, FileSaid, Said, Side, Step};
use crate::backup_files::plist_bytes;
use crate::connection::Connection as _;
use crate::plist_stream::encode;
use crate::tls::Tls;
use crate::wire::Wire;
use plist::Value;
use serde_json::Value as Json;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

/// How often a silent host is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The longest message or packet of a host, in bytes.
const MESSAGE_LEN_MAX: usize = 64 << 20;
/// The longest path of a host in a file stream.
const PATH_LEN_MAX: usize = 4096;
/// Pieces in which contents are made up and compared.
const PIECE: usize = 32 << 10;
const AFC_MAGIC: &[u8; 8] = b"CFA6LPAA";
const AFC_HEADER_LEN: usize = 40;

/// Why a connection is not played on.
enum Stop {
    /// Something else has ended the play.
    Over,
    /// The host departs from the recording.
    Differs(Difference),
    /// The host has closed the connection, or broke it.
    Closed,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Stop::Closed
    }
}

type Played<T> = Result<T, Stop>;

enum Channel {
    Plain(Wire),
    Secret(Box<Tls<Wire>>),
    Closed,
}

/// Plays the connection of this number to its end.
pub(super) fn play(play: &Play, number: usize, wire: Wire) {
    let mut player = Player {
        play,
        channel: Channel::Plain(wire),
        answer_to: AnswerTo::default(),
        asks_for_key: false,
    };
    let connection = &play.recording.connections[number].1;
    for (at, (place, step)) in connection.steps.iter().enumerate() {
        let difference = match player.step(*place, step) {
            Ok(()) => {
                play.progress.done(*place);
                continue;
            }
            Err(Stop::Over) => return,
            Err(Stop::Differs(difference)) => difference,
            Err(Stop::Closed) => {
                let rest = &connection.steps[at..];
                let host_speaks = |(_, step): &(usize, Step)| {
                    matches!(step, Step::Said(Side::Host, _) | Step::Secured(true))
                };
                if !rest.iter().any(host_speaks) {
                    // It had heard enough. What the phone said last crossed its leaving.
                    rest.iter().for_each(|(place, _)| play.progress.done(*place));
                    return;
                }
                Difference {
                    at: String::new(),
                    recorded: play.recording.line(*place),
                    now: "the host closes the connection".to_owned(),
                }
            }
        };
        let connection = place_in_words(&play.recording, number);
        play.progress.diverges(Divergence::of(difference, place + 1, connection));
        return;
    }
}

struct Player<'p> {
    play: &'p Play,
    channel: Channel,
    /// What the phone has said last.
    answer_to: AnswerTo,
    /// The host has asked lockdown for the phone's key.
    asks_for_key: bool,
}

impl Player<'_> {
    fn step(&mut self, place: usize, step: &Step) -> Played<()> {
        match step {
            Step::Secured(true) => self.secure(),
            Step::Secured(false) | Step::Closed(Side::Device) => {
                if !self.play.progress.waits_for(place) {
                    return Err(Stop::Over);
                }
                self.channel = Channel::Closed;
                Ok(())
            }
            Step::Closed(Side::Host) => self.hear_the_end(),
            Step::Said(Side::Device, said) => {
                if !self.play.progress.waits_for(place) {
                    return Err(Stop::Over);
                }
                self.say(said)
            }
            Step::Said(Side::Host, said) => self.hear(said),
        }
    }

    fn secure(&mut self) -> Played<()> {
        match std::mem::replace(&mut self.channel, Channel::Closed) {
            Channel::Plain(wire) => {
                let tls = self.play.trust.trusted().accept(wire).map_err(|error| {
                    Stop::Differs(Difference {
                        at: String::new(),
                        recorded: "a handshake that succeeds".to_owned(),
                        now: format!("a handshake that fails: {error}"),
                    })
                })?;
                self.channel = Channel::Secret(Box::new(tls));
                Ok(())
            }
            other => {
                self.channel = other;
                Ok(())
            }
        }
    }

    // --- the phone speaks ---

    fn write(&mut self, bytes: &[u8]) -> Played<()> {
        match &mut self.channel {
            Channel::Plain(wire) => wire.write_all(bytes)?,
            Channel::Secret(tls) => tls.write_all(bytes)?,
            Channel::Closed => return Err(Stop::Closed),
        }
        Ok(())
    }

    fn say(&mut self, said: &Said) -> Played<()> {
        match said {
            Said::Message(list, encoding) => self.say_list(list, *encoding)?,
            Said::Unreadable(bytes, hash) => {
                self.write(&length(*bytes))?;
                self.write_drawn(hash, *bytes)?;
            }
            Said::Packet(number, operation, parameters, body) => {
                let body = packet_body(body);
                let whole = (AFC_HEADER_LEN + body.len()) as u64;
                let mut packet = AFC_MAGIC.to_vec();
                for word in [whole, AFC_HEADER_LEN as u64 + parameters, *number, *operation] {
                    packet.extend(word.to_le_bytes());
                }
                packet.extend(body);
                self.write(&packet)?;
            }
            Said::File(file) => self.say_file(file)?,
            Said::FilesEnd => self.write(&[0; 4])?,
            Said::Opaque(bytes, hash) => self.write_drawn(hash, *bytes)?,
            Said::Partial(bytes, of) => {
                let mut part = length(of.saturating_sub(4)).to_vec();
                part.resize(usize::try_from(*bytes).unwrap_or(0).min(MESSAGE_LEN_MAX), 0);
                self.write(&part)?;
            }
        }
        match &mut self.channel {
            Channel::Plain(wire) => wire.flush()?,
            Channel::Secret(tls) => tls.flush()?,
            Channel::Closed => {}
        }
        Ok(())
    }

    fn write_drawn(&mut self, hash: &str, bytes: u64) -> Played<()> {
        let mut drawn = made_up::Drawn::new(hash, bytes);
        let mut piece = vec![0; PIECE];
        loop {
            match drawn.read(&mut piece)? {
                0 => return Ok(()),
                count => self.write(&piece[..count])?,
            }
        }
    }

    fn say_list(&mut self, list: &Json, encoding: Encoding) -> Played<()> {
        self.answer_to = AnswerTo::message(list);
        let mut value = made_up::list(list).ok_or(Stop::Closed)?;
        if self.asks_for_key
            && let Some(fields) = value.as_dictionary_mut()
            && fields.get("Value").is_some_and(|value| value.as_data().is_some())
            && let Some(key) = self.play.trust.public_key()
        {
            fields.insert("Value".to_owned(), Value::Data(key.as_bytes().to_vec()));
        }
        let body = encode(&value, encoding)?;
        self.write(&length(body.len() as u64))?;
        self.write(&body)
    }

    fn say_file(&mut self, said: &FileSaid) -> Played<()> {
        let device_path = format!("/{}", "x".repeat(said.device_path_len.saturating_sub(1)));
        for path in [device_path.as_str(), said.path.as_str()] {
            self.write(&length(path.len() as u64))?;
            self.write(path.as_bytes())?;
        }
        let (mut left, mut content) = made_up::file(said);
        // A list may be longer or shorter than it was; then it comes in one block.
        let as_one = [(u32::try_from(left).unwrap_or(u32::MAX), 1)];
        let blocks = if left == said.bytes { &said.blocks[..] } else { &as_one[..] };
        let runs = blocks.iter().flat_map(|(len, count)| (0..*count).map(move |_| *len));
        let rest = std::iter::repeat(u32::try_from(PIECE).unwrap_or(u32::MAX));
        let mut blocks = runs.chain(rest);
        let mut piece = vec![0; PIECE];
        while let Some(block) = blocks.next().filter(|_| left > 0) {
            self.write(&length(u64::from(block) + 1))?;
            self.write(&[0x0c])?;
            let mut of_block = u64::from(block).min(left);
            left -= of_block;
            while of_block > 0 {
                let count = usize::try_from(of_block).unwrap_or(PIECE).min(PIECE);
                content.read_exact(&mut piece[..count])?;
                self.write(&piece[..count])?;
                of_block -= count as u64;
            }
        }
        match &said.end {
            FileEnd::Whole => self.write(&[0, 0, 0, 1, 0]),
            FileEnd::Cut => Ok(()),
            FileEnd::Failed(code, words) => {
                self.write(&length(words.len() as u64 + 1))?;
                self.write(&[*code])?;
                self.write(words.as_bytes())
            }
        }
    }

    // --- the host speaks ---

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

    fn hear_the_end(&mut self) -> Played<()> {
        let mut more = [0; 256];
        match self.read_some(&mut more)? {
            0 => Ok(()),
            count => Err(differs(
                "the host closes the connection",
                format!("it says more, which begins with {:02x?}", &more[..count.min(64)]),
            )),
        }
    }

    fn hear(&mut self, said: &Said) -> Played<()> {
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

fn length(bytes: u64) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// The bytes of a packet after its header.
fn packet_body(body: &Json) -> Vec<u8> {
    if let Some(bytes) = body.get("data").and_then(Json::as_u64) {
        return made_up::data(body.get("hash").and_then(Json::as_str).unwrap_or_default(), bytes);
    }
    let mut bytes = Vec::new();
    for number in body.get("numbers").and_then(Json::as_array).into_iter().flatten() {
        bytes.extend(number.as_u64().unwrap_or_default().to_le_bytes());
    }
    let info = body.get("info").and_then(Json::as_array).into_iter().flatten();
    let words = info.flat_map(|pair| pair.as_array().into_iter().flatten());
    for word in words.chain(body.get("path")).filter_map(Json::as_str) {
        bytes.extend(word.as_bytes());
        bytes.push(0);
    }
    bytes
}
