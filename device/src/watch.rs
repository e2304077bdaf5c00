//! What a person sees of a device session while it runs.
use std::fmt;
use std::time::Duration;

/// Where a session with a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The device asks whether it shall trust this computer. Somebody must tap "Trust" on it.
    WaitingForTrust,
    /// The device is locked, and must be unlocked before it goes on.
    WaitingForUnlock,
    /// Another program syncs with the device; waiting until it is done.
    WaitingForOtherSync,
    /// Services are being opened.
    Connecting,
    /// The device shows its passcode sheet. Somebody must enter the passcode on it.
    WaitingForPasscode,
    /// The device looks through its files. This can take an hour, in silence.
    Preparing,
    /// Files arrive.
    Receiving,
    /// Files go to the device, in a restore.
    Sending,
    /// All has arrived; the device puts the new set in the old one's place.
    Moving,
    /// Encrypted files, which waited for their keys, are stored as plaintext.
    Converting,
    /// The last bytes are made safe, and the device looks at what it has handed over; in a restore it
    /// puts everything in its place and restarts.
    Finishing,
}

impl Stage {
    /// The word for it, in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Stage::WaitingForTrust => "waiting-for-trust",
            Stage::WaitingForUnlock => "waiting-for-unlock",
            Stage::WaitingForOtherSync => "waiting-for-other-sync",
            Stage::Connecting => "connecting",
            Stage::WaitingForPasscode => "waiting-for-passcode",
            Stage::Preparing => "preparing",
            Stage::Receiving => "receiving",
            Stage::Sending => "sending",
            Stage::Moving => "moving",
            Stage::Converting => "converting",
            Stage::Finishing => "finishing",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Watches a device session. Called from several threads; must be cheap and must not block.
pub trait DeviceWatch: Send + Sync {
    /// The session has come to `stage`. The same stage may be told again.
    fn stage(&self, stage: Stage) {
        let _ = stage;
    }
    /// The device's own estimate of how far it is, in percent. It may go backwards.
    fn percent(&self, percent: f64) {
        let _ = percent;
    }
    /// The device has said nothing for `so_far`, which is usual while it looks through its files.
    /// Told several times a second.
    fn silent(&self, so_far: Duration) {
        let _ = so_far;
    }
    /// Something a person should know, in one sentence.
    fn warn(&self, sentence: &str) {
        let _ = sentence;
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl DeviceWatch for Unwatched {}
