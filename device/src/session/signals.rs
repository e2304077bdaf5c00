//! What happens beside the conversation: the person cancels on the device, the passcode sheet
//! comes and goes, the cable is pulled.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use devsnap_engine::interrupt::Interrupt;

use crate::error::{DeviceError, DeviceErrorKind, Result};
use crate::services::notification_proxy::{
    Notice, NotificationProxy, PASSCODE_DISMISSED, PASSCODE_PRESENTED, SYNC_CANCEL_REQUEST,
};
use crate::transport::{Events, TransportEvent, Wait};
use crate::watch::{DeviceWatch, Stage};

/// How often an observing thread looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a device may be silent between two messages before it is said to be preparing.
const SILENT: Duration = Duration::from_secs(60);

/// What observers have seen.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    cancelled: AtomicBool,
    detached: AtomicBool,
    passcode_since: Mutex<Option<Instant>>,
}

impl Signals {
    /// The passcode sheet came up, or went away.
    fn passcode(&self, is_shown: bool) {
        let mut since = self.passcode_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = is_shown.then(|| since.unwrap_or_else(Instant::now));
    }

    /// Whether the attachment has ended, when a connection has just broken off: which of the two is
    /// heard of first is chance.
    pub(crate) fn detached_within(&self, at_most: Duration) -> bool {
        let since = Instant::now();
        loop {
            if self.detached.load(Ordering::Relaxed) {
                return true;
            }
            if since.elapsed() >= at_most {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How long the passcode sheet has been up; `None` when it is not.
    fn passcode_shown(&self) -> Option<Duration> {
        let since = self.passcode_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed())
    }
}

/// A thread that observes until it is dropped.
pub(super) struct Observer {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Observer {
    /// Calls `look` again and again until it says that there is no more, and `part` when it was
    /// dropped before.
    fn start<S: Send + 'static>(
        name: &str,
        mut stream: S,
        mut look: impl FnMut(&mut S) -> bool + Send + 'static,
        part: impl FnOnce(S) + Send + 'static,
    ) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let watch = move || {
            while !is_over.load(Ordering::Relaxed) {
                if !look(&mut stream) {
                    return;
                }
            }
            part(stream);
        };
        let thread =
            std::thread::Builder::new().name(name.to_owned()).spawn(watch).map_err(|e| {
                DeviceError::new(DeviceErrorKind::Unreadable, "starting a thread").because(e)
            })?;
        Ok(Observer { over, thread: Some(thread) })
    }

    /// Observes what the device tells of itself.
    pub(super) fn of_notices(
        proxy: NotificationProxy,
        signals: Arc<Signals>,
        watch: Arc<dyn DeviceWatch>,
    ) -> Result<Self> {
        let look = move |proxy: &mut NotificationProxy| {
            let name = match proxy.next(LOOK_EVERY) {
                Ok(Notice::Notification(name)) => name,
                Ok(Notice::Nothing) => return true,
                // Without it a backup goes on; it only cannot be cancelled on the device.
                Ok(Notice::Gone) | Err(_) => return false,
            };
            match name.as_str() {
                SYNC_CANCEL_REQUEST => signals.cancelled.store(true, Ordering::Relaxed),
                PASSCODE_PRESENTED => {
                    signals.passcode(true);
                    watch.stage(Stage::WaitingForPasscode);
                }
                PASSCODE_DISMISSED => {
                    signals.passcode(false);
                    watch.stage(Stage::Preparing);
                }
                _ => {}
            }
            true
        };
        Observer::start("notifications", proxy, look, NotificationProxy::end)
    }

    /// Observes whether the attachment `handle` ends.
    pub(super) fn of_cable(
        events: Box<dyn Events>,
        handle: u64,
        signals: Arc<Signals>,
    ) -> Result<Self> {
        let look = move |events: &mut Box<dyn Events>| match events.next(LOOK_EVERY) {
            Ok(Some(TransportEvent::Detached { handle: gone })) if gone == handle => {
                signals.detached.store(true, Ordering::Relaxed);
                false
            }
            Ok(_) => true,
            // usbmuxd has gone; the streams will notice.
            Err(_) => false,
        };
        Observer::start("cable", events, look, drop)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for the device as long as nobody minds and the link lives.
#[derive(Clone, Copy)]
pub(crate) struct SessionWait<'a> {
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) signals: &'a Signals,
    pub(crate) watch: &'a dyn DeviceWatch,
    /// How long a device may be silent.
    pub(crate) idle_max: Duration,
    /// How long its passcode sheet may be up.
    pub(crate) passcode_max: Option<Duration>,
}

impl Wait for SessionWait<'_> {
    fn waited(&mut self, so_far: Duration) -> Result<()> {
        let ends = |kind, sentence: &str| Err(DeviceError::new(kind, sentence));
        if self.interrupt.is_raised() {
            return ends(DeviceErrorKind::Cancelled, "stopping as asked");
        }
        if self.signals.cancelled.load(Ordering::Relaxed) {
            return ends(DeviceErrorKind::Cancelled, "it was cancelled on the device");
        }
        if self.signals.detached.load(Ordering::Relaxed) {
            return ends(DeviceErrorKind::ConnectionLost, "the device was unplugged");
        }
        if so_far >= self.idle_max {
            let secs = self.idle_max.as_secs();
            let sentence = format!("the device has said nothing for {secs} s");
            return Err(DeviceError::new(DeviceErrorKind::ConnectionLost, sentence));
        }
        let shown = self.signals.passcode_shown();
        if let (Some(shown), Some(max)) = (shown, self.passcode_max)
            && shown >= max
        {
            let sentence = format!("nobody has entered the passcode for {} s", max.as_secs());
            return Err(DeviceError::new(DeviceErrorKind::PasscodeNeeded, sentence));
        }
        if so_far >= SILENT && shown.is_none() {
            self.watch.silent(so_far);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plist_stream::{Encoding, frame};
    use crate::watch::Unwatched;
    use plist::{Dictionary, Value};
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn wait<'a>(signals: &'a Signals, interrupt: &'a Interrupt) -> SessionWait<'a> {
        let idle_max = Duration::from_secs(100);
        SessionWait { interrupt, signals, watch: &Unwatched, idle_max, passcode_max: None }
    }

    #[test]
    fn waiting_ends_for_the_person_the_cable_and_long_silence_only() {
        let (signals, interrupt) = (Signals::default(), Interrupt::new());
        let kind = |secs| {
            let waited = wait(&signals, &interrupt).waited(Duration::from_secs(secs));
            waited.err().map(|error| error.kind())
        };
        assert_eq!(kind(99), None);
        assert_eq!(kind(100), Some(DeviceErrorKind::ConnectionLost));
        signals.detached.store(true, Ordering::Relaxed);
        assert_eq!(kind(0), Some(DeviceErrorKind::ConnectionLost));
        interrupt.raise();
        assert_eq!(kind(0), Some(DeviceErrorKind::Cancelled));
    }

    #[test]
    fn a_passcode_sheet_is_waited_for_only_so_long() {
        let (signals, interrupt) = (Signals::default(), Interrupt::new());
        let mut wait = wait(&signals, &interrupt);
        wait.passcode_max = Some(Duration::ZERO);
        assert!(wait.waited(Duration::ZERO).is_ok());
        signals.passcode(true);
        let kind = wait.waited(Duration::ZERO).unwrap_err().kind();
        assert_eq!(kind, DeviceErrorKind::PasscodeNeeded);
        signals.passcode(false);
        assert!(wait.waited(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_cancel_on_the_device_reaches_whoever_waits() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let proxy = NotificationProxy::over(Box::new(near)).unwrap();
        let signals = Arc::new(Signals::default());
        let observer = Observer::of_notices(proxy, signals.clone(), Arc::new(Unwatched)).unwrap();
        let mut message = Dictionary::new();
        message.insert("Command".to_owned(), "RelayNotification".into());
        message.insert("Name".to_owned(), SYNC_CANCEL_REQUEST.into());
        far.write_all(&frame(&Value::Dictionary(message), Encoding::Xml)).unwrap();
        drop(far);
        // The stream has ended, so the thread ends by itself when it has read the message.
        let thread = observer.thread.as_ref().unwrap();
        while !thread.is_finished() {
            std::thread::yield_now();
        }
        let interrupt = Interrupt::new();
        let waited = wait(&signals, &interrupt).waited(Duration::ZERO).unwrap_err();
        assert_eq!(waited.kind(), DeviceErrorKind::Cancelled);
    }
}
