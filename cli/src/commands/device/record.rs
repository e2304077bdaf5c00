//! `--record FILE`: what is said to a device and heard from it, for somebody who has no such device.
use super::Host;
use crate::commands::Session;
use crate::commands::key::unwritten;
use crate::failure::Failure;
use devsnap_device::Recorder;
use std::path::Path;

/// A command's dealings with devices, recorded if that was asked for.
///
/// # Errors
///
/// The recording cannot be begun; whatever `deal` says. One that breaks off later is a warning: the
/// backup is worth more.
pub(in crate::commands) fn recorded<T>(
    session: &Session<'_>,
    file: Option<&Path>,
    deal: impl FnOnce(&Host) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut host = Host::of_this_user()?;
    let Some(file) = file else { return deal(&host) };
    let program = concat!("devsnap ", env!("CARGO_PKG_VERSION"));
    let recorder = Recorder::create(file, program).map_err(|error| unwritten(file, &error))?;
    host.transport = recorder.over(host.transport);
    session.report.recording(file);
    let dealt = deal(&host);
    // Connections are written down to their end.
    drop(host);
    let shown = file.display();
    match recorder.finish() {
        Ok(recorded) => session.report.note(&format!("recorded {} lines", recorded.lines)),
        Err(error) => session.report.warn(&format!("the recording broke off: {shown}: {error}")),
    }
    dealt
}
