//! What a host said to the phone, read from the bytes that passed: one line of text for each thing
//! it said. Nothing here is shared with the phone's own decoders, nor with ours.
use crate::show::show;
use devsnap_simulator::transcript::{Line, Passed};
use plist::Value;
use std::io::Cursor;

/// The places of goodbyes that nobody answers, in the order of idevicebackup2: to the phone's backup
/// agent, and to its notifications.
const BEFORE_LAST: usize = usize::MAX - 1;
const LAST: usize = usize::MAX;

/// One thing a host said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saying {
    /// The line of the transcript with its last byte.
    pub(crate) at: usize,
    /// The service, and what was said, as text.
    pub(crate) text: String,
    /// The bytes of the list that says it; none for what is no list.
    pub(crate) written: Vec<u8>,
}

impl Saying {
    fn of(at: usize, text: String) -> Saying {
        Saying { at, text, written: Vec::new() }
    }
}

/// Everything that the host called `name` said to the phone called `udid`, in the order in which
/// it said it.
pub(crate) fn sayings(transcript: &[Line], name: &str, udid: &str) -> Vec<Saying> {
    let mut sayings = Vec::new();
    for (began, line) in transcript.iter().enumerate() {
        if let Passed::Began(service) = &line.passed {
            let call = Call::read(transcript, line.connection);
            sayings.extend(call.sayings(service, began, transcript));
        }
    }
    sayings.sort_by_key(|saying| saying.at);
    for saying in &mut sayings {
        saying.text = saying.text.replace(&format!("\"{name}\""), "its own name");
        saying.text = saying.text.replace(udid, "UDID");
        if let Ok(xml) = std::str::from_utf8(&saying.written) {
            let anonymous = xml.replace(&format!("<string>{name}</string>"), "<string/>");
            saying.written = anonymous.into_bytes();
        }
    }
    sayings
}

/// One side of a connection: its bytes, and the transcript's line that each piece came with.
#[derive(Default)]
struct Side {
    bytes: Vec<u8>,
    ends: Vec<(usize, usize)>,
    at: usize,
}

impl Side {
    fn push(&mut self, line: usize, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push((self.bytes.len(), line));
    }

    fn is_over(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, count: usize) -> &[u8] {
        let from = self.at;
        self.at += count;
        &self.bytes[from..self.at]
    }

    fn be_u32(&mut self) -> usize {
        u32::from_be_bytes(self.take(4).try_into().unwrap()) as usize
    }

    fn le_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn le_u64(&mut self) -> usize {
        let number = u64::from_le_bytes(self.take(8).try_into().unwrap());
        usize::try_from(number).unwrap()
    }

    fn text(&mut self) -> String {
        let length = self.be_u32();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }

    /// The line that the byte before came with.
    fn line(&self) -> usize {
        self.ends.iter().find(|(end, _)| *end >= self.at).unwrap().1
    }

    /// A list with its length in front, and how it is written.
    fn list(&mut self) -> List {
        let length = self.be_u32();
        List::of(self.take(length))
    }
}

/// A list that was said.
struct List {
    value: Value,
    encoding: &'static str,
    written: Vec<u8>,
}

impl List {
    fn of(bytes: &[u8]) -> List {
        let encoding = if bytes.starts_with(b"bplist00") { "binary" } else { "XML" };
        let value = Value::from_reader(Cursor::new(bytes)).unwrap();
        List { value, encoding, written: bytes.to_vec() }
    }

    fn said(self, at: usize, before: &str) -> Saying {
        let text = format!("{before}{} {}", self.encoding, show(&self.value));
        Saying { at, text, written: self.written }
    }
}

/// Both sides of one connection.
#[derive(Default)]
struct Call {
    host: Side,
    phone: Side,
}

impl Call {
    fn read(transcript: &[Line], connection: usize) -> Call {
        let mut call = Call::default();
        for (number, line) in transcript.iter().enumerate() {
            match &line.passed {
                _ if line.connection != connection => {}
                Passed::FromHost(bytes) => call.host.push(number, bytes),
                Passed::ToHost(bytes) => call.phone.push(number, bytes),
                Passed::Began(_) => {}
            }
        }
        call
    }

    fn sayings(mut self, service: &str, began: usize, transcript: &[Line]) -> Vec<Saying> {
        let short = service.trim_start_matches("com.apple.").trim_start_matches("mobile.");
        let mut said = Vec::new();
        match service {
            "usbmuxd" => self.usbmuxd(transcript, &mut said),
            "com.apple.afc" => self.afc(&mut said),
            "com.apple.mobilebackup2" => {
                self.mobilebackup2(&mut said);
                // It is answered late, and meanwhile the phone is asked whether it has a passcode.
                for at in 1..said.len() {
                    if said[at].text.contains("MessageName: \"ChangePassword\"") {
                        said[at].at = said[at - 1].at;
                    }
                }
            }
            _ => {
                while !self.host.is_over() {
                    let mut list = self.host.list();
                    without_numbers(&mut list.value);
                    said.push(list.said(self.host.line(), ""));
                }
                let is_observing = |saying: &Saying| saying.text.contains("ObserveNotification");
                if said.first().is_some_and(is_observing) {
                    // Nobody answers these: they arrive while other things are said.
                    for saying in &mut said {
                        saying.at = if is_observing(saying) { began } else { LAST };
                    }
                }
            }
        }
        for saying in &mut said {
            saying.text = format!("{short}: {}", saying.text);
        }
        said
    }

