//! The faults that strike a service between two messages, counted out for one connection.
use super::{CutAt, Phone};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// What may befall one connection before each message that the phone sends on it.
pub struct Mishaps {
    phone: Arc<Phone>,
    cut_at: Option<u64>,
    silence: Option<(u64, Duration)>,
    sent: u64,
}

impl Mishaps {
    /// Those of a connection to `service` that now begins.
    pub fn of(phone: &Arc<Phone>, service: &str) -> Mishaps {
        let cut_at = match phone.take_cut(service) {
            Some(CutAt::Message(number)) => Some(number),
            _ => None,
        };
        let silence = match phone.faults().silence.as_ref() {
            Some(silence) if silence.service == service => match silence.before {
                CutAt::Message(number) => Some((number, silence.lasts)),
                _ => None,
            },
            _ => None,
        };
        Mishaps { phone: Arc::clone(phone), cut_at, silence, sent: 0 }
    }

    /// To be called before each message is sent: waits as long as the phone is to be silent.
    ///
    /// # Errors
    ///
    /// `ConnectionAborted`: the connection ends here.
    pub fn strike(&mut self) -> io::Result<()> {
        let number = self.sent;
        self.sent += 1;
        if let Some((_, lasts)) = self.silence.filter(|(before, _)| *before == number) {
            self.phone.wait(lasts)?;
        }
        if self.cut_at == Some(number) {
            return Err(io::Error::new(ErrorKind::ConnectionAborted, "cut, as was asked for"));
        }
        Ok(())
    }
}
