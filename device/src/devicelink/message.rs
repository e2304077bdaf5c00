//! DeviceLink's messages as types: arrays whose first word says what they are.
use std::io;

use plist::{Dictionary, Integer, Value};

/// Stands for "nothing" where a text is expected.
pub const EMPTY: &str = "___EmptyParameterString___";

/// A message of the device.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Its first word: which version it speaks.
    VersionExchange {
        /// Its major version.
        major: u64,
    },
    /// It waits for a request.
    DeviceReady,
    /// It wants files. A file stream follows from us, then a status.
    DownloadFiles {
        /// Their paths, as it spells them.
        paths: Vec<String>,
        /// How far it is, in percent.
        progress: Option<f64>,
    },
    /// It sends files. A file stream follows from it, then a status from us.
    UploadFiles {
        /// How far it is, in percent.
        progress: Option<f64>,
        /// What this batch holds, in bytes; an estimate.
        total_bytes: Option<u64>,
    },
    /// It asks how much room there is.
    GetFreeDiskSpace,
    /// It asks for more room.
    PurgeDiskSpace {
        /// How much more, in bytes.
        amount: u64,
    },
    /// It asks what lies in a folder.
    ContentsOfDirectory {
        /// Which.
        path: String,
    },
    /// It wants a folder.
    CreateDirectory {
        /// Which.
        path: String,
    },
    /// It moves things, one after another.
    MoveItems {
        /// From where to where.
        moves: Vec<(String, String)>,
        /// How far it is, in percent.
        progress: Option<f64>,
    },
    /// It removes things.
    RemoveItems {
        /// Which.
        paths: Vec<String>,
        /// How far it is, in percent.
        progress: Option<f64>,
    },
    /// It copies something.
    CopyItem {
        /// From where.
        from: String,
        /// To where.
        to: String,
    },
    /// Hello's answer, or the last word on a request.
    Process(Dictionary),
    /// It has had enough.
    Disconnect,
    /// It wants to know whether the line is alive; nobody answers that.
    Ping,
    /// Something no client knows.
    Unknown(String),
    /// Something known, in a shape it never has. It still wants an answer.
    Malformed(&'static str),
}

/// What cannot be a message of DeviceLink at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a list that begins with a word of DeviceLink")]
pub struct NoMessage;

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// It is none of DeviceLink's. One of them whose shape is wrong is a
    /// [`Malformed`](Self::Malformed) message, since the device waits for its answer.
    pub fn decode(value: Value) -> Result<Message, NoMessage> {
        let mut words = value.into_array().ok_or(NoMessage)?.into_iter();
        let name = words.next().and_then(Value::into_string).ok_or(NoMessage)?;
        if !name.starts_with("DL") {
            return Err(NoMessage);
        }
        let words: Vec<Value> = words.collect();
        Ok(known(&name, words).unwrap_or_else(|| match name_of(&name) {
            Some(known) => Message::Malformed(known),
            None => Message::Unknown(name.chars().take(64).collect()),
        }))
    }

    /// What it is called on the wire, for people.
    pub fn name(&self) -> String {
        let known = match self {
            Message::VersionExchange { .. } => "DLMessageVersionExchange",
            Message::DeviceReady => "DLMessageDeviceReady",
            Message::DownloadFiles { .. } => "DLMessageDownloadFiles",
            Message::UploadFiles { .. } => "DLMessageUploadFiles",
            Message::GetFreeDiskSpace => "DLMessageGetFreeDiskSpace",
            Message::PurgeDiskSpace { .. } => "DLMessagePurgeDiskSpace",
            Message::ContentsOfDirectory { .. } => "DLContentsOfDirectory",
            Message::CreateDirectory { .. } => "DLMessageCreateDirectory",
            Message::MoveItems { .. } => "DLMessageMoveItems",
            Message::RemoveItems { .. } => "DLMessageRemoveItems",
            Message::CopyItem { .. } => "DLMessageCopyItem",
            Message::Process(_) => "DLMessageProcessMessage",
            Message::Disconnect => "DLMessageDisconnect",
            Message::Ping => "DLMessagePing",
            Message::Malformed(known) => known,
            Message::Unknown(word) => return word.escape_debug().to_string(),
        };
        known.to_owned()
    }

    /// How far the device says it is, in percent.
    pub fn progress(&self) -> Option<f64> {
        match self {
            Message::DownloadFiles { progress, .. }
            | Message::UploadFiles { progress, .. }
            | Message::MoveItems { progress, .. }
            | Message::RemoveItems { progress, .. } => *progress,
            _ => None,
        }
    }
}