    fn usbmuxd(&mut self, transcript: &[Line], said: &mut Vec<Saying>) {
        while !self.host.is_over() {
            let [length, version, kind, _tag] = std::array::from_fn(|_| self.host.le_u32());
            let mut list = List::of(self.host.take(length as usize - 16));
            let fields = list.value.as_dictionary_mut().unwrap();
            let line = self.host.line();
            for key in ["ClientVersionString", "ProgName"] {
                if let Some(Value::String(name)) = fields.get_mut(key) {
                    *name = "as it is".to_owned();
                }
            }
            if let Some(record @ Value::Data(_)) = fields.get_mut("PairRecordData") {
                *record = "as it is".into();
            }
            if let Some(port) = fields.get_mut("PortNumber") {
                *port = service_after(line, transcript).into();
            }
            said.push(list.said(line, &format!("version {version} kind {kind} ")));
        }
    }

    fn afc(&mut self, said: &mut Vec<Saying>) {
        let mut handles: Vec<usize> = Vec::new();
        while !self.host.is_over() {
            let magic = self.host.take(8) == b"CFA6LPAA";
            let [entire, this, number, operation] = std::array::from_fn(|_| self.host.le_u64());
            let mut rest = this - 40;
            let mut words = vec![format!("#{number} operation {operation:#04x}")];
            if operation == 0x0D {
                words.push(format!("mode {}", self.host.le_u64()));
                rest -= 8;
            }
            if matches!(operation, 0x0F..=0x14 | 0x1B) {
                let handle = self.host.le_u64();
                if !handles.contains(&handle) {
                    handles.push(handle);
                }
                let which = handles.iter().position(|one| *one == handle).unwrap();
                words.push(format!("handle {which}"));
                rest -= 8;
                while rest >= 8 {
                    words.push(self.host.le_u64().to_string());
                    rest -= 8;
                }
            }
            let text = String::from_utf8(self.host.take(rest).to_vec()).unwrap();
            words.push(format!("{text:?}"));
            words.push(format!("{} more", self.host.take(entire - this).len()));
            assert!(magic);
            said.push(Saying::of(self.host.line(), words.join(" ")));
        }
    }

    /// The phone says something and the host answers, until the phone has its last word.
    fn mobilebackup2(&mut self, said: &mut Vec<Saying>) {
        let mut has_asked = 0;
        while !self.phone.is_over() {
            let message = self.phone.list().value.into_array().unwrap();
            let name = message[0].as_string().unwrap().to_owned();
            let question = match message.get(1).filter(|_| name != "DLMessageUploadFiles") {
                Some(subject) if name != "DLMessageProcessMessage" => {
                    format!("{name} {}", show(subject))
                }
                _ => name.clone(),
            };
            match name.as_str() {
                "DLMessageUploadFiles" => skip_files(&mut self.phone),
                "DLMessageDownloadFiles" => self.files(&question, said),
                _ => {}
            }
            if self.host.is_over() {
                return;
            }
            let is_last = self.phone.is_over();
            let mut answer = self.host.list();
            if name == "DLMessageGetFreeDiskSpace" {
                let number = answer.value.as_array_mut().unwrap().last_mut().unwrap();
                assert!(number.as_unsigned_integer().is_some(), "{number:?}");
                *number = "as it is".into();
            }
            // Nobody answers the goodbye: it arrives while other things are said.
            let at = if is_last { BEFORE_LAST } else { self.host.line() };
            said.push(answer.said(at, &format!("to {question}: ")));
            has_asked += 1;
        }
        assert!(has_asked > 3);
        while !self.host.is_over() {
            said.push(self.host.list().said(BEFORE_LAST, "at the end: "));
        }
    }

    /// The files that a host sends as an answer.
    fn files(&mut self, question: &str, said: &mut Vec<Saying>) {
        let host = &mut self.host;
        loop {
            let path = host.text();
            if path.is_empty() {
                said.push(Saying::of(host.line(), format!("to {question}: end of files")));
                return;
            }
            let mut blocks = Vec::new();
            loop {
                let length = host.be_u32();
                let block = host.take(length).to_vec();
                match block[0] {
                    0x0C => blocks.push(length.to_string()),
                    code => {
                        let words = String::from_utf8_lossy(&block[1..]).into_owned();
                        blocks.push(format!("{code:#04x} {words:?}"));
                        break;
                    }
                }
            }
            let text = format!("to {question}: file {path:?}, blocks {}", blocks.join(" "));
            said.push(Saying::of(host.line(), text));
        }
    }
}

/// Passes over the files that the phone sends.
fn skip_files(phone: &mut Side) {
    while !phone.text().is_empty() {
        phone.text();
        loop {
            let length = phone.be_u32();
            if phone.take(length)[0] != 0x0C {
                break;
            }
        }
    }
}

/// The service behind the port that a host is led to: the next that is served.
fn service_after(line: usize, transcript: &[Line]) -> &str {
    let services = transcript[line..].iter().filter_map(|line| match &line.passed {
        Passed::Began(service) if service != "usbmuxd" => Some(service.as_str()),
        _ => None,
    });
    services.into_iter().next().unwrap_or("nobody")
}

/// Takes out what each session and each pairing has of its own.
fn without_numbers(list: &mut Value) {
    let record = list.as_dictionary_mut().and_then(|d| d.get_mut("PairRecord"));
    if let Some(Value::Dictionary(record)) = record {
        for value in record.values_mut().filter(|v| matches!(v, Value::Data(_) | Value::String(_)))
        {
            *value = "as it is".into();
        }
    }
    if let Some(Value::String(id)) = list.as_dictionary_mut().and_then(|d| d.get_mut("SessionID")) {
        *id = "as it is".to_owned();
    }
}
