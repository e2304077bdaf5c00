//! A recording, read. `docs/recordings.md` says what its lines are; this reads them by that page
//! and not by the code that writes them.
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

/// The longest recording read, in bytes: it is held in memory.
const BYTES_MAX: u64 = 512 << 20;
/// How much of a line is shown, in characters.
const LINE_SHOWN_MAX: usize = 1000;
/// The form that is understood.
const VERSION: u64 = 1;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The program that backs up.
    Host,
    /// The phone.
    Device,
}

/// A phone in the list of usbmuxd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its UDID, which is made up.
    pub udid: String,
    /// It hangs on the cable.
    pub by_usb: bool,
    /// Its number.
    pub handle: u64,
}

/// What happened at usbmuxd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Daemon {
    /// From here on these are attached.
    Devices(Vec<Attached>),
    /// The attachment of this number ended.
    Detached(u64),
    /// The phone of this number was paired.
    Paired(u64),
    /// Whether something else was done: a pair record read, saved or deleted, its name told.
    Answered(String, bool),
}

/// A file in a stream of files.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSaid {
    /// Where it goes.
    pub path: String,
    /// How long the path is that the phone has it at; the phone alone says that.
    pub device_path_len: usize,
    /// Bytes of content.
    pub bytes: u64,
    /// Lengths of blocks, and how many in a row.
    pub blocks: Vec<(u32, u64)>,
    /// Names the content within the recording.
    pub hash: String,
    /// How it ended.
    pub end: FileEnd,
    /// Its content, when that is told: a list and its encoding.
    pub list: Option<(Json, Encoding)>,
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileEnd {
    /// With its end.
    Whole,
    /// With a code and words.
    Failed(u8, String),
    /// With the connection.
    Cut,
}

pub use crate::plist_stream::Encoding;

/// What one side said.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A list.
    Message(Json, Encoding),
    /// A message of so many bytes that is no list.
    Unreadable(u64, String),
    /// A packet of AFC: its number, operation, bytes of parameters, and what follows.
    Packet(u64, u64, u64, Json),
    /// A file.
    File(FileSaid),
    /// A stream of files is over.
    FilesEnd,
    /// So many bytes that nobody understands.
    Opaque(u64, String),
    /// The beginning of something of this length.
    Partial(u64, u64),
}

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It was encrypted from here on, or the handshake failed.
    Secured(bool),
    /// Somebody spoke.
    Said(Side, Said),
    /// Somebody closed it.
    Closed(Side),
}

/// A connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// The port that was asked for.
    pub port: u16,
    /// Of the phone with this number.
    pub handle: u64,
    /// The service behind it; empty when nobody knows.
    pub service: String,
    /// Nobody listened there.
    pub refused: bool,
    /// What happened, each with its place in the whole.
    pub steps: Vec<(usize, Step)>,
}

