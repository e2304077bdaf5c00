//! The one error of this crate, and the few kinds a caller can act on.
use std::error::Error as StdError;
use std::fmt;

/// Shorthand for results of this crate.
pub type Result<T, E = DeviceError> = std::result::Result<T, E>;

/// What went wrong, said in terms of what the person in front of the phone can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceErrorKind {
    /// Nobody on this computer reaches devices: usbmuxd does not run. Start it.
    NoUsbmuxd,
    /// No such device is plugged in or within reach. Plug it in.
    NotConnected,
    /// Several devices are there, and none was named. Name one.
    SeveralDevices,
    /// The connection broke off: the cable, the network, or the device's own program. Run again.
    ConnectionLost,
    /// The device does not know this computer. Tap "Trust" on it.
    NotTrusted,
    /// Somebody tapped "Don't Trust". Plug the device in anew, and it asks again.
    TrustRefused,
    /// The device is locked. Unlock it.
    Locked,
    /// The device waits for its passcode. Enter it there.
    PasscodeNeeded,
    /// The device said something this version does not understand. Nothing was kept.
    Protocol,
    /// The device reported a failure of its own. Running again may help; so may restarting it.
    DeviceFailed,
    /// The device has a snapshot mounted from a run that broke off. Restart the device.
    RestartDevice,
    /// Another program syncs with the device. Let it finish, or close it.
    SyncBusy,
    /// The device is not set up or not activated yet. Finish that on it.
    SetupUnfinished,
    /// The device is being restored from iCloud. Let it finish.
    CloudRestore,
    /// A management profile of the device forbids it.
    Managed,
    /// "Find My" must be switched off first.
    FindMyOn,
    /// The backup password is wrong or missing.
    WrongPassword,
    /// This side has too little room for what the device wants to send.
    NoSpaceHere,
    /// The device has too little room for what it shall take back.
    NoSpaceOnDevice,
    /// The device cannot use what it was given of its last backup. Run again with everything.
    PreviousUnusable,
    /// The device cannot take this snapshot: incomplete, damaged, or of a newer system.
    SnapshotUnfit,
    /// What arrived could not be stored, or what was to go out could not be read; the storage's own error says why.
    StorageFailed,
    /// The person stopped the session, here or on the device.
    Cancelled,
    /// A folder is a backup set, but a file it cannot do without is missing or damaged.
    BadBackupSet,
    /// A backup set whose last session did not end; its files may not belong together.
    UnfinishedBackupSet,
    /// This computer could not read its own files: permissions, or the disk.
    Unreadable,
}

impl DeviceErrorKind {
    /// Whether the same run, tried again after some seconds, may well succeed without anybody
    /// doing anything. Too little room, a wrong password or a passcode that nobody entered are as
    /// they were.
    pub fn may_pass(self) -> bool {
        matches!(self, DeviceErrorKind::ConnectionLost | DeviceErrorKind::DeviceFailed)
    }
}

impl fmt::Display for DeviceErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceErrorKind::SeveralDevices => "several devices are connected",
            DeviceErrorKind::NoUsbmuxd => "usbmuxd does not answer",
            DeviceErrorKind::ConnectionLost => "the connection to the device broke off",
            DeviceErrorKind::TrustRefused => "the device was told not to trust this computer",
            DeviceErrorKind::DeviceFailed => "the device reported a failure",
            DeviceErrorKind::RestartDevice => "the device must be restarted",
            DeviceErrorKind::SyncBusy => "another program syncs with the device",
            DeviceErrorKind::SetupUnfinished => "the device is not set up",
            DeviceErrorKind::CloudRestore => "the device is being restored from iCloud",
            DeviceErrorKind::Managed => "the device's management forbids it",
            DeviceErrorKind::FindMyOn => "\"Find My\" is on",
            DeviceErrorKind::WrongPassword => "the backup password is wrong or missing",
            DeviceErrorKind::NoSpaceHere => "too little room for the backup",
            DeviceErrorKind::NoSpaceOnDevice => "too little room on the device",
            DeviceErrorKind::PreviousUnusable => "the device cannot use its last backup",
            DeviceErrorKind::SnapshotUnfit => "the device cannot take this snapshot",
            DeviceErrorKind::StorageFailed => "it could not be stored",
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
