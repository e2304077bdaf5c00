//! One connection, from its opening to its end, as lines of a recording.
use std::sync::Arc;

use plist::Value;
use serde_json::{Value as Json, json};

use super::book::Book;
use super::cut::{FileEnd, FileSaid, Framing, Said, Side};
use super::typed::{Asked, Talk, Teller, learn};
use crate::plist_guard::PlistLimits;
use crate::plist_stream::decode_body;
use crate::transport::Tap;

/// Lockdown, as recordings name it.
pub(super) const LOCKDOWN: &str = "com.apple.mobile.lockdown";

/// Files whose content is told as a list: it says how far a backup is, and nothing else.
const TOLD_FILE: &str = "Status.plist";

/// Paths of AFC that are the same on every device.
const KNOWN_PATHS: [&str; 4] = [
    "/com.apple.itunes.lock_sync",
    "/Books/iBooksData2.plist",
    "/iTunes_Control/iTunes/",
    "/iTunesRestore",
];

const AFC_HEADER_LEN: usize = 40;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Host,
    Device,
}

impl By {
    fn word(self) -> &'static str {
        match self {
            By::Host => "host",
            By::Device => "device",
        }
    }
}

/// A connection that is recorded.
pub(super) struct Conversation {
    book: Arc<Book>,
    number: u64,
    talk: Talk,
    host: Side,
    device: Side,
    /// What lockdown was asked last, and which service.
    asked: Asked,
    service: Option<String>,
    /// The operation of AFC that was asked last.
    operation: u64,
    has_ended: bool,
}

impl Conversation {
    /// The connection of this `number` to `service`; `None` for one that nobody has a name for.
    pub(super) fn new(book: Arc<Book>, number: u64, service: Option<&str>) -> Conversation {
        let (framing, talk) = match service {
            Some(LOCKDOWN) => (Framing::Lists, Talk::Lockdown),
            Some(crate::services::afc::SERVICE) => (Framing::Afc, Talk::Service),
            Some("com.apple.mobilebackup2") => (Framing::DeviceLink, Talk::DeviceLink),
            Some(_) => (Framing::Lists, Talk::Service),
            None => (Framing::Unknown, Talk::Service),
        };
        let key = book.key();
        Conversation {
            host: Side::new(framing, false, &key),
            device: Side::new(framing, true, &key),
            book,
            number,
            talk,
            asked: Asked::default(),
            service: None,
            operation: 0,
            has_ended: false,
        }
    }

    fn tell(&mut self, by: By, said: Said) {
        let mut line = match said {
            Said::Message(body) => self.message(by, body),
            Said::Packet { header, body } => self.packet(by, &header, &body),
            Said::File(file) => self.file(&file),
            Said::FilesEnd => json!({ "files_end": true }),
            Said::Long { bytes, hash } => json!({ "unreadable": bytes, "hash": hash }),
            Said::Opaque { bytes, hash } => json!({ "opaque": bytes, "hash": hash }),
            Said::Partial { bytes, of } => json!({ "partial": bytes, "of": of }),
        };
        line["connection"] = self.number.into();
        line["from"] = by.word().into();
        self.book.write(line);
    }

    fn message(&mut self, by: By, body: Vec<u8>) -> Json {
        let bytes = body.len();
        let encoding = if body.starts_with(b"bplist") { "binary" } else { "xml" };
        let hash = self.book.with_redactor(|redactor| redactor.hash(&body));
        let Ok(list) = decode_body(body, &PlistLimits::DEVICELINK) else {
            return json!({ "unreadable": bytes, "hash": hash });
        };
        self.notice(by, &list);
        let (talk, asked) = (self.talk, self.asked.clone());
        let told = self.book.with_redactor(|redactor| {
            if talk == Talk::Lockdown && by == By::Device {
                learn(redactor, asked.key.as_deref(), &list);
            }
            Teller { redactor, talk, asked }.list(&list)
        });
        json!({ "message": told, "encoding": encoding, "bytes": bytes })
    }

    /// What a message says of those that follow.
    fn notice(&mut self, by: By, list: &Value) {
        match self.talk {
            Talk::Lockdown => self.notice_lockdown(by, list),
            Talk::DeviceLink => {
                let words = list.as_array().and_then(|words| words.first()?.as_string());
                match (by, words) {
                    (By::Device, Some("DLMessageUploadFiles")) => self.device.expect_files(),
                    (By::Device, Some("DLMessageDownloadFiles")) => self.host.expect_files(),
                    _ => {}
                }
            }
            Talk::Service => {}
        }
    }

    fn notice_lockdown(&mut self, by: By, list: &Value) {
        let field = |key: &str| list.as_dictionary().and_then(|fields| fields.get(key));
        let text = |key: &str| field(key).and_then(Value::as_string).map(str::to_owned);
        match by {
            By::Host => {
                self.asked = Asked { domain: text("Domain"), key: text("Key") };
                self.service = text("Service");
            }
            By::Device => {
                let port = field("Port").and_then(Value::as_unsigned_integer);
                let port = port.and_then(|port| u16::try_from(port).ok());
                if let (Some(port), Some(service)) = (port, self.service.take()) {
                    self.book.service_waits(port, service);
                }
            }
        }
    }

