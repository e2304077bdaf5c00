//! Whether what a session brought may be kept, by how it ended.
use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::mobilebackup2::backup::{Conversation, LastWord};
use crate::mobilebackup2::errors;

/// Whether the connection broke off before the session could be kept.
pub(super) fn is_lost(talked: &Result<Conversation>) -> bool {
    match talked {
        Ok(talk) => talk.last_word == LastWord::Closed && !(talk.finished && talk.read_back),
        Err(error) => error.kind() == DeviceErrorKind::ConnectionLost,
    }
}

/// Whether the session may be kept, and whether the device had a last word. It was told that
/// `free_bytes` are free.
pub(super) fn must_be_kept(talk: &Conversation, free_bytes: u64) -> Result<bool> {
    match &talk.last_word {
        LastWord::Response { code: 0, .. } if talk.finished => Ok(true),
        LastWord::Response { code: 0, .. } => Err(DeviceError::new(
            DeviceErrorKind::Protocol,
            "the device says that all is well, and its backup is not finished",
        )),
        LastWord::Response { code, description } => {
            let failure = errors::failure(*code, description.as_deref());
            match (failure.kind(), talk.short_of) {
                (DeviceErrorKind::NoSpaceHere, Some(bytes)) => Err(DeviceError::new(
                    DeviceErrorKind::NoSpaceHere,
                    format!(
                        "the device wants {} bytes of room for what it has to send: {bytes} more \
                         than the {free_bytes} that it was told are free",
                        free_bytes.saturating_add(bytes)
                    ),
                )
                .because(failure)),
                _ => Err(failure),
            }
        }
        LastWord::Closed if talk.finished && talk.read_back => Ok(false),
        LastWord::Closed => Err(DeviceError::new(
            DeviceErrorKind::ConnectionLost,
            "the device closed the connection before its backup was finished",
        )),
        LastWord::Left => Err(DeviceError::new(
            DeviceErrorKind::Protocol,
            "the device went on though nothing could be stored",
        )),
    }
}