/// Names of messages that want an answer.
const NAMES: [&str; 12] = [
    "DLMessageVersionExchange",
    "DLMessageDownloadFiles",
    "DLMessageUploadFiles",
    "DLMessagePurgeDiskSpace",
    "DLContentsOfDirectory",
    "DLMessageCreateDirectory",
    "DLMessageMoveItems",
    "DLMessageMoveFiles",
    "DLMessageRemoveItems",
    "DLMessageRemoveFiles",
    "DLMessageCopyItem",
    "DLMessageProcessMessage",
];

fn name_of(word: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| *known == word)
}

/// The message of this name, when its `words` are as they should be.
fn known(name: &str, mut words: Vec<Value>) -> Option<Message> {
    // Clients read progress from these places.
    let progress = |words: &[Value], at: usize| words.get(at).and_then(percent);
    let mut take =
        |at: usize| (at < words.len()).then(|| std::mem::replace(&mut words[at], EMPTY.into()));
    Some(match name {
        "DLMessageVersionExchange" => {
            Message::VersionExchange { major: take(0)?.as_unsigned_integer()? }
        }
        "DLMessageDeviceReady" => Message::DeviceReady,
        "DLMessageDownloadFiles" => {
            let paths = texts(take(0)?)?;
            Message::DownloadFiles { paths, progress: progress(&words, 2) }
        }
        "DLMessageUploadFiles" => Message::UploadFiles {
            progress: progress(&words, 1),
            total_bytes: words.get(2).and_then(Value::as_unsigned_integer),
        },
        "DLMessageGetFreeDiskSpace" => Message::GetFreeDiskSpace,
        "DLMessagePurgeDiskSpace" => {
            Message::PurgeDiskSpace { amount: take(0)?.as_unsigned_integer()? }
        }
        "DLContentsOfDirectory" => Message::ContentsOfDirectory { path: take(0)?.into_string()? },
        "DLMessageCreateDirectory" => Message::CreateDirectory { path: take(0)?.into_string()? },
        "DLMessageMoveItems" | "DLMessageMoveFiles" => {
            let moves = take(0)?.into_dictionary()?.into_iter();
            let moves = moves.map(|(from, to)| Some((from, to.into_string()?)));
            Message::MoveItems {
                moves: moves.collect::<Option<_>>()?,
                progress: progress(&words, 2),
            }
        }
        "DLMessageRemoveItems" | "DLMessageRemoveFiles" => {
            let paths = texts(take(0)?)?;
            Message::RemoveItems { paths, progress: progress(&words, 2) }
        }
        "DLMessageCopyItem" => {
            Message::CopyItem { from: take(0)?.into_string()?, to: take(1)?.into_string()? }
        }
        "DLMessageProcessMessage" => Message::Process(take(0)?.into_dictionary()?),
        "DLMessageDisconnect" => Message::Disconnect,
        "DLMessagePing" => Message::Ping,
        _ => return None,
    })
}

fn percent(value: &Value) -> Option<f64> {
    value.as_real().filter(|percent| (0.0..=100.0).contains(percent))
}

fn texts(value: Value) -> Option<Vec<String>> {
    value.into_array()?.into_iter().map(Value::into_string).collect()
}

/// The `ErrorCode` of a response; `None` for what is no response.
pub fn response_code(message: &Dictionary) -> Option<i64> {
    let is_response = message.get("MessageName").and_then(Value::as_string) == Some("Response");
    let code = message.get("ErrorCode").filter(|_| is_response)?;
    code.as_signed_integer()
        .or_else(|| code.as_unsigned_integer().and_then(|c| i64::try_from(c).ok()))
}

/// The codes a host answers with.
///
/// # Source
///
/// `docs/device-protocol.md`, "Status codes".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum StatusCode {
    /// Done.
    Ok = 0,
    /// Not done, for no reason that has a number.
    Unknown = -1,
    /// No such file.
    NotFound = -6,
    /// There is something already.
    Exists = -7,
    /// A folder is needed, and something else is there.
    NotADirectory = -8,
    /// A file is needed, and a folder is there.
    IsADirectory = -9,
    /// Reading or writing failed.
    Io = -11,
    /// Some of several; the payload says which.
    Multi = -13,
    /// No room.
    NoSpace = -15,
}

impl StatusCode {
    /// The code that says what an error of this computer's files is.
    ///
    /// # Source
    ///
    /// `docs/device-protocol.md`, "Status codes": the same for every client.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => StatusCode::NotFound,
            io::ErrorKind::AlreadyExists => StatusCode::Exists,
            io::ErrorKind::NotADirectory => StatusCode::NotADirectory,
            io::ErrorKind::IsADirectory => StatusCode::IsADirectory,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StatusCode::NoSpace,
            _ => StatusCode::Io,
        }
    }

    /// As it goes over the wire: negative numbers in 8 bytes, with their sign.
    pub fn on_the_wire(self) -> Value {
        Value::Integer(Integer::from(i64::from(self as i32)))
    }

    /// The words other hosts send with it.
    pub fn words(self) -> &'static str {
        match self {
            StatusCode::Ok => "",
            StatusCode::Unknown => "Operation not permitted",
            StatusCode::NotFound => "No such file or directory",
            StatusCode::Exists => "File exists",
            StatusCode::NotADirectory => "Not a directory",
            StatusCode::IsADirectory => "Is a directory",
            StatusCode::Io => "Input/output error",
            StatusCode::Multi => "Multi status",
            StatusCode::NoSpace => "No space left on device",
        }
    }
}