/// A recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The program that recorded.
    pub program: String,
    /// It goes to the end of what was recorded.
    pub is_whole: bool,
    /// Connections in the order they were opened, each with the place where it was.
    pub connections: Vec<(usize, Connection)>,
    /// What happened at usbmuxd.
    pub daemon: Vec<(usize, Daemon)>,
    /// Where it was read from.
    path: Option<PathBuf>,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// `InvalidData`, with the line: it is none, or of a later form.
    pub fn read(path: &Path) -> io::Result<Recording> {
        let file = File::open(path)?;
        if file.metadata()?.len() > BYTES_MAX {
            return Err(invalid(0, "longer than 512 MiB"));
        }
        let path = Some(path.to_owned());
        Ok(Recording { path, ..Recording::parse(BufReader::new(file))? })
    }

    /// The line at this place, for people; empty when it is not to be had.
    pub fn line(&self, place: usize) -> String {
        let file = self.path.as_ref().and_then(|path| File::open(path).ok());
        let line = file.and_then(|file| BufReader::new(file).lines().nth(place)?.ok());
        line.unwrap_or_default().chars().take(LINE_SHOWN_MAX).collect()
    }

    /// Reads a recording from its lines.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse(lines: impl BufRead) -> io::Result<Recording> {
        let mut recording = Recording {
            program: String::new(),
            is_whole: false,
            connections: Vec::new(),
            daemon: Vec::new(),
            path: None,
        };
        let mut places = BTreeMap::new();
        let mut is_empty = true;
        for (at, line) in lines.lines().enumerate() {
            let line = line?;
            let Ok(said) = serde_json::from_str::<Json>(&line) else {
                // The program was ended in the middle of its last line.
                if at > 0 {
                    break;
                }
                return Err(invalid(1, "no recording of devsnap"));
            };
            recording
                .take(at, &said, &mut places)
                .ok_or_else(|| invalid(at + 1, "not as recordings are"))?;
            is_empty = false;
        }
        if is_empty {
            return Err(invalid(1, "empty"));
        }
        Ok(recording)
    }

    fn take(&mut self, at: usize, line: &Json, places: &mut BTreeMap<u64, usize>) -> Option<()> {
        if at == 0 {
            self.program = text(line, "program")?;
            return (line.get("devsnap_recording")?.as_u64()? == VERSION).then_some(());
        }
        if line.get("end").is_some_and(|end| end == &Json::Bool(true)) {
            self.is_whole = true;
        } else if let Some(what) = line.get("usbmuxd") {
            self.daemon.push((at, daemon(what.as_str()?, line)?));
        } else if let Some(number) = line.get("open") {
            places.insert(number.as_u64()?, self.connections.len());
            let service = line.get("service").and_then(Json::as_str).unwrap_or_default();
            let connection = Connection {
                port: u16::try_from(line.get("port")?.as_u64()?).ok()?,
                handle: line.get("handle")?.as_u64()?,
                service: service.to_owned(),
                refused: line.get("refused")?.as_bool()?,
                steps: Vec::new(),
            };
            self.connections.push((at, connection));
        } else {
            let place = *places.get(&line.get("connection")?.as_u64()?)?;
            self.connections[place].1.steps.push((at, step(line)?));
        }
        Some(())
    }

    /// The first value of this `key` that a host names in a request to lockdown.
    pub fn named_by_host(&self, key: &str) -> Option<String> {
        let steps = self.connections.iter().flat_map(|(_, connection)| &connection.steps);
        let messages = steps.filter_map(|(_, step)| match step {
            Step::Said(Side::Host, Said::Message(list, _)) => list.get("dict")?.get(key),
            _ => None,
        });
        messages
            .filter_map(|value| match value {
                Json::String(text) => Some(text.clone()),
                hidden => hidden.get("hidden")?.as_str().map(str::to_owned),
            })
            .next()
    }
}

fn daemon(what: &str, line: &Json) -> Option<Daemon> {
    let handle = || line.get("handle")?.as_u64();
    Some(match what {
        "devices" => {
            let devices = line.get("answer")?.as_array()?.iter().map(|device| {
                Some(Attached {
                    udid: text(device, "udid")?,
                    by_usb: text(device, "connection")? == "usb",
                    handle: device.get("handle")?.as_u64()?,
                })
            });
            Daemon::Devices(devices.collect::<Option<_>>()?)
        }
        "detached" => Daemon::Detached(handle()?),
        "paired" => Daemon::Paired(handle()?),
        other => {
            let answer = line.get("answer")?.as_bool().unwrap_or(false);
            Daemon::Answered(other.to_owned(), answer)
        }
    })
}

fn step(line: &Json) -> Option<Step> {
    let side = |word: &str| match word {
        "host" => Some(Side::Host),
        "device" => Some(Side::Device),
        _ => None,
    };
    if let Some(secured) = line.get("secured") {
        return Some(Step::Secured(secured.as_bool()?));
    }
    if let Some(by) = line.get("closed_by") {
        return Some(Step::Closed(side(by.as_str()?)?));
    }
    Some(Step::Said(side(line.get("from")?.as_str()?)?, said(line)?))
}

