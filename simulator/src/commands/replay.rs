//! Recordings, from the command line.
use crate::args::{Parent, Replay as Arguments};
use devsnap_simulator::replay::{Divergence, Recording, Replay, parent as before};
use std::io::{self, Write};
use std::process::{Child, Command};

/// Plays a recording; where the host departs from it, if it does.
///
/// # Errors
///
/// The recording cannot be read, the address not be listened on, the command not be run.
pub(crate) fn replay(arguments: &Arguments) -> io::Result<Option<Divergence>> {
    let recording = Recording::read(&arguments.file)?;
    if !recording.is_whole {
        eprintln!("devsnap-simulator: the recording broke off; what there is of it is played");
    }
    let replay = Replay::start(recording, arguments.address)?;
    let mut host = match arguments.command.split_first() {
        Some((program, words)) => {
            let address = replay.address().to_string();
            let host = Command::new(program)
                .args(words)
                .env("USBMUXD_SOCKET_ADDRESS", address)
                .spawn()
                .map_err(|error| {
                    let program = program.to_string_lossy();
                    io::Error::new(error.kind(), format!("running {program}: {error}"))
                })?;
            Some(Host(host))
        }
        None => {
            let line = format!("USBMUXD_SOCKET_ADDRESS={}\n", replay.address());
            io::stdout().write_all(line.as_bytes())?;
            io::stdout().flush()?;
            None
        }
    };
    let played = replay.wait(arguments.idle, || host.as_mut().is_some_and(Host::has_left));
    if played.is_ok()
        && let Some(host) = &mut host
    {
        // It has said all that was recorded, and has its own things to finish.
        host.0.wait()?;
    }
    Ok(played.err())
}

/// The host that was started here; ended with this program.
struct Host(Child);

impl Host {
    fn has_left(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.has_left() {
            // Gone in between: then it has ended, as it should.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Makes up what the host had before.
///
/// # Errors
///
/// The recording cannot be read, or tells of nothing before it; the folder cannot be written.
pub(crate) fn parent(arguments: &Parent) -> io::Result<()> {
    let recording = Recording::read(&arguments.file)?;
    let folder = before::write(&recording, &arguments.folder)?;
    io::stdout().write_all(format!("{}\n", folder.display()).as_bytes())
}