/// The answer to one message.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// How it went.
    pub code: StatusCode,
    /// In words; only logged by devices.
    pub text: Option<String>,
    /// What was asked for, if anything.
    pub payload: Option<Value>,
}

impl Status {
    /// Done, and nothing to say of it.
    pub fn ok() -> Self {
        Status { code: StatusCode::Ok, text: None, payload: None }
    }

    /// Done, with an empty dictionary as devices get it after file streams, moves and removals.
    pub fn done() -> Self {
        Status::with(Value::Dictionary(Dictionary::new()))
    }

    /// Done, and here is what was asked for.
    pub fn with(payload: Value) -> Self {
        Status { payload: Some(payload), ..Status::ok() }
    }

    /// Not done.
    pub fn failed(code: StatusCode) -> Self {
        let payload = Some(Value::Dictionary(Dictionary::new()));
        Status { code, text: Some(code.words().to_owned()), payload }
    }

    /// The message on the wire.
    pub fn encode(self) -> Value {
        let empty = || Value::from(EMPTY);
        Value::Array(vec![
            "DLMessageStatusResponse".into(),
            self.code.on_the_wire(),
            self.text.map_or_else(empty, Value::from),
            self.payload.unwrap_or_else(empty),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plist_guard::PlistLimits;
    use crate::plist_stream::{Encoding, decode_body, frame};
    use proptest::prelude::*;

    fn array(words: Vec<Value>) -> Value {
        Value::Array(words)
    }

    #[test]
    fn a_batch_of_moves_is_read_under_both_its_names() {
        let mut moves = Dictionary::new();
        moves.insert("U/Snapshot/ab/x".to_owned(), "U/ab/x".into());
        for name in ["DLMessageMoveItems", "DLMessageMoveFiles"] {
            let words = vec![
                name.into(),
                Value::Dictionary(moves.clone()),
                Value::Dictionary(Dictionary::new()),
                12.5.into(),
            ];
            let Message::MoveItems { moves, progress } = Message::decode(array(words)).unwrap()
            else {
                panic!("they are moves")
            };
            assert_eq!(moves, [("U/Snapshot/ab/x".to_owned(), "U/ab/x".to_owned())]);
            assert_eq!(progress, Some(12.5));
        }
    }

    #[test]
    fn what_has_a_wrong_shape_or_an_unknown_name_can_still_be_answered() {
        let malformed = array(vec!["DLMessageRemoveItems".into(), array(vec![5_u64.into()])]);
        let read = Message::decode(malformed).unwrap();
        assert_eq!(read, Message::Malformed("DLMessageRemoveItems"));
        let unknown = Message::decode(array(vec!["DLMessageFly".into()])).unwrap();
        assert_eq!(unknown, Message::Unknown("DLMessageFly".to_owned()));
        for none in [array(vec![]), array(vec!["Hello".into()]), "DLMessagePing".into()] {
            assert_eq!(Message::decode(none), Err(NoMessage));
        }
    }

    #[test]
    fn negative_codes_are_sent_as_other_clients_send_them() {
        assert_eq!(StatusCode::Multi.on_the_wire().as_signed_integer(), Some(-13));
        let bytes = frame(&Status::failed(StatusCode::NoSpace).encode(), Encoding::Binary);
        let integer = [&[0x13][..], &[0xff; 7], &[0xf1]].concat();
        assert!(bytes.windows(integer.len()).any(|window| window == integer));
    }

    #[test]
    fn an_answer_has_four_words_always() {
        for status in [Status::ok(), Status::done(), Status::failed(StatusCode::Io)] {
            assert_eq!(status.encode().into_array().unwrap().len(), 4);
        }
        let free = Status::with(7_u64.into()).encode().into_array().unwrap();
        assert_eq!(free[2].as_string(), Some(EMPTY));
        assert_eq!(free[3].as_unsigned_integer(), Some(7));
    }

    proptest! {
        #[test]
        fn whatever_the_list_it_is_read_without_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = decode_body(body, &PlistLimits::DEVICELINK)
                && let Ok(message) = Message::decode(value)
            {
                prop_assert!(!message.name().is_empty());
            }
        }
    }
}
