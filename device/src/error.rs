//! The one error of this crate, and the few kinds a caller can act on.
use std::error::Error as StdError;
use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T, E = DeviceError> = std::result::Result<T, E>;

/// What went wrong, said in terms of what the person in front of the phone can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceErrorKind {
    /// No such device is plugged in or within reach. Plug it in.
    NotConnected,
    /// The device does not know this computer. Tap "Trust" on it.
    NotTrusted,
    /// The device is locked. Unlock it.
    Locked,
    /// The device waits for its passcode. Enter it there.
    PasscodeNeeded,
    /// The device said something this version does not understand. Nothing was kept.
    Protocol,
    /// The person stopped the session, here or on the device.
    Cancelled,
    /// A folder is a backup set, but a file it cannot do without is missing or damaged.
    BadBackupSet,
    /// A backup set whose last session did not end; its files may not belong together.
    UnfinishedBackupSet,
    /// This computer could not read its own files: permissions, or the disk.
    Unreadable,
}

impl fmt::Display for DeviceErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceErrorKind::NotConnected => "the device is not connected",
            DeviceErrorKind::NotTrusted => "the device does not trust this computer",
            DeviceErrorKind::Locked => "the device is locked",
            DeviceErrorKind::PasscodeNeeded => "the device waits for its passcode",
            DeviceErrorKind::Protocol => "the device was not understood",
            DeviceErrorKind::Cancelled => "cancelled",
            DeviceErrorKind::BadBackupSet => "the backup set is damaged",
            DeviceErrorKind::UnfinishedBackupSet => "the backup set is not finished",
            DeviceErrorKind::Unreadable => "cannot be read",
        })
    }
}

/// A failure of this crate: its kind, one plain sentence, and what caused it.
///
/// `Display` prints the sentence on one line without the cause; walk [`StdError::source`] for the
/// rest. A sentence never holds bytes of a device or a file unescaped, so it is safe to print.
pub struct DeviceError(Box<Inner>);

struct Inner {
    kind: DeviceErrorKind,
    sentence: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl DeviceError {
    /// A failure of `kind`, told in one `sentence` without a full stop.
    pub fn new(kind: DeviceErrorKind, sentence: impl Into<String>) -> Self {
        DeviceError(Box::new(Inner { kind, sentence: sentence.into(), source: None }))
    }

    /// Attaches the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        debug_assert!(self.0.source.is_none(), "an error has one cause");
        self.0.source = Some(cause.into());
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> DeviceErrorKind {
        self.0.kind
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.sentence)
    }
}
impl fmt::Debug for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind())?;
        let mut cause = self.source();
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    }
}
impl StdError for DeviceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}