    fn packet(&mut self, by: By, header: &[u8], body: &[u8]) -> Json {
        let word = |bytes: &[u8], at: usize| {
            let word = bytes.get(at..at + 8)?;
            Some(word.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte)))
        };
        let of_header = |at| word(header, at).unwrap_or_default();
        let operation = of_header(32);
        let parameters = of_header(16).saturating_sub(AFC_HEADER_LEN as u64);
        let told = self.book.with_redactor(|redactor| {
            // Numbers, then a path: by what each operation has.
            let (numbers, has_path) = match (by, operation) {
                (By::Host, 0x08..=0x0a) => (0, true),
                (By::Host, 0x0d) => (1, true),
                (By::Host, 0x14) | (By::Device, 0x01 | 0x0e) => (1, false),
                (By::Host, 0x0f | 0x1b) => (2, false),
                (By::Device, 0x02) if self.operation == 0x0a => {
                    return file_info(body).map(|info| json!({ "info": info }));
                }
                _ => return None,
            };
            let read: Option<Vec<u64>> = (0..numbers).map(|n| word(body, n * 8)).collect();
            let rest = body.get(numbers * 8..)?;
            let path = match has_path {
                true => {
                    let text = std::str::from_utf8(rest.strip_suffix(&[0])?).ok()?;
                    let is_known = KNOWN_PATHS.iter().any(|known| text.starts_with(known))
                        && !redactor.has_a_secret(text);
                    Some(if is_known { text.to_owned() } else { redactor.shape(text) })
                }
                false if rest.is_empty() => None,
                false => return None,
            };
            Some(json!({ "numbers": read?, "path": path }))
        });
        let told = told.unwrap_or_else(|| {
            let hash = self.book.with_redactor(|redactor| redactor.hash(body));
            json!({ "data": body.len(), "hash": hash })
        });
        if by == By::Host {
            self.operation = operation;
        }
        json!({ "afc": {
            "number": of_header(24), "operation": operation, "parameters": parameters, "body": told,
        } })
    }

    fn file(&self, file: &FileSaid) -> Json {
        let path = String::from_utf8_lossy(&file.path);
        let is_told = path.rsplit('/').next() == Some(TOLD_FILE);
        self.book.with_redactor(|redactor| {
            let end = match &file.end {
                FileEnd::Whole => json!("whole"),
                FileEnd::Cut => json!("cut"),
                FileEnd::Failed(code, words) => {
                    let words = redactor.sentence(&String::from_utf8_lossy(words));
                    json!({ "code": code, "words": words })
                }
            };
            let told = redactor.path(&path).unwrap_or_else(|| redactor.shape(&path));
            let mut line = json!({
                "file": told,
                "bytes": file.bytes,
                "blocks": file.blocks,
                "hash": file.hash,
                "end": end,
            });
            if let Some(len) = file.device_path_len {
                line["device_path_len"] = len.into();
            }
            if file.more_blocks > 0 {
                line["more_blocks"] = file.more_blocks.into();
            }
            let is_whole = file.bytes == file.start.len() as u64;
            if is_told
                && is_whole
                && let Ok(list) = decode_body(file.start.clone(), &PlistLimits::SERVICE)
            {
                let (talk, asked) = (Talk::DeviceLink, Asked::default());
                line["list"] = Teller { redactor, talk, asked }.list(&list);
                let is_binary = file.start.starts_with(b"bplist");
                line["encoding"] = if is_binary { "binary" } else { "xml" }.into();
            }
            line
        })
    }

    fn is_over(&mut self, by: By) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        if let Some(rest) = self.host.end() {
            self.tell(By::Host, rest);
        }
        if let Some(rest) = self.device.end() {
            self.tell(By::Device, rest);
        }
        self.book.write(json!({ "connection": self.number, "closed_by": by.word() }));
    }
}

impl Tap for Conversation {
    fn heard(&mut self, mut bytes: &[u8]) {
        while let Some(said) = self.device.next(&mut bytes) {
            self.tell(By::Device, said);
        }
    }

    fn said(&mut self, mut bytes: &[u8]) {
        while let Some(said) = self.host.next(&mut bytes) {
            self.tell(By::Host, said);
        }
    }

    fn ended(&mut self) {
        self.is_over(By::Device);
    }

    fn secured(&mut self, is_secured: bool) {
        self.book.write(json!({ "connection": self.number, "secured": is_secured }));
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.is_over(By::Host);
    }
}

/// What AFC says of a file: sizes and kinds as they are, times and the rest as zeros.
fn file_info(body: &[u8]) -> Option<Vec<[String; 2]>> {
    const SHOWN: [&str; 4] = ["st_size", "st_blocks", "st_nlink", "st_ifmt"];
    let text = std::str::from_utf8(body.strip_suffix(&[0])?).ok()?;
    let words: Vec<&str> = text.split('\0').collect();
    let pairs = words.chunks(2).map(|pair| {
        let [key, value] = pair else { return None };
        let is_known = key.starts_with("st_") && key.len() <= 16;
        let value = match SHOWN.contains(key) {
            true if value.len() <= 20 => (*value).to_owned(),
            _ => "0".repeat(value.len()),
        };
        is_known.then(|| [(*key).to_owned(), value])
    });
    pairs.collect()
}
