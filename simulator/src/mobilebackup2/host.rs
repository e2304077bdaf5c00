//! What a phone asks of its host, one call for each message, and what the host's answers mean.
//!
//! The phone drives: it asks, and the host answers each question once, with a status. An answer of
//! another shape or length, or none, ends the session; a status that is a failure ends the request,
//! with a code that says whether reading or writing failed.
use super::stop::{MbError, Step, Stop};
use super::wire::Wire;
use crate::backup_files::plist_bytes;
use plist::{Dictionary, Value};
use std::collections::BTreeMap;

/// Codes of DeviceLink that mean something to a phone.
mod code {
    pub(super) const NOT_FOUND: i32 = -6;
    pub(super) const EXISTS: i32 = -7;
    pub(super) const MULTIPLE: i32 = -13;
    pub(super) const NO_SPACE: i32 = -15;
}

/// The largest block of a file that a host may send: 32 KiB and the code. A phone holds a block in
/// memory; larger ones have killed its backup agent.
const BLOCK_MAX: u32 = 32_769;

/// What a text of a host's error may measure.
const PATH_MAX: usize = 4096;

/// First byte of a block.
pub(super) mod block {
    /// End of a file, all well.
    pub(in super::super) const END: u8 = 0x00;
    /// The host could not read it; a text follows.
    pub(in super::super) const HOST_FAILED: u8 = 0x06;
    /// The phone could not read it; a text follows.
    pub(in super::super) const PHONE_FAILED: u8 = 0x0B;
    /// Bytes of the file follow.
    pub(in super::super) const DATA: u8 = 0x0C;
}

/// A host's answer.
struct Answer {
    code: i32,
    text: String,
    payload: Value,
}

/// What became of a file the phone asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fetched {
    /// All of it came.
    Whole,
    /// The host has none.
    Missing,
    /// The host has it and could not send it.
    Failed(String),
}

/// An entry of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whether it is a folder.
    pub(super) is_folder: bool,
    /// Bytes.
    pub(super) size: u64,
}

/// The host at the other end.
pub(super) struct Host<'a> {
    /// The connection.
    pub(super) wire: Wire<'a>,
    /// Percent of the request, as the host is told.
    pub(super) progress: f64,
}

impl<'a> Host<'a> {
    /// The host behind `wire`.
    pub(super) fn new(wire: Wire<'a>) -> Host<'a> {
        Host { wire, progress: 0.0 }
    }

    /// Asks for files, in this order. `take` is given the number of a file and bytes of it, piece
    /// by piece.
    ///
    /// # Errors
    ///
    /// The connection is gone, or the host's stream is not one.
    pub(super) fn download(
        &mut self,
        paths: &[String],
        mut take: impl FnMut(usize, &[u8]) -> Step<()>,
    ) -> Step<Vec<Fetched>> {
        let wanted = paths.iter().map(|path| Value::from(path.as_str())).collect();
        self.ask("DLMessageDownloadFiles", Value::Array(wanted))?;
        let mut fetched = Vec::new();
        loop {
            let length = usize::try_from(self.wire.read_number()?).unwrap_or(usize::MAX);
            if length == 0 {
                break;
            }
            let expected = paths.get(fetched.len()).map(String::as_str).unwrap_or_default();
            if self.text(length)? != expected {
                return Err(Stop::protocol(format!("the file sent is not {expected:?}")));
            }
            let number = fetched.len();
            fetched.push(self.one_file(|bytes| take(number, bytes))?);
        }
        let answer = self.answer()?;
        if answer.code != 0 && answer.code != code::MULTIPLE {
            return Err(refusal(&answer, Direction::Read));
        }
        let failed =
            fetched.iter().any(|one| *one != Fetched::Whole) || fetched.len() < paths.len();
        if failed && answer.code == 0 {
            return Err(Stop::protocol("files failed, and the status says that none did"));
        }
        // idevicebackup2 stops at the first file that fails.
        fetched.resize(paths.len(), Fetched::Failed("not sent".into()));
        settle_failures(&mut fetched, paths, &answer)?;
        Ok(fetched)
    }

    /// The blocks of one file.
    fn one_file(&mut self, mut take: impl FnMut(&[u8]) -> Step<()>) -> Step<Fetched> {
        let mut buffer = vec![0; usize::try_from(BLOCK_MAX).unwrap_or(0)];
        loop {
            let length = self.wire.read_number()?;
            if length == 0 || length > BLOCK_MAX {
                return Err(Stop::protocol(format!("a block of {length} bytes")));
            }
            let bytes = &mut buffer[..usize::try_from(length).unwrap_or(0)];
            self.wire.read(bytes)?;
            match (bytes[0], &bytes[1..]) {
                (block::DATA, data) => take(data)?,
                (block::END, []) => return Ok(Fetched::Whole),
                (block::HOST_FAILED, text) => {
                    return Ok(Fetched::Failed(String::from_utf8_lossy(text).into_owned()));
                }
                (code, _) => return Err(Stop::protocol(format!("a block of code {code:#04x}"))),
            }
        }
    }

    /// Begins to send files of `total` bytes; the stream follows, and then [`uploaded`](Self::uploaded).
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn upload(&mut self, total: u64) -> Step<()> {
        self.wire.send(vec![
            Value::from("DLMessageUploadFiles"),
            Value::Dictionary(Dictionary::new()),
            Value::Real(self.progress),
            Value::from(total),
        ])?;
        Ok(())
    }

    /// Begins one file of an upload.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn begin_file(&mut self, on_phone: &str, on_host: &str) -> Step<()> {
        for path in [on_phone, on_host] {
            let length = u32::try_from(path.len()).map_err(|e| Stop::protocol(e.to_string()))?;
            self.wire.number(length)?;
            self.wire.bytes(path.as_bytes())?;
        }
        Ok(())
    }

