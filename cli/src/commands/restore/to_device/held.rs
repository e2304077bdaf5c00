//! The repository while a device reads from it: no sweep may take away what it has yet to ask for.
//!
//! A session of a writer that writes nothing blocks sweepers; it puts a sign of life every few minutes.
//! See `docs/crash-safety.md`, "Readers".
use crate::commands::Session;
use crate::failure::Failure;
use devsnap_engine::error::ErrorKind;
use devsnap_engine::repository::{self, Repository};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const PROGRAM: &str = concat!("devsnap ", env!("CARGO_PKG_VERSION"));

/// How often a sign of life is put: as often as a writer's.
const BEAT_EVERY: Duration = Duration::from_secs(5 * 60);

/// A session that blocks sweepers until this is dropped.
pub(super) struct Held {
    beating: Option<(Arc<repository::Session>, Sender<()>, JoinHandle<()>)>,
}

impl Held {
    /// Opens it. Where nothing may be put, or has room, nothing is swept either: that is only warned of.
    pub(super) fn open(session: &Session<'_>, from: &Repository) -> Result<Held, Failure> {
        let opened = match repository::Session::open(from, PROGRAM) {
            Ok(opened) => Arc::new(opened),
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NoSpace) => {
                session.report.warn(&format!(
                    "no mark could be put that keeps other computers from pruning meanwhile: {error}"
                ));
                return Ok(Held { beating: None });
            }
            Err(error) => return Err(error.into()),
        };
        let (over, is_over) = channel();
        let beats = Arc::clone(&opened);
        let beating = std::thread::spawn(move || {
            while is_over.recv_timeout(BEAT_EVERY) == Err(RecvTimeoutError::Timeout) {
                // One that cannot be put leaves the one before; sweepers are patient for days.
                let _ = beats.beat();
            }
        });
        Ok(Held { beating: Some((opened, over, beating)) })
    }
}

/// Lets sweepers go on. A mark that cannot be removed holds them up until the next run from here.
impl Drop for Held {
    fn drop(&mut self) {
        let Some((opened, over, beating)) = self.beating.take() else { return };
        drop(over);
        let _ = beating.join();
        let _ = opened.end_without_snapshot();
    }
}
