//! Whether a device encrypts its backups, and with which password: seen, and changed.
//!
//! The connections are those of idevicebackup2's `encryption` and `changepw`: as for a backup, but
//! without the sync lock, since no file is touched.
use std::sync::Arc;
use std::time::{Duration, Instant};

use devsnap_engine::interrupt::Interrupt;
use plist::Value;

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::lockdown::{DeviceInfo, PairRecords, PairingPatience, Session, TrustedDevice};
use crate::mobilebackup2::password::{self, PasswordChange};
use crate::services::diagnostics;
use crate::session::connections::Open;
use crate::session::signals::{SessionWait, Signals};
use crate::session::{DETACHED_WAIT, Meeting, require_itself};
use crate::transport::{AtMost, Transport, Wait};
use crate::udid::Udid;
use crate::watch::{DeviceWatch, Stage};

/// What lockdown knows of backups.
const DOMAIN: &str = "com.apple.mobile.backup";

/// How long a question may take that is only for showing what the device waits for.
const ASIDE: AtMost = AtMost(Duration::from_secs(5));

/// How often a device is asked whether it has noticed its own change.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a backup password is changed.
#[derive(Clone)]
pub struct EncryptionOptions {
    /// Our own pair records.
    pub records: PairRecords,
    /// How patient pairing is.
    pub pairing: PairingPatience,
    /// How long the passcode sheet may be up; `None`: until the device itself gives up, which takes
    /// it three minutes, on iOS 26 up to thirty.
    pub passcode_patience: Option<Duration>,
    /// How long the device may be silent: at least as long as it waits for its passcode.
    pub idle_max: Duration,
    /// How long it may take until the device says of itself what it has just agreed to. It may
    /// refuse connections for a moment after a change.
    pub flip_max: Duration,
}

impl EncryptionOptions {
    /// The usual, with pair records in `records`.
    pub fn new(records: PairRecords) -> Self {
        EncryptionOptions {
            records,
            pairing: PairingPatience::default(),
            passcode_patience: None,
            idle_max: Duration::from_secs(40 * 60),
            flip_max: Duration::from_secs(20),
        }
    }
}

/// What a device says of the encryption of its backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionState {
    /// It encrypts what it sends (`WillEncrypt`); `None`: it does not say.
    pub will_encrypt: Option<bool>,
    /// A management profile wants it to (`RequiresEncryption`).
    pub is_required: bool,
}

impl EncryptionState {
    /// Asks in `session`.
    ///
    /// # Errors
    ///
    /// The connection broke, or what came is no answer.
    pub fn of(session: &mut Session<'_>) -> Result<Self> {
        let mut flag = |key| {
            let value = session.lockdown().value(Some(DOMAIN), Some(key))?;
            Ok::<_, DeviceError>(value.as_ref().and_then(Value::as_boolean))
        };
        Ok(EncryptionState {
            will_encrypt: flag("WillEncrypt")?,
            is_required: flag("RequiresEncryption")?.unwrap_or(false),
        })
    }
}

/// A device that trusts this computer, of which the backup password is of interest.
pub struct BackupEncryption {
    device: TrustedDevice,
    info: DeviceInfo,
    state: EncryptionState,
    options: EncryptionOptions,
    watch: Arc<dyn DeviceWatch>,
}

impl BackupEncryption {
    /// Finds the device, pairs with it if need be, and asks who it is and whether it encrypts.
    ///
    /// # Errors
    ///
    /// As [`DeviceSource::connect`](crate::DeviceSource::connect).
    pub fn connect(
        transport: Arc<dyn Transport>,
        udid: Option<&Udid>,
        options: EncryptionOptions,
        watch: Arc<dyn DeviceWatch>,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let signals = Signals::default();
        let mut wait = options.wait(interrupt, &signals, &*watch);
        let meeting = Meeting {
            transport,
            udid,
            records: &options.records,
            patience: options.pairing,
            watch: &*watch,
        };
        let device = meeting.trusted(&mut wait)?;
        let mut session = device.session(&mut wait)?;
        let info = DeviceInfo::of_values(session.lockdown().value(None, None)?)?;
        let state = EncryptionState::of(&mut session)?;
        session.end();
        require_itself(&info, &device)?;
        Ok(BackupEncryption { device, info, state, options, watch })
    }