    /// A block of a file.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn block(&mut self, code: u8, payload: &[u8]) -> Step<()> {
        self.begin_block(code, payload.len())?;
        Ok(self.wire.bytes(payload)?)
    }

    /// The head of a block, whose bytes follow.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn begin_block(&mut self, code: u8, payload: usize) -> Step<()> {
        let length = u32::try_from(payload + 1).map_err(|e| Stop::protocol(e.to_string()))?;
        self.wire.number(length)?;
        Ok(self.wire.bytes(&[code])?)
    }

    /// Ends an upload and reads the host's verdict.
    ///
    /// # Errors
    ///
    /// The host could not write everything, or the connection is gone.
    pub(super) fn uploaded(&mut self) -> Step<()> {
        self.wire.number(0)?;
        self.succeed(Direction::Write).map(|_| ())
    }

    /// Sends one file that is in memory.
    ///
    /// # Errors
    ///
    /// As [`uploaded`](Self::uploaded).
    pub(super) fn upload_bytes(&mut self, on_host: &str, bytes: &[u8]) -> Step<()> {
        self.upload(u64::try_from(bytes.len()).unwrap_or(0))?;
        self.begin_file("/.ba/mobile/temporary", on_host)?;
        for part in bytes.chunks(32_768) {
            self.block(block::DATA, part)?;
        }
        self.block(block::END, &[])?;
        self.uploaded()
    }

    /// Free bytes on the host.
    ///
    /// # Errors
    ///
    /// The host does not say, or the connection is gone.
    pub(super) fn free_space(&mut self) -> Step<u64> {
        self.wire.send(vec![Value::from("DLMessageGetFreeDiskSpace")])?;
        let answer = self.succeed(Direction::Read)?;
        answer
            .payload
            .as_unsigned_integer()
            .ok_or_else(|| Stop::protocol("the free space is no unsigned number"))
    }

    /// Asks the host to free `amount` bytes; whether it did.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn purge(&mut self, amount: u64) -> Step<bool> {
        let urgency = Value::from(4u64);
        let name = Value::from("DLMessagePurgeDiskSpace");
        self.wire.send(vec![name, Value::from(amount), urgency])?;
        Ok(self.answer()?.code == 0)
    }

    /// One level of a folder.
    ///
    /// # Errors
    ///
    /// The host cannot list it, or the connection is gone.
    pub(super) fn list(&mut self, path: &str) -> Step<BTreeMap<String, Entry>> {
        self.ask("DLContentsOfDirectory", Value::from(path))?;
        let answer = self.succeed(Direction::Read)?;
        let listing = answer.payload.as_dictionary().ok_or_else(|| shapeless("a listing"))?;
        listing.iter().map(|(name, entry)| Ok((name.clone(), entry_of(entry)?))).collect()
    }

    /// Makes a folder; one that is there already is fine.
    ///
    /// # Errors
    ///
    /// The host cannot make it, or the connection is gone.
    pub(super) fn create_folder(&mut self, path: &str) -> Step<()> {
        self.ask("DLMessageCreateDirectory", Value::from(path))?;
        let answer = self.answer()?;
        if answer.code == 0 || answer.code == code::EXISTS {
            return Ok(());
        }
        Err(refusal(&answer, Direction::Write))
    }

    /// Renames files or folders.
    ///
    /// # Errors
    ///
    /// The host cannot, or the connection is gone.
    pub(super) fn rename(&mut self, names: impl IntoIterator<Item = (String, String)>) -> Step<()> {
        let mut items = Dictionary::new();
        for (from, to) in names {
            items.insert(from, Value::from(to));
        }
        self.ask("DLMessageMoveItems", Value::Dictionary(items))?;
        self.succeed(Direction::Write).map(|_| ())
    }

    /// Removes files or whole folders; what is not there is fine.
    ///
    /// # Errors
    ///
    /// The host cannot, or the connection is gone.
    pub(super) fn remove(&mut self, paths: &[String]) -> Step<()> {
        let items = paths.iter().map(|path| Value::from(path.as_str())).collect();
        self.ask("DLMessageRemoveItems", Value::Array(items))?;
        self.succeed(Direction::Write).map(|_| ())
    }

    /// Copies a file or folder.
    ///
    /// # Errors
    ///
    /// The host cannot, or the connection is gone.
    pub(super) fn copy(&mut self, from: &str, to: &str) -> Step<()> {
        self.wire.send(vec![
            Value::from("DLMessageCopyItem"),
            Value::from(from),
            Value::from(to),
            Value::Dictionary(Dictionary::new()),
            Value::Real(self.progress),
        ])?;
        self.succeed(Direction::Write).map(|_| ())
    }

    /// A question with one subject. Hosts index four elements: the third nobody reads.
    fn ask(&mut self, name: &str, subject: Value) -> Step<()> {
        let progress = Value::Real(self.progress);
        let nothing = Value::Dictionary(Dictionary::new());
        Ok(self.wire.send(vec![Value::from(name), subject, nothing, progress])?)
    }

    fn succeed(&mut self, direction: Direction) -> Step<Answer> {
        let answer = self.answer()?;
        if answer.code == 0 { Ok(answer) } else { Err(refusal(&answer, direction)) }
    }

    fn answer(&mut self) -> Step<Answer> {
        loop {
            let (name, fields) = self.wire.receive()?;
            match (name.as_str(), <[Value; 3]>::try_from(fields)) {
                ("DLMessagePing", _) => {}
                ("DLMessageDisconnect", _) => {
                    let gone = std::io::ErrorKind::ConnectionAborted;
                    return Err(Stop::Broken(std::io::Error::new(gone, "the host disconnects")));
                }
                ("DLMessageStatusResponse", Ok([code, text, payload])) => {
                    let code = plist_bytes::integer(&code).ok_or_else(|| shapeless("a code"))?;
                    let text = text.into_string().ok_or_else(|| shapeless("a text"))?;
                    return Ok(Answer { code: low_bits(code), text, payload });
                }
                ("DLMessageStatusResponse", Err(fields)) => {
                    let count = fields.len() + 1;
                    return Err(Stop::protocol(format!("a status of {count} elements")));
                }
                _ => return Err(Stop::protocol(format!("{name} where a status was due"))),
            }
        }
    }

    fn text(&mut self, length: usize) -> Step<String> {
        if length > PATH_MAX {
            return Err(Stop::protocol(format!("a path of {length} bytes")));
        }
        let mut bytes = vec![0; length];
        self.wire.read(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| Stop::protocol("a path that is no text"))
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

/// Codes arrive as signed or unsigned, of 4, 8 or 16 bytes; their low 32 bits count.
#[allow(clippy::cast_possible_truncation, reason = "because that is what a phone does")]
fn low_bits(code: i128) -> i32 {
    code as i32
}

fn shapeless(what: &str) -> Stop {
    Stop::protocol(format!("{what} of another shape"))
}

fn entry_of(entry: &Value) -> Step<Entry> {
    let fields = entry.as_dictionary().ok_or_else(|| shapeless("an entry of a listing"))?;
    let size = fields.get("DLFileSize").and_then(Value::as_unsigned_integer);
    let date = fields.get("DLFileModificationDate").and_then(Value::as_date);
    let kind = fields.get("DLFileType").and_then(Value::as_string);
    match (kind, size, date) {
        (Some("DLFileTypeDirectory"), Some(size), Some(_)) => Ok(Entry { is_folder: true, size }),
        (Some("DLFileTypeRegular" | "DLFileTypeUnknown"), Some(size), Some(_)) => {
            Ok(Entry { is_folder: false, size })
        }
        _ => Err(shapeless("an entry of a listing")),
    }
}

/// What the codes of a "multi status" say of files that failed.
fn settle_failures(fetched: &mut [Fetched], paths: &[String], answer: &Answer) -> Step<()> {
    if answer.code == 0 {
        return Ok(());
    }
    let errors = answer.payload.as_dictionary().ok_or_else(|| shapeless("a multi status"))?;
    for (path, error) in errors {
        let number = paths.iter().position(|wanted| wanted == path);
        let number = number.ok_or_else(|| Stop::protocol("an error of a file not asked for"))?;
        let code = error.as_dictionary().and_then(|e| e.get("DLFileErrorCode"));
        let code = code.and_then(plist_bytes::integer).ok_or_else(|| shapeless("an error"))?;
        if plist_bytes::string(error, "DLFileErrorString").is_none() {
            return Err(shapeless("an error"));
        }
        if fetched[number] != Fetched::Whole && low_bits(code) == code::NOT_FOUND {
            fetched[number] = Fetched::Missing;
        }
    }
    Ok(())
}

/// What a host's failure makes of the request.
fn refusal(answer: &Answer, direction: Direction) -> Stop {
    let code = match (direction, answer.code) {
        (Direction::Read, code::NOT_FOUND) => MbError::CORRUPT,
        (Direction::Read, _) => MbError::READ,
        (Direction::Write, code::NOT_FOUND | code::EXISTS) => MbError::CORRUPT,
        (Direction::Write, code::NO_SPACE) => MbError::HOST_SPACE,
        (Direction::Write, _) => MbError::WRITE,
    };
    let doing = match direction {
        Direction::Read => "Error reading from the host",
        Direction::Write => "Error writing to the host",
    };
    Stop::refused(code, format!("{doing}: {} ({})", answer.text, answer.code))
}
