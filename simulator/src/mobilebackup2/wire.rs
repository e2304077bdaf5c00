//! DeviceLink's framing: plists with a length in front, and raw bytes between them.
//!
//! Cuts and silences happen here: at the phone's n-th message, or where a stage begins.
use crate::backup_files::plist_bytes;
use crate::connection::Connection;
use crate::phone::{CutAt, Faults, Phone, Silence, Stage};
use plist::Value;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// The service's name.
pub(super) const SERVICE: &str = "com.apple.mobilebackup2";

/// What a host's message may measure: a listing of 1/256 of a million files is far below.
const MESSAGE_MAX: usize = 64 << 20;

/// Written bytes are sent on when there are so many, and before anything is read.
const PENDING_MAX: usize = 128 * 1024;

/// The connection, as messages and bytes.
pub(super) struct Wire<'a> {
    connection: &'a mut dyn Connection,
    phone: Arc<Phone>,
    pending: Vec<u8>,
    sent: u64,
    cut: Option<CutAt>,
    silence: Option<Silence>,
    faults: Arc<Faults>,
}

impl<'a> Wire<'a> {
    /// Takes the connection, and the cut that is meant for it.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn new(
        connection: &'a mut dyn Connection,
        phone: &Arc<Phone>,
        patience: Duration,
    ) -> io::Result<Wire<'a>> {
        connection.set_read_timeout(Some(patience))?;
        let faults = phone.faults();
        let cut = phone.take_cut(SERVICE);
        let silence = faults.silence.clone().filter(|silence| silence.service == SERVICE);
        let phone = Arc::clone(phone);
        Ok(Wire { connection, phone, pending: Vec::new(), sent: 0, cut, silence, faults })
    }

    /// What goes wrong with the phone, as of this connection's beginning.
    pub(super) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults)
    }

    /// Says that a stage begins.
    ///
    /// # Errors
    ///
    /// The connection is to be cut here, or is gone.
    pub(super) fn stage(&mut self, stage: Stage) -> io::Result<()> {
        self.pass(|at| at == CutAt::Stage(stage))
    }

    /// Sends a message: a binary plist, as phones do.
    ///
    /// # Errors
    ///
    /// The connection is to be cut here, or is gone.
    pub(super) fn send(&mut self, message: Vec<Value>) -> io::Result<()> {
        let number = self.sent;
        self.pass(|at| at == CutAt::Message(number))?;
        self.sent += 1;
        let bytes = plist_bytes::binary(&Value::Array(message));
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.number(length)?;
        self.bytes(&bytes)?;
        self.flush()
    }

    /// Reads a message, binary or XML: its name, and what follows the name.
    ///
    /// # Errors
    ///
    /// The connection is gone or silent for too long, or this is no message.
    pub(super) fn receive(&mut self) -> io::Result<(String, Vec<Value>)> {
        let length = usize::try_from(self.read_number()?).unwrap_or(usize::MAX);
        if length > MESSAGE_MAX {
            return Err(wrong(format!("a message of {length} bytes")));
        }
        let mut bytes = Vec::new();
        // Grows with what really comes, whatever the length says.
        while bytes.len() < length {
            let from = bytes.len();
            bytes.resize(length.min(from + PENDING_MAX), 0);
            self.read(&mut bytes[from..])?;
        }
        let message = plist_bytes::read(&bytes).map_err(|e| wrong(e.0))?;
        let mut message = message.into_array().ok_or_else(|| wrong("a message is no array"))?;
        if message.is_empty() {
            return Err(wrong("an empty message"));
        }
        let name = message.remove(0).into_string().filter(|name| name.starts_with("DL"));
        Ok((name.ok_or_else(|| wrong("a message without a name"))?, message))
    }

    /// Writes a length or another number.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn number(&mut self, number: u32) -> io::Result<()> {
        self.bytes(&number.to_be_bytes())
    }

    /// Writes raw bytes.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PENDING_MAX { self.flush() } else { Ok(()) }
    }

    /// Sends what was written.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let result = self.connection.write_all(&self.pending);
        self.pending.clear();
        result?;
        self.connection.flush()
    }

    /// Reads a number.
    ///
    /// # Errors
    ///
    /// The connection is gone or silent for too long.
    pub(super) fn read_number(&mut self) -> io::Result<u32> {
        let mut number = [0; 4];
        self.read(&mut number)?;
        Ok(u32::from_be_bytes(number))
    }

    /// Fills `buffer`.
    ///
    /// # Errors
    ///
    /// The connection is gone or silent for too long.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.flush()?;
        }
        self.connection.read_exact(buffer)
    }

    /// Is silent here, or cuts here, if that is meant to be.
    fn pass(&mut self, here: impl Fn(CutAt) -> bool) -> io::Result<()> {
        if let Some(silence) = self.silence.take_if(|silence| here(silence.before)) {
            self.flush()?;
            self.phone.wait(silence.lasts)?;
        }
        if self.cut.is_some_and(here) {
            self.flush()?;
            return Err(io::Error::new(ErrorKind::ConnectionAborted, "cut on purpose"));
        }
        Ok(())
    }
}

/// The host said what no host may say.
fn wrong(text: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text.into())
}