    /// Who it is.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// What it said last.
    pub fn state(&self) -> EncryptionState {
        self.state
    }

    /// Has the device change its backup password, and waits until it says of itself what it has
    /// agreed to. Somebody may have to enter the passcode on it.
    ///
    /// What comes back is what the device says afterwards. It has agreed, so
    /// [`will_encrypt`](EncryptionState::will_encrypt) is as wished, unless the device contradicts
    /// itself or cannot be reached any more.
    ///
    /// # Errors
    ///
    /// As [`password::hear`]. After [`ConnectionLost`](DeviceErrorKind::ConnectionLost) and
    /// [`Cancelled`](DeviceErrorKind::Cancelled) the change may have happened.
    pub fn change(
        &mut self,
        change: &PasswordChange,
        interrupt: &Interrupt,
    ) -> Result<EncryptionState> {
        let signals = Arc::new(Signals::default());
        let watch = self.watch.clone();
        let mut wait = self.options.wait(interrupt, &signals, &*watch);
        watch.stage(Stage::Connecting);
        let mut open = Open::without_files(&self.device, &signals, &watch, &mut wait)?;
        let answered = self.converse(&mut open, change, &mut wait);
        let is_lost = answered.as_ref().is_err_and(|e| e.kind() == DeviceErrorKind::ConnectionLost);
        let was_unplugged = is_lost && signals.detached_within(DETACHED_WAIT);
        open.close(&self.device, answered.is_ok());
        if let Err(error) = answered {
            let unplugged = "the device was unplugged before it said what became of its password";
            return Err(match was_unplugged {
                true => DeviceError::new(DeviceErrorKind::ConnectionLost, unplugged).because(error),
                false => error,
            });
        }
        self.state = self.seen_again(change.will_encrypt(), interrupt)?;
        Ok(self.state)
    }

    fn converse(
        &self,
        open: &mut Open,
        change: &PasswordChange,
        wait: &mut dyn Wait,
    ) -> Result<()> {
        password::ask(&mut open.link, &self.info.udid_on_the_wire, change, wait)?;
        // Whether its sheet is up the device may not tell. That it has a passcode it does.
        let has_passcode = self
            .device
            .start_service(diagnostics::SERVICE, &mut { ASIDE })
            .and_then(diagnostics::has_passcode);
        if let Ok(Some(true)) = has_passcode {
            self.watch.stage(Stage::WaitingForPasscode);
        }
        password::hear(&mut open.link, wait)
    }

    /// What the device says of itself once it says what is `wished`, or when it had time enough.
    fn seen_again(&self, wished: bool, interrupt: &Interrupt) -> Result<EncryptionState> {
        let since = Instant::now();
        let signals = Signals::default();
        let mut wait = self.options.wait(interrupt, &signals, &*self.watch);
        loop {
            let seen = self.device.session(&mut wait).and_then(|mut session| {
                let seen = EncryptionState::of(&mut session)?;
                session.end();
                Ok(seen)
            });
            let is_last = since.elapsed() >= self.options.flip_max;
            match seen {
                Ok(state) if is_last || state.will_encrypt == Some(wished) => return Ok(state),
                Err(error) if error.kind() == DeviceErrorKind::Cancelled => return Err(error),
                Err(_) if is_last => {
                    // It agreed; that it cannot be asked again takes nothing back.
                    return Ok(EncryptionState { will_encrypt: None, ..self.state });
                }
                _ => {}
            }
            wait.waited(Duration::ZERO)?;
            std::thread::sleep(LOOK_EVERY.min(self.options.flip_max));
        }
    }
}

impl EncryptionOptions {
    fn wait<'a>(
        &self,
        interrupt: &'a Interrupt,
        signals: &'a Signals,
        watch: &'a dyn DeviceWatch,
    ) -> SessionWait<'a> {
        let (idle_max, passcode_max) = (self.idle_max, self.passcode_patience);
        SessionWait { interrupt, signals, watch, idle_max, passcode_max }
    }
}
