//! What a host answers: a code, words, and what was asked for.
use std::io;

use plist::{Dictionary, Integer, Value};

use super::message::EMPTY;

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
    use crate::plist_stream::{Encoding, frame};

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
}
