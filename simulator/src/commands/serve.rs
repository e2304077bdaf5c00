//! Phones on a table, from the command line.
use crate::args::Serve;
use devsnap_simulator::Simulator;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// Serves phones until it is told to end.
///
/// # Errors
///
/// The address or the folder cannot be used, or a phone is described wrongly.
pub(crate) fn serve(arguments: &Serve) -> io::Result<()> {
    let mut options = arguments.options().map_err(io::Error::other)?;
    if arguments.verbose {
        options.log = Some(Arc::new(|words: &str| eprintln!("devsnap-simulator: {words}")));
    }
    // Before anybody can know the address: who tells us to end must be heard.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let simulator = Simulator::start(options)?;
    let line = format!("USBMUXD_SOCKET_ADDRESS={}\n", simulator.address());
    io::stdout().write_all(line.as_bytes())?;
    io::stdout().flush()?;
    if let Some(file) = &arguments.ready_file {
        write_whole(file, &line)?;
    }
    signals.forever().next();
    Ok(())
}

/// Writes a file that is never seen in part.
fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, text)?;
    fs::rename(&partial, file)
}