fn said(line: &Json) -> Option<Said> {
    let hash = || text(line, "hash");
    let number = |key: &str| line.get(key)?.as_u64();
    if let Some(list) = line.get("message") {
        return Some(Said::Message(list.clone(), encoding(line)?));
    }
    if let Some(packet) = line.get("afc") {
        let number = |key: &str| packet.get(key)?.as_u64();
        let body = packet.get("body")?.clone();
        let of = (number("number")?, number("operation")?, number("parameters")?);
        return Some(Said::Packet(of.0, of.1, of.2, body));
    }
    if line.get("file").is_some() {
        return file(line).map(Said::File);
    }
    if line.get("files_end").is_some() {
        return Some(Said::FilesEnd);
    }
    if let Some(bytes) = number("unreadable") {
        return Some(Said::Unreadable(bytes, hash()?));
    }
    if let Some(bytes) = number("opaque") {
        return Some(Said::Opaque(bytes, hash()?));
    }
    Some(Said::Partial(number("partial")?, number("of")?))
}

fn file(line: &Json) -> Option<FileSaid> {
    let end = match line.get("end")? {
        Json::String(word) if word == "whole" => FileEnd::Whole,
        Json::String(_) => FileEnd::Cut,
        failed => FileEnd::Failed(
            u8::try_from(failed.get("code")?.as_u64()?).ok()?,
            text(failed, "words")?,
        ),
    };
    let blocks = line.get("blocks")?.as_array()?.iter().map(|run| {
        let len = u32::try_from(run.get(0)?.as_u64()?).ok()?;
        Some((len, run.get(1)?.as_u64()?))
    });
    let list = match line.get("list") {
        Some(list) => Some((list.clone(), encoding(line)?)),
        None => None,
    };
    let device_path_len = line.get("device_path_len").and_then(Json::as_u64).unwrap_or(0);
    Some(FileSaid {
        path: text(line, "file")?,
        device_path_len: usize::try_from(device_path_len.min(4096)).ok()?,
        bytes: line.get("bytes")?.as_u64()?,
        blocks: blocks.collect::<Option<_>>()?,
        hash: text(line, "hash")?,
        end,
        list,
    })
}

fn encoding(line: &Json) -> Option<Encoding> {
    match line.get("encoding")?.as_str()? {
        "xml" => Some(Encoding::Xml),
        "binary" => Some(Encoding::Binary),
        _ => None,
    }
}

fn text(of: &Json, key: &str) -> Option<String> {
    of.get(key)?.as_str().map(str::to_owned)
}

fn invalid(line: usize, why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the recording, line {line}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"devsnap_recording":1,"program":"devsnap 1","os":"linux","ms":0}
{"usbmuxd":"devices","answer":[{"udid":"00000000-0000000000000001","connection":"usb","handle":3}],"ms":1}
{"open":1,"handle":3,"port":62078,"service":"com.apple.mobile.lockdown","refused":false,"ms":1}
{"connection":1,"from":"host","message":{"dict":{"HostID":{"hidden":"ABC"}}},"encoding":"xml","bytes":9,"ms":2}
{"connection":1,"closed_by":"device","ms":3}
"#;

    #[test]
    fn a_recording_is_read_by_connection() {
        let recording = Recording::parse(LINES.as_bytes()).unwrap();
        let (opened_at, connection) = &recording.connections[0];
        assert_eq!((*opened_at, connection.port, connection.steps.len()), (2, 62078, 2));
        assert_eq!(connection.steps[1], (4, Step::Closed(Side::Device)));
        assert!(
            matches!(&recording.daemon[..], [(1, Daemon::Devices(devices))] if devices[0].by_usb)
        );
        assert_eq!(recording.named_by_host("HostID").as_deref(), Some("ABC"));
        assert!(!recording.is_whole);
    }

    #[test]
    fn a_last_line_that_broke_off_is_the_end_and_any_other_is_told_by_its_number() {
        let cut = &LINES[..LINES.len() - 12];
        assert_eq!(Recording::parse(cut.as_bytes()).unwrap().connections[0].1.steps.len(), 1);
        let wrong = LINES.replace("\"closed_by\":\"device\"", "\"closed_by\":\"nobody\"");
        let error = Recording::parse(wrong.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("line 5"), "{error}");
        for other in ["", "{}", "not json", "{\"devsnap_recording\":2,\"program\":\"x\"}"] {
            assert!(Recording::parse(other.as_bytes()).is_err(), "{other}");
        }
    }
}
