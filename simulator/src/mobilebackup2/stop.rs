//! Why a request ends before it is done.
use crate::backup_files::Unreadable;
use std::fmt;
use std::io;

/// A refusal as the host sees it: a code of MBErrorDomain and a text.
///
/// # Source
///
/// The codes are known from what idevicebackup2 and pymobiledevice3 print, and from their issues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MbError {
    /// The code.
    pub(super) code: u32,
    /// What it is about, without the code.
    pub(super) text: String,
}

impl MbError {
    /// Internal.
    pub(super) const INTERNAL: u32 = 1;
    /// Another session is running.
    pub(super) const BUSY: u32 = 14;
    /// Reading from the host failed.
    pub(super) const READ: u32 = 103;
    /// Writing to the host failed.
    pub(super) const WRITE: u32 = 104;
    /// The host has too little space.
    pub(super) const HOST_SPACE: u32 = 105;
    /// The phone has too little room.
    pub(super) const PHONE_SPACE: u32 = 106;
    /// Cancelled.
    pub(super) const CANCELLED: u32 = 202;
    /// A version that does not fit.
    pub(super) const VERSION: u32 = 203;
    /// There is no complete backup.
    pub(super) const EMPTY: u32 = 204;
    /// What the host has is damaged or incomplete.
    pub(super) const CORRUPT: u32 = 205;
    /// The password is wrong or missing.
    pub(super) const PASSWORD: u32 = 207;
    /// Locked, or nobody typed the passcode.
    pub(super) const LOCKED: u32 = 208;
    /// No iCloud account.
    pub(super) const NO_ACCOUNT: u32 = 210;
    /// "Find My" is on.
    pub(super) const FIND_MY: u32 = 211;
}

impl fmt::Display for MbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (MBErrorDomain/{})", self.text, self.code)
    }
}

/// Why a request ends before it is done.
#[derive(Debug)]
pub(super) enum Stop {
    /// The connection is gone, or the host said what no host may say: there is no answer to give.
    Broken(io::Error),
    /// The request ends with this error.
    Refused(MbError),
}

/// What a step of a request gives.
pub(super) type Step<T> = Result<T, Stop>;

impl Stop {
    /// A refusal.
    pub(super) fn refused(code: u32, text: impl Into<String>) -> Stop {
        Stop::Refused(MbError { code, text: text.into() })
    }

    /// The host broke the protocol.
    pub(super) fn protocol(text: impl Into<String>) -> Stop {
        Stop::Broken(io::Error::new(io::ErrorKind::InvalidData, text.into()))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Broken(error) => write!(f, "{error}"),
            Stop::Refused(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Broken(error)
    }
}

/// A file of the host's that cannot be read.
impl From<Unreadable> for Stop {
    fn from(unreadable: Unreadable) -> Stop {
        Stop::refused(MbError::CORRUPT, unreadable.0)
    }
}
